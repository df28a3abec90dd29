"""What the head makes of the features, from the number of its inputs, and its first kernel for it.

The first fully connected layer takes ``positions * filters`` values. As many positions as the
feature map has are flattened; one is a global pooling, or a map of 1x1; 7x7 of a map of another
size is torchvision's ``AdaptiveAvgPool2d((7, 7))``, and another square may be what somebody put in
its place. An average is linear, so that one is folded into the kernel, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np

from vggexport.errors import Advice, WeightsError
from vggexport.network.head import Pooling
from vggexport.network.layers import POOL_SIZE
from vggexport.network.spec import DEFAULT_INPUT_SIZE
from vggexport.weights.named_network import Blocks, NamedNetwork
from vggexport.weights.stored import AnyArray, Float32Array, StoredTensor

ADAPTIVE = "adaptive"
ADAPTIVE_SIZE = (7, 7)
"""Of torchvision's ``VGG.avgpool``."""
_ADAPTIVE_POSITIONS = 49


@dataclass(frozen=True, slots=True)
class Entry:
    """How the features enter the head.

    Attributes:
        pooling: What it makes of them; torchvision's average is FLATTEN, for it is folded.
        input_size: Height and width of the images.
    """

    pooling: Pooling
    input_size: tuple[int, int]


def entered(
    asked: tuple[int, int] | None,
    pooling: str | None,
    network: NamedNetwork,
    blocks: Blocks,
    inputs: int,
    label: str,
) -> Entry:
    """What was asked for, held against the inputs of the first fully connected layer.

    Args:
        asked: Height and width of the images, or None.
        pooling: The value of a ``Pooling``, "adaptive", or None.
        network: The file's.
        blocks: The convolutions; a pooling ends each block.
        inputs: Of the first fully connected layer.
        label: File and name of its kernel, for messages.

    Returns:
        The pooling, and the size: as asked where it fits, else the square that does.

    Raises:
        WeightsError: Nothing fits, or more than one thing does.
    """
    filters, scale = blocks[-1][-1].filters, POOL_SIZE ** len(blocks)
    positions, rest = divmod(inputs, filters)
    takes = f"{label} takes {inputs} values, {positions} of each of {filters} channels"
    if rest or not positions:
        raise WeightsError(f"{label} takes {inputs} values: a multiple of {filters} was expected")
    if pooling not in (None, Pooling.FLATTEN):
        return _pooled(pooling, asked, positions, takes)
    features = None if asked is None else (asked[0] // scale, asked[1] // scale)
    if positions == 1 and pooling is None and features != (1, 1):
        raise WeightsError(
            f"{takes}, which leaves open what gives them",
            Advice(f"say {{}} {scale} if the images are so small", "input_size"),
            Advice(
                "say {} average or max (of the whole map), and by {} the size that training had",
                "pooling",
                "input_size",
            ),
        )
    if asked and features and _fits(features, positions, pooling, network):
        return Entry(Pooling.FLATTEN, asked)
    side = isqrt(positions)
    if side * side != positions:
        raise WeightsError(
            f"{takes}, which is not a square", Advice("say {} as HEIGHTxWIDTH", "input_size")
        )
    if features and network.channels_first and pooling is None:
        raise WeightsError(
            f"{takes}, and a map of {features[0]}x{features[1]} has others",
            Advice(
                f"say {{}} adaptive if the network averages it to {side}x{side} "
                "(AdaptiveAvgPool2d)",
                "pooling",
            ),
            Advice(f"say {{}} {side * scale} if its images have that size", "input_size"),
        )
    return Entry(Pooling.FLATTEN, (side * scale, side * scale))


def _pooled(pooling: str, asked: tuple[int, int] | None, positions: int, takes: str) -> Entry:
    """The same where a pooling was asked for, which leaves one value a channel, or a square."""
    is_adaptive = pooling == ADAPTIVE
    if not (isqrt(positions) ** 2 == positions if is_adaptive else positions == 1):
        gives = "a square" if is_adaptive else "1"
        raise WeightsError(
            f"{takes}: {pooling} pooling gives {gives}", Advice("leave out {}", "pooling")
        )
    return Entry(Pooling.FLATTEN if is_adaptive else Pooling(pooling), asked or DEFAULT_INPUT_SIZE)


def _fits(
    features: tuple[int, int], positions: int, pooling: str | None, network: NamedNetwork
) -> bool:
    """Whether a map is flattened to so many positions, or averaged to them by torchvision."""
    if positions == _ADAPTIVE_POSITIONS and features != ADAPTIVE_SIZE:
        return network.channels_first and pooling is None
    return positions == features[0] * features[1]


def head_kernel(
    kernel: StoredTensor, features: tuple[int, int, int], network: NamedNetwork, label: str
) -> StoredTensor:
    """The first kernel of the head for a flattened map, its inputs in HWC order.

    Args:
        kernel: (inputs, units), the inputs in the order in which the file flattens them. Where they
            are a square of positions of a map of another size, it gets the average to that square
            folded into it.
        features: Shape of the map, HWC.
        network: The file's.
        label: File and name of the kernel, for messages.

    Raises:
        WeightsError: The file's head slides over maps of that size.
    """
    height, width, channels = features
    grid = averaged_to(kernel, features, network) or (height, width)
    if kernel.shape[:1] != (grid[0] * grid[1] * channels,):
        return kernel  # of another shape than expected, which is reported
    if network.window and (height > network.window[0] or width > network.window[1]):
        raise WeightsError(
            f"{label} is a convolution over {network.window[0]}x{network.window[1]}, which slides "
            f"over a map of {height}x{width}: only smaller images are exported",
            Advice("choose {} 224, or less", "input_size"),
        )

    def read() -> AnyArray:
        array = kernel.read()
        if network.channels_first:
            array = np.moveaxis(array.reshape(channels, *grid, -1), 0, 2)
        array = array.reshape(*grid, channels, -1)
        array = array if grid == (height, width) else _for_map(array, height, width)
        return array.reshape(height * width * channels, -1)

    return StoredTensor((height * width * channels, *kernel.shape[1:]), read)


def averaged_to(
    kernel: StoredTensor, features: tuple[int, int, int], network: NamedNetwork
) -> tuple[int, int] | None:
    """The square of positions that a kernel takes of a map that has others; None for the map."""
    height, width, channels = features
    positions, rest = divmod(kernel.shape[0], channels)
    square = (isqrt(positions),) * 2
    if rest or square[0] ** 2 != positions or square == (height, width):
        return None
    if positions == _ADAPTIVE_POSITIONS:
        return square
    return square if network.channels_first and positions != height * width else None


def _for_map(kernel: AnyArray, height: int, width: int) -> Float32Array:
    """A kernel (rows, columns, channels, units) for the map whose average to those it takes."""
    rows, columns = _bins(len(kernel), height), _bins(kernel.shape[1], width)
    result = np.zeros((height, width, *kernel.shape[2:]), np.float32)
    for y, x in np.ndindex(height, width):
        shares = np.outer(rows[:, y], columns[:, x])
        result[y, x] = sum(shares[i, j] * kernel[i, j] for i, j in np.argwhere(shares))
    return result


def _bins(cells: int, size: int) -> AnyArray:
    """Share, (cells, size), of each place in each cell's average.

    As in ``adaptive_avg_pool2d`` of ATen: cell ``i`` begins at ``floor(i * size / cells)`` and ends
    before ``ceil((i + 1) * size / cells)``; cells overlap where ``cells`` does not divide.
    """
    shares = np.zeros((cells, size))
    for cell in range(cells):
        start, end = cell * size // cells, -(-(cell + 1) * size // cells)
        shares[cell, start:end] = 1 / (end - start)
    return shares
