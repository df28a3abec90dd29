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

from vggexport.errors import Advice, Unavailable
from vggexport.metrics.placement import QNN_PROVIDER
from vggexport.system.lazy_imports import installs

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

    Args:
        options: Of the session, changed in place.
        provider_options: The provider's own, before which come :data:`EMULATED` and its backend.
    """
    package = import_module(PACKAGE)
    devices = [found for found in onnxruntime.get_ep_devices() if found.ep_name == QNN_PROVIDER]
    kind = onnxruntime.OrtHardwareDeviceType
    npus = [found for found in devices if found.device.type == kind.NPU]
    own = {"backend_path": package.get_qnn_htp_path()} | ({} if npus else EMULATED)
    options.add_session_config_entry(*_STRICT)
    options.add_provider_for_devices((npus or devices)[:1], own | provider_options)


def check_whole(path: Path, printed: str) -> None:
    """Refuses a file that the NPU does not take whole.

    Args:
        path: The file.
        printed: What ONNX Runtime said when it was opened.

    Raises:
        Unavailable: It said that operators stay on the CPU.
    """
    if _REFUSED not in printed:
        return
    left = dict.fromkeys(f"{name} ({kind})" for name, kind in _LEFT.findall(printed))
    named = ", ".join(left) or "all operators, as of a file that takes any number of images"
    raise Unavailable(
        f"{QNN_PROVIDER} does not take {path} whole, on the CPU would stay {named}",
        Advice("write it with {} snapdragon", "target", command="onnx"),
    )
