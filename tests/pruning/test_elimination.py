"""Order, errors and kernels of backward elimination, against least squares on every channel."""

import numpy as np
import pytest

from vggexport.pruning.elimination import eliminate, refitted, regularized, rows_of


def problem(channels, rows, outputs):
    random = np.random.default_rng(5)
    inputs = random.standard_normal((300, channels * rows))
    inputs = inputs @ random.standard_normal((channels * rows,) * 2)
    kernel = random.standard_normal((channels * rows, outputs))
    return regularized(inputs.T @ inputs / 300, 1e-3), kernel


def left_over(moments, kernel, rows):
    """Error of the best kernel of some rows, tr(D' H D) for its difference D from the whole."""
    best = np.zeros_like(kernel)
    best[rows] = refitted(moments, kernel, rows)
    return np.einsum("ij,jk,ik->", (best - kernel).T, moments, (best - kernel).T)


@pytest.mark.parametrize(("channels", "rows", "outputs"), [(6, 3, 4), (19, 4, 30), (10, 1, 40)])
def test_each_channel_that_goes_is_the_one_whose_loss_is_least(channels, rows, outputs):
    """More channels than are taken out in one go, and more outputs than rows."""
    moments, kernel = problem(channels, rows, outputs)
    found = eliminate(moments, kernel.copy(), channels)
    left, errors = list(range(channels)), [0.0]
    for gone in found.order[:-1]:
        costs = {}
        for channel in left:
            others = np.array([other for other in left if other != channel])
            costs[channel] = left_over(moments, kernel, rows_of(others, channels, len(kernel)))
        assert min(costs, key=costs.get) == gone
        errors.append(costs[gone])
        left.remove(gone)
    np.testing.assert_allclose(found.errors, errors, rtol=1e-9, atol=1e-9)
    assert [*found.kept(1)] == left == [found.order[-1]]
    assert [*found.kept(channels)] == [*range(channels)]
    assert found.error_at(channels - 2) == found.errors[2]


def test_a_refitted_kernel_is_the_least_squares_solution():
    random = np.random.default_rng(6)
    inputs, kernel = random.standard_normal((200, 6)), random.standard_normal((6, 3))
    rows = np.array([0, 2, 5])
    expected, *_ = np.linalg.lstsq(inputs[:, rows], inputs @ kernel, rcond=None)
    np.testing.assert_allclose(refitted(inputs.T @ inputs, kernel, rows), expected)


def test_a_channel_that_another_repeats_goes_first_and_costs_nothing():
    random = np.random.default_rng(7)
    inputs = random.standard_normal((200, 5))
    inputs[:, 3] = inputs[:, 1]
    found = eliminate(regularized(inputs.T @ inputs / 200, 1e-6), random.standard_normal((5, 4)), 5)
    assert found.order[0] in {1, 3}
    assert found.errors[1] < 1e-4
    assert found.errors[2] > 0.1


def test_rows_of_a_channel_are_those_of_all_places_of_the_window():
    assert [*rows_of(np.array([0, 2]), 3, 9)] == [0, 2, 3, 5, 6, 8]
