"""What is raised when calibration data or settings cannot be used.

    ValueError
    └── CalibrationDataError
        ├── NoClassFolderError      images in no folder that names their class
        ├── SplitFolderError        a folder of splits where a folder of classes was expected
        ├── TooManyUnreadableError  more images than are tolerated
        └── UnreadableImageError    one image; others of the same source may be readable

A message is one line: the value, what was expected, and how to fix it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

LEARN_NAMES = ("train", "training")
JUDGE_NAMES = ("val", "valid", "validation", "dev", "test", "testing", "eval")
"""Of splits, in small letters; those to judge by in the order of preference."""


def split_role(name: str) -> str | None:
    """Which of those names a folder has among its words: "seg_train", "train2017", "test-set"."""
    words = re.findall(r"[a-z]+", name.casefold())
    return next((word for word in words if word in {*LEARN_NAMES, *JUDGE_NAMES}), None)


class CalibrationDataError(ValueError):
    """Calibration images, settings or observed values cannot be used.

    Args:
        fact: The value and what was expected, or the whole message.
        fix: What to do about it.
        available: Images that there are, where more were asked for; 0 where that is not the matter.
    """

    def __init__(self, fact: str, fix: str = "", *, available: int = 0) -> None:
        super().__init__(f"{fact}: {fix}" if fix else fact)
        self.fact = fact
        self.fix = fix
        self.available = available


class SplitFolderError(CalibrationDataError):
    """A folder has a folder a split, with the classes below.

    Args:
        folder: It.
        found: Its splits.
        splits: Those with classes below, by role.

    Attributes:
        learn: The split to learn from; None where there is none.
        judge: The split to judge by; None where there is none.
    """

    def __init__(self, folder: Path, found: Iterable[str], splits: Mapping[str, str]) -> None:
        super().__init__(
            f"{str(folder)!r} has splits where classes were expected: {', '.join(found)}"
        )
        self.learn, self.judge = (
            next((folder / splits[name] for name in names if name in splits), None)
            for names in (LEARN_NAMES, JUDGE_NAMES)
        )


class NoClassFolderError(CalibrationDataError):
    """Images lie in no folder that names their class; a table may name it."""


class TooManyUnreadableError(CalibrationDataError):
    """More images than are tolerated cannot be decoded."""


class UnreadableImageError(CalibrationDataError):
    """One image cannot be decoded.

    Attributes:
        label: Which image: its path, or "#12".
        reason: What is wrong with it, in one line without the label.
    """

    def __init__(self, label: str, reason: str) -> None:
        super().__init__(f"image {label!r} is not readable: {reason}; replace or remove it")
        self.label = label
        self.reason = reason


def not_read(error: Exception, form: str = "") -> str:
    """What is the matter with a file, to follow its name.

    Args:
        error: That reading it raised.
        form: What it is to be, as " as UTF-8 text".
    """
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    reason = error.strerror if isinstance(error, OSError) else None
    fix = "; save it as UTF-8" if isinstance(error, UnicodeDecodeError) else ""
    return f"cannot be read{form}: {reason or one_line(error)}{fix}"


def one_line(error: BaseException) -> str:
    """The message of ``error`` on one line, or the name of its class where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
