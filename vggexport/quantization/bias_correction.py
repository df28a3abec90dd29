"""Bias correction: the mean error that rounding gives a layer's outputs, taken off its biases.

Rounded kernels and activations shift the mean of a layer's outputs. Where all images give nearly
the same activations, as in networks with small differences between large values, that shift is
most of the error. M. Nagel et al., arXiv 1906.04721, section 4.2 and, for shifts measured on images
front to back, appendix D; A. Finkelstein et al., arXiv 1906.03193.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from vggexport.network.forward import Array, NumpyNetwork
from vggexport.network.layers import Layer
from vggexport.quantization.int8 import ActivationQuantization, quantize_layer


def bias_corrections(
    network: NumpyNetwork, activations: Mapping[str, ActivationQuantization], images: Array
) -> dict[str, tuple[float, ...]]:
    """What to add to each bias so that int8 outputs have the mean of the float ones.

    Both networks run layer by layer over the same images; each layer is corrected with all in front
    of it corrected already. The mean is that of the outputs before the ReLU, over images and
    positions, so that zeros around the maps count as they do. Activations are int8 parameters by
    layer name, images uint8 (images, height, width, 3).

    Returns:
        Shifts by the name of each weighted layer, one an output.
    """
    exact = [network.enter(image[np.newaxis]) for image in images]
    rounded = list(exact)
    found = {}
    for layer in network.layers:
        grid = activations[network.spec.scaled_by(layer)]
        _replace(exact, partial(network.compute, layer))
        _replace(rounded, grid.rounded)
        _replace(rounded, partial(_integer(network, layer, grid.scale).compute, layer))
        shift = (_means(exact) - _means(rounded)).astype(np.float32)
        found[layer.name] = tuple(map(float, shift))
        _replace(rounded, partial(np.add, shift))
        for maps in (exact, rounded):
            _replace(maps, partial(network.leave, layer))
    return found


def _integer(network: NumpyNetwork, layer: Layer, input_scale: float) -> NumpyNetwork:
    """The layer with the kernel that an int8 file has."""
    kernel, bias = (network.weights[tensor.name] for tensor in layer.tensors)
    quantized = quantize_layer(kernel, bias, input_scale)
    del kernel  # the largest has 411 MB
    return NumpyNetwork(
        network.spec, {layer.kernel.name: quantized.real_kernel, layer.bias.name: bias}
    )


def _replace(maps: list[Array], function: Callable[[Array], Array]) -> None:
    """One image at a time, so that each is held once."""
    for number, one in enumerate(maps):
        maps[number] = function(one)


def _means(maps: list[Array]) -> Array:
    """Of each channel over all images and positions, float64."""
    means = [one.reshape(-1, one.shape[-1]).mean(axis=0, dtype=np.float64) for one in maps]
    found: Array = np.mean(means, axis=0)
    return found
