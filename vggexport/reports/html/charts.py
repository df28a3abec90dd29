"""Charts from plain numbers, as pictures that a page holds inside, light and dark.

A chart holds no name that somebody else chose: what a series is stands in the page, in text that
can be searched, read aloud and broken into lines. matplotlib's object interface is used, so that
nothing is kept between charts, and equal numbers give equal bytes.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vggexport.reports.html.themes import DARK, LIGHT, SeriesStyle, Theme

INCH_PX = 96
"""CSS pixels in an inch, https://www.w3.org/TR/css-values-3/#absolute-lengths."""

POINTS_DPI = 220
"""Of clouds of points, which are drawn as pixels: thousands of shapes would make a page heavy."""

WIDE_PX = 720
"""Width of a chart that has a row of the page for itself, in CSS pixels: that of a tablet, on which
letters of one made for a desk would be two thirds as large."""

NARROW_PX = 350
"""The same on a phone of 390, on which the other's letters would be a third as large."""

_SLANTED_PX = 25
"""What a name needs of the width if it is slanted."""

_CLOUD_PX = 300
_ROOM = 0.06
"""Share of an axis that is left free at an edge."""

_STYLE: dict[str, Any] = {
    "svg.hashsalt": "vggexport",  # else identifiers are random
    "svg.fonttype": "path",  # the same letters everywhere
    "text.parse_math": False,
    "font.size": 10.0,  # 11 CSS pixels still where a page of 641 shows less than a chart's width
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}
_PIXELS = "<image"
"""What an SVG with pixels in it has."""

_DARK_OF = dict(
    zip(*((t.ink, t.muted, t.rule, t.bad, *t.series) for t in (LIGHT, DARK)), strict=True)
)
"""Colours that charts are drawn in, by those of the light theme."""

_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture for each background.

    Attributes:
        light: ``data:`` address of an SVG with dark lines.
        dark: The same with light lines.
        alt: What it shows, for those who do not see it.
        width_px: Its width in CSS pixels.
        height_px: Its height.
        narrow: The same for phones; None where it has room there.
    """

    light: str
    dark: str
    alt: str
    width_px: int
    height_px: int
    narrow: Chart | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart.

    Attributes:
        values: By place on the horizontal axis; infinite ones stand at the upper or lower edge, and
            where there is a NaN the line is broken.
        style: How it is told from others.
        marked: Place that is to stand out, or None.
    """

    values: Sequence[float]
    style: SeriesStyle
    marked: int | None = None


def draw(plot: Callable[[Axes, Theme], None], *, width_px: int, height_px: int, alt: str) -> Chart:
    """Any chart: what is drawn on one pair of axes in a theme's colours, for both backgrounds.

    Sizes are in CSS pixels.
    """
    size = (width_px / INCH_PX, height_px / INCH_PX)
    light = _drawn(plot, LIGHT, size)
    dark = _drawn(plot, DARK, size) if _PIXELS in light else _in_dark(light)
    return Chart(_data_address(light), _data_address(dark), alt, width_px, height_px)


def wide(plot: Callable[[Axes, Theme], None], *, height_px: int, alt: str) -> Chart:
    """A chart with a row of the page for itself, and once more for phones; as :func:`draw`."""
    narrow = draw(plot, width_px=NARROW_PX, height_px=height_px, alt=alt)
    return replace(draw(plot, width_px=WIDE_PX, height_px=height_px, alt=alt), narrow=narrow)


def line(series: Sequence[Series], places: Sequence[str], *, y_label: str, alt: str) -> Chart:
    """Lines over places that have names, such as layers."""
    low, high = _edges([value for one in series for value in one.values])

    def plot(axes: Axes, theme: Theme) -> None:
        for shift, one in zip(_shifts(len(series)), series, strict=True):
            heights = np.clip(np.asarray(one.values, np.float64), low, high)
            across = np.arange(len(places)) + shift
            axes.plot(across, heights, **stroke(theme, one.style), clip_on=False)
            if one.marked is not None:
                ring(axes, theme, one.marked + shift, heights[one.marked])
        _name(axes, places)
        axes.set_xlim(-0.5, len(places) - 0.5)
        axes.set_ylim(low, high)
        axes.set_ylabel(y_label)
        axes.grid(axis="y", color=theme.rule, linewidth=0.8)

    return wide(plot, height_px=400, alt=alt)


def scatter(
    points: NDArray[np.floating[Any]], look: SeriesStyle, *, x_label: str, y_label: str, alt: str
) -> Chart:
    """Points, float (points, 2), that should lie on the diagonal, which is drawn; finite ones."""
    known = points[np.isfinite(points).all(axis=1)]
    low, high = _square_edges(known)

    def plot(axes: Axes, theme: Theme) -> None:
        axes.plot((low, high), (low, high), color=theme.muted, linewidth=1)
        colour = theme.series[look.colour]
        x, y = known.T
        axes.scatter(x, y, s=9, color=colour, alpha=0.45, linewidths=0, rasterized=True)
        axes.set(xlim=(low, high), ylim=(low, high), xlabel=x_label, ylabel=y_label)
        axes.set_aspect("equal")
        axes.grid(color=theme.rule, linewidth=0.8)

    return draw(plot, width_px=_CLOUD_PX, height_px=_CLOUD_PX, alt=alt)


def _drawn(plot: Callable[[Axes, Theme], None], theme: Theme, size: tuple[float, float]) -> str:
    with style.context(["default", _STYLE]):
        figure = Figure(size, POINTS_DPI, facecolor="none", edgecolor="none", layout="constrained")
        axes = figure.add_subplot(facecolor="none")
        _paint(axes, theme)
        plot(axes, theme)
        picture = io.StringIO()
        # Figure.savefig would draw twice, the first time for the layout alone.
        FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
            picture, metadata=_NO_METADATA
        )
        return picture.getvalue()


def _in_dark(light: str) -> str:
    """A picture without pixels in the other theme: drawing it takes a hundred times as long."""
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: _DARK_OF.get(found[0], found[0]), light)


def _name(axes: Axes, places: Sequence[str]) -> None:
    """Names below an axis, upright where there is no room to slant them."""
    width_px = axes.get_figure(root=True).get_figwidth() * INCH_PX  # type: ignore[union-attr]
    look: dict[str, Any] = {"rotation": 90}
    if width_px > _SLANTED_PX * len(places):
        look = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(places)), places, **look)


def _shifts(count: int) -> NDArray[np.floating[Any]]:
    """How far each of some lines is moved aside, so that equal ones do not hide each other."""
    return (np.arange(count) - (count - 1) / 2) * min(0.12, 0.5 / count)


def stroke(theme: Theme, look: SeriesStyle) -> dict[str, Any]:
    """How the line of a series is drawn."""
    colour = theme.series[look.colour]
    return {"color": colour, "marker": look.marker, "markersize": 5, "linewidth": 1.6}


def ring(axes: Axes, theme: Theme, place: float, height: float) -> None:
    """Marks a place that is to stand out."""
    axes.plot(
        (place,),
        (height,),
        marker="o",
        markersize=15,
        markerfacecolor="none",
        markeredgecolor=theme.bad,
        markeredgewidth=1.8,
        clip_on=False,
    )


def _edges(values: Sequence[float]) -> tuple[float, float]:
    """Lower and upper edge: 0, or less if need be, and room above the largest finite value."""
    known = [value for value in values if math.isfinite(value)]
    low, high = min([0.0, *known]), max([1.0, *known])
    room = _ROOM * (high - low)
    return (low - room if low < 0 else low), high + room


def _square_edges(points: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """The same edges for both axes, with room beyond all points."""
    if not points.size:
        return 0.0, 1.0
    low, high = float(points.min()), float(points.max())
    room = _ROOM * (high - low) or 0.5
    return low - room, high + room


def _paint(axes: Axes, theme: Theme) -> None:
    for spine in axes.spines.values():
        spine.set_color(theme.muted)
    axes.tick_params(colors=theme.muted)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)


def _data_address(picture: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}"
