"""Commands to run next, as they can be pasted: each with the files and folders that are known."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

import calibration
from vggexport.system.number_text import printable

UNKNOWN_FOLDER = "DIR"
"""Stands for a folder that only the user knows."""


def quoted(name: str) -> str:
    """A path or a source as a shell takes it, on one line."""
    return shlex.quote(printable(name))


def quantize(weights: str, data: str) -> str:
    """The command that makes an int8 file of trained weights."""
    images = UNKNOWN_FOLDER if data == calibration.SYNTHETIC else quoted(data)
    return f"vggexport onnx --quantize --weights {quoted(weights)} --calibration-data {images}"


def verify(weights: str, paths: Iterable[str], data: str) -> str:
    """The command that compares files with their weights, on images that none was calibrated on."""
    files = " ".join(map(quoted, (weights, *paths)))
    images = "" if data == calibration.SYNTHETIC else f" --data {quoted(data)}"
    return f"vggexport verify {files}{images}"
