"""What is kept of many images: the worst, and a sample that does not grow."""

import math

import numpy as np
import pytest

import calibration
from vggexport.diagnosis.running_parity import (
    SCATTERED_CLASSES,
    SCATTERED_IMAGES,
    WORST_IMAGES,
    LayerSums,
    RunningParity,
)
from vggexport.metrics.parity import softmax
from vggexport.network.head import HeadActivation

CLASSES = 12
PIXELS = np.zeros((2, 2, 3), np.uint8)


def source(label):
    return calibration.SourceImage(str(label), "00" * 32, PIXELS)


def outputs(logits):
    return {"probabilities": softmax(logits)}


def tallied(errors, labels=()):
    """A parity of images whose logits are off by these factors of one noise."""
    random = np.random.default_rng(0)
    parity = RunningParity([], labels)
    for number, error in enumerate(errors):
        logits = random.normal(0, 3, (1, CLASSES))
        noise = error * random.normal(0, 1, (1, CLASSES))
        parity.add([source(number)], outputs(logits), outputs(logits + noise))
    return parity


def test_the_worst_images_are_kept_worst_first():
    errors = [0.01, 3, 0.02, 2, 0.03, 1, 0.04, 0.3, 0.05, 0.2, 0.06, 0.1]
    worst = tallied(errors).worst()
    assert [image.label for image in worst] == ["1", "3", "5", "7", "9", "11", "10", "6"]
    assert len(worst) == WORST_IMAGES
    assert [w.logit_sqnr_db for w in worst] == sorted(w.logit_sqnr_db for w in worst)


def test_a_nan_is_the_worst():
    parity = tallied([1, 2])
    broken = np.full((1, CLASSES), np.nan, np.float32)
    parity.add([source("nan")], outputs(np.ones((1, CLASSES))), {"probabilities": broken})
    assert parity.worst()[0].label == "nan"
    assert parity.worst()[0].logit_sqnr_db == -math.inf
    assert not parity.metrics().finite


def test_of_equals_the_first_is_kept():
    parity = RunningParity([])
    same = outputs(np.random.default_rng(0).normal(0, 1, (20, CLASSES)))
    parity.add([source(n) for n in range(20)], same, same)
    assert [image.label for image in parity.worst()] == [str(n) for n in range(WORST_IMAGES)]
    assert {image.logit_sqnr_db for image in parity.worst()} == {math.inf}


def test_classes_are_named_where_there_are_labels():
    names = [f"class {n}" for n in range(CLASSES)]
    (worst,) = tallied([0.0], names).worst()
    assert worst.expected.label == f"class {worst.expected.index}"
    (bare,) = tallied([0.0]).worst()
    assert bare.expected.label == str(bare.expected.index)


def test_one_output_names_a_side_of_a_half_and_is_scattered_by_its_logit():
    parity = RunningParity([], ("cat", "dog"), HeadActivation.SIGMOID)
    expected, actual = np.array([[0.2]], np.float32), np.array([[0.75]], np.float32)
    parity.add([source("x")], {"probabilities": expected}, {"probabilities": actual})
    (worst,) = parity.worst()
    assert (worst.expected.label, worst.actual.label) == ("cat", "dog")
    assert worst.expected.probability == pytest.approx(0.8)
    assert worst.actual.probability == pytest.approx(0.75)
    assert worst.logit_sqnr_db == pytest.approx(20 * np.log10(np.log(4) / np.log(12)))
    np.testing.assert_allclose(parity.scatter(), [[-np.log(4), np.log(3)]], rtol=1e-5)


@pytest.mark.parametrize("images", [3, SCATTERED_IMAGES, 3 * SCATTERED_IMAGES])
def test_the_scatter_does_not_grow(images):
    points = tallied([0.1] * images).scatter()
    assert points.shape == (min(images, SCATTERED_IMAGES) * SCATTERED_CLASSES, 2)
    assert points.dtype == np.float32
    assert np.abs(points[:, 0] - points[:, 1]).max() < 1  # 10 standard deviations


def test_the_scatter_of_many_images_is_of_all_of_them():
    """Images whose logits are their number: the mean of a sample of 0...749 is near 375."""
    parity = RunningParity([])
    for number in range(3 * SCATTERED_IMAGES):
        logits = np.zeros((1, CLASSES))
        logits[0, 0] = number / 100
        parity.add([source(number)], outputs(logits), outputs(logits))
    best = parity.scatter()[::SCATTERED_CLASSES, 0] * 100 * CLASSES / (CLASSES - 1)
    # The mean of 250 of 750 evenly spread numbers has a standard deviation of 11.
    assert best.mean() == pytest.approx(375, abs=44)


def test_points_that_are_not_finite_are_left_out():
    parity = RunningParity([])
    broken = np.full((1, CLASSES), np.nan, np.float32)
    parity.add([source(0)], outputs(np.ones((1, CLASSES))), {"probabilities": broken})
    assert parity.scatter().shape == (0, 2)


def test_layers_sum_over_batches():
    random = np.random.default_rng(1)
    expected, error = random.normal(0, 1, (2, 6, 4)).astype(np.float32)
    sums = LayerSums()
    for row in range(6):
        sums.add(expected[row], expected[row] + error[row] / 10)
    parity = sums.parity("fc1")
    power = float((expected**2).sum() / ((error / 10) ** 2).sum())
    assert parity.sqnr_db == pytest.approx(10 * math.log10(power), abs=1e-4)
    assert parity.max_abs == pytest.approx(np.abs(error).max() / 10, rel=1e-5)
