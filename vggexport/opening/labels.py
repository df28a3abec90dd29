"""Files that name a network's classes, in the forms that frameworks and editors write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calibration.class_names import listed, normal, told_apart
from calibration.errors import not_read
from calibration.text_files import read_text
from vggexport.errors import InputError
from vggexport.system.number_text import counted
from vggexport.system.progress import Steps

BACKGROUND = frozenset({"background", "__background__", "dummy"})
"""In front of ImageNet's 1,000 in lists for networks that have an output for nothing of these."""

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}

_NUMBERED = re.compile(r"(\d+)(?:\s*[:,;=\s]|[.)]\s)\s*(\S.*)")


def read_labels(path: Path, classes: int, steps: Steps | None = None) -> tuple[str, ...]:
    """Class names: one a line, or JSON.

    Numbers in front of all names are left out ("0 cat", "0: cat", "0. cat") and give their order;
    JSON may be a list, names by index (as ``imagenet_class_index.json``: synset and name), or
    indices by name. A first name "background" is left out where there is one name too many. Names
    that stand more than once are told apart by their index.

    Args:
        path: The file.
        classes: How many there are to be; of one output two, that from 0.5 on the second.
        steps: Who says which names stand more than once.

    Raises:
        InputError: The file cannot be read, or has not one name for each class.
    """
    text = _text(path)
    is_json = text.lstrip().startswith(("{", "["))
    names = _from_json(path, text) if is_json else _from_lines(text)
    if len(names) == classes + 1 and names[0].casefold() in BACKGROUND:
        names = names[1:]
    if len(names) != classes or not all(names):
        named = sum(map(bool, names))
        unit = "item" if is_json else "line"
        raise InputError(
            f"labels file {path} has {counted(named, 'name')} on {counted(len(names), unit)}: "
            f"{classes} classes need one name per line{'' if is_json else _commas(text)}"
        )
    names = [normal(name) for name in names]
    apart = told_apart(names)
    if steps:
        _note_repeated(path, names, apart, steps)
    return apart


def _note_repeated(path: Path, names: Sequence[str], apart: Sequence[str], steps: Steps) -> None:
    pairs = zip(names, apart, strict=True)
    if renamed := [own for name, own in pairs if own != name]:
        steps.progress.note(
            f"labels file {path} has names more than once, which are told apart by their index: "
            f"{listed(renamed)}",
            "give each class a name of its own",
        )


def _commas(text: str) -> str:
    """What seems to part the names where all stand on one line; empty where nothing does."""
    line = text.strip()
    parted = [called for mark, called in _SEPARATORS.items() if mark in line]
    return f", not {parted[0]} between them" if parted and "\n" not in line else ""


def check_labels(path: Path) -> None:
    """Refuses a file that is no text, before it is known how many names it is to have.

    Raises:
        InputError: It cannot be read.
    """
    _text(path)


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"labels file {path} {not_read(error, ' as UTF-8 text')}") from error


def _from_lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.rstrip().split("\n")] if text.strip() else []
    found = [_NUMBERED.fullmatch(line) for line in lines]
    pairs = [(int(match[1]), match[2]) for match in found if match]
    by_number = dict(pairs)
    if len(by_number) < len(lines) or not lines:
        return lines
    is_index = sorted(by_number) == list(range(len(lines)))
    # "1 euro", "2 euro" count something else.
    counts = sorted(by_number) == list(range(1, len(lines) + 1))
    if is_index or (counts and len(set(by_number.values())) == len(lines)):
        return [by_number[number] for number in sorted(by_number)]
    return lines


def _from_json(path: Path, text: str) -> list[str]:
    try:
        data = json.loads(text)
        names = _by_index(data) if isinstance(data, dict) else data
        return [_name(name) for name in names]
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"labels file {path} is JSON of another kind ({error}): a list of names, names by "
            "index, or indices by name"
        ) from error


def _by_index(data: Mapping[str, Any]) -> list[Any]:
    """Names in order, of names by index or of indices by name."""
    if all(type(value) is int for value in data.values()):
        data = {str(index): name for name, index in data.items()}
    if other := next((key for key in data if not key.isdecimal()), None):
        raise TypeError(f"{other!r} is no index")
    by_number = {int(key): value for key, value in data.items()}
    if sorted(by_number) != list(range(len(by_number))):
        raise ValueError(f"its indices are not 0 to {len(by_number) - 1}")
    return [by_number[index] for index in range(len(by_number))]


def _name(value: Any) -> str:
    """A name; of a synset and its name both, with a space between."""
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(isinstance(part, str) for part in parts):
        raise TypeError(f"{value!r} is not a name")
    return " ".join(part.strip() for part in parts)
