import pytest

from calibration.errors import CalibrationDataError, UnreadableImageError, one_line


def test_an_unreadable_image_is_a_data_error_that_names_image_reason_and_fix():
    error = UnreadableImageError("cats/a.jpg", "it is empty")
    assert isinstance(error, CalibrationDataError)
    assert isinstance(error, ValueError)
    assert str(error) == ("image 'cats/a.jpg' is not readable: it is empty; replace or remove it")
    assert (error.label, error.reason) == ("cats/a.jpg", "it is empty")


def test_a_label_with_a_line_break_stays_on_one_line():
    assert "\n" not in str(UnreadableImageError("a\nb.jpg", "empty"))


@pytest.mark.parametrize(
    ("error", "text"),
    [(OSError("two\n  lines"), "two lines"), (EOFError(), "EOFError")],
)
def test_one_line(error, text):
    assert one_line(error) == text
