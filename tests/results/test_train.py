"""When weights are not called trained."""

import pytest

from vggexport.results.train import Epoch, training_failures


def epochs(*losses):
    return [Epoch(n, 0.01, loss, 1.0, 0.5, 1.0) for n, loss in enumerate(losses, start=1)]


@pytest.mark.parametrize(
    ("accuracy", "losses", "said"),
    [
        (0.21, (2.0, 1.0), []),
        (0.2, (2.0, 1.0), ["no more than guessing their most frequent class does (20.0%)"]),
        (0.9, (2.0, 1999.0), []),
        (0.9, (2.0, 2001.0), ["the loss grew from 2 to 2e+03"]),
    ],
)
def test_guessing_and_diverging_are_failures(accuracy, losses, said):
    best = Epoch(9, 0.01, 1.0, 1.0, accuracy, 1.0)
    found = training_failures(epochs(*losses), best, 0.2)
    assert len(found) == len(said)
    assert all(clause in failure for clause, failure in zip(said, found, strict=True))
