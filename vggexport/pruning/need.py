"""How much each channel matters: squared derivatives of the logits, by images alone.

An error e of a layer's outputs before the ReLU moves the logits by J e. With signs r drawn at
random, E[(r' J e)^2] is the squared length of J e, and r' J is one pass backwards.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vggexport.network.forward import WEIGHTLESS, Array, NumpyNetwork, convolve
from vggexport.network.layers import Layer


def needs(
    network: NumpyNetwork, images: NDArray[np.uint8], signs: NDArray[np.float32]
) -> dict[str, NDArray[np.float64]]:
    """By layer, what a squared error of 1 at every position of a channel adds to the logits'.

    Errors of different positions and channels are taken as independent. Images are uint8 (images,
    height, width, 3), signs 1 or -1, (images, classes).

    Returns:
        (channels,) by layer's name, the mean over the images of the sum over positions.
    """
    outputs: dict[str, Array] = {}
    inputs = network.enter(images)
    for layer in network.layers:
        outputs[layer.name] = network.compute(layer, inputs)
        inputs = network.leave(layer, outputs[layer.name])
    found = {}
    gradient = signs - signs.mean(axis=1, keepdims=True) if signs.shape[1] > 1 else signs
    for layer in reversed(network.layers):
        if layer is not network.layers[-1]:
            gradient = _before(network, layer, outputs[layer.name], gradient)
        squares = np.square(gradient, dtype=np.float64).reshape(-1, gradient.shape[-1])
        found[layer.name] = squares.sum(axis=0) / len(images)
        gradient = _to_inputs(network, layer, gradient)
    return found


def _to_inputs(network: NumpyNetwork, layer: Layer, gradient: Array) -> Array:
    """From a layer's outputs before the ReLU to its inputs."""
    kernel = network.weights[layer.kernel.name]
    if layer.is_matrix:
        return gradient @ kernel.T
    return convolve(gradient, np.ascontiguousarray(kernel[::-1, ::-1].swapaxes(2, 3)))


def _before(network: NumpyNetwork, layer: Layer, outputs: Array, gradient: Array) -> Array:
    """From the next layer's inputs to a layer's outputs before the ReLU."""
    maps = np.maximum(outputs, 0) if layer.relu else outputs
    steps = []
    for follower in network.followers(layer):
        kind = WEIGHTLESS[follower.kind]
        steps.append((kind, maps))
        maps = kind.forward(maps)
    for kind, taken in reversed(steps):
        gradient = kind.backward(taken, gradient)
    return gradient * (outputs > 0) if layer.relu else gradient
