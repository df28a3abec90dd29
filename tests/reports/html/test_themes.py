"""Colours that can be told from their background, and series from each other."""

from itertools import product

import numpy as np
import pytest

from vggexport.reports.html.themes import DARK, LIGHT, MARKERS, ink_on, series_style

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)


def luminance(colour):
    """Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first, second):
    lighter, darker = sorted(map(luminance, (first, second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_itself():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") < 4.5 < contrast("#767676", "#ffffff")


@THEMES
def test_text_can_be_read(theme):
    texts, grounds = (
        (theme.ink, theme.muted, theme.good, theme.bad, theme.warning),
        (theme.background, theme.surface),
    )
    assert min(contrast(text, ground) for text, ground in product(texts, grounds)) >= 4.5


@THEMES
def test_lines_and_signs_can_be_seen(theme):
    assert min(contrast(colour, theme.background) for colour in theme.series) >= 3


def test_series_differ_in_colour_and_marker_as_long_as_there_are_colours():
    styles = [series_style(number) for number in range(len(LIGHT.series))]
    assert len({style.colour for style in styles}) == len({style.marker for style in styles}) == 6
    assert all(style.sign == MARKERS[style.marker] for style in styles)


def test_thirty_six_series_are_all_different():
    assert len({series_style(number) for number in range(36)}) == 36


@THEMES
def test_digits_on_every_shade_of_a_confusion_matrix_can_be_read(theme):
    """The page's own ink on a half of the colour had 3.2."""
    ends = [
        [int(c[at : at + 2], 16) for at in (1, 3, 5)] for c in (theme.background, theme.series[0])
    ]
    for share in np.linspace(0, 1, 101):
        mixed = np.array(ends[0]) * (1 - share) + np.array(ends[1]) * share
        shade = "#" + "".join(f"{round(channel):02x}" for channel in mixed)
        assert contrast(ink_on(mixed / 255), shade) >= 4.5
