"""Registries are data: a name and a "module:attribute" string, imported when it is asked for.

Strings keep TensorFlow, ONNX Runtime and their like out of start-up, and out of the imports that
the layer contracts follow.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vggexport.errors import InputError, Unavailable
from vggexport.system.near_names import suggestion
from vggexport.system.stderr_capture import silenced_stderr

_EXTRAS: Mapping[str, str] = {
    "tensorflow": "cpu",
    "keras": "cpu",
    "tf2onnx": "cpu",
    "h5py": "cpu",
    "flatbuffers": "runtime",
    "ai_edge_litert": "runtime",
    "onnx": "runtime",
    "onnxruntime": "runtime",
    "onnxruntime_qnn": "qnn",
    "openvino": "openvino",
    "safetensors": "runtime",
    "cryptography": "sign",
    "matplotlib": "report",
    "ray": "ray",
    "pandas": "ray",  # which Ray Data imports, and Ray alone does without
    "pyarrow": "ray",
}
"""The smallest extra that brings a package."""

_TENSORFLOW_SETTINGS: Mapping[str, str] = {
    # oneDNN keeps reordered copies of weights, 200 MB for VGG-D, and what runs here runs once.
    "TF_ENABLE_ONEDNN_OPTS": "0",
    # Without it all sessions of a process share the threads of the first.
    "TF_OVERRIDE_GLOBAL_THREADPOOL": "1",
}
"""Environment variables that TensorFlow reads once, at its import or when it starts."""

_ours: set[str] = set()


def is_installed(package: str) -> bool:
    """Whether a package can be found; it is not imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # it was taken out of this process
        return False


def installs(packages: Iterable[str]) -> str:
    """The line that installs these packages, each of which some extra brings."""
    extras = dict.fromkeys(_EXTRAS[package] for package in packages)
    if "cpu" in extras:  # it brings what the others of one environment bring
        extras = {"cpu": None} | {
            name: None for name in extras if name in ("ray", "openvino", "qnn")
        }
    return f"pip install 'vggexport[{','.join(extras)}]'"


def resolve(place: str) -> Any:
    """The attribute at a "module:attribute" place, its module imported now."""
    module, _, attribute = place.partition(":")
    with _no_collections():
        return getattr(importlib.import_module(module), attribute)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Looking for garbage among what stays takes a quarter of the import of TensorFlow."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()


def load(registry: Mapping[str, str], name: str) -> Any:
    """The attribute that ``registry`` names for ``name``.

    Raises:
        InputError: The registry has no such name.
        Unavailable: A package that it needs is not installed.
    """
    if name not in registry:
        raise InputError(f"{name!r} is not known: {suggestion(name, registry)}")
    _set_up_tensorflow()
    try:
        with silenced_stderr():
            return resolve(registry[name])
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise Unavailable(f"{package} is not installed", installs([package])) from error
    except ImportError as error:  # a native library that the package needs
        raise Unavailable(f"{_package_at_fault(error)} cannot be imported here: {error}") from error


def _set_up_tensorflow() -> None:
    for variable, value in _TENSORFLOW_SETTINGS.items():
        if variable not in os.environ:
            os.environ[variable] = value
            _ours.add(variable)


def set_here() -> frozenset[str]:
    """Environment variables that :func:`load` set in this process, and not the user."""
    return frozenset(_ours)


def _package_at_fault(error: ImportError) -> str:
    """The package of ours that was being imported when it failed."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    parts = (part.removesuffix(".py") for frame in frames for part in Path(frame.filename).parts)
    return next((part for part in parts if part in _EXTRAS), "a package")
