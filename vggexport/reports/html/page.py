"""Pages from templates: everything that a template shows is escaped unless it says otherwise."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from numpy.typing import NDArray
from PIL import Image

from vggexport import __version__
from vggexport.reports.html.themes import DARK, LIGHT
from vggexport.system import number_text

_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|dB|[KMG]i?B|GB/s|GFLOP/s|MHz|°C|px|W|J|%|points?)(?!\w))")
"""The space between a number and its unit, at which no line ends."""

_BREAKS = re.compile(r"(?<=[/_])(?=\w)|(?<=\w-)(?=[a-zA-Z])")
"""Where a name may be broken: no number behind its sign, nor "top-1"."""

SIDE_PX = 112
"""Side of a thumbnail in CSS pixels."""

_DENSITY = 2
"""Pixels to a CSS pixel, for screens that have as many and for print."""

_OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z0-9-]*)")
_CODE = Markup('<code class="option">{}</code>')


def _prose(text: str, rest: Callable[[str], Markup] = escape) -> Markup:
    """A text whose options, as "--answers", are not broken over lines."""
    parts = enumerate(_OPTION.split(text))
    return Markup().join(_CODE.format(part) if n % 2 else rest(part) for n, part in parts)


def _breakable(text: str) -> Markup:
    """A name that is broken over lines after its separators and nowhere else; no option is."""
    return _prose(text, lambda part: Markup("<wbr>").join(_BREAKS.split(part)))


def _whole(shown: object) -> object:
    """What a template shows, its numbers in one piece with their units."""
    return type(shown)(_UNIT.sub("\N{NO-BREAK SPACE}", shown)) if isinstance(shown, str) else shown


def _parted(head: str) -> Markup:
    """A head for where no element can stand, which may be broken as names are."""
    return escape(_BREAKS.sub("\N{ZERO WIDTH SPACE}", head))


def _labelled(rows: str, columns: Sequence[str]) -> Markup:
    """Table rows whose cells say which column they are in, for screens that have no room for it."""

    def labelled(row: re.Match[str]) -> str:
        heads = iter(columns[1:])  # the first is the row's own head
        return re.sub("<td", lambda _: f'<td data-label="{_parted(next(heads))}"', row[0])

    return Markup(re.sub(r"<tr>.*?</tr>", labelled, rows, flags=re.DOTALL))  # noqa: S704  escaped


def thumbnail(pixels: NDArray[np.uint8]) -> str:
    """The ``data:`` address of a small JPEG of pixels, uint8 (height, width, 3), RGB."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE_PX * _DENSITY, SIDE_PX * _DENSITY), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


_TEMPLATES = Environment(
    loader=PackageLoader("vggexport.reports.html"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_whole,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "breakable": _breakable,
    "cost": number_text.cost,
    "counted": number_text.counted,
    "decibels": number_text.decibels,
    "difference": number_text.difference,
    "labelled": _labelled,
    "printable": number_text.printable,
    "probability": number_text.probability,
    "prose": _prose,
    "seconds": number_text.seconds,
    "share": number_text.share,
    "thumbnail": thumbnail,
}
_TEMPLATES.globals |= {"themes": (LIGHT, DARK), "thumbnail_px": SIDE_PX, "version": __version__}


def page(template: str, **values: Any) -> str:
    """A page from a file in ``templates/`` that extends ``base.html``, and what it shows by name.

    Raises:
        jinja2.UndefinedError: It shows something that is not there.
    """
    return _TEMPLATES.get_template(template).render(values) + "\n"
