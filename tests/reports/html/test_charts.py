"""Charts: whole, reproducible, light and dark, whatever the numbers are."""

import base64
import re
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from vggexport.reports.html import charts
from vggexport.reports.html.themes import DARK, LIGHT, series_style

pytestmark = pytest.mark.usefixtures("drawn_anew")

INFINITE, NAN = float("inf"), float("nan")
PREFIX = "data:image/svg+xml;base64,"


def svg(address):
    assert address.startswith(PREFIX)
    return base64.b64decode(address.removeprefix(PREFIX)).decode()


def draw_line(*values, marked=None, **options):
    series = [charts.Series(one, series_style(number), marked) for number, one in enumerate(values)]
    places = [f"layer_{number}" for number in range(len(values[0]))]
    return charts.line(series, places, y_label="dB", alt="curve", **options)


def draw_points(points):
    return charts.scatter(
        np.asarray(points, np.float32).reshape(-1, 2),
        series_style(0),
        x_label="reference",
        y_label="file",
        alt="points",
    )


@pytest.mark.parametrize("make", [lambda: draw_line([1.0, 9.0]), lambda: draw_points([[1, 2]])])
def test_both_pictures_are_svg_of_the_size_said(make):
    chart = make()
    for address in (chart.light, chart.dark):
        root = ET.fromstring(svg(address))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        width, height = (float(root.get(name).removesuffix("pt")) for name in ("width", "height"))
        pixels = width * 96 / 72, height * 96 / 72
        assert pixels == pytest.approx((chart.width_px, chart.height_px), abs=1)


@pytest.mark.parametrize("make", [lambda: draw_line([1.0, 9.0]), lambda: draw_points([[1, 2]])])
def test_equal_numbers_give_equal_bytes(make):
    first = make()
    draw_line([3.0, 4.0, 5.0])  # nothing is kept from one to the next
    assert make() == first
    assert "<dc:date>" not in svg(first.light)


def test_each_picture_has_the_colours_of_its_theme():
    chart = draw_line([1.0, 9.0], marked=1)
    for address, theme, other in ((chart.light, LIGHT, DARK), (chart.dark, DARK, LIGHT)):
        text = svg(address)
        for colour in ("ink", "muted", "rule", "bad"):
            assert getattr(theme, colour) in text
            assert getattr(other, colour) not in text
        assert theme.series[0] in text


def test_the_dark_picture_is_that_which_would_be_drawn(monkeypatch):
    values = [[1.0, 9.0], [2.0, NAN], [3.0, 1.0], [4.0, 5.0], [6.0, 2.0], [7.0, 3.0]]
    made = draw_line(*values, marked=1)
    monkeypatch.setattr(charts, "_PIXELS", "<svg")
    drawn = draw_line(*values, marked=1)
    assert drawn.light == made.light
    dark, expected = (re.sub(r"\bm[0-9a-f]{10}\b", "a marker", svg(c.dark)) for c in (made, drawn))
    assert dark == expected


def test_points_have_the_colour_of_their_theme():
    chart = draw_points([[1, 2], [2, 1]])
    light, dark = (re.search(r'<image [^>]*"', svg(a))[0] for a in (chart.light, chart.dark))
    assert light != dark


def test_settings_of_the_process_are_neither_used_nor_changed():
    chart = draw_line([1.0, 9.0])
    with mpl.rc_context({"xtick.labelsize": 30, "ytick.direction": "in", "font.size": 30}):
        before = dict(mpl.rcParams)
        assert draw_line([1.0, 9.0]) == chart
        assert dict(mpl.rcParams) == before


@pytest.fixture(scope="module")
def rising():
    return draw_line([1.0, 2.0])


@pytest.mark.parametrize(
    "values",
    [
        [INFINITE, INFINITE],
        [NAN, NAN],
        [INFINITE, -INFINITE],
        [-5.0, NAN],
        [0.0, 0.0],
        [1e9, 1.0],
    ],
)
@pytest.mark.parametrize("marked", [None, 0, 1])
def test_a_line_of_any_values(rising, values, marked):
    assert draw_line(values, marked=marked) != rising


def markers(chart, series=0):
    """Places of a series' markers, in SVG units from the left and from the lower edge."""
    root = ET.fromstring(svg(chart.light))
    total = float(root.get("height").removesuffix("pt"))
    uses = root.iter("{http://www.w3.org/2000/svg}use")
    own = [use for use in uses if LIGHT.series[series] in use.get("style", "")]
    return [(float(use.get("x")), total - float(use.get("y"))) for use in own]


def heights(chart):
    return [height for _, height in markers(chart)]


def test_an_infinite_value_stands_at_an_edge_of_the_picture():
    below, low, high, above = heights(draw_line([-INFINITE, 1.0, 9.0, INFINITE]))
    assert 0 < below < low < high < above < 400 * 72 / 96


def test_where_there_is_a_nan_the_line_is_broken():
    whole, broken = draw_line([3.0, 2.0, 1.0, 0.5]), draw_line([3.0, NAN, 1.0, 0.5])
    assert (len(heights(whole)), len(heights(broken))) == (4, 3)


def test_equal_lines_do_not_hide_each_other():
    chart = draw_line([5.0, 4.0], [5.0, 4.0])
    for (first, height), (second, same) in zip(markers(chart, 0), markers(chart, 1), strict=True):
        assert (height == same, second - first > 3) == (True, True)


def test_a_marked_place_is_ringed():
    plain, ringed = draw_line([3.0, 2.0]), draw_line([3.0, 2.0], marked=1)
    assert LIGHT.bad not in svg(plain.light)
    assert LIGHT.bad in svg(ringed.light)


@pytest.mark.parametrize("points", [[], [[NAN, 1]], [[2, 2]], [[0, 0], [INFINITE, 1], [3, -3]]])
def test_points_of_any_values(points):
    root = ET.fromstring(svg(draw_points(points).light))
    assert root is not None


def test_points_that_are_not_finite_are_left_out():
    assert draw_points([[0, 1], [NAN, 2], [3, INFINITE], [2, 3]]) == draw_points([[0, 1], [2, 3]])


def test_a_picture_of_many_points_is_not_large():
    points = np.random.default_rng(0).normal(size=(20_000, 2))
    assert len(draw_points(points).light) < 150_000
