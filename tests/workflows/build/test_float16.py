"""float16 files: layers that overflow, and what rescales them."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

import vggexport
from tests.recorded_progress import Recorded
from vggexport.artifact import Artifact
from vggexport.errors import InputError
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.precision import Precision
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.verify.options import VerifyOptions

FEW = CalibrationOptions(samples=4)
INT8 = FileOptions("onnx", precision=Precision.INT8)

pytestmark = pytest.mark.usefixtures("workplace")


def huge_weights(network, make_weights, reach):
    """Weights whose fc1 gives up to ``reach``, which the layer behind it makes up for."""
    arrays = {name: array.copy() for name, array in make_weights(network.request).items()}
    np.savez("weights.npz", **arrays)
    huge = dataclasses.replace(network, weights="weights.npz")
    report = vggexport.calibrate(huge, FEW, Path("ranges.json"), force=True)
    factor = np.float32(reach / report.ranges["fc1"][1])
    for part in ("kernel", "bias"):
        arrays[f"fc1/{part}"] *= factor
    arrays["fc2/kernel"] /= factor
    np.savez("weights.npz", **arrays)
    return huge


def test_what_overflows_float16_is_refused_with_its_remedy(network, make_weights):
    """LiteRT's CPU computes in float32: the file is right here, and NaN on other processors."""
    file = FileOptions("tflite", precision=Precision.FLOAT16, batch=1)
    report = vggexport.build(huge_weights(network, make_weights, 150_000), FEW, file)
    assert report.check.metrics.finite
    assert report.failures[0].startswith("fc1 reaches ")
    assert report.failures[0].endswith("and float16 ends at 65,504")
    assert report.check.can_be_rescaled
    assert not Path("vgg_tiny_float16.tflite").exists()


@pytest.mark.parametrize("rescale", [False, True])
def test_a_kernel_that_overflows_float16_is_named(network, make_weights, rescale):
    """Its layer is within bounds, as the one before it is as much smaller."""
    weights = huge_weights(network, make_weights, 1e-6)
    file, options = (
        FileOptions("onnx", precision=Precision.FLOAT16),
        BuildOptions(rescale_float16=rescale),
    )
    report = vggexport.build(weights, FEW, file, options)
    assert re.match(r"fc2/kernel holds [\d,]+, and float16 ends at 65,504$", report.failures[0])
    assert not report.check.can_be_rescaled


def test_a_network_that_answers_all_images_alike_is_told(network, make_weights):
    arrays = dict(make_weights(network.request))
    np.savez("dead.npz", **arrays | {"block1_conv2/bias": np.full(6, -1e6, np.float32)})
    for weights, file, said in (
        ("dead.npz", FileOptions("onnx"), 1),
        ("dead.npz", FileOptions("onnx", precision=Precision.FLOAT16), 1),
        ("random:0", FileOptions("onnx"), 0),
    ):
        told, options = Recorded(), BuildOptions(force=True)
        source = dataclasses.replace(network, weights=weights)
        vggexport.build(source, FEW, file, options, told)
        assert sum("the same answer" in note for note in told.notes) == said


@pytest.mark.parametrize("file_format", ["onnx", "tflite"])
def test_what_overflows_float16_fits_once_it_is_rescaled(network, make_weights, file_format):
    """The file is the same network to all that look at it: answers, layers, weights, a diff."""
    huge, asked = huge_weights(network, make_weights, 150_000), BuildOptions(rescale_float16=True)
    halves = FileOptions(file_format, precision=Precision.FLOAT16, batch=1)
    fine, unchecked = FileOptions(file_format, batch=1), BuildOptions(check=False)
    full = vggexport.build(huge, FEW, fine, unchecked).artifact.path
    report = vggexport.build(huge, FEW, halves, asked)
    assert report.failures == ()
    assert report.artifact.rescaled == {"fc1": 1 / 32}
    assert Artifact.from_json(json.loads(report.artifact.embedded())).rescaled == {"fc1": 1 / 32}
    paths = (full, report.artifact.path)
    verified = vggexport.verify(VerifyOptions(paths, images=2, layers=True))
    assert verified.passed
    (candidate,) = verified.candidates
    assert min(layer.sqnr_db for layer in candidate.layers) > 50
    assert candidate.suspicious is None
    (changed,) = vggexport.diff(*map(Path, paths)).models
    assert min(layer.kernel_db for layer in changed.layers) > 70
    told = {change.name: (change.old, change.new) for change in changed.facts}
    assert told["rescaled"] == (None, {"fc1": 1 / 32})


def test_weights_of_a_rescaled_file_fit_float16(network, make_weights):
    huge, asked = huge_weights(network, make_weights, 150_000), BuildOptions(rescale_float16=True)
    file = FileOptions("onnx", precision=Precision.FLOAT16)
    path = vggexport.build(huge, FEW, file, asked).artifact.path
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    with np.load("weights.npz") as arrays:
        for name, factor in (("fc1/bias", 1 / 32), ("fc2/kernel", 32), ("fc2/bias", 1)):
            expected = (arrays[name] * np.float32(factor)).astype(np.float16)
            np.testing.assert_array_equal(stored[name], expected)


def test_rescaling_without_a_float16_file_is_refused(network):
    with pytest.raises(InputError, match="no use without a float16 file"):
        vggexport.build(network, FEW, INT8, BuildOptions(rescale_float16=True))


def test_what_photographs_may_overflow_is_said(network, make_weights):
    file, progress = FileOptions("onnx", precision=Precision.FLOAT16), Recorded()
    near = huge_weights(network, make_weights, 30_000)
    assert vggexport.build(near, FEW, file, progress=progress).failures == ()
    assert any("4 times what synthetic images do: then fc1 reaches" in n for n in progress.facts)
