import hashlib
import subprocess
import sys

import numpy as np
import pytest

from vggexport.errors import InputError, WeightsError
from vggexport.network.spec import MEAN_RGB
from vggexport.weights import SpecRequest, open_weights


def test_reads_the_native_layout_as_it_is(saved_npz, arrays, tiny):
    path = saved_npz()
    weights = open_weights(str(path), tiny)

    assert list(weights) == list(tiny.tensors)
    assert len(weights) == len(tiny.tensors)
    for name, array in weights.items():
        np.testing.assert_array_equal(array, arrays[name])
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
    assert (weights.source, weights.layout) == ("weights.npz", "native")
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights.trained
    assert weights.initialized == ()
    assert weights.mean_rgb == MEAN_RGB


def test_an_unknown_name_is_a_key_error(saved_npz, tiny):
    weights = open_weights(str(saved_npz()), tiny)
    with pytest.raises(KeyError):
        weights["block9_conv1/kernel"]
    assert "block9_conv1/kernel" not in weights


def test_reading_is_lazy(saved_npz, arrays, tiny):
    path = saved_npz({"fc1/kernel": np.full_like(arrays["fc1/kernel"], np.nan)})
    weights = open_weights(str(path), tiny)

    np.testing.assert_array_equal(weights["fc2/kernel"], arrays["fc2/kernel"])
    with pytest.raises(WeightsError, match="fc1/kernel has 2048 of 2048 values that are NaN"):
        weights["fc1/kernel"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_counts_values_that_are_not_finite(saved_npz, arrays, tiny, bad):
    broken = arrays["fc2/bias"].copy()
    broken[[3, 5]] = bad
    weights = open_weights(str(saved_npz({"fc2/bias": broken})), tiny)
    with pytest.raises(WeightsError, match=r"weights\.npz: fc2/bias has 2 of 16 values"):
        weights["fc2/bias"]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_converts_other_floats(saved_npz, arrays, tiny, dtype):
    changes = {name: array.astype(dtype) for name, array in arrays.items()}
    weights = open_weights(str(saved_npz(changes)), tiny)
    for name, array in weights.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, changes[name].astype(np.float32))


def test_a_double_too_large_for_float32_is_reported(saved_npz, arrays, tiny):
    huge = arrays["fc2/bias"].astype(np.float64)
    huge[0] = 1e300
    weights = open_weights(str(saved_npz({"fc2/bias": huge})), tiny)
    with pytest.raises(WeightsError, match="fc2/bias has 1 of 16 values"):
        weights["fc2/bias"]


def test_integers_are_refused(saved_npz, arrays, tiny):
    integers = (arrays["fc2/bias"] * 100).astype(np.int8)
    weights = open_weights(str(saved_npz({"fc2/bias": integers})), tiny)
    with pytest.raises(WeightsError, match="fc2/bias holds int8: store weights as float32"):
        weights["fc2/bias"]


def test_fortran_order_comes_out_in_c_order(saved_npz, arrays, tiny):
    kernel = arrays["fc1/kernel"]
    weights = open_weights(str(saved_npz({"fc1/kernel": np.asfortranarray(kernel)})), tiny)
    np.testing.assert_array_equal(weights["fc1/kernel"], kernel)
    assert weights["fc1/kernel"].flags.c_contiguous


def test_a_pin_that_fits_is_silent(saved_npz, tiny):
    path = saved_npz()
    pin = hashlib.sha256(path.read_bytes()).hexdigest()
    assert open_weights(str(path), tiny, sha256=pin.upper()).sha256 == pin


def test_a_pin_of_another_file_is_refused(saved_npz, tiny):
    path = saved_npz()
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match=f"{actual}.*{'0' * 64}"):
        open_weights(str(path), tiny, sha256="0" * 64)


@pytest.mark.parametrize("pin", ["", "abc", "g" * 64, "0" * 65])
def test_a_malformed_pin_is_refused(saved_npz, tiny, pin):
    with pytest.raises(WeightsError, match="64 hexadecimal digits"):
        open_weights(str(saved_npz()), tiny, sha256=pin)


def test_an_unknown_layout_is_refused(saved_npz, tiny):
    with pytest.raises(InputError, match="'caffe': choose from auto, native, keras, torchvision"):
        open_weights(str(saved_npz()), tiny, layout="caffe")


def test_importing_the_package_is_light():
    program = (
        "import sys, vggexport.weights; "
        "print(*{'h5py', 'safetensors', 'platformdirs', 'urllib.request', 'tensorflow'}"
        ".intersection(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_an_unknown_configuration_is_refused(saved_npz):
    with pytest.raises(InputError, match="'F' is not in table 1"):
        open_weights(str(saved_npz()), SpecRequest("F"))
