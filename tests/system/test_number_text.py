"""Numbers and names as text."""

import pytest

from vggexport.system import number_text

INFINITE, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (61.26, "61.3 dB"),
        (-3.0, "-3.0 dB"),
        (INFINITE, "exact"),
        (-INFINITE, "-inf dB"),
        (NAN, "NaN"),
        (-0.04, "0.0 dB"),
    ],
)
def test_decibels(value, text):
    assert number_text.decibels(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.7e-5, "1.7e-05"), (0.0, "0"), (INFINITE, "inf"), (NAN, "NaN")]
)
def test_difference(value, text):
    assert number_text.difference(value) == text


@pytest.mark.parametrize(("value", "text"), [(1.0, "100.00%"), (0.98754, "98.75%"), (NAN, "NaN")])
def test_share(value, text):
    assert number_text.share(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.98754, "98.8%"), (NAN, "NaN")])
def test_probability(value, text):
    assert number_text.probability(value) == text


def test_cost():
    text = number_text.cost({"load": 2.0, "verify": 10.26}, 3 * 2**29)
    assert text == "12.3 s (load 2.0 s, verify 10.3 s), peak 1.50 GiB"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("löwen|zahn 蓮.jpg", "löwen|zahn 蓮.jpg"),
        ("two\nlines\ttab", r"two\nlines\ttab"),
        ("bell\x07", r"bell\x07"),
        ("byte\udcff.jpg", r"byte\udcff.jpg"),  # what os.listdir gives for a name that is not UTF-8
        ("\u202egpj.exe", r"\u202egpj.exe"),  # written from right to left it would look harmless
    ],
)
def test_a_name_is_one_line_that_can_be_written_anywhere(name, text):
    assert number_text.printable(name) == text
    assert number_text.printable(name).encode()


@pytest.mark.parametrize(
    ("value", "decimals", "text"), [(-0.004, 2, "0.00"), (-0.006, 2, "-0.01"), (81.25, 1, "81.2")]
)
def test_what_rounds_to_zero_has_no_sign(value, decimals, text):
    assert number_text.fixed(value, decimals) == text
