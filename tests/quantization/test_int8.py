"""Scales, zero points and integers, worked out once more by hand."""

import numpy as np
import pytest

from vggexport.quantization import int8
from vggexport.quantization.int8 import ActivationQuantization, quantize_layer

FLOAT32_STEP = 2**-24
"""Relative error of rounding to float32."""


def real(parameters: ActivationQuantization, integer: int) -> float:
    return parameters.scale * (integer - parameters.zero_point)


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0.0, 255.0, 1.0, -128),
        (-255.0, 0.0, 1.0, 127),
        (-128.0, 127.0, 1.0, 0),
        (-1.0, 3.0, 4 / 255, -64),  # -128 + 63.75
        (0.0, 51.0, 0.2, -128),
    ],
)
def test_a_range_is_mapped_onto_256_integers(low, high, scale, zero_point):
    parameters = ActivationQuantization.from_range(low, high)
    assert parameters == ActivationQuantization(float(np.float32(scale)), zero_point)


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (0.0, 65535.0, 1.0, 0),
        (-65535.0, 0.0, 1.0, 65535),
        (-1.0, 3.0, 4 / 65535, 16384),  # 16383.75
        (0.0, 0.0, 1.0, 0),
    ],
)
def test_16_bits_are_unsigned(low, high, scale, zero_point):
    parameters = ActivationQuantization.from_range(low, high, bits=16)
    assert parameters == ActivationQuantization(float(np.float32(scale)), zero_point, 16)
    assert parameters.dtype is np.uint16
    beyond = np.array([low - 1e5, high + 1e5], np.float32)
    held = np.array([-zero_point, 65535 - zero_point]) * np.float32(parameters.scale)
    assert np.array_equal(parameters.rounded(beyond), held.astype(np.float32))


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [(0.0, 254.0, 2.0), (-254.0, 2.0, 2.0), (-1.0, 127.0, 1.0), (0, 0, 1.0)],
)
def test_a_magnitude_is_mapped_onto_127_with_zero_point_0(low, high, scale):
    assert ActivationQuantization.from_magnitude(low, high) == ActivationQuantization(scale, 0)


@pytest.mark.parametrize(("low", "high"), [(2.0, 51.0), (0.0, 51.0)])
def test_a_range_above_zero_is_widened_to_it(low, high):
    assert ActivationQuantization.from_range(low, high).zero_point == -128
    assert real(ActivationQuantization.from_range(low, high), 127) == pytest.approx(51.0)


def test_a_range_below_zero_is_widened_to_it():
    parameters = ActivationQuantization.from_range(-51.0, -2.0)
    assert parameters == ActivationQuantization.from_range(-51.0, 0.0)
    assert parameters.zero_point == 127


@pytest.mark.parametrize("seed", range(20))
def test_zero_is_exact_and_both_ends_are_within_half_a_step(seed):
    random = np.random.default_rng(seed)
    low, high = -random.exponential(10.0), random.exponential(10.0)
    parameters = ActivationQuantization.from_range(low, high)
    assert -128 <= parameters.zero_point <= 127
    assert real(parameters, parameters.zero_point) == 0.0
    # Rounding the zero point moves both ends by the same half step, float32 by less than 1e-4 more.
    assert abs(real(parameters, -128) - low) <= parameters.scale * 0.5001
    assert abs(real(parameters, 127) - high) <= parameters.scale * 0.5001


def test_the_scale_is_a_float32_value():
    scale = ActivationQuantization.from_range(-0.3, 1.1).scale
    assert isinstance(scale, float)
    assert scale == float(np.float32(scale)) != (1.1 + 0.3) / 255


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (-0.0, 0.0)])
def test_an_empty_range_has_scale_one(low, high):
    parameters = ActivationQuantization.from_range(low, high)
    assert parameters == ActivationQuantization(1.0, -128)
    assert real(parameters, parameters.zero_point) == 0.0


@pytest.mark.parametrize("high", [1e-38, 1e-42, 1e-44, 5e-324])
def test_the_scale_of_any_range_is_above_zero(high):
    """Documented: a float32 value > 0. Activations of a dying layer can be as small."""
    assert ActivationQuantization.from_range(0.0, high).scale > 0


@pytest.mark.parametrize("shape", [(3, 3, 4, 6), (1, 1, 4, 6), (50, 6)])
def test_kernels_are_the_nearest_integers_and_biases_too(shape):
    random = np.random.default_rng(0)
    kernel = random.standard_normal(shape).astype(np.float32)
    kernel *= np.float32([1, 10, 100, 1e-3, 1e-6, 5])  # each channel has a scale of its own
    bias = random.standard_normal(shape[-1]).astype(np.float32)
    layer = quantize_layer(kernel, bias, 0.25)

    largest = np.abs(kernel).reshape(-1, 6).max(axis=0)
    np.testing.assert_allclose(layer.kernel_scales, largest / 127, rtol=2 * FLOAT32_STEP)
    assert layer.kernel.shape == shape
    types = [array.dtype for array in (layer.kernel, layer.kernel_scales, layer.bias)]
    assert types == [np.int8, np.float32, np.int32]
    error = np.abs(layer.kernel * layer.kernel_scales.astype(np.float64) - kernel)
    # The quotient, at most 127, is rounded to float32 first.
    assert (error <= layer.kernel_scales * (0.5 + 127 * FLOAT32_STEP)).all()
    extremes = np.abs(layer.kernel.astype(int)).reshape(-1, 6).max(axis=0)
    np.testing.assert_array_equal(extremes, 127)

    assert layer.bias_scales.dtype == np.float32
    np.testing.assert_array_equal(layer.bias_scales, np.float32(0.25) * layer.kernel_scales)
    error = np.abs(layer.bias * layer.bias_scales.astype(np.float64) - bias)
    assert (error <= 0.5 * layer.bias_scales.astype(np.float64) * (1 + 1e-9)).all()


def test_the_most_negative_weight_is_minus_127():
    kernel = np.float32([[-2.0, 0.5], [1.0, 0.25]])
    layer = quantize_layer(kernel, np.zeros(2, np.float32), 1.0)
    np.testing.assert_array_equal(layer.kernel, [[-127, 127], [64, 64]])  # 63.5 and 63.5 to even


def test_a_channel_of_zeros_has_a_usable_scale():
    kernel = np.zeros((4, 2), np.float32)
    kernel[:, 1] = 1.0
    layer = quantize_layer(kernel, np.zeros(2, np.float32), 0.5)
    np.testing.assert_array_equal(layer.kernel, [[0, 127]] * 4)
    assert (layer.kernel_scales > 0).all()
    np.testing.assert_array_equal(layer.bias, [0, 0])


def test_a_channel_of_zeros_keeps_its_bias():
    layer = quantize_layer(np.zeros((4, 1), np.float32), np.float32([0.3]), 0.5)
    restored = layer.bias[0] * float(layer.bias_scales[0])
    assert restored == pytest.approx(0.3, rel=1e-6)  # float32 scales


@pytest.mark.parametrize("bias", [1e3, -1e3, 1e9])
def test_a_bias_too_large_for_int32_widens_the_scale_of_its_channel_alone(bias):
    kernel = np.full((4, 2), 1e-6, np.float32)
    input_scale = 1e-3
    layer = quantize_layer(kernel, np.float32([bias, 1e-6]), input_scale)
    assert abs(int(layer.bias[0])) <= 2**31 - 1
    restored = layer.bias.astype(np.float64) * layer.bias_scales
    assert restored[0] == pytest.approx(bias, rel=1e-6)  # float32 scales
    assert layer.kernel_scales[0] > 1e-6 / 127 * 10
    assert layer.kernel_scales[1] == pytest.approx(1e-6 / 127, rel=1e-6)  # float32 scales


def test_the_inputs_are_left_as_they_are():
    kernel = np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32)
    bias = np.ones(3, np.float32)
    kernel.flags.writeable = bias.flags.writeable = False
    before = kernel.copy()
    quantize_layer(kernel, bias, 0.1)
    np.testing.assert_array_equal(kernel, before)


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 16, 21])
def test_rounding_in_chunks_gives_what_rounding_at_once_gives(monkeypatch, rows):
    kernel = np.random.default_rng(0).standard_normal((rows, 3)).astype(np.float32)
    bias = np.zeros(3, np.float32)
    at_once = quantize_layer(kernel, bias, 1.0)
    monkeypatch.setattr(int8, "_CHUNK_ROWS", 8)
    in_chunks = quantize_layer(kernel, bias, 1.0)
    np.testing.assert_array_equal(in_chunks.kernel, at_once.kernel)
    expected = np.rint(kernel / at_once.kernel_scales)
    np.testing.assert_array_equal(in_chunks.kernel, expected)
