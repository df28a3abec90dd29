"""Corrected biases give outputs of an int8 network the mean that the float network's have."""

import numpy as np
import pytest

from vggexport.network.forward import NumpyNetwork
from vggexport.network.spec import MEAN_RGB
from vggexport.quantization.bias_correction import bias_corrections
from vggexport.quantization.int8 import quantize_layer


@pytest.fixture(scope="module")
def corrections(tiny, tiny_weights, images, ranges):
    return bias_corrections(NumpyNetwork(tiny, tiny_weights), ranges.quantization(), images)


def test_every_weighted_layer_has_a_shift_an_output(tiny, corrections):
    assert {name: len(shift) for name, shift in corrections.items()} == {
        layer.name: layer.output_shape[-1] for layer in tiny.weighted_layers
    }


def test_a_first_layer_is_off_by_its_errors_times_the_mean_of_its_patches(
    tiny, tiny_weights, images, ranges, corrections
):
    """Nagel et al., section 4.2: E[error of an output] is the kernel's error times E[inputs].

    Pixels are not off, and zeros stand around them: the mean of a tap is that of where it lies.
    """
    scale = ranges.quantization()["mean_subtraction"].scale
    pixels = np.rint((images - np.array(MEAN_RGB)) / scale) * scale
    exact = images - np.array(MEAN_RGB)
    kernel, bias = (tiny_weights[f"block1_conv1/{part}"] for part in ("kernel", "bias"))
    quantized = quantize_layer(kernel, bias, scale)
    rounded = quantized.kernel * quantized.kernel_scales.astype(np.float64)

    def patch(maps):
        padded = np.pad(maps.mean(0), ((1, 1), (1, 1), (0, 0)))
        taps = [padded[y : y + 16, x : x + 16] for y in range(3) for x in range(3)]
        return np.array([tap.mean((0, 1)) for tap in taps]).reshape(3, 3, 3)

    expected = np.tensordot(patch(exact), kernel, 3) - np.tensordot(patch(pixels), rounded, 3)
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(corrections["block1_conv1"], expected, atol=1e-5)


def test_all_corrected_the_logits_have_their_mean_again(
    tiny, tiny_weights, images, ranges, corrections, numpy_network
):
    activations = ranges.quantization()
    expected = numpy_network(tiny, tiny_weights, images)["predictions"].mean(0)

    def mean_logits(shifts):
        weights = {}
        for layer in tiny.weighted_layers:
            kernel, bias = (tiny_weights[tensor.name] for tensor in layer.tensors)
            bias = bias + np.float32(shifts.get(layer.name, 0))
            scale = activations[tiny.scaled_by(layer)].scale
            quantized = quantize_layer(kernel, bias, scale)
            weights[layer.kernel.name] = quantized.kernel * quantized.kernel_scales
            weights[layer.bias.name] = bias

        def after(name, values):
            return activations[name].rounded(values.astype(np.float32)).astype(np.float64)

        return numpy_network(tiny, weights, images, after)["predictions"].mean(0)

    assert np.abs(mean_logits({}) - expected).max() > 0.01
    assert np.abs(mean_logits(corrections) - expected).max() < 1e-4
