"""Qualcomm's NPU: an execution provider that is a package of its own, loaded as a plugin.

On x86-64 the package computes what the NPU of one processor would, in software. A session is
refused where an operator would stay on the CPU, of which ONNX Runtime by itself says nothing.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from vggexport.errors import Advice, Unavailable, one_line
from vggexport.metrics.placement import QNN_PROVIDER
from vggexport.system.lazy_imports import installs
from vggexport.system.stderr_capture import captured_stderr, silenced_stdout

PACKAGE = "onnxruntime_qnn"

EMULATED = {"soc_model": "43"}
"""The processor that is emulated where there is no NPU: Snapdragon 8 Gen 2 (SM8550), by the number
that Qualcomm's QNN SDK gives it. Without one its compiler runs out of memory."""

_STRICT = ("session.disable_cpu_ep_fallback", "1")
"""(onnxruntime_session_options_config_keys.h)."""

_REFUSED = "fallback to CPU EP has been explicitly disabled"
_LEFT = re.compile(r"\{ name: (\S+), type: (\S+) \}")


def load() -> None:
    """Has ONNX Runtime offer the provider.

    Raises:
        Unavailable: Its package is not installed.
    """
    if QNN_PROVIDER in onnxruntime.get_available_providers():
        return
    try:
        package = import_module(PACKAGE)
    except ImportError as error:
        raise Unavailable(
            f"execution provider {QNN_PROVIDER} is in the package onnxruntime-qnn, which is not "
            "installed",
            installs([PACKAGE]),
        ) from error
    onnxruntime.register_execution_provider_library(QNN_PROVIDER, package.get_library_path())


def use(options: Any, provider_options: dict[str, str]) -> None:
    """Has a session run on the NPU, or on its emulator, and on nothing else.

    The session's options are changed in place; before the provider's own come :data:`EMULATED` and
    its backend.
    """
    package = import_module(PACKAGE)
    devices = [found for found in onnxruntime.get_ep_devices() if found.ep_name == QNN_PROVIDER]
    kind = onnxruntime.OrtHardwareDeviceType
    npus = [found for found in devices if found.device.type == kind.NPU]
    own = {"backend_path": package.get_qnn_htp_path()} | ({} if npus else EMULATED)
    options.add_session_config_entry(*_STRICT)
    options.add_provider_for_devices((npus or devices)[:1], own | provider_options)


def compile_context(path: Path, written: Path) -> None:
    """Compiles a file for the NPU, so that a device need not: a graph of one operator, its context.

    It is for the processor in :data:`EMULATED`, and for the versions of Qualcomm's libraries that
    it names. The ``.onnx`` file that is written has all of it inside.

    Raises:
        Unavailable: Qualcomm's package is not installed, or does not take the file whole.
    """
    load()
    options = onnxruntime.SessionOptions()
    use(options, {})
    compiler = onnxruntime.ModelCompiler(options, str(path), embed_compiled_data_into_model=True)
    with captured_stderr() as printed, silenced_stdout():
        try:
            compiler.compile_to_file(str(written))
        except (RuntimeError, ort_errors.Fail, ort_errors.EPFail) as error:
            failure: Exception | None = error
        else:
            failure = None
    if failure:
        check_whole(path, f"{printed[0].decode(errors='replace')} {failure}")
        raise Unavailable(f"Qualcomm's compiler does not take {path}: {one_line(failure)}")


def check_whole(path: Path, printed: str) -> None:
    """Refuses a file that the NPU does not take whole, as ONNX Runtime printed when it opened it.

    Raises:
        Unavailable: It said that operators stay on the CPU.
    """
    if _REFUSED not in printed:
        return
    left = dict.fromkeys(f"{name} ({kind})" for name, kind in _LEFT.findall(printed))
    named = ", ".join(left) or "all operators, as of every file that takes any number of images"
    raise Unavailable(
        f"{QNN_PROVIDER} does not take {path} whole: these would run on the CPU: {named}",
        Advice("write it with {} snapdragon", "target", command="onnx"),
    )
