"""Types of option values that Click has not."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import click

DYNAMIC = "dynamic"
AT_LEAST_0 = click.IntRange(min=0)
AT_LEAST_1 = click.IntRange(min=1)

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}

_COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0)}

Parameter = click.Parameter | None
Context = click.Context | None


class Batch(click.ParamType[int | None]):
    """A number of images, or "dynamic" (None) for any."""

    name = "N|dynamic"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> int | None:
        """Parses one value."""
        if value is None or value == DYNAMIC:
            return None
        if str(value).isdecimal() and int(value) > 0:
            return int(value)
        return self.fail(f"{value!r} is neither a number from 1 nor {DYNAMIC!r}", param, ctx)


class Units(click.ParamType[tuple[int, ...]]):
    """Outputs of hidden fully connected layers: "256" for two, "256,", "64,16", or "none"."""

    name = "N[,N...]|none"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> tuple[int, ...]:
        """Parses one value: text, or a number or a list of the configuration file."""
        if isinstance(value, list | tuple):
            value = ",".join(map(str, (*value, "")))
        text = str(value).strip()
        if text == "none":
            return ()
        parts = [part.strip() for part in text.removesuffix(",").split(",")]
        if not all(part.isdecimal() and int(part) for part in parts):
            expected = "256 (two layers), 256, (one), 64,16 or none"
            self.fail(f"{value!r} is not of the form {expected}", param, ctx)
        units = tuple(map(int, parts))
        return units if "," in text else units * 2


class ImageSize(click.ParamType[tuple[int, int]]):
    """Pixels of the input: "224", or height and width as "96x160"."""

    name = "N|HEIGHTxWIDTH"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> tuple[int, int]:
        """Parses one value: text, or a number of the configuration file."""
        if isinstance(value, tuple):
            return value
        sides = str(value).lower().split("x")
        usable = all(side.isdecimal() and int(side) for side in sides)
        if not usable or len(sides) > len(("height", "width")):
            self.fail(f"{value!r} is neither the side of a square nor HEIGHTxWIDTH", param, ctx)
        return int(sides[0]), int(sides[-1])


class Share(click.ParamType[float]):
    """A share from 0 to 1, as "0.82" or "82%"; all is "100%" alone, as "1" may mean one percent.

    Args:
        whole: Whether all of it is a share, too.
    """

    name = "SHARE"

    def __init__(self, *, whole: bool = True) -> None:
        self.whole = whole

    def convert(self, value: Any, param: Parameter, ctx: Context) -> float:
        """Parses one value."""
        text = str(value).strip()
        scale = 100 if text.endswith("%") else 1
        try:
            share = float(text.removesuffix("%")) / scale
        except ValueError:
            share = math.nan
        if scale == 1 and 1 <= share <= 100:
            all_of_it = " or 100%" if share == 1 and self.whole else ""
            self.fail(f"{value!r} is not a share below 1: write {share:g}%{all_of_it}", param, ctx)
        if not (0 <= share < 1 or (share == 1 and self.whole)):
            most = "100%" if self.whole else "below 100%"
            self.fail(f"{value!r} is not a share from 0 to {most}, as 0.82 or 82%", param, ctx)
        return share


class Factor(click.ParamType[float]):
    """How many times less, above 1: "2x", "1.5"."""

    name = "FACTOR"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> float:
        """Parses one value."""
        try:
            factor = float(str(value).strip().lower().removesuffix("x"))
        except ValueError:
            factor = math.nan
        if not 1 < factor < math.inf:
            self.fail(f"{value!r} is not a number above 1, as 2x", param, ctx)
        return factor


class Names(click.ParamType[tuple[str, ...]]):
    """Names separated by commas, each once, of those that are known; any where none are."""

    name = "NAME,..."

    def __init__(self, known: tuple[str, ...] = ()) -> None:
        self.known = known

    def convert(self, value: Any, param: Parameter, ctx: Context) -> tuple[str, ...]:
        """Parses one value: text, or a list of the configuration file."""
        parts = [str(part).strip() for part in _parts(value)]
        names = tuple(dict.fromkeys(part for part in parts if part or self.known))
        for name in names if self.known else ():
            if name not in self.known:
                self.fail(f"{name!r} is not one of {', '.join(self.known)}", param, ctx)
        return names


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1, separated by commas, each once.

    Args:
        most: The largest; beyond it runtimes fail in ways of their own, or never end.
    """

    name = "N,..."

    def __init__(self, most: int) -> None:
        self.most = most

    def convert(self, value: Any, param: Parameter, ctx: Context) -> tuple[int, ...]:
        """Parses one value: text, or a number or list of the configuration file."""
        numbers = [str(part).strip() for part in _parts(value)]
        if not numbers or not all(map(self._is_allowed, numbers)):
            expected = f"a list of numbers from 1 to {self.most}, such as 1,8,32"
            self.fail(f"{value!r} is not {expected}", param, ctx)
        return tuple(dict.fromkeys(map(int, numbers)))

    def _is_allowed(self, number: str) -> bool:
        is_short = number.isdecimal() and len(number) <= len(str(self.most))
        return is_short and 0 < int(number) <= self.most


class Channels(click.ParamType[tuple[float, float, float]]):
    """Three numbers, separated by commas, for red, green and blue."""

    name = "R,G,B"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> tuple[float, float, float]:
        """Parses one value: text, or a list of the configuration file."""
        try:
            red, green, blue = map(float, _parts(value))
        except (TypeError, ValueError):
            self.fail(f"{value!r} is not three numbers, as 123.68,116.779,103.939", param, ctx)
        if not all(map(math.isfinite, (red, green, blue))):
            self.fail(f"{value!r} has a number that is not finite", param, ctx)
        return red, green, blue


class Background(click.ParamType[tuple[int, int, int]]):
    """A colour: "white", "black", or red, green and blue, 0...255, separated by commas."""

    name = "white|black|R,G,B"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> tuple[int, int, int]:
        """Parses one value: text, or a list of the configuration file."""
        if value in _COLOURS:
            return _COLOURS[value]
        levels = [str(part).strip() for part in _parts(value)]
        if len(levels) != len("RGB") or not all(map(_is_level, levels)):
            self.fail(
                f"{value!r} is neither white, black nor three levels, as 128,128,128", param, ctx
            )
        red, green, blue = map(int, levels)
        return red, green, blue


class Size(click.ParamType[int]):
    """A number of bytes: "100MB", "95.5 MiB", 100000000."""

    name = "SIZE"

    def convert(self, value: Any, param: Parameter, ctx: Context) -> int:
        """Parses one value."""
        size = r"(\d{1,18}(?:\.\d+)?)\s*([KMG]i?B)?"
        match = re.fullmatch(size, str(value).strip(), re.IGNORECASE)
        if match is None:
            self.fail(f"{value!r} is not a size such as 100MB or 95MiB", param, ctx)
        return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


LISTED = (Units, Names, Numbers, Channels, Background)
"""Types that take a list of the configuration file as they take text with commas."""


def finite(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    """Callback of numbers: Click takes "nan" and "inf" for some, of which nan is in every range.

    Raises:
        click.BadParameter: It is one of those.
    """
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value!r} is not a finite number")
    return value


class _FilePath(click.Path):
    """A path; "-" is none: what goes to stdout is the command's own report, and ``--json``.

    Nor is an empty one, as of a variable that is not set: it would stand for the working directory.
    """

    def convert(self, value: Any, param: Parameter, ctx: Context) -> Any:
        """Parses one value."""
        if str(value) == "-":
            self.fail("'-' names no file here: name one, or ./- if it is called so", param, ctx)
        if value == "":
            self.fail("'' names nothing: name a path, or . for the working directory", param, ctx)
        return super().convert(value, param, ctx)


def file_path(**options: Any) -> Any:
    """A path, as ``pathlib.Path``."""
    return _FilePath(path_type=Path, **options)


def _is_level(text: str) -> bool:
    return text.isdecimal() and len(text) <= len("255") and int(text) <= 255


def _parts(value: Any) -> list[Any]:
    """Of a list of the configuration file, or of text with commas."""
    return list(value) if isinstance(value, (list, tuple)) else str(value).split(",")
