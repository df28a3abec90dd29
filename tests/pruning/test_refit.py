"""Kernels by what they are to give."""

import numpy as np
import pytest

from vggexport.pruning.refit import dual_ridge, pull, relu_aware


@pytest.fixture(scope="module")
def lossy():
    """Inputs with a 1 behind, and outputs that depend on inputs that are not among them."""
    random = np.random.default_rng(8)
    whole = random.standard_normal((4000, 12)) @ random.standard_normal((12, 12))
    targets = whole @ random.standard_normal((12, 6)) - 15
    inputs = np.concatenate([whole[:, :8] + 5, np.ones((4000, 1))], axis=1)
    return inputs.astype(np.float32), targets.astype(np.float32)


def behind(outputs, window):
    return np.maximum(outputs.reshape(-1, window, outputs.shape[1]).max(axis=1), 0)


def test_without_steps_it_is_least_squares(lossy):
    inputs, targets = lossy
    start = np.zeros((9, 6), np.float32)
    found = relu_aware(inputs.copy(), targets, start, window=1, ridges=(1e-7,), steps=0)
    expected, *_ = np.linalg.lstsq(inputs[:3200].astype(float), targets[:3200].astype(float))
    np.testing.assert_allclose(found.kernel, expected, atol=1e-3)


def test_a_strong_ridge_keeps_to_the_start(lossy):
    start = np.ones((9, 6), np.float32)
    inputs, targets = lossy
    found = relu_aware(inputs.copy(), targets, start, window=1, ridges=(1e6,), steps=0)
    np.testing.assert_allclose(found.kernel, start, atol=1e-3)


@pytest.mark.parametrize("window", [1, 4])
def test_steps_lower_the_error_behind_relu_and_pooling_of_rows_left_out(window, lossy):
    inputs, targets = lossy
    start = np.zeros((9, 6), np.float32)
    plain, aware = (
        relu_aware(inputs.copy(), targets, start, window=window, ridges=(1e-6,), steps=steps)
        for steps in (0, 12)
    )
    wanted = behind(targets[3200:], window)
    for found in (plain, aware):
        gaps = behind(inputs[3200:] @ found.kernel, window) - wanted
        np.testing.assert_allclose(
            found.errors, np.square(gaps).mean(axis=0) / wanted.var(axis=0), rtol=1e-3
        )
    assert aware.errors.mean() < 0.99 * plain.errors.mean()


def test_what_would_fit_these_rows_alone_is_not_taken():
    """Outputs are those of the start but for noise, which 60 inputs would fit on 100 rows."""
    random = np.random.default_rng(12)
    inputs = np.concatenate([random.standard_normal((100, 60)), np.ones((100, 1))], axis=1)
    start = random.standard_normal((61, 4)).astype(np.float32)
    targets = inputs @ start + 3 * random.standard_normal((100, 4))
    weak, held = (
        relu_aware(inputs.astype(np.float32), targets, start, window=1, ridges=ridges)
        for ridges in ((1e-6,), (10.0, 1e-6))
    )
    np.testing.assert_allclose(weak.kernel, start, atol=1e-4)
    assert np.abs(held.kernel - start).max() < 1


def test_what_a_window_is_pulled_to():
    """Down where it is above the answer; up only the largest, and only where it comes through."""
    outputs = np.array([[3.0], [5.0], [-2.0], [1.0], [-1.0], [-3.0], [2.0], [1.0]], np.float32)
    moves = pull(outputs, np.array([[4.0], [2.0], [1.0], [0.0]], np.float32), 2)
    assert [*moves[:, 0]] == [0, -1, 0, 1, 0, 0, -2, -1]


def test_few_rows_are_judged_by_rows_left_out():
    """The strength with the least error on a row that a fit on the others has not seen."""
    random = np.random.default_rng(9)
    inputs = np.concatenate([random.standard_normal((30, 80)), np.ones((30, 1))], axis=1)
    inputs = inputs.astype(np.float32)
    truth = (random.standard_normal((81, 2)) / 9).astype(np.float32)
    targets = inputs @ truth
    found = dual_ridge(inputs, targets, truth + 0.01)
    gram, errors = inputs @ inputs.T, {}
    gaps = targets - inputs @ (truth + 0.01)
    for ridge in 10.0 ** np.arange(-4, 3):
        held = gram + ridge * np.trace(gram) / 30 * np.eye(30)
        left_out = []
        for row in range(30):
            others = np.arange(30) != row
            dual = np.linalg.solve(held[np.ix_(others, others)], gaps[others])
            left_out.append(np.square(gaps[row] - gram[row, others] @ dual))
        errors[ridge] = np.mean(left_out, axis=0)
    best = min(errors.values(), key=np.sum)
    np.testing.assert_allclose(found.errors, best / targets.var(axis=0), rtol=1e-2)


def test_rows_that_say_nothing_leave_the_start_as_it_is():
    random = np.random.default_rng(10)
    inputs = random.standard_normal((20, 40)).astype(np.float32)
    start = random.standard_normal((40, 2)).astype(np.float32)
    found = dual_ridge(inputs, inputs @ start + random.standard_normal((20, 2)) * 9, start)
    assert np.abs(found.kernel - start).max() < 0.2
