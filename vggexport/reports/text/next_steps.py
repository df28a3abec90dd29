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


def on_images(option: str, data: str, *, trained: bool) -> str:
    """An option for images, with a space in front of it.

    Args:
        option: Its name.
        data: The images that the command itself was given: a folder, a file or "synthetic".
        trained: Whether the weights are: only of those synthetic images say too little.
    """
    if data != calibration.SYNTHETIC:
        return f" {option} {quoted(data)}"
    return f" {option} {UNKNOWN_FOLDER}" if trained else ""


def quantize(weights: str, data: str) -> str:
    """The command that makes an int8 file of trained weights."""
    images = on_images("--calibration-data", data, trained=True)
    return f"vggexport onnx --quantize --weights {quoted(weights)}{images}"


def verify(weights: str, paths: Iterable[str], data: str, *, trained: bool) -> str:
    """The command that compares files with the weights that they were made of."""
    files = " ".join(map(quoted, (weights, *paths)))
    return f"vggexport verify {files}{on_images('--data', data, trained=trained)}"
