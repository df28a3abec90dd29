"""LiteRT behind the runner interface."""

import errno
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from vggexport.errors import ArtifactError, Unfinished
from vggexport.formats.tflite import runner as tflite_runner
from vggexport.formats.tflite.file_reader import TfliteFile
from vggexport.formats.tflite.runner import TfliteRunner
from vggexport.metrics.parity import sqnr_db
from vggexport.system.process import usable_cores

PRECISIONS = ["float32", "float16", "dynamic-int8", "int8", "int8-w4"]
MIN_SQNR_DB = {
    "float32": 120,  # float32 sums of at most 128 products: 2**-24 of the result for each
    "float16": 55,  # 11 bits a weight are 71 dB; the errors of six layers add up
    "dynamic-int8": 30,  # 8 bits of weights and activations
    "int8": 30,  # the same
    "int8-w4": 12,  # 4 bits a weight in the fully connected layers
}
"""Of each layer, against the numpy network on the float32 weights. Axes in another order, a layer
beside the right one or a wrong scale give less than 10 dB."""


@pytest.fixture
def full_integer(tflite) -> Path:
    return tflite("int8", "uint8", None, full_integer=True)


def open_it(path: Path) -> None:
    with TfliteRunner(path):
        pass


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
@pytest.mark.parametrize("given", ["float32", "uint8"])
def test_pixels_of_either_type_give_the_same_probabilities(
    tflite, images, expected, input_dtype, given
):
    with TfliteRunner(tflite("float32", input_dtype)) as runner:
        probabilities = runner.predict(images.astype(given))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected["probabilities"], rtol=0, atol=1e-6)


def test_float_pixels_near_a_whole_number_are_that_number_to_a_uint8_file(tflite, images):
    below = np.clip(images.astype(np.float32) - 1e-4, 0, 255)
    with TfliteRunner(tflite("int8", "uint8")) as runner:
        np.testing.assert_array_equal(runner.predict(below), runner.predict(images))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_layer_has_its_values_nhwc(tflite, images, tiny, names, expected, precision):
    with TfliteRunner(tflite(precision)) as runner:
        found = runner.activations(images, names)
    assert list(found) == names
    for name, values in found.items():
        assert (values.dtype, values.shape) == (np.float32, (6, *tiny.layer(name).output_shape))
        assert sqnr_db(expected[name], values) > MIN_SQNR_DB[precision], name


def test_every_layer_of_a_full_integer_file_has_its_values(
    full_integer, images, tiny, names, expected
):
    with TfliteRunner(full_integer) as runner:
        found = runner.activations(images, names)
    for name, values in found.items():
        assert (values.dtype, values.shape) == (np.float32, (6, *tiny.layer(name).output_shape))
        # 28 dB: the logits are in steps of int8 here, and the probabilities of 1/256.
        assert sqnr_db(expected[name], values) > 25, name


def test_layers_that_are_not_near_each_other_would_be_told_apart(expected):
    """The measure above, on the pooling beside the right one and on rows in CHW order."""
    pooled = expected["block1_conv2"][:, 1::2, 1::2]
    assert sqnr_db(expected["block1_pool"], pooled) < 10
    chw = expected["block2_pool"].transpose(0, 3, 1, 2).reshape(6, -1)
    assert sqnr_db(expected["flatten"], chw) < 10


@pytest.mark.parametrize("precision", PRECISIONS)
def test_reading_layers_does_not_change_what_is_computed(tflite, images, names, precision):
    with TfliteRunner(tflite(precision)) as runner:
        before = runner.predict(images)
        read = runner.activations(images, names)
        np.testing.assert_array_equal(read["probabilities"], before)
        np.testing.assert_array_equal(runner.predict(images), before)
        for name in names:
            np.testing.assert_array_equal(runner.activations(images, [name])[name], read[name])


def test_layers_of_integers_are_multiples_of_their_scales(tflite, images):
    path = tflite("int8")
    scales = {t.name: t.scales[0] for t in TfliteFile(path).tensors if len(t.scales) == 1}
    tensors = {"mean_subtraction": "mean_subtraction/int8", "fc1": "fc1", "flatten": "flatten"}
    with TfliteRunner(path) as runner:
        found = runner.activations(images, tensors)
    for name, tensor in tensors.items():
        steps = found[name] / scales[tensor]
        np.testing.assert_allclose(steps, np.rint(steps), rtol=0, atol=1e-4)
        assert 50 < len(np.unique(np.rint(steps))) <= 256


def test_what_is_returned_belongs_to_the_caller(tflite, images, names):
    with TfliteRunner(tflite()) as runner:
        first = runner.predict(images)
        activations = runner.activations(images, names)
        kept = first.copy(), {name: values.copy() for name, values in activations.items()}
        assert not np.array_equal(runner.predict(255 - images), first)
        runner.activations(255 - images, names)
    np.testing.assert_array_equal(first, kept[0])
    for name, values in activations.items():
        np.testing.assert_array_equal(values, kept[1][name])
        values[:] = -1  # it can be written
    first[:] = 0


def test_the_images_are_left_as_they_are_and_need_not_be_contiguous(tflite, images):
    before = images.copy()
    turned = images[::-1, :, ::-1]
    with TfliteRunner(tflite("float32", "uint8")) as runner:
        found = runner.predict(turned)
        np.testing.assert_array_equal(found, runner.predict(np.ascontiguousarray(turned)))
    np.testing.assert_array_equal(images, before)


def test_any_number_of_images_one_after_the_other(tflite, images, expected):
    with TfliteRunner(tflite()) as runner:
        for count in (1, 6, 2, 2, 5):
            found = runner.predict(images[:count])
            np.testing.assert_allclose(found, expected["probabilities"][:count], rtol=0, atol=1e-6)
        assert runner.activations(images[:3], ["fc1"])["fc1"].shape == (3, 64)
        assert runner.predict(images).shape == (6, 5)


@pytest.mark.parametrize("full", [False, True])
def test_another_batch_than_the_files_is_refused_in_one_line(tflite, images, full):
    with TfliteRunner(tflite("int8", "uint8", 3, full_integer=full)) as runner:
        assert runner.predict(images[:3]).shape == (3, 5)
        with pytest.raises(ArtifactError, match=r"takes images of shape \(3, 16, 16, 3\), not \(2"):
            runner.predict(images[:2])
        assert runner.predict(images[3:]).shape == (3, 5)


@pytest.mark.parametrize(
    "shape",
    [(2, 32, 32, 3), (1, 32, 32, 3), (2, 8, 16, 3), (2, 16, 16, 1), (16, 16, 3), (2, 3, 16, 16)],
    ids=str,
)
def test_images_of_another_shape_are_refused_and_change_nothing(tflite, images, expected, shape):
    """LiteRT itself takes 32 pixels for 16: flattened, an image would count as four."""
    with TfliteRunner(tflite("float32", "uint8")) as runner:
        with pytest.raises(ArtifactError) as raised:
            runner.predict(np.zeros(shape, np.uint8))
        assert str(raised.value).endswith(f"takes images of shape (batch, 16, 16, 3), not {shape}")
        np.testing.assert_allclose(
            runner.predict(images), expected["probabilities"], rtol=0, atol=1e-6
        )


@pytest.mark.parametrize(
    "unknown", ["fc9", "images", "fc1/kernel", "mean_subtraction/int8", "fc2/int16", "fc2/float32"]
)
def test_what_is_no_layer_is_refused_with_those_that_are(tflite, images, names, unknown):
    with TfliteRunner(tflite("int8")) as runner:
        with pytest.raises(ArtifactError, match=f"has no layer {unknown}: it has") as raised:
            runner.activations(images, ["fc1", unknown])
        assert str(raised.value).endswith(", ".join(names))
        assert "\n" not in str(raised.value)
        assert runner.predict(images).shape == (6, 5)


def test_no_layers_asked_for_give_none(tflite, images):
    with TfliteRunner(tflite()) as runner:
        assert runner.activations(images, []) == {}
        assert runner.activations(images, iter(())) == {}


def test_only_the_probabilities_need_no_copy(tflite, images, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryDirectory", None)
    with TfliteRunner(tflite("int8")) as runner:
        assert list(runner.activations(images, ["probabilities"])) == ["probabilities"]


def test_layers_once_read_need_no_further_copy(tflite, images, monkeypatch):
    with TfliteRunner(tflite("int8")) as runner:
        runner.activations(images, ["fc1", "fc2"])
        monkeypatch.setattr(tempfile, "TemporaryDirectory", None)
        assert list(runner.activations(images, ["fc2", "probabilities"])) == [
            "fc2", "probabilities",
        ]  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_copy_is_gone_and_the_file_is_unchanged(tflite, images, names, temporary, precision):
    path = tflite(precision)
    before = path.read_bytes(), sorted(path.parent.iterdir())
    with TfliteRunner(path) as runner:
        runner.activations(images, names)
        assert list(temporary.iterdir()) == []
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before


def test_a_full_disk_is_told_and_leaves_the_runner_as_it_was(
    tflite, images, monkeypatch, temporary
):
    def full(_source, _target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with TfliteRunner(tflite()) as runner:
        expected = runner.predict(images)
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "copyfile", full)
            with pytest.raises(Unfinished, match=r"no room in .*: No space left"):
                runner.activations(images, ["fc1"])
        np.testing.assert_array_equal(runner.predict(images), expected)
        assert runner.activations(images, ["fc1"])["fc1"].shape == (6, 64)
    assert list(temporary.iterdir()) == []


class Recorded(tflite_runner.Interpreter):
    """LiteRT's interpreter, which tells how it was made."""

    made: list = []  # noqa: RUF012  emptied by the fixture

    def __init__(self, path, **options):
        self.made.append(options)
        super().__init__(path, **options)


@pytest.fixture
def made(monkeypatch) -> list:
    monkeypatch.setattr(Recorded, "made", [])
    monkeypatch.setattr(tflite_runner, "Interpreter", Recorded)
    return Recorded.made


@pytest.mark.parametrize(("threads", "given"), [(1, 1), (2, 2), (0, usable_cores())])
def test_threads_are_passed_on_also_to_the_copy(tflite, images, made, threads, given):
    with TfliteRunner(tflite(), threads=threads) as runner:
        assert runner.threads == threads
        runner.activations(images, ["fc1"])
    assert made == [{"num_threads": given}] * 2


def test_there_is_never_more_than_one_interpreter(tflite, images, monkeypatch):
    held = []

    class Counting(tflite_runner.Interpreter):
        def __init__(self, path, **options):
            held.append(runner._interpreter)
            super().__init__(path, **options)

    monkeypatch.setattr(tflite_runner, "Interpreter", Counting)
    runner = TfliteRunner(tflite())
    with runner:
        runner.activations(images, ["fc1"])
        runner.activations(images, ["fc2"])
    assert held == [None] * 3


def test_it_says_what_runs(tflite):
    runner = TfliteRunner(tflite())
    assert runner.runtime == f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"
    assert runner.provider == "CPU (XNNPACK)"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_nothing_is_printed(tflite, images, names, precision, capfd):
    with TfliteRunner(tflite(precision)) as runner:
        runner.predict(images)
        runner.predict(images[:2])
        runner.activations(images, names)
        with pytest.raises(ArtifactError):
            runner.predict(images[0])
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed_by_the_first_file_of_a_process(tflite):
    """LiteRT tells once a process which delegate it took."""
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from vggexport.formats.tflite.runner import TfliteRunner\n"
        "with TfliteRunner(Path(sys.argv[1])) as runner:\n"
        "    runner.activations(np.zeros((2, 16, 16, 3), np.uint8), ['fc1', 'probabilities'])\n"
    )
    command = [sys.executable, "-c", code, str(tflite())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_it_can_be_entered_again_and_holds_nothing_outside(tflite, images):
    runner = TfliteRunner(tflite())
    with runner:
        first = runner.activations(images, ["fc1", "probabilities"])
    assert runner._interpreter is None
    with runner:
        np.testing.assert_array_equal(runner.predict(images), first["probabilities"])
        np.testing.assert_array_equal(runner.activations(images, ["fc1"])["fc1"], first["fc1"])
    with pytest.raises(RuntimeError, match="inside"), runner:
        raise RuntimeError("inside")
    assert runner._interpreter is None
