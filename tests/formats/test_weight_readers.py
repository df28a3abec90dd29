"""Every format in every precision gives back the weights that it was made of, in one layout."""

import numpy as np
import pytest

from vggexport.errors import ArtifactError
from vggexport.formats.model_weights import MEAN_NAME
from vggexport.formats.registry import WRITTEN
from vggexport.network.spec import MEAN_RGB
from vggexport.precision import Precision
from vggexport.quantization.int4 import BLOCK_SIZE, INT4_MAX, INT4_MIN, quantize_blocks

FLOAT32_EPSILON = 2.0**-24
"""Largest relative error of rounding to float32."""

HALF_STEP = 0.5 + 4 * 128 * FLOAT32_EPSILON
"""In steps of int8 values: the rounding to an integer, and float32's in scale, quotient and product
with a margin of one more, each relative to at most 128 steps."""

MEAN_TOLERANCE = 0.03
"""Of the int8 mean in full-integer files, in units of a pixel's 255 (``quantized_mean``)."""

FILES = [
    (name, str(precision), {}) for name, row in WRITTEN.items() for precision in row.precisions
]
FULL_INTEGER = ("tflite", "int8", {"input_dtype": "uint8", "full_integer": True})
INTEGER = {"int8", "int8-w4"}


def cases(*precisions):
    chosen = [case for case in (*FILES, FULL_INTEGER) if case[1] in precisions]
    return pytest.mark.parametrize(
        ("name", "precision", "options"),
        chosen,
        ids=["-".join((case[0], case[1], *case[2])) for case in chosen],
    )


@pytest.fixture
def read(export, extract):
    return lambda name, precision, options: extract(name, export(precision, format=name, **options))


def convolutions(spec):
    return [layer for layer in spec.weighted_layers if len(layer.kernel.shape) == 4]


def fully_connected(spec):
    return [layer for layer in spec.weighted_layers if len(layer.kernel.shape) == 2]


def assert_within(found, expected, bound):
    assert found.shape == expected.shape
    assert (np.abs(found.astype(np.float64) - expected) <= bound).all()


def test_every_format_that_is_written_is_read():
    assert all(row.weight_reader for row in WRITTEN.values())


@cases(*Precision)
def test_names_in_order_and_arrays_of_the_readers_own(read, tiny, name, precision, options):
    weights = read(name, precision, options)
    assert weights.artifact.spec == tiny
    assert weights.names == tuple(weights) == (MEAN_NAME, *tiny.tensors)
    assert len(weights) == 13
    for key in weights:
        array = weights[key]
        assert array.dtype == np.float32
        assert array.shape == ((3,) if key == MEAN_NAME else tiny.tensors[key].shape)
        assert array.flags.c_contiguous
        array[:] = 0  # neither the file nor the next reader sees it
        assert weights[key].any()


def test_only_names_of_the_network(read):
    weights = read("onnx", "float32", {})
    assert "fc1/kernel" in weights
    assert "fc3/kernel" not in weights
    with pytest.raises(KeyError):
        weights["fc3/kernel"]


@cases("float32")
def test_float32_bit_by_bit(read, tiny_weights, differing, name, precision, options):
    assert not differing(read(name, precision, options), tiny_weights)


@cases("float16")
def test_float16_within_half_a_unit_in_the_last_place(read, tiny_weights, name, precision, options):
    weights = read(name, precision, options)
    for key, expected in tiny_weights.items():
        unit = np.spacing(np.abs(weights[key]).astype(np.float16)).astype(np.float64)
        assert_within(weights[key], expected, unit / 2)
        assert (weights[key] != expected).any()  # it was float16


def assert_int8_kernel(found, expected):
    """Each output's largest magnitude is 127 steps; nearest integers are half a step off at most.

    No bias of the tiny network widens a step.
    """
    steps = np.abs(expected).max(axis=tuple(range(expected.ndim - 1))) / 127
    assert_within(found, expected, steps * HALF_STEP)
    assert (found != expected).any()


@cases("dynamic-int8")
def test_dynamic_int8_kernels_within_half_a_step(
    read, tiny, tiny_weights, name, precision, options
):
    weights = read(name, precision, options)
    for layer in tiny.weighted_layers:
        assert_int8_kernel(weights[layer.kernel.name], tiny_weights[layer.kernel.name])
        assert weights[layer.bias.name].tobytes() == tiny_weights[layer.bias.name].tobytes()


@cases(*INTEGER)
def test_int8_layers_within_half_a_step(read, tiny, tiny_weights, ranges, name, precision, options):
    weights = read(name, precision, options)
    input_name = "mean_subtraction"
    for layer in tiny.weighted_layers if precision == "int8" else convolutions(tiny):
        kernel, bias = tiny_weights[layer.kernel.name], tiny_weights[layer.bias.name]
        assert_int8_kernel(weights[layer.kernel.name], kernel)
        # A bias counts in products of both scales; it is many of them, so that float32's rounding
        # of the result, of its scale and of the two scales in that is relative to its own size.
        kernel_steps = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1))) / 127
        steps = kernel_steps * ranges.quantization()[input_name].scale
        bound = steps / 2 + 4 * FLOAT32_EPSILON * np.abs(bias)
        assert_within(weights[layer.bias.name], bias, bound)
        assert (weights[layer.bias.name] != bias).any()
        input_name = layer.name


@cases("int8-w4")
def test_int4_kernels_within_half_a_step_of_what_is_not_clipped(
    read, tiny, tiny_weights, name, precision, options
):
    weights = read(name, precision, options)
    for layer in fully_connected(tiny):
        expected = tiny_weights[layer.kernel.name]
        _, scales = quantize_blocks(expected)
        steps = np.repeat(scales.astype(np.float64), BLOCK_SIZE, axis=0)
        clipped = np.clip(expected, INT4_MIN * steps, INT4_MAX * steps)
        assert_within(weights[layer.kernel.name], clipped, steps * HALF_STEP)
        assert (weights[layer.kernel.name] != expected).any()
        assert weights[layer.bias.name].tobytes() == tiny_weights[layer.bias.name].tobytes()


@cases("int8-w4", "int8")
def test_integers_are_read_alike_from_all_formats(read, tiny, name, precision, options):
    weights, others = read(name, precision, options), read("onnx", precision, {})
    for key in tiny.tensors:
        assert weights[key].tobytes() == others[key].tobytes()


@cases(*Precision)
def test_the_mean(read, name, precision, options):
    mean = read(name, precision, options)[MEAN_NAME]
    if options:
        assert_within(mean, np.asarray(MEAN_RGB), MEAN_TOLERANCE)
    else:
        assert mean.tolist() == np.asarray(MEAN_RGB, np.float32).tolist()


@pytest.mark.parametrize("name", WRITTEN)
def test_the_twins_as_they_are(twin_file, twin_weights, extract, differing, name):
    assert not differing(extract(name, twin_file(name)), twin_weights[1])


@pytest.mark.parametrize("name", WRITTEN)
def test_nothing_there(extract, tmp_path, name):
    with pytest.raises(ArtifactError, match="nothing"):
        extract(name, tmp_path / "nothing")
