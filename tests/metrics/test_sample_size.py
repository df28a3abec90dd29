"""Images that a gate needs to tell."""

import numpy as np
import pytest

from vggexport.metrics.accuracy import (
    Accuracy,
    PairedCounts,
    judge_at_least,
    judge_at_most,
    wilson,
)
from vggexport.metrics.sample_size import images_for_drop, images_for_share
from vggexport.metrics.verdict import Verdict


@pytest.mark.parametrize(
    ("counts", "limit", "needed"),
    [
        ((0, 0), 0.01, 200),  # z / (n + 2) is 0.01 at 194
        ((1, 1), 0.01, 2000),  # z * sqrt(0.05 n + 1) / (n + 2) is 0.01 at 1937
        ((2, 0), 0.05, None),  # a drop of the limit itself
    ],
)
def test_images_that_a_drop_needs(counts, limit, needed):
    found = PairedCounts(40, 38, *counts)
    assert judge_at_most(found.drop_interval, limit) is Verdict.INCONCLUSIVE
    assert images_for_drop(found, limit) == needed


def test_images_that_a_share_needs():
    best = np.array([[0]] * 30 + [[1]] * 10, np.int32)
    found = Accuracy.of(np.zeros(40, int), best, 2)
    needed = images_for_share(found, 0.7)
    assert needed == 330  # Wilson's ends are those of |p - L| = z * sqrt(L (1 - L) / n): 322.7
    more = wilson(0.75 * 324, 324), wilson(0.75 * 320, 320)
    assert [judge_at_least(one, 0.7) for one in more] == [Verdict.PASS, Verdict.INCONCLUSIVE]
