"""The curve of calibration images: each point is an int8 file with the ranges of so many."""

import numpy as np
import pytest

import vggexport
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.reports import text
from vggexport.workflows.calibrate import curve as sufficiency


@pytest.mark.parametrize(
    ("samples", "counts"),
    [
        (3, (3,)),
        (8, (8,)),
        (9, (8, 9)),
        (16, (8, 16)),
        (40, (8, 16, 32, 40)),
        (64, (8, 16, 32, 64)),
    ],
)
def test_counts_double_up_to_all(samples, counts):
    assert sufficiency.counts_up_to(samples) == counts


@pytest.fixture
def data(tmp_path):
    """Thirty images of noise."""
    random = np.random.default_rng(1)
    pixels = random.integers(100, 140, (30, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=pixels)
    return str(tmp_path / "images.npz")


def test_the_curve_ends_in_the_ranges_that_are_saved(network, data, tmp_path):
    options = CalibrationOptions(data=data, samples=20)
    plain = vggexport.calibrate(network, options, tmp_path / "plain.json")
    report = vggexport.calibrate(network, options, tmp_path / "curve.json", curve=True)
    assert plain.curve == ()
    assert report.ranges == plain.ranges
    assert report.calibration == plain.calibration
    assert [point.images for point in report.curve] == [8, 16, 20]
    assert report.curve[-1].range_change == 0.0
    assert report.curve[0].range_change >= report.curve[1].range_change > 0
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["curve.json", "plain.json"]
    assert report.to_json()["curve"]["points"][0]["images"] == 8
    assert plain.to_json()["curve"] is None
    assert text.calibration(report)


def test_ranges_that_grow_late_are_seen(network, tmp_path):
    """Images whose contrast grows with their place in the order that the seed gives."""
    random = np.random.default_rng(1)
    order = np.random.default_rng(np.random.SeedSequence(0, spawn_key=())).permutation(24)
    pixels = np.empty((24, 16, 16, 3), np.uint8)
    for place, index in enumerate(order):
        noise = random.integers(-4, 5, (16, 16, 3)) * (1 if place < 8 else 25)
        pixels[index] = np.clip(120 + noise, 0, 255)
    np.savez(tmp_path / "images.npz", images=pixels)
    options = CalibrationOptions(data=str(tmp_path / "images.npz"), samples=16)
    report = vggexport.calibrate(network, options, tmp_path / "r.json", curve=True)
    first, last = report.curve
    assert first.range_change > 0.2
    assert first.logit_sqnr_db < last.logit_sqnr_db - 3
    assert report.to_json()["curve"]["sufficient_images"] is None
