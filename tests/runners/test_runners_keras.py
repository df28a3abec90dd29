"""The Keras network, run layer by layer, against the numpy network."""

import numpy as np
import pytest

from vggexport.runners.keras import KerasRunner, _tensor
from vggexport.spec import VGGSpec, parse_blocks

ROUNDING = 1e-6
"""float32 sums of at most 128 products against float64 ones, relative to the largest value."""


@pytest.fixture(scope="module")
def expected(tiny, tiny_weights, images, numpy_network) -> dict[str, np.ndarray]:
    return numpy_network(tiny, tiny_weights, images)


@pytest.mark.parametrize("given", ["uint8", "float32"])
def test_probabilities_are_those_of_the_numpy_network(tiny, tiny_weights, images, expected, given):
    with KerasRunner(tiny, tiny_weights) as runner:
        probabilities = runner.predict(images.astype(given))
    assert (probabilities.dtype, probabilities.shape) == (np.float32, (6, 5))
    np.testing.assert_allclose(probabilities, expected["probabilities"], rtol=0, atol=ROUNDING)


def test_every_layer_is_given_by_its_name_in_nhwc(tiny, tiny_weights, images, expected):
    names = [layer.name for layer in tiny.layers]
    with KerasRunner(tiny, tiny_weights) as runner:
        found = runner.activations(images, iter(names))
    assert set(found) == set(names)
    for name, values in found.items():
        limit = ROUNDING * np.abs(expected[name]).max()
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=limit, err_msg=name)


def test_only_what_is_asked_for_is_kept(tiny, tiny_weights, images):
    with KerasRunner(tiny, tiny_weights) as runner:
        assert list(runner.activations(images, ["fc1"])) == ["fc1"]


def test_weights_are_read_layer_by_layer_and_not_before(tiny, tiny_weights, images):
    reads = []

    class Recorded(dict):
        def __getitem__(self, name):
            reads.append(name)
            return super().__getitem__(name)

    with KerasRunner(tiny, Recorded(tiny_weights)) as runner:
        assert reads == []
        runner.predict(images)
    assert reads == list(tiny.tensors)


def test_running_twice_gives_the_same(tiny, tiny_weights, images):
    """No dropout, and no state."""
    with KerasRunner(tiny, tiny_weights) as runner:
        first = runner.predict(images)
        np.testing.assert_array_equal(runner.predict(images), first)


def test_what_is_returned_belongs_to_the_caller(tiny, tiny_weights, images):
    pixels = images.astype(np.float32)
    with KerasRunner(tiny, tiny_weights) as runner:
        found = runner.activations(pixels, ["mean_subtraction", "probabilities"])
    kept = {name: values.copy() for name, values in found.items()}
    pixels[:] = 0
    for name, values in found.items():
        assert values.flags.writeable
        assert values.flags.owndata
        np.testing.assert_array_equal(values, kept[name])


def test_pixels_and_weights_are_left_as_they_are(tiny, tiny_weights, images):
    weights = {name: array.copy() for name, array in tiny_weights.items()}
    pixels = images.astype(np.float32)
    before = pixels.copy()
    with KerasRunner(tiny, weights) as runner:
        runner.predict(pixels)
    np.testing.assert_array_equal(pixels, before)
    assert all(np.array_equal(weights[name], tiny_weights[name]) for name in weights)


def test_the_model_is_released_when_the_runner_is_left(tiny, tiny_weights):
    runner = KerasRunner(tiny, tiny_weights)
    with runner:
        assert runner._model is not None
    assert runner._model is None


def test_it_says_what_runs(tiny, tiny_weights):
    runner = KerasRunner(tiny, tiny_weights)
    assert (runner.provider, runner.threads) == ("CPU", 0)
    assert runner.runtime.startswith("keras 3.")
    assert " on tensorflow 2." in runner.runtime


def test_other_kernels_an_odd_map_and_another_mean(make_weights, numpy_network):
    spec = VGGSpec(
        "odd",
        parse_blocks("conv5-3 | conv1-4 conv3-5"),
        classes=3,
        fc_units=4,
        input_size=7,
        mean_rgb=(90.0, 120.5, 150.25),
    )
    weights = make_weights(spec)
    images = np.random.default_rng(5).integers(0, 256, (3, 7, 7, 3), dtype=np.uint8)
    with KerasRunner(spec, weights) as runner:
        actual = runner.predict(images)
    expected = numpy_network(spec, weights, images)["probabilities"]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("shape", [(1,), (3, 3, 3, 4), (5, 7), (128, 16)])
def test_a_tensor_has_the_arrays_values_on_memory_of_its_own(shape):
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    source = array.copy()
    tensor = _tensor(source)
    source[:] = 0
    assert tuple(tensor.shape) == shape
    np.testing.assert_array_equal(tensor.numpy(), array)


def test_a_tensor_outlives_the_arrays_around_it():
    arrays = [np.full(1000, number, np.float32) for number in range(50)]
    tensors = [_tensor(array) for array in arrays]
    del arrays
    junk = [np.full(1000, -1, np.float32) for _ in range(100)]
    assert [float(tensor[999]) for tensor in tensors] == list(range(50))
    assert len(junk) == 100
