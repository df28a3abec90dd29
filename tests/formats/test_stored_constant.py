"""The arithmetic of stored constants."""

import numpy as np
import pytest

from vggexport.formats.stored_constant import Constant, in_blocks, unpack_int4


def integers():
    return np.arange(-3, 3, dtype=np.int8).reshape(2, 3)


def test_a_scale_for_each_index_of_an_axis():
    scales, zeros = np.float32([1, 10, 100]), np.zeros(3, np.int8)
    constant = Constant.per_channel(integers(), scales, zeros, axis=1)
    assert constant.real().tolist() == [[-3, -20, -100], [0, 10, 200]]
    assert constant.transpose(1, 0).real().tolist() == [[-3, 0], [-20, 10], [-100, 200]]
    assert constant.rows(np.asarray([1, 0])).real().tolist() == [[0, 10, 200], [-3, -20, -100]]


def test_rows_take_their_scales_with_them():
    constant = Constant.per_channel(integers(), np.float32([1, 10]), np.zeros(0), axis=0)
    assert constant.rows(np.asarray([1, 0])).real().tolist() == [[0, 10, 20], [-3, -2, -1]]


@pytest.mark.parametrize("order", [[0], [2, 1, 0]])
def test_other_rows_than_there_are(order):
    with pytest.raises(ValueError, match="2 rows"):
        Constant(integers()).rows(np.asarray(order))


def test_one_scale_and_a_zero_point():
    constant = Constant.per_channel(integers(), np.float32([2]), np.int8([-3]), axis=1)
    assert constant.real().tolist() == [[0, 2, 4], [6, 8, 10]]


def test_large_integers_are_not_rounded_before_they_are_scaled():
    """2**31 - 1 is no float32: rounded first, it would give 1."""
    value = np.asarray([2**31 - 1], np.int32)
    real = Constant(value, np.float64([2.0**-31]), zero_point=2**31 - 2).real()
    assert real.dtype == np.float32
    assert real.tolist() == [2.0**-31]


@pytest.mark.parametrize(
    ("scales", "zero_points"), [([1, 2], [0, 0]), ([1, 2, 3], [0, 0, 1]), ([], [])]
)
def test_parameters_that_do_not_fit(scales, zero_points):
    with pytest.raises(ValueError, match=r"reshape|zero points"):
        Constant.per_channel(integers(), np.float32(scales), np.int8(zero_points), axis=1)


def test_floats_are_a_view_of_the_file_where_they_can_be():
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.shares_memory(Constant(values).real(), values)
    halves = Constant(values.astype(np.float16)).real()
    assert halves.dtype == np.float32
    assert halves.tolist() == values.tolist()


def test_the_lower_half_comes_first():
    assert unpack_int4(np.asarray([[0x21, 0xF0]], np.uint8)).tolist() == [1, 2, 0, 15]


def test_blocks_along_the_inputs():
    """Two outputs of four inputs, two to a block; 8 stands for 0."""
    halves = np.asarray([9, 10, 7, 8, 8, 15, 0, 8], np.uint8)
    kernel = in_blocks(halves, np.float32([[1, 10], [100, 1000]]), size=2)
    assert kernel.T.tolist() == [[1, 2, -10, 0], [0, 700, -8000, 0]]


def test_blocks_that_do_not_fill_the_kernel():
    with pytest.raises(ValueError, match="reshape"):
        in_blocks(np.zeros(8, np.uint8), np.ones((2, 2), np.float32), size=3)
