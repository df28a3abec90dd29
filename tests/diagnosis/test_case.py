"""What a case measures mistakes by."""

import numpy as np
import pytest

from vggexport.diagnosis.case import Case
from vggexport.metrics.parity import compare, probabilities_of
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.head import HeadActivation


@pytest.mark.parametrize(
    ("limit", "figure"),
    [
        ("min_logit_sqnr_db", "logit_sqnr_db"),
        ("min_half_logit_sqnr_db", "half_logit_sqnr_db"),
        ("min_sqnr_db", "sqnr_db"),
    ],
)
def test_mistakes_are_measured_by_what_the_tolerance_limits(limit, figure):
    right = probabilities_of(np.random.default_rng(0).normal(0, 14, (4, 5)), HeadActivation.SOFTMAX)
    metrics = compare(right, right.astype(np.float16), HeadActivation.SOFTMAX)
    values = metrics.logit_sqnr_db, metrics.half_logit_sqnr_db, metrics.sqnr_db
    assert len({round(value) for value in values}) == 3
    case = Case(None, None, right, Tolerance("just", **{limit: 12.0}), right, right)
    assert case.value_db(metrics) == getattr(metrics, figure)
