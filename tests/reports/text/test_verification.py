"""A verification on a terminal, against the whole text that a person is to see."""

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from vggexport.reports import text
from vggexport.results.verify import LayerParity

GOLDEN = Path(__file__).parent / "golden" / "verification.txt"


def rendered(report, *, width=110, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=width, highlight=False).print(text.verification(report))
    file.flush()
    return [line.rstrip() for line in file.buffer.getvalue().decode(encoding).splitlines()]


def test_all_of_it(verification):
    assert rendered(verification) == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_what_there_is_nothing_of_takes_no_room(make_verification, candidates):
    lines = rendered(make_verification(candidates["bare"]))
    assert [line.split()[0] for line in lines] == [
        *("file", "vgg_d_saved_model", "reference", "images", "cost"),
    ]


def test_the_layer_that_stands_out_is_marked(make_verification, candidates):
    lines = rendered(make_verification(candidates["swapped"], candidates["healthy"]))
    start = next(number for number, line in enumerate(lines) if line.startswith("16 images,"))
    marked = [line.split()[:3] for line in lines[start:] if "<" in line]
    assert marked == [["block1_conv1", "9.1", "<█"]]


def test_bars_are_as_long_as_their_figures(make_verification, candidates):
    lines = rendered(make_verification(candidates["healthy"]))
    bars = {line.split()[0]: line.count("█") for line in lines if line}
    assert (bars["mean_subtraction"], bars["block1_conv1"], bars["predictions"]) == (8, 8, 7)


def test_a_figure_below_zero_has_words_for_a_bar(make_verification, candidates):
    """An empty place looked as if nothing had been measured."""
    layers = (LayerParity("conv", -3.5, 0.5), LayerParity("fc", -math.inf, 0.5))
    lines = rendered(make_verification(replace(candidates["healthy"], layers=layers)))
    assert [line.split() for line in lines if line.startswith(("conv", "fc "))] == [
        ["conv", "-3.5", "below", "0"],
        ["fc", "-inf", "below", "0"],
    ]


def test_bars_where_the_terminal_knows_ascii_alone(make_verification, candidates):
    lines = rendered(make_verification(candidates["stale"]), encoding="ascii")
    assert any(line.endswith(" ########") for line in lines)


@pytest.mark.parametrize("width", [80, 110, 200])
def test_figures_are_whole_at_any_width(verification, width):
    lines = rendered(verification, width=width)
    assert max(map(len, lines)) <= width
    for figure in (" 101.2 ", "8.4e-01", "100.00%", "FAILED", "exact", "118.2 ", "NaN"):
        assert any(figure in line for line in lines)
    names = [line.split()[0] for line in lines if line]
    assert names.count("block2_conv1") == (2 if width == 80 else 1)  # files that found no room


def test_names_are_neither_markup_nor_lines(make_verification, candidates):
    lines = rendered(make_verification(candidates["stale"]), width=250)
    places = [line.split()[0] for line in lines if "vgg_d_[x].onnx" in line]
    assert places[1:] == ["FAILED", "16"]  # and before that, whole, in the table of the files
