"""Every error that the package raises on purpose, and the exit code that each one means.

    VggExportError
    ├── CheckFailed            1  a check was run to its end and the answer is no
    ├── InputError             2  wrong usage or unreadable input
    │   ├── WeightsError          a weights file, or one tensor in it
    │   ├── CalibrationError      calibration images or a ranges file
    │   ├── ArtifactError         a model file handed in
    │   └── OutputError           the place that the result is to go to
    ├── Unavailable            3  a dependency, runtime or execution provider is missing
    └── Unfinished             4  the work could not be finished

A message is one line: the value, what was expected, and how to fix it. The library raises;
``vggexport.cli`` alone turns an error into text and an exit code.
"""

from __future__ import annotations

from typing import ClassVar


class VggExportError(Exception):
    """Root of the tree."""

    exit_code: ClassVar[int] = 4


class CheckFailed(VggExportError):
    """Parity, accuracy, audit or latency is outside what was asked for."""

    exit_code = 1


class InputError(VggExportError):
    """Something that the user handed in cannot be used."""

    exit_code = 2


class WeightsError(InputError):
    """A weights source is missing, damaged, or does not fit the network."""


class CalibrationError(InputError):
    """Calibration images or an activation ranges file cannot be used."""


class ArtifactError(InputError):
    """A model file is missing, damaged or not one of ours."""


class OutputError(InputError):
    """The output exists already, or cannot be written where it was asked for."""


class Unavailable(VggExportError):
    """A package, runtime, download or execution provider is not to be had here."""

    exit_code = 3


class Unfinished(VggExportError):
    """Disk full, out of memory or interrupted."""

    exit_code = 4


def one_line(error: BaseException) -> str:
    """What another's error says, its line breaks and indents gone."""
    return " ".join(str(error).split())
