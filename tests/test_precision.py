"""The table of precisions: what its rows must have, and how two of them compare."""

from itertools import pairwise

import pytest

from vggexport.errors import InputError
from vggexport.metrics.tolerance import Tolerance
from vggexport.precision import PROFILES, Precision, coarser, profile_of

ORDER = [
    *("float32", "float16", "dynamic-int8", "int8_a16", "int8", "int8-w4", "int8_full_integer"),
]


def test_every_precision_has_a_row_of_its_own():
    assert {key[0] for key in PROFILES if key[1:] == (False, 8)} == set(Precision)
    for key, row in PROFILES.items():
        assert (row.precision, row.full_integer, row.activation_bits) == key


def test_each_is_coarser_than_the_one_in_front_of_it():
    rows = sorted(PROFILES.values(), key=lambda row: row.coarseness)
    assert [row.name for row in rows] == ORDER
    for finer, row in pairwise(rows):
        assert coarser(finer, row) == coarser(row, finer) == row


def test_coarser_precisions_may_do_more():
    rows = [precision.profile for precision in Precision]
    for limits in ([row.own_noise for row in rows], [row.kernels for row in rows]):
        assert all(a.convolution >= b.convolution for a, b in pairwise(limits))
        assert all(a.fully_connected >= b.fully_connected for a, b in pairwise(limits))


def test_every_tolerance_has_a_reason_and_a_limit():
    for row in PROFILES.values():
        tolerances = (row.tolerance, row.on_cpu, row.on_accelerator, row.same_integers)
        for tolerance in filter(None, (*tolerances, row.against_others)):
            assert tolerance.reason
            assert tolerance != Tolerance(tolerance.reason)


def test_only_int8_is_there_without_float_operators():
    row = profile_of(Precision.INT8, full_integer=True)
    assert (row.name, row.needs_ranges, row.kernel_bits) == ("int8_full_integer", True, 8)
    for precision in set(Precision) - {Precision.INT8}:
        with pytest.raises(InputError, match=f"full integer is int8, not {precision}"):
            profile_of(precision, full_integer=True)


def test_only_int8_has_activations_of_more_bits():
    wide = profile_of(Precision.INT8, activation_bits=16)
    assert (wide.name, wide.kernel_bits, wide.cpu_dtype) == ("int8_a16", 8, "float32")
    for precision in set(Precision) - {Precision.INT8}:
        with pytest.raises(InputError, match=f"no {precision} with 16-bit activations"):
            profile_of(precision, activation_bits=16)


def test_files_without_float_operators_take_no_float_images():
    row = profile_of(Precision.INT8, full_integer=True)
    row.check_takes("uint8")
    with pytest.raises(InputError, match="full integer takes uint8 images, not float32"):
        row.check_takes("float32")
    for precision in Precision:
        precision.profile.check_takes("float32")
