"""The Keras network, run layer by layer, against the numpy network."""

import subprocess
import sys

import numpy as np
import pytest

from vggexport.errors import ArtifactError
from vggexport.formats.keras import runner as runner_module
from vggexport.formats.keras.runner import KerasRunner
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks

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


@pytest.mark.parametrize("traced_macs", [0, runner_module.TRACED_MACS])
def test_every_layer_is_given_by_its_name_in_nhwc(
    tiny, tiny_weights, images, expected, traced_macs, monkeypatch
):
    monkeypatch.setattr(runner_module, "TRACED_MACS", traced_macs)
    names = [layer.name for layer in tiny.layers]
    with KerasRunner(tiny, tiny_weights) as runner:
        runner.activations(images[:1], iter(names))  # a graph is of any number of images
        found = runner.activations(images, iter(names))
    assert set(found) == set(names)
    for name, values in found.items():
        limit = ROUNDING * np.abs(expected[name]).max()
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=limit, err_msg=name)


def test_only_what_is_asked_for_is_kept(tiny, tiny_weights, images):
    with KerasRunner(tiny, tiny_weights) as runner:
        assert list(runner.activations(images, ["fc1"])) == ["fc1"]


class Recorded(dict):
    """Weights that note which of them are read."""

    def __init__(self, weights) -> None:
        super().__init__(weights)
        self.reads = []

    def __getitem__(self, name):
        self.reads.append(name)
        return super().__getitem__(name)


def test_weights_are_read_layer_by_layer_and_not_before(tiny, tiny_weights, images):
    weights = Recorded(tiny_weights)
    with KerasRunner(tiny, weights) as runner:
        assert weights.reads == []
        runner.predict(images)
    assert weights.reads == list(tiny.tensors)


@pytest.mark.parametrize(
    ("names", "reads"),
    [
        (["block1_pool", "block1_conv1"], 4),  # two kernels and two biases
        (["mean_subtraction"], 0),
        ([], 0),
    ],
    ids=str,
)
def test_nothing_is_computed_behind_the_last_layer(tiny, tiny_weights, images, names, reads):
    weights = Recorded(tiny_weights)
    with KerasRunner(tiny, weights) as runner:
        assert list(runner.activations(images, names)) == names
    assert weights.reads == list(tiny.tensors)[:reads]


def test_a_name_that_is_no_layer_is_refused_before_anything_runs(tiny, tiny_weights, images):
    weights = Recorded(tiny_weights)
    with (
        KerasRunner(tiny, weights) as runner,
        pytest.raises(ArtifactError, match="has no layer fc1_dropout, fc9: it has mean_subtr"),
    ):
        runner.activations(images, ["fc1", "fc1_dropout", "fc9"])
    assert weights.reads == []


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
        hidden=fully_connected(4, 4),
        input_size=(7, 7),
        mean_rgb=(90.0, 120.5, 150.25),
    )
    weights = make_weights(spec)
    images = np.random.default_rng(5).integers(0, 256, (3, 7, 7, 3), dtype=np.uint8)
    with KerasRunner(spec, weights) as runner:
        actual = runner.predict(images)
    expected = numpy_network(spec, weights, images)["probabilities"]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=ROUNDING)


def test_threads_are_the_processs_and_cannot_change_in_it():
    """In a process of its own: TensorFlow takes the number once."""
    code = """
import numpy as np, tensorflow as tf
from vggexport.errors import InputError
from vggexport.formats.keras.runner import KerasRunner
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks

spec = VGGSpec("tiny", parse_blocks("conv3-2"), 2, fully_connected(2, 2), (4, 4))
weights = {name: np.zeros(t.shape, np.float32) for name, t in spec.tensors.items()}
images = np.zeros((1, 4, 4, 3), np.uint8)
for threads in (1, 1, 0):
    with KerasRunner(spec, weights, threads=threads) as runner:
        print(runner.threads, *runner.predict(images)[0])
print(tf.config.threading.get_intra_op_parallelism_threads())
print(tf.config.threading.get_inter_op_parallelism_threads())
try:
    KerasRunner(spec, weights, threads=2).__enter__()
except InputError as error:
    print(error)
"""
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    *lines, refused = process.stdout.splitlines()
    assert lines == ["1 0.5 0.5", "1 0.5 0.5", "0 0.5 0.5", "1", "1"]
    assert refused.startswith("TensorFlow runs on 1 threads in this process, so it cannot run on 2")
