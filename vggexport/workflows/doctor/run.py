"""Looks at everything that a command could miss, and tries what can be tried without a file."""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vggexport.errors import InputError, Unavailable
from vggexport.formats.registry import BUNDLED, Runtime, load_runner
from vggexport.results.doctor import Ability, DoctorReport, Room, RuntimeState
from vggexport.system import lazy_imports
from vggexport.system.gpu import read_gpu
from vggexport.system.machine import available_memory_bytes, read_machine
from vggexport.system.near_names import suggestion
from vggexport.system.progress import Progress, Steps

_BUILDS = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")
_TFLITE = ("ai_edge_litert", "flatbuffers")

NEEDS: Mapping[str, tuple[str, ...]] = {
    "summary": (),
    "savedmodel": ("tensorflow", "keras"),
    "onnx": _BUILDS,
    "tflite": (*_BUILDS, *_TFLITE),
    "export": (*_BUILDS, *_TFLITE),
    "calibrate": _BUILDS,
    "train": ("tensorflow", "keras", "safetensors"),
    "prune": _BUILDS,
    "verify": ("onnx", "onnxruntime"),
    "benchmark": ("onnx", "onnxruntime"),
    "evaluate": ("onnx", "onnxruntime"),
    "bundle": ("onnx", "onnxruntime"),
    "check-bundle": ("onnx", "onnxruntime"),
    "inspect": ("onnx", "onnxruntime"),
    "diff": ("onnx",),
    ".tflite files": _TFLITE,
    "SavedModels": ("tensorflow",),
    "Keras weights": ("h5py",),
    ".safetensors weights": ("safetensors",),
    "--html": ("matplotlib",),
    "bundle --sign": ("cryptography",),
    "--runtime openvino": ("openvino",),
    "evaluate --engine ray": ("ray",),
}
"""Packages by what a user does; of commands that take several kinds of files, for ONNX files."""

MEMORY_BYTES = 2 * 2**30
DISK_BYTES = 10**9
"""An int8 export at full size peaked at 1.88 GiB, and its float32 file in the temporary folder has
553 MB, its own 139 MB (docs/measured.md)."""


def doctor(required: Sequence[str] | str = (), progress: Progress | None = None) -> DoctorReport:
    """Finds out what works here.

    Args:
        required: Abilities (keys of :data:`NEEDS`) that must be there for the report to pass.
        progress: Who shows how far it is.

    Raises:
        InputError: There is no such ability.
    """
    if isinstance(required, str):
        required = [required]
    if unknown := [name for name in required if name not in NEEDS]:
        raise InputError(f"{unknown[0]!r} is not known: {suggestion(unknown[0], NEEDS)}")
    steps = Steps(progress or Progress())
    return DoctorReport(
        machine=read_machine(),
        gpu=read_gpu(),
        runtimes=tuple(_runtimes(steps)),
        abilities=tuple(_ability(name, packages) for name, packages in NEEDS.items()),
        rooms=(
            Room("memory", available_memory_bytes(), MEMORY_BYTES),
            Room("disk here", shutil.disk_usage(Path()).free, DISK_BYTES),
            Room("temporary folder", shutil.disk_usage(tempfile.gettempdir()).free, DISK_BYTES),
        ),
        required=tuple(required),
        seconds=steps.seconds,
    )


def _runtimes(steps: Steps) -> Iterator[RuntimeState]:
    """Every runtime of files once, imported."""
    formats: dict[str, list[str]] = {}
    rows: dict[str, tuple[str, Runtime]] = {}
    for row in BUNDLED.values():
        for runtime in row.runtimes:
            formats.setdefault(runtime.name, []).append(row.name)
            rows.setdefault(runtime.name, (row.name, runtime))
    for name, (row_name, runtime) in rows.items():
        problem, providers = "", {}
        with steps.step(name):
            try:
                load_runner(row_name, name)
                if runtime.providers:
                    providers = lazy_imports.resolve(runtime.providers)()
            except Unavailable as error:
                problem = error.fact
        version = None if problem else importlib.metadata.version(runtime.package)
        yield RuntimeState(name, tuple(formats[name]), version, problem, providers)


def _ability(name: str, packages: Sequence[str]) -> Ability:
    missing = tuple(package for package in packages if not lazy_imports.is_installed(package))
    return Ability(name, missing, lazy_imports.installs(missing) if missing else "")
