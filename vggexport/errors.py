"""Every error that the package raises on purpose, and the exit code that each one means.

    VggExportError
    ├── CheckFailed            1  a check was run to its end and the answer is no
    ├── InputError             2  wrong usage or unreadable input
    │   ├── WeightsError          a weights file, or one tensor in it
    │   ├── CalibrationError      calibration images or a ranges file
    │   ├── ArtifactError         a model file handed in
    │   │   └── ForeignError          one that another converter wrote
    │   └── OutputError           the place that the result is to go to
    ├── Unavailable            3  a dependency, runtime or execution provider is missing
    └── Unfinished             4  the work could not be finished

A message is one line: the value, what was expected, and how to fix it. The library raises, and
names an option as data (:class:`Advice`): ``vggexport.cli`` alone turns an error into text for the
command that ran, and into an exit code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar


class Advice:
    """A way out that options offer; it is told where they are to be had.

    Args:
        text: What to do, with "{}" where an option is named.
        options: Their names, as "min_logit_sqnr".
        command: Whose they are, if not of the command that runs.
    """

    def __init__(self, text: str, *options: str, command: str = "") -> None:
        self.text = text
        self.options = options
        self.command = command

    def worded(self, names: Iterable[str]) -> str:
        """The text with these names for its options, the command in front of the first."""
        text = self.text
        for number, name in enumerate(names):
            option = name if number else f"{self.command} {name}".lstrip()
            text = text.replace("{}", option, 1)
        return text

    def __str__(self) -> str:
        return self.worded(self.options)


def sentence(
    fact: str, advice: Iterable[str | Advice], word: Callable[[Advice], str | None] = str
) -> str:
    """A fact, and the ways out of it.

    Args:
        fact: What is the matter.
        advice: The ways out.
        word: How one with options is put; None where it is none here.
    """
    ways = [way if isinstance(way, str) else word(way) for way in advice]
    told = ", or ".join(filter(None, ways))
    return f"{fact}: {told}" if told else fact


class VggExportError(Exception):
    """Root of the tree.

    Args:
        fact: The value and what was expected, or the whole message.
        advice: Ways out, the best first.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, fact: str = "", *advice: str | Advice) -> None:
        super().__init__(fact, *advice)
        self.fact = fact
        self.advice = advice

    def __str__(self) -> str:
        return sentence(self.fact, self.advice)


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


class ForeignError(ArtifactError):
    """A model file of another converter where one of ours is needed."""


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
