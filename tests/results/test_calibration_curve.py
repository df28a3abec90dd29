"""From how many calibration images on more change nothing."""

import pytest

from vggexport.results.calibration_curve import CurvePoint, sufficient_images


def curve(*decibels):
    counts = [8 * 2**number for number in range(len(decibels))]
    return [CurvePoint(n, db, 1.0, 0.0, "fc1") for n, db in zip(counts, decibels, strict=True)]


@pytest.mark.parametrize(
    ("decibels", "images"),
    [
        ((20, 24, 27.2, 28, 28), 32),
        ((28, 28), 8),
        ((20, 24, 28), None),
        ((28, 20, 28), None),
        ((28,), None),
        ((float("inf"), float("inf")), None),
    ],
)
def test_steady_from_there_to_the_end(decibels, images):
    assert sufficient_images(curve(*decibels)) == images


def test_json_knows_no_infinity():
    assert curve(float("inf"))[0].to_json()["logit_sqnr_db"] is None
