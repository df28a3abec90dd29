"""Colours of pages and charts, for a light and for a dark background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚"}
"""Of the series in charts: matplotlib's name and the sign in a legend. Colour is never alone."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours as ``#rrggbb``. Text has a contrast of 4.5 at least on its background, a line 3.

    Web Content Accessibility Guidelines 2.2, success criteria 1.4.3 and 1.4.11.

    Attributes:
        name: As the media feature ``prefers-color-scheme`` knows it.
        background: Of the page.
        surface: Of what is set off from it: tables' heads, cards.
        ink: Of text.
        muted: Of lesser text, such as axes'.
        rule: Of lines that only divide.
        good: Of a passed check.
        bad: Of a failed one.
        warning: Of one that passed with something to know.
        series: Of the lines and points in charts, in order.
    """

    name: str
    background: str
    surface: str
    ink: str
    muted: str
    rule: str
    good: str
    bad: str
    warning: str
    series: tuple[str, ...]


LIGHT = Theme(
    name="light",
    background="#ffffff",
    surface="#f4f6f8",
    ink="#1b2028",
    muted="#566070",
    rule="#d9dee5",
    good="#0b6b3a",
    bad="#b3261e",
    warning="#8a5300",
    series=("#1f66c1", "#b5500b", "#0f7b6c", "#8a3fb0", "#8d6a00", "#b02a63"),
)
DARK = Theme(
    name="dark",
    background="#14171c",
    surface="#1e232b",
    ink="#e7eaef",
    muted="#a3adba",
    rule="#363d48",
    good="#63d297",
    bad="#ff8d85",
    warning="#f2b457",
    series=("#78b4ff", "#ffa36b", "#57cdb9", "#d09cff", "#dcbb4d", "#ff8fb8"),
)


_MIDDLE = 0.179
"""Relative luminance on which black and white have the same contrast, 4.58."""


def ink_on(colour: Sequence[float]) -> str:
    """Black or white, whichever can be read on a colour of sRGB, 0...1 a channel.

    https://www.w3.org/TR/WCAG22/#dfn-relative-luminance
    """
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)  # noqa: PLR2004
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000000" if luminance > _MIDDLE else "#ffffff"


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """How one of several things is told from the others, in charts and beside them.

    Attributes:
        colour: Its place in :attr:`Theme.series`.
        marker: Key of :data:`MARKERS`.
    """

    colour: int
    marker: str

    @property
    def sign(self) -> str:
        """The marker in a legend."""
        return MARKERS[self.marker]


def series_style(index: int) -> SeriesStyle:
    """That of a series: six colours, and another marker each time that they begin again."""
    colours = len(LIGHT.series)
    markers = tuple(MARKERS)
    return SeriesStyle(index % colours, markers[(index + index // colours) % len(markers)])
