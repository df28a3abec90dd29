"""Files that an energy ratio lets pass, and that answer otherwise all the same."""

import numpy as np
import pytest

from vggexport.metrics.choices import Choices
from vggexport.metrics.parity import compare
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.head import HeadActivation
from vggexport.precision import Precision

INT8 = Precision.INT8.profile.tolerance
CLASSES = 4


def sure_of(classes, confidence=0.7):
    """Probabilities of images of these classes."""
    others = (1 - confidence) / (CLASSES - 1)
    probabilities = np.full((len(classes), CLASSES), others)
    probabilities[np.arange(len(classes)), classes] = confidence
    return probabilities


REFERENCE = sure_of([0, 1, 2, 3] * 10)


def test_equal_answers_choose_the_same():
    choices = compare(REFERENCE, REFERENCE).choices
    assert (choices.images, choices.hits, choices.lost_classes) == (40, 40, ())
    assert not choices.is_constant
    assert INT8.violations(compare(REFERENCE, REFERENCE)) == ()


def test_a_class_that_is_never_given_is_named():
    """Its probability is just below the second's: 24 dB, above the limit of 12."""
    expected, lost = REFERENCE.copy(), REFERENCE.copy()
    expected[3::4] = [0.4, 0.05, 0.05, 0.5]
    lost[3::4] = [0.47, 0.05, 0.05, 0.43]
    metrics = compare(expected, lost)
    assert metrics.logit_sqnr_db > 12
    assert metrics.choices.lost_classes == (3,)
    limits = Tolerance("energy alone", min_logit_sqnr_db=12.0)
    assert limits.violations(metrics) == ("it never gives class 3, which the reference does",)
    names = ("ant", "bee", "cat", "dog")
    assert limits.violations(metrics, names)[0].startswith("it never gives class dog,")


def test_a_class_of_seven_images_is_too_few_to_be_lost():
    lost = REFERENCE.copy()
    lost[3:31:4] = [0.46, 0.05, 0.05, 0.44]
    assert compare(REFERENCE[:31], lost[:31]).choices.lost_classes == ()


def test_a_class_that_is_given_nearly_as_well_is_not_lost():
    expected, actual = REFERENCE.copy(), REFERENCE.copy()
    expected[3::4] = [0.49, 0.005, 0.005, 0.5]
    actual[3::4] = [0.5, 0.005, 0.005, 0.49]
    choices = compare(expected, actual).choices
    assert (choices.hits, choices.lost_classes) == (40, ())


def test_answers_that_do_not_depend_on_the_image_are_said():
    """Logits that have much in common from image to image are near a constant: 20 dB."""
    expected = sure_of([0] * 20)
    expected[::2] = [0.6, 0.12, 0.14, 0.14]
    same = np.repeat(expected.mean(axis=0, keepdims=True), 20, axis=0)
    metrics = compare(expected, same)
    assert metrics.logit_sqnr_db > 12
    assert INT8.violations(metrics) == ("its answers do not depend on the image",)
    assert compare(same, same).choices.is_constant is False


@pytest.mark.parametrize(("wrong", "fails"), [(0, False), (3, False), (8, True)])
def test_agreement_fails_where_it_is_surely_below_the_limit(wrong, fails):
    """The exact interval of 37 of 40 ends at 0.984, that of 32 at 0.909."""
    actual = REFERENCE.copy()
    actual[:wrong] = np.roll(actual[:wrong], 1, axis=1)
    limits = Tolerance("agreement alone", min_sure_agreement=0.95)
    said = limits.violations(compare(REFERENCE, actual))
    assert said == (("best class the same on 32 of 40 images, surely below 95%",) if fails else ())


@pytest.mark.parametrize(
    ("hits", "images", "least", "below"),
    [  # by whole fractions: 0.102, 0.0152, 0.117, 0.0119, 8e-11, 0.0207 and 0.0284
        (9, 11, 0.95, False),
        (8, 11, 0.95, True),
        (27, 30, 0.96, False),
        (26, 30, 0.97, True),
        (900, 1000, 0.95, True),
        (935, 1000, 0.95, True),
        (936, 1000, 0.95, False),
    ],
)
def test_few_images_are_judged_exactly(hits, images, least, below):
    assert Choices(images, hits, (), is_constant=False).is_surely_below(least) is below


def test_outputs_that_are_independent_are_lost_one_by_one():
    expected = np.array([[0.9, 0.2], [0.1, 0.8]] * 10)
    actual = expected.copy()
    actual[:, 1] = 0.3
    choices = compare(expected, actual, HeadActivation.SIGMOID).choices
    assert (choices.lost_classes, choices.hits) == ((1,), 15)


def test_one_output_has_two_classes():
    expected = np.array([[0.9], [0.1]] * 10)
    choices = compare(expected, np.clip(expected, 0.6, 1), HeadActivation.SIGMOID).choices
    assert (choices.lost_classes, choices.hits) == ((0,), 10)


def test_where_nothing_is_demanded_nothing_is_said():
    constant = np.repeat(REFERENCE[:1], 40, axis=0)
    assert Tolerance("unset").violations(compare(REFERENCE, constant)) == ()
