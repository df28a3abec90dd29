"""When making up for a mistake explains a file that failed."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from vggexport.diagnosis.case import Case
from vggexport.metrics.parity import compare
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.head import HeadActivation

FAULT = SimpleNamespace(name="turned", description="is turned", fix="turn it", lossy=False)
LIMIT_DB = 12.0


def probabilities(error_db):
    """A reference's answers for the worst images, and a file's with that SQNR of the logits."""
    random = np.random.default_rng(0)
    logits, noise = random.standard_normal((2, 8, 5))
    logits -= logits.mean(1, keepdims=True)
    noise -= noise.mean(1, keepdims=True)
    noise *= np.sqrt((logits**2).sum() / (noise**2).sum()) * 10 ** (-error_db / 20)
    return (np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (logits, logits + noise))


@pytest.fixture
def explains():
    """dB of the worst images as they are and with the mistake made up for, and of all images."""

    def explains(before_db, after_db, together_db, fault=FAULT, limit_db=LIMIT_DB):
        expected, actual = probabilities(before_db)
        together = replace(compare(expected, actual), logit_sqnr_db=together_db)
        spec = SimpleNamespace(head_activation=HeadActivation.SOFTMAX)
        case = Case(
            SimpleNamespace(artifact=SimpleNamespace(spec=spec)),
            SimpleNamespace(path="a.onnx"),
            np.zeros((8, 4, 4, 3), np.uint8),
            Tolerance("measured", min_logit_sqnr_db=limit_db),
            together,
            expected,
            actual,
        )
        return case.output_trial(fault, *probabilities(after_db)).explains

    return explains


def test_a_mistake_that_mends_the_worst_images_explains_a_file(explains):
    assert explains(4.0, 20.0, 5.0)
    assert explains(4.0, LIMIT_DB - 2.9, 5.0)  # of the worst images, less is asked
    assert not explains(4.0, LIMIT_DB - 3.1, 5.0)
    assert not explains(9.0, 11.9, 5.0)  # hardly better


def test_a_healthy_file_with_a_few_poor_images_is_not_explained_by_what_spoils_the_others(explains):
    assert not explains(4.8, 9.5, 31.1)
    assert not explains(4.8, 28.0, 31.1)
    assert explains(4.8, 28.2, 31.1)


def test_what_is_not_a_number_asks_for_no_more(explains):
    assert explains(4.0, 20.0, np.nan)


def test_a_mistake_that_loses_something_comes_nearer_only(explains):
    lossy = SimpleNamespace(**vars(FAULT) | {"lossy": True})
    assert explains(2.0, 15.1, 8.0, lossy, 80.0)
    assert not explains(2.0, 14.9, 8.0, lossy, 80.0)
    assert not explains(2.0, 15.1, 19.0, lossy, 80.0)
