"""Real files broken in known ways, and what verify says is the matter with them."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

import vggexport
from tests.diagnosis import faulty_files
from tests.diagnosis.faulty_files import (
    OUTPUT_BREAKS,
    PAIR_BREAKS,
    SWAPPED,
    changed,
    exchanged,
    resize_breaks,
)
from vggexport.diagnosis.images import image_faults
from vggexport.diagnosis.outputs import output_faults
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.head import HeadActivation, fully_connected
from vggexport.network.spec import MEAN_RGB
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.network import NetworkOptions
from vggexport.precision import Precision
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.verify.options import VerifyOptions

WEIGHTS = "weights.npz"
FLOAT, INT8 = "whole.onnx", "whole_int8.onnx"
IMAGES = 8  # as many as the mistakes are tried on
IMAGE_BREAKS = faulty_files.IMAGE_BREAKS | resize_breaks(16)


@pytest.fixture(scope="session")
def folder(tiny, make_weights, tmp_path_factory) -> Path:
    """The tiny network's float32 and int8 files, and the weights they were made of."""
    folder: Path = tmp_path_factory.mktemp("diagnosing")
    np.savez(folder / WEIGHTS, **make_weights(tiny))
    network = NetworkOptions(weights=str(folder / WEIGHTS), request=tiny)
    calibrated = CalibrationOptions(samples=16)
    for name, precision in ((FLOAT, Precision.FLOAT32), (INT8, Precision.INT8)):
        file = FileOptions("onnx", folder / name, precision)
        vggexport.build(network, calibrated, file, BuildOptions(check=False))
    return folder


@pytest.fixture(scope="session")
def int8_tolerance(folder) -> Tolerance:
    """What the whole file has on the images that are verified on, less 1 dB.

    A random network of some thousand weights barely notices some of the mistakes: with the limit of
    real networks their files would pass.
    """
    options = VerifyOptions((str(folder / FLOAT), str(folder / INT8)), images=IMAGES)
    (healthy,) = vggexport.verify(dataclasses.replace(options, diagnose=False)).candidates
    least = healthy.metrics.logit_sqnr_db - 1
    return Tolerance("the healthy file, less 1 dB", min_logit_sqnr_db=least)


@pytest.fixture
def diagnosed(folder, int8_tolerance, tmp_path, tolerate):
    """Breaks one of the files by a function of its ModelProto, and gives verify's candidate."""
    tolerate(int8_tolerance, Precision.INT8.profile)

    def diagnose(name, change, *, reference=FLOAT, **options):
        model = onnx.load(folder / name)
        change(model)
        onnx.save(model, tmp_path / "broken.onnx")
        source = str(tmp_path / "broken.onnx"), str(folder / reference)
        report = vggexport.verify(
            VerifyOptions(source[:1], reference=source[1], **{"images": IMAGES} | options)
        )
        (candidate,) = report.candidates
        return candidate

    return diagnose


def test_every_known_mistake_is_made_once():
    assert set(IMAGE_BREAKS) == {fault.name for fault in image_faults(MEAN_RGB)}
    assert set(OUTPUT_BREAKS) == {fault.name for fault in output_faults(HeadActivation.SOFTMAX)}


@pytest.mark.parametrize("fault", [*IMAGE_BREAKS, *OUTPUT_BREAKS, *PAIR_BREAKS])
def test_the_mistake_in_a_float_file_is_named(diagnosed, fault):
    change = (IMAGE_BREAKS | OUTPUT_BREAKS | PAIR_BREAKS)[fault]
    candidate = diagnosed(FLOAT, change)
    assert candidate.failures
    assert candidate.diagnosis.named.fault == fault
    assert candidate.diagnosis.named.with_db > candidate.diagnosis.named.without_db + 10
    assert candidate.verdict.endswith(f"; {candidate.diagnosis.named.description}")


INTEGER_OUTPUTS = [name for name in OUTPUT_BREAKS if "quantized" not in name]
"""Without those: int8 rounds more than 8 bits of these few classes do, so that such files pass."""


@pytest.mark.parametrize("fault", [*IMAGE_BREAKS, *INTEGER_OUTPUTS])
def test_the_mistake_in_an_int8_file_is_named(diagnosed, fault):
    candidate = diagnosed(INT8, (IMAGE_BREAKS | OUTPUT_BREAKS)[fault])
    assert candidate.diagnosis.named.fault == fault


@pytest.mark.parametrize(
    ("name", "change", "fault", "layer"),
    [
        (FLOAT, exchanged("fc2", "fc2"), None, None),
        (FLOAT, changed("block1_conv2/kernel", lambda k: -k), "stale-weights", "block1_conv2"),
        (FLOAT, changed("fc2/bias", lambda b: b + 3), "stale-weights", "fc2"),
        (FLOAT, changed("fc1/kernel", lambda k: np.roll(k, 1, 0)), "stale-weights", "fc1"),
        (FLOAT, changed("fc2/kernel", np.transpose), "kernel-layout", "fc2"),
        (INT8, changed("block2_conv1/kernel", lambda k: k[::-1]), "stale-weights", "block2_conv1"),
        (INT8, changed("fc1/scale", lambda s: s / 8), "clipped-range", "fc1"),
        (INT8, changed("block2_conv1/scale", lambda s: s / 8), "clipped-range", "block2_conv1"),
    ],
)
def test_the_layer_at_fault_is_named(diagnosed, name, change, fault, layer):
    candidate = diagnosed(name, change)
    if fault is None:
        assert (candidate.failures, candidate.diagnosis) == ((), None)
        return
    named = candidate.diagnosis.named
    assert (named.fault, named.layer) == (fault, layer)
    assert layer in named.description
    assert candidate.suspicious.name == layer


def test_a_nan_is_named_with_its_layer(diagnosed):
    def spoil(kernel):
        kernel = kernel.copy()
        kernel[0, 0, 0, 0] = np.inf
        return kernel

    candidate = diagnosed(FLOAT, changed("block1_conv2/kernel", spoil))
    assert candidate.suspicious.name == "block1_conv2"
    assert candidate.diagnosis.named.layer == "block1_conv2"
    faults = {trial.fault for trial in candidate.diagnosis.trials if trial.explains}
    assert faults == {"stale-weights", "not-finite"}


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.INT8])
def test_exchanged_layers_are_named(tmp_path, monkeypatch, make_weights, tolerate, precision):
    """Configuration A has layers of one shape; the file is made of weights in the wrong order."""
    from vggexport.network.spec import VGGSpec
    from vggexport.network.table import parse_blocks

    monkeypatch.chdir(tmp_path)
    limits = Tolerance("int8 of this network has 20 dB, the wrong file 3 dB", min_logit_sqnr_db=12)
    tolerate(limits, Precision.INT8.profile)
    blocks = parse_blocks("conv3-8 conv3-8 conv3-8")
    spec = VGGSpec("tiny", blocks, classes=5, hidden=fully_connected(64, 64), input_size=(16, 16))
    weights = make_weights(spec)
    order = {"block1_conv2": "block1_conv3", "block1_conv3": "block1_conv2"}
    wrong = {
        f"{order.get(layer, layer)}/{part}": array
        for name, array in weights.items()
        for layer, _, part in [name.partition("/")]
    }
    for name, arrays in (("right", weights), ("wrong", wrong)):
        np.savez(f"{name}.npz", **arrays)
        network = NetworkOptions(weights=f"{name}.npz", request=spec)
        file = FileOptions("onnx", Path(f"{name}.onnx"), precision)
        vggexport.build(network, CalibrationOptions(samples=16), file, BuildOptions(check=False))
    for reference in ("right.onnx", "right.npz"):
        options = VerifyOptions(("wrong.onnx",), reference=reference, images=IMAGES)
        named = vggexport.verify(options).candidates[0].diagnosis.named
        assert (named.fault, named.layer) == ("layers-permuted", "block1_conv2")
        assert "block1_conv2 (those of block1_conv3)" in named.description


def test_a_healthy_file_that_is_asked_for_too_much_is_called_nothing(folder):
    limits = Tolerance("as asked for", min_logit_sqnr_db=99.0)
    options = VerifyOptions((str(folder / INT8),), reference=str(folder / FLOAT), limits=limits)
    (candidate,) = vggexport.verify(dataclasses.replace(options, images=IMAGES)).candidates
    assert candidate.failures
    assert candidate.diagnosis.named is None
    assert candidate.suspicious is None


def test_a_uint8_file_is_told_by_mistaken_images_for_the_reference(
    folder, tiny, tmp_path, diagnosed
):
    """It takes no pixels that a mean was added to; the reference does."""
    network = NetworkOptions(weights=str(folder / WEIGHTS), request=tiny)
    file = FileOptions("onnx", folder / "pixels.onnx", input_dtype="uint8")
    vggexport.build(network, CalibrationOptions(), file, BuildOptions(check=False, force=True))
    for fault in ("mean-twice", "channels-swapped"):
        candidate = diagnosed("pixels.onnx", IMAGE_BREAKS[fault])
        assert candidate.diagnosis.named.fault == fault


def test_it_can_be_left_out(diagnosed):
    assert diagnosed(FLOAT, SWAPPED, diagnose=False).diagnosis is None


def test_the_json_names_it(diagnosed):
    document = diagnosed(FLOAT, SWAPPED).to_json()["diagnosis"]
    assert document["fault"]["fault"] == "channels-swapped"
    assert document["images"] == 8
    assert document["fault"] in document["tried"]
