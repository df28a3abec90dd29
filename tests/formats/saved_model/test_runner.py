"""SavedModel directories behind the runner interface: ours, foreign ones and damaged ones."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from vggexport.errors import ArtifactError
from vggexport.formats.saved_model.graph import read_graph
from vggexport.formats.saved_model.runner import SavedModelRunner

ROUNDING = 1e-6
"""float32 sums of at most 128 products against float64 ones, relative to the largest value."""

DATA = "variables/variables.data-00000-of-00001"
INDEX = "variables/variables.index"


@pytest.fixture
def runner(directory):
    with SavedModelRunner(directory("uint8"), threads=1) as runner:
        yield runner


@pytest.fixture(scope="module")
def expected(tiny, tiny_weights, images, numpy_network):
    return numpy_network(tiny, tiny_weights, images)


def open_it(path):
    with SavedModelRunner(path):
        pass


@pytest.mark.parametrize("batch", [None, 6])
@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
@pytest.mark.parametrize("given", ["float32", "uint8"])
def test_pixels_of_either_type_give_the_same_probabilities(
    directory, images, expected, input_dtype, given, batch
):
    with SavedModelRunner(directory(input_dtype, batch)) as runner:
        probabilities = runner.predict(images.astype(given))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected["probabilities"], rtol=0, atol=ROUNDING)


def test_pixels_that_are_not_whole_are_rounded_for_uint8(runner, images):
    """Not cut off: 99.9999 is 100."""
    nearly = np.maximum(images.astype(np.float32) - 0.001, 0)
    np.testing.assert_array_equal(runner.predict(nearly), runner.predict(images))


def test_every_layer_is_given_by_its_name_in_nhwc(runner, tiny, images, expected):
    names = [layer.name for layer in tiny.layers]
    found = runner.activations(images, iter(names))
    assert list(found) == names
    for name, values in found.items():
        limit = ROUNDING * np.abs(expected[name]).max()
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=limit, err_msg=name)


def test_activations_come_in_the_order_asked_for(runner, images):
    names = ["probabilities", "fc1", "block1_pool"]
    found = runner.activations(images, names)
    assert list(found) == names
    np.testing.assert_allclose(found["probabilities"], runner.predict(images), atol=ROUNDING)
    assert runner.activations(images, []) == {}


def test_what_is_returned_belongs_to_the_caller(directory, images):
    pixels = images.astype(np.float32)
    names = ("mean_subtraction", "flatten", "probabilities")
    with SavedModelRunner(directory()) as runner:
        found = runner.activations(pixels, names)
        kept = {name: values.copy() for name, values in found.items()}
        pixels[:] = 255 - pixels
        other = runner.predict(pixels)
        other[:] = -1
    assert not np.array_equal(kept["probabilities"], other)
    for name, values in found.items():
        assert values.flags.writeable
        np.testing.assert_array_equal(values, kept[name])


def test_the_images_are_left_as_they_are(directory, images):
    pixels = images.astype(np.float32)
    with SavedModelRunner(directory()) as runner:
        runner.predict(pixels)
    np.testing.assert_array_equal(pixels, images)


def test_images_that_are_not_contiguous_are_taken_as_they_look(runner, images):
    turned = images[::-1, :, ::-1]
    np.testing.assert_array_equal(
        runner.predict(turned), runner.predict(np.ascontiguousarray(turned))
    )


def test_it_says_what_really_runs(directory):
    with SavedModelRunner(directory(), threads=3) as runner:
        assert (runner.provider, runner.threads) == ("CPU", 3)
        assert runner.runtime == f"tensorflow {tf.__version__}"
        options = runner._session._config
    assert options.intra_op_parallelism_threads == options.inter_op_parallelism_threads == 3
    assert options.use_per_session_threads
    assert options.device_count["GPU"] == 0


THREADS = """
import os, sys
import numpy as np
from pathlib import Path
from vggexport.formats.registry import load_runner

def threads():
    return len(os.listdir("/proc/self/task"))

runner = load_runner("savedmodel")
from vggexport.formats.keras.model import start_tensorflow
start_tensorflow()
images = np.zeros((2, 16, 16, 3), np.uint8)
with runner(Path(sys.argv[1]), threads=1) as first:
    first.predict(images)
counts = [threads()]
for number in (3, 6):
    with runner(Path(sys.argv[1]), threads=number) as opened:
        opened.predict(images)
        counts.append(threads())
    del opened
counts.append(threads())
print(*counts)
"""


def test_each_runner_has_threads_of_its_own_and_nothing_is_printed(directory):
    """Without TF_OVERRIDE_GLOBAL_THREADPOOL the later ones compute on the threads of the first."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", THREADS, str(directory())],
        env={k: v for k, v in os.environ.items() if k != "TF_OVERRIDE_GLOBAL_THREADPOOL"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    base, three, six, after = map(int, done.stdout.split())
    assert (three - base, six - base) == (2 * 3, 2 * 6)  # in operators, and for operators
    assert after == base


def test_the_session_is_released_when_it_is_left_even_by_an_error(directory):
    runner = SavedModelRunner(directory())
    with pytest.raises(RuntimeError, match="inside"), runner:
        raise RuntimeError("inside")
    assert runner._session is None


def test_the_newest_version_in_tensorflow_servings_layout_is_taken(directory, tmp_path, images):
    for version in ("2", "10"):
        shutil.copytree(directory(), tmp_path / "net" / version)
    (tmp_path / "net" / "2" / "saved_model.pb").write_bytes(b"older")
    with SavedModelRunner(tmp_path / "net") as runner:
        assert runner.predict(images).shape == (6, 5)


def test_a_directory_with_more_than_versions_is_none(directory, tmp_path):
    shutil.copytree(directory(), tmp_path / "net" / "1")
    (tmp_path / "net" / "notes").mkdir()
    with pytest.raises(ArtifactError, match=r"saved_model\.pb: No such file"):
        open_it(tmp_path / "net")


@pytest.mark.parametrize("shape", [(2, 8, 16, 3), (2, 16, 16, 1), (16, 16, 3)], ids=str)
def test_images_of_another_shape_are_refused_in_one_line(runner, shape):
    with pytest.raises(ArtifactError, match=r"it takes \(None, 16, 16, 3\)") as raised:
        runner.predict(np.zeros(shape, np.uint8))
    assert "\n" not in str(raised.value)


def test_another_batch_than_the_files_is_refused_in_one_line(directory, images):
    with SavedModelRunner(directory("uint8", 2)) as runner:
        assert runner.predict(images[:2]).shape == (2, 5)
        with pytest.raises(ArtifactError, match=r"shape \(3, 16, 16, 3\): it takes \(2, 16"):
            runner.predict(images[:3])


def test_a_layer_that_the_file_does_not_have_is_refused(runner, images):
    with pytest.raises(ArtifactError, match=r"has no layer fc8, fc9$"):
        runner.activations(images, ["fc1", "fc8", "fc9"])


# What is damaged


# What is foreign


def test_reading_the_graph_reads_no_variables(copy):
    shutil.rmtree(copy / "variables")
    assert "serving_default" in read_graph(copy).signature_def
