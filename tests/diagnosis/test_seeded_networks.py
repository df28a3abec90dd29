"""Files with seeded mistakes that only their weights tell apart."""

import pytest

from tests.diagnosis.seeded_networks import Workshop, colourful, healthy, mistakes, verify


@pytest.mark.parametrize(
    ("fault", "precision"), [("expects-0-1", "int8-w4"), ("expects-minus1-1", "int8")]
)
def test_a_range_that_an_int8_file_was_calibrated_for_is_named_by_its_kernel(
    tmp_path, fault, precision
):
    """All images come out as black and white, whichever of the two mistakes it was."""
    shop, right = Workshop(tmp_path), healthy(0)
    reference = shop.write(right, ("onnx", "float32"))
    wrong = mistakes(right)[fault]
    file = shop.write(wrong, ("onnx", precision), shop.ranges(wrong, colourful(7)))
    named = verify(reference, file).diagnosis.named
    assert (named.fault, named.layer) == (fault, "block1_conv1")
    assert named.gain_db > 10
