"""int4 in blocks: the integers, their scales, and how they are packed."""

from dataclasses import replace

import numpy as np
import pytest

from vggexport.errors import InputError
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.quantization import int4
from vggexport.quantization.int4 import BLOCK_SIZE, check_divides, pack_int4, quantize_blocks


@pytest.fixture(scope="module")
def kernel() -> np.ndarray:
    """More blocks than are rounded at a time, as normal as trained weights are."""
    random = np.random.default_rng(0)
    return (random.standard_normal((19 * BLOCK_SIZE, 7)) * 0.01).astype(np.float32)


def dequantized(integers: np.ndarray, scales: np.ndarray) -> np.ndarray:
    return integers * np.repeat(scales.astype(np.float64), BLOCK_SIZE, axis=0)


def block_errors(kernel: np.ndarray, integers: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Squared error of each block, (blocks, outputs)."""
    error = dequantized(integers, scales) - kernel
    return np.square(error).reshape(-1, BLOCK_SIZE, kernel.shape[1]).sum(axis=1)


def plain(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest weight of each block on 7, and the others rounded."""
    blocks = kernel.reshape(-1, BLOCK_SIZE, kernel.shape[1])
    scales = (np.abs(blocks).max(axis=1) / 7).astype(np.float16)
    rounded = np.rint(kernel / np.repeat(scales.astype(np.float32), BLOCK_SIZE, axis=0))
    return np.clip(rounded, -8, 7), scales


def test_integers_are_int4_and_scales_one_a_block(kernel):
    integers, scales = quantize_blocks(kernel)
    assert (integers.dtype, integers.shape) == (np.int8, kernel.shape)
    assert (scales.dtype, scales.shape) == (np.float16, (19, 7))
    assert (integers.min(), integers.max()) == (-8, 7)
    assert (scales > 0).all()
    assert np.isfinite(scales).all()


def test_a_weight_is_its_integer_times_its_blocks_scale(kernel):
    """Half a step off at most, but for the few that are clipped."""
    integers, scales = quantize_blocks(kernel)
    steps = np.abs(dequantized(integers, scales) - kernel)
    steps /= np.repeat(scales.astype(np.float64), BLOCK_SIZE, axis=0)
    clipped = (integers == -8) | (integers == 7)
    assert steps[~clipped].max() <= 0.5 + 1e-6  # the quotient is float32
    assert steps.max() <= 10 - 7 + 1e-3  # the largest of REACHES, in float16 scales
    assert np.mean(clipped) < 0.1


def test_the_product_with_activations_is_that_of_the_dequantized_kernel(kernel):
    """Integers per block first, then scales, as the kernels of the runtimes compute it."""
    integers, scales = quantize_blocks(kernel)
    x = np.random.default_rng(1).standard_normal((3, len(kernel)))
    blocks = np.einsum(
        "nbi,bio->nbo", x.reshape(3, 19, BLOCK_SIZE), integers.reshape(19, BLOCK_SIZE, 7)
    )
    product = np.einsum("nbo,bo->no", blocks, scales.astype(np.float64))
    np.testing.assert_allclose(product, x @ dequantized(integers, scales), rtol=1e-12, atol=1e-14)
    exact = x @ kernel
    # 4 bits of normal weights: 20 dB and a little more.
    assert np.square(exact).sum() / np.square(product - exact).sum() > 10**1.9


def test_no_block_is_worse_than_with_its_largest_weight_on_seven(kernel):
    ours, usual = block_errors(kernel, *quantize_blocks(kernel)), block_errors(
        kernel, *plain(kernel)
    )  # fmt: skip
    assert (ours <= usual * (1 + 1e-5)).all()  # errors are compared in float32
    assert ours.sum() < 0.9 * usual.sum()


def test_the_scale_is_the_best_of_the_reaches(kernel):
    blocks = kernel.reshape(-1, BLOCK_SIZE, kernel.shape[1])
    largest = np.abs(blocks).max(axis=1)
    errors = []
    for reach in int4.REACHES:
        scales = (largest / np.float32(reach)).astype(np.float16)
        rounded = np.rint(kernel / np.repeat(scales.astype(np.float32), BLOCK_SIZE, axis=0))
        errors.append(block_errors(kernel, np.clip(rounded, -8, 7), scales))
    ours = block_errors(kernel, *quantize_blocks(kernel))
    np.testing.assert_allclose(ours, np.min(errors, axis=0), rtol=1e-5)


def test_the_number_of_blocks_at_a_time_changes_nothing(kernel, monkeypatch):
    expected = quantize_blocks(kernel)
    for number in (1, 3, 100):
        monkeypatch.setattr(int4, "_BLOCKS_AT_A_TIME", number)
        for found, array in zip(quantize_blocks(kernel), expected, strict=True):
            np.testing.assert_array_equal(found, array)


def test_the_kernel_is_left_as_it_is_and_may_be_read_only(kernel):
    copy = kernel.copy()
    copy.flags.writeable = False
    quantize_blocks(copy)
    np.testing.assert_array_equal(copy, kernel)


def test_blocks_of_one_output_do_not_touch_those_of_another(kernel):
    wide = kernel.copy()
    wide[:, 2] *= 1000
    integers, scales = quantize_blocks(kernel)
    other_integers, other_scales = quantize_blocks(wide)
    rest = [index for index in range(7) if index != 2]
    np.testing.assert_array_equal(other_integers[:, rest], integers[:, rest])
    np.testing.assert_array_equal(other_scales[:, rest], scales[:, rest])


def test_zeros_are_zeros_with_a_usable_scale():
    kernel = np.zeros((2 * BLOCK_SIZE, 3), np.float32)
    kernel[BLOCK_SIZE:, 1] = 1
    integers, scales = quantize_blocks(kernel)
    assert (scales > 0).all()
    np.testing.assert_array_equal(integers[:BLOCK_SIZE], 0)
    np.testing.assert_array_equal(integers[:, [0, 2]], 0)
    np.testing.assert_allclose(dequantized(integers, scales), kernel, rtol=1e-3)  # float16 scales


@pytest.mark.parametrize("size", [1e-6, 1e-5, 1e-4, 1e-2, 1.0, 1e3, 1e5])
def test_weights_of_any_size_that_float16_scales_reach_round_alike(kernel, size):
    """From 1e-6, where a scale has two bits left, to 7 times the largest float16."""
    sized = (kernel * np.float32(size / kernel.std())).astype(np.float32)
    errors = block_errors(sized, *quantize_blocks(sized))
    relative = errors.sum() / np.square(sized.astype(np.float64)).sum()
    assert relative < 10**-1.9 if size > 1e-6 else relative < 10**-1.3


@pytest.mark.parametrize("size", [1e6, 1e15, 1e20, 1e30])
def test_huge_weights_have_the_largest_scale_and_no_warning(kernel, size):
    """Also where the squared error is out of float32's range."""
    huge = (np.sign(kernel) * np.float32(size)).astype(np.float32)
    integers, scales = quantize_blocks(huge)
    np.testing.assert_array_equal(scales, np.finfo(np.float16).max)
    np.testing.assert_array_equal(integers, np.where(huge > 0, 7, -8))


@pytest.mark.parametrize("inputs", [1, 63, 65, 100])
def test_inputs_that_do_not_divide_are_refused(inputs):
    with pytest.raises(ValueError, match=f"{inputs} inputs do not divide into blocks of 64"):
        quantize_blocks(np.zeros((inputs, 2), np.float32))


def test_two_values_are_packed_a_byte_the_first_in_the_low_half():
    integers = np.int8([1, 2, -1, -8, 7, 0])
    np.testing.assert_array_equal(pack_int4(integers), np.uint8([0x21, 0x8F, 0x07]))


def test_an_odd_count_ends_in_an_empty_half():
    packed = pack_int4(np.int8([-1, 3, -2]))
    assert packed.dtype == np.uint8
    np.testing.assert_array_equal(packed, np.uint8([0x3F, 0x0E]))
    np.testing.assert_array_equal(pack_int4(np.int8([-8])), np.uint8([0x08]))
    assert pack_int4(np.empty(0, np.int8)).shape == (0,)


def test_values_are_packed_in_c_order_whatever_their_order_in_memory():
    integers = np.random.default_rng(0).integers(-8, 8, (6, 5), dtype=np.int8)
    expected = pack_int4(np.ascontiguousarray(integers.T))
    np.testing.assert_array_equal(pack_int4(integers.T), expected)
    low, high = expected & 0xF, expected >> 4
    restored = np.stack([low, high], axis=1).reshape(5, 6).astype(np.int8)
    np.testing.assert_array_equal((restored ^ 8) - 8, integers.T)


def test_vgg_divides_and_so_does_the_tiny_network(tiny):
    for configuration in "ABCDE":
        check_divides(VGGSpec.named(configuration))
    check_divides(tiny)


@pytest.mark.parametrize(
    ("changes", "layer", "inputs"),
    [({"hidden": fully_connected(100, 100)}, "fc2", 100), ({"input_size": (12, 12)}, "fc1", 72)],
)
def test_a_network_that_does_not_divide_is_told_what_to_choose(tiny, changes, layer, inputs):
    with pytest.raises(InputError) as raised:
        check_divides(replace(tiny, **changes))
    assert str(raised.value) == (
        f"int4 weights need a multiple of 64 inputs in each fully connected layer, {layer} has "
        f"{inputs}: choose other fc_units, or quantize to int8"
    )
