"""Kernel and bias by what they are to give: least squares, then what the ReLU and pooling let by.

Every function takes inputs whose last column is 1, so that a kernel's last row is the bias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.network.forward import Array
from vggexport.pruning.elimination import regularized

STRENGTHS = (3.0, 0.3, 0.03, 0.003)
"""Shares of the mean second moment that :func:`relu_aware` tries."""
FITTED = 4
"""Rows that are fitted for one that is left out."""
STEPS = 8
"""Accelerated steps after least squares; each costs as much as the Gram matrix."""
CHUNK = 4096
"""Rows at a time."""
RIDGES = tuple(10.0**power for power in range(-4, 3))
"""Shares of the mean squared row that :func:`dual_ridge` tries."""


@dataclass(frozen=True, slots=True)
class Refit:
    """Kernel over bias, and what is left of the error.

    Attributes:
        kernel: (inputs + 1, outputs).
        errors: Of each output, mean squared error of rows left out over their targets' variance,
            after ReLU and pooling where it has them: float64 (outputs,).
    """

    kernel: Array
    errors: NDArray[np.float64]

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it is made of, by name."""
        return {"kernel": self.kernel, "errors": self.errors}


def relu_aware(
    inputs: Array,
    targets: Array,
    start: Array,
    *,
    window: int,
    ridges: tuple[float, ...] = STRENGTHS,
    steps: int = STEPS,
) -> Refit:
    """Least squares near ``start``, then steps that count only what comes through.

    After ReLU and pooling a window's answer is max(0, largest output). An output above the wanted
    answer is too large by the difference; below it only the window's largest counts, and below 0
    not even that. A step solves for outputs moved by just that (which majorizes the error, so that
    it does not grow), with Nesterov's momentum.

    The last fifth of the rows, which are other images, is left out, and decides: how strongly the
    kernel is held to ``start``, which step is taken, and whether ``start`` is left as it is.

    Args:
        inputs: (rows, inputs + 1). Their mean is taken out of them, as float32 could not solve for
            what is small beside it.
        targets: The outputs wanted before the ReLU, (rows, outputs).
        start: (inputs + 1, outputs).
        window: Rows of a pooling's window, which follow each other; 1 without pooling.
        ridges: Shares of the mean second moment that hold the kernel to ``start``.
        steps: At most so many.
    """
    mean = np.append(inputs[:, :-1].mean(axis=0, dtype=np.float64), 0).astype(np.float32)
    inputs -= mean
    start = _with_bias(start, mean @ start)
    wanted = np.maximum(targets.reshape(-1, window, targets.shape[1]).max(axis=1), 0)
    windows = len(wanted) * FITTED // (FITTED + 1)
    fitted, left_out = inputs[: windows * window], inputs[windows * window :]

    def judged(kernel: Array) -> tuple[float, Refit]:
        errors = _errors(left_out, wanted[windows:], kernel, window)
        return float(errors.mean()), Refit(kernel, errors)

    error, best = judged(start)
    solved = None
    moments, gradient = _moments(fitted), _gradient(fitted, targets, start, None)
    for ridge in ridges:
        inverse = np.linalg.inv(regularized(moments, ridge))
        found, refit = judged(start + inverse @ gradient)
        if found < error:
            error, best, solved = found, refit, inverse
    if solved is not None:
        best = _stepped(best, solved, fitted, wanted, window, steps, error, judged)
    return Refit(_with_bias(best.kernel, -mean @ best.kernel), best.errors)


def _stepped(
    best: Refit,
    inverse: Array,
    inputs: Array,
    wanted: Array,
    window: int,
    steps: int,
    error: float,
    judged: Callable[[Array], tuple[float, Refit]],
) -> Refit:
    """Accelerated steps, of which the one that is best for what is left out is taken."""
    kernel = ahead = best.kernel
    momentum = 1.0
    for _ in range(steps):
        moved = ahead + inverse @ _gradient(inputs, wanted, ahead, window)
        found, refit = judged(moved)
        if found < error:
            error, best = found, refit
        grown = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = moved + np.float32((momentum - 1) / grown) * (moved - kernel)
        kernel, momentum = moved, grown
    return best


def _with_bias(kernel: Array, more: Array) -> Array:
    """The same with another bias."""
    found = kernel.copy()
    found[-1] += more
    return found


def _moments(inputs: Array) -> Array:
    found = np.zeros((inputs.shape[1],) * 2, np.float32)
    for part in _parts(len(inputs)):
        found += inputs[part].T @ inputs[part]
    found /= len(inputs)
    return found


def _gradient(inputs: Array, targets: Array, kernel: Array, window: int | None) -> Array:
    """Mean product of inputs and of what their outputs are to be moved by."""
    found = np.zeros_like(kernel)
    for part in _parts(len(inputs)):
        outputs = inputs[part] @ kernel
        if window is None:
            move = targets[part] - outputs
        else:
            move = pull(outputs, targets[part.start // window : part.stop // window], window)
        found += inputs[part].T @ move
    found /= len(inputs)
    return found


def pull(outputs: Array, wanted: Array, window: int) -> Array:
    """What outputs before the ReLU, (windows * window, outputs), are to be moved by.

    Their windows then give the wanted answers after ReLU and pooling, (windows, outputs).
    """
    windows = outputs.reshape(-1, window, outputs.shape[1])
    gaps = wanted[:, None] - windows
    best = windows.argmax(axis=1)[:, None]
    largest = np.take_along_axis(gaps, best, 1)
    comes_through = np.take_along_axis(windows, best, 1) > 0
    moves: Array = np.minimum(gaps, 0)
    np.put_along_axis(moves, best, np.where(comes_through, largest, 0), 1)
    return moves.reshape(outputs.shape)


def _errors(inputs: Array, wanted: Array, kernel: Array, window: int) -> NDArray[np.float64]:
    noise = np.zeros(kernel.shape[1])
    for part in _parts(len(inputs)):
        outputs = (inputs[part] @ kernel).reshape(-1, window, kernel.shape[1]).max(axis=1)
        gaps = np.maximum(outputs, 0) - wanted[part.start // window : part.stop // window]
        noise += np.square(gaps, dtype=np.float64).sum(axis=0)
    power = len(wanted) * wanted.var(axis=0, dtype=np.float64)
    noise /= np.maximum(power, np.finfo(float).tiny)
    return noise


def _parts(rows: int) -> list[slice]:
    return [slice(low, min(low + CHUNK, rows)) for low in range(0, rows, CHUNK)]


def dual_ridge(inputs: Array, targets: Array, start: Array) -> Refit:
    """Ridge regression near ``start`` from fewer rows than inputs, as strong as rows left out say.

    With K = X X' the error of a row that was left out is that of its fit over the diagonal of the
    inverse (the PRESS statistic), so that every strength is judged on rows that it has not seen.

    Args:
        inputs: (rows, inputs + 1).
        targets: (rows, outputs).
        start: (inputs + 1, outputs).
    """
    gram = (inputs @ inputs.T).astype(np.float64)  # all else is small beside a kernel of 411 MB
    gaps = (targets - inputs @ start).astype(np.float64)
    scale = float(np.trace(gram)) / len(gram)
    judged = [(float(np.square(gaps).sum()), np.zeros_like(gaps), gaps)]
    for ridge in RIDGES:
        inverse = np.linalg.inv(gram + ridge * scale * np.eye(len(gram)))
        dual = inverse @ gaps
        left_out = dual / np.diag(inverse)[:, None]
        judged.append((float(np.square(left_out).sum()), dual, left_out))
    _, dual, left_out = min(judged, key=lambda one: one[0])
    kernel = inputs.T @ dual.astype(np.float32)
    kernel += start
    power = np.maximum(targets.var(axis=0, dtype=np.float64), np.finfo(float).tiny)
    return Refit(kernel, np.square(left_out).mean(axis=0) / power)
