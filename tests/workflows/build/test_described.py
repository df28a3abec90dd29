"""Files of networks that a Keras file describes, held to that network itself."""

import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import vggexport
from vggexport.errors import InputError
from vggexport.network.head import HeadActivation
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.network import NetworkOptions, open_network
from vggexport.opening.reference import reference_runner
from vggexport.precision import Precision
from vggexport.system.progress import Progress, Steps
from vggexport.weights.keras.network import read_network
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.verify.options import VerifyOptions

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras under numpy 2

FEW = CalibrationOptions(samples=4)
SHAPE = (12, 8, 3)
ONNX = FileOptions("onnx", Path("vgg.onnx"))
NETWORK = NetworkOptions(weights="mine.keras")


def convolution(**options):
    return layers.Conv2D(4, 3, **{"padding": "same", "activation": "relu"} | options)


def owned(front=(layers.Rescaling,)) -> keras.Model:
    members = [
        *(make(1 / 255, offset=0.1) for make in front),
        *(convolution(activation=None), layers.BatchNormalization(), layers.ReLU()),
        *(convolution(), convolution(), layers.MaxPooling2D(), convolution()),
        *(layers.GlobalAveragePooling2D(), layers.Dense(6, "relu"), layers.Dropout(0.5)),
        layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential([keras.Input(SHAPE), *members])
    random = np.random.default_rng(2)
    for variable in model.variables:
        if variable.dtype == "float32":
            scale = np.sqrt(2 / np.prod(variable.shape[:-1])) if len(variable.shape) > 1 else 0.2
            values = random.standard_normal(variable.shape) * scale
            variable.assign(1 + abs(values) if "variance" in variable.name else values + scale / 4)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> tuple[keras.Model, Path]:
    made, path = owned(), tmp_path_factory.mktemp("owned") / "mine.keras"
    made.save(path)
    return made, path


@pytest.fixture(autouse=True)
def model(saved, tmp_path, monkeypatch, any_int8_will_do) -> keras.Model:
    made, path = saved
    monkeypatch.chdir(tmp_path)
    shutil.copy(path, tmp_path)
    return made


@pytest.fixture
def misread(monkeypatch):
    """Plants a mistake in the reading of descriptions."""

    def plant(mistake):
        def wrong(*arguments, **named):
            return mistake(read_network(*arguments, **named))

        monkeypatch.setattr("vggexport.weights.files.read_network", wrong)

    return plant


def swapped(network):
    first, second, third, *others = network.tensors
    return replace(network, tensors=(first, third, second, *others))


def not_folded(network):
    """The batch normalization's offsets are lost."""
    first, second, *others = network.tensors
    return replace(network, tensors=(replace(first, bias=second.bias), second, *others))


MISTAKES = {
    "layers swapped": swapped,
    "normalization lost": not_folded,
    "rescaling ignored": lambda n: replace(n, preprocessing=None),
    "channels reversed": lambda n: replace(
        n, preprocessing=replace(n.preprocessing, order=(2, 1, 0))
    ),
    "sigmoid": lambda n: replace(n, head_activation="sigmoid"),
    "no ReLU": lambda n: replace(n, hidden=((6, False),)),
    "maximum": lambda n: replace(n, pooling="max"),
}


@pytest.mark.parametrize("file_format", ["onnx", "tflite", "savedmodel"])
def test_a_file_is_held_to_the_network_described(model, file_format):
    report = vggexport.build(NETWORK, FEW, FileOptions(file_format))
    assert report.failures == ()
    assert report.artifact.path.startswith("vgg_own")  # no column of table 1
    assert report.check.reference == "network that mine.keras describes"
    assert report.artifact.weights.trained
    assert report.artifact.preprocessing == CONVENTIONS["raw"]
    assert report.artifact.spec.head_activation == HeadActivation.SOFTMAX


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_reading_fails_the_check(misread, mistake):
    misread(mistake)
    report = vggexport.build(NETWORK, FEW, ONNX)
    assert report.failures
    assert not ONNX.output.exists()


def test_a_mistake_fails_the_check_of_int8_too(misread):
    int8 = replace(ONNX, precision=Precision.INT8)
    assert vggexport.build(NETWORK, FEW, int8).failures == ()
    misread(swapped)
    report = vggexport.build(NETWORK, FEW, replace(int8, output=Path("wrong.onnx")))
    said = "the float32 ONNX file is not the network that mine.keras describes: max abs"
    assert report.failures[0].startswith(said)
    assert not Path("wrong.onnx").exists()


@pytest.mark.parametrize("preprocessing", ["unit", "tf"])
def test_what_is_stated_comes_before_the_network_described(model, preprocessing):
    numbers = replace(CONVENTIONS[preprocessing], name="custom")
    stated = replace(NETWORK, preprocessing=numbers)
    report = vggexport.build(stated, FEW, ONNX)
    assert report.failures == ()
    options = VerifyOptions(("vgg.onnx",), reference="keras", images=5, data="photos.npz")
    images = np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
    before = {"unit": images / 255, "tf": images / 127.5 - 1}[preprocessing].astype(np.float32)
    np.savez("photos.npz", images)
    np.savez("answers.npz", images=images, probabilities=model(before, training=False))
    for one in (options, VerifyOptions(("vgg.onnx",), answers=Path("answers.npz"))):
        verified = vggexport.verify(one)
        assert verified.failures == ()
        assert verified.candidates[0].metrics.max_abs < 1e-5


@pytest.mark.parametrize("reference", ["keras", "mine.keras"])
def test_verify_holds_a_file_to_the_network_described(misread, reference):
    misread(swapped)
    vggexport.build(NETWORK, FEW, ONNX, BuildOptions(check=False))
    options = VerifyOptions(("vgg.onnx",), reference=reference, images=5, layers=True)
    report = vggexport.verify(options)
    assert "by the description in mine.keras" in report.reference.runtime
    assert report.failures
    assert {layer.name for layer in report.candidates[0].layers} >= {"block1_conv1", "fc1"}


def test_what_is_timed_is_the_network_as_it_was_read(model):
    """Its layers one by one, as the owner's network is checked, are no measure of speed."""
    images = np.zeros((1, *SHAPE), np.uint8)
    with reference_runner(open_network(NETWORK, Steps(Progress()))) as runner:
        assert runner.runtime.endswith(", by the description in mine.keras")
        prepared = runner.prepare(images)
        assert runner.runtime.endswith(", the network as read from mine.keras")
        expected = model(images.astype(np.float32), training=False)
        np.testing.assert_allclose(prepared.probabilities(), expected, atol=1e-5)


def test_strict_refuses_what_a_description_does_not_tell():
    owned(front=()).save("plain.keras")
    options = NetworkOptions(weights="plain.keras", strict=True)
    with pytest.raises(InputError, match="does not say what happens to pixels"):
        vggexport.build(options, FEW, ONNX)
    assert not ONNX.output.exists()
