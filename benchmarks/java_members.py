"""Holds what Kotlin files declare of others' classes to those classes, as ``javap`` tells both."""

from __future__ import annotations

import re
import subprocess
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_HEAD = re.compile(r"(?:[a-z]+ )*(?:class|interface) ([\w.$]+)(?:<.*?>)?((?: (?:ex|im).*)?) \{\n")
_MEMBER = re.compile(r"([\w.$]+)(?:\(.*\).*)?;\n    descriptor: (.*)")
_OF_KOTLIN = re.compile(
    r".*\$default |.*DefaultConstructorMarker|(Companion|INSTANCE|getEntries|<init> \(\)V)"
)
"""Members that Kotlin's compiler adds; constructors without a value, which it gives every class."""

_COMPANION = "$Companion"
"""Of the class whose members stand for another's static ones."""


@dataclass(frozen=True, slots=True)
class JavaClass:
    """What is seen of a class from outside.

    Attributes:
        members: Public and protected ones, "name descriptor" each; constructors are "<init>".
        above: What it extends and implements.
    """

    members: frozenset[str]
    above: tuple[str, ...]


def faults(program: Path, jars: Sequence[Path]) -> tuple[int, list[str]]:
    """How many declared classes are in jars, and their members that these have not.

    Args:
        program: The compiled declarations, and whatever else.
        jars: The real classes.
    """
    there = _names(jars)
    declared = _classes([program], [n for n in _names([program]) if _owner(n) in there])
    real: dict[str, JavaClass] = {}
    wanted = {_owner(name) for name in declared}
    while wanted:
        found = _classes(jars, wanted)
        real |= found
        wanted = ({up for one in found.values() for up in one.above} & there) - set(real)
    wrong = [
        f"{_owner(name)}: {member}"
        for name, found in declared.items()
        for member in sorted(found.members - {*_inherited(_owner(name), real)})
        if not _OF_KOTLIN.match(member)
    ]
    return len({_owner(name) for name in declared}), wrong


def _owner(name: str) -> str:
    return name.removesuffix(_COMPANION)


def _inherited(name: str, real: dict[str, JavaClass]) -> Iterator[str]:
    """A class's members, and of what is above it."""
    if name in real:
        yield from real[name].members
        for up in real[name].above:
            yield from _inherited(up, real)


def _names(jars: Iterable[Path]) -> set[str]:
    files = (name for jar in jars for name in zipfile.ZipFile(jar).namelist())
    return {name[:-6].replace("/", ".") for name in files if name.endswith(".class")}


def _classes(jars: Sequence[Path], names: Iterable[str]) -> dict[str, JavaClass]:
    """Some of the classes of jars."""
    command = ["javap", "-protected", "-s", "-cp", ":".join(map(str, jars)), *sorted(names)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(map(_parsed, filter(_HEAD.search, told.split("\n}\n"))))


def _parsed(text: str) -> tuple[str, JavaClass]:
    """One class of javap's text."""
    head = _HEAD.search(text)
    assert head  # noqa: S101  it was looked for
    name, above = head[1], re.sub(r"<.*?>+", "", head[2])
    members = {
        f"{'<init>' if member == name else member} {descriptor}"
        for member, descriptor in _MEMBER.findall(text)
    }
    return name, JavaClass(frozenset(members), tuple(re.findall(r"[\w.$]+\.[\w.$]+", above)))
