"""Reports as text, against what a person is to see."""

import dataclasses
import io

import pytest
from rich.console import Console

from vggexport.artifact import Artifact
from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.head import fully_connected
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.network.provenance import CalibrationRecord, WeightsRecord
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.precision import Precision
from vggexport.quantization.audit import Operator
from vggexport.reports import text
from vggexport.results.build import (
    BuildReport,
    CalibrationReport,
    CheckReport,
    ExportReport,
    Inspection,
    TensorDescription,
)
from vggexport.results.summary import SummaryReport

TINY = VGGSpec(
    "tiny",
    parse_blocks("conv3-4 | conv1-8"),
    classes=5,
    hidden=fully_connected(16, 16),
    input_size=(8, 8),
)
CALIBRATION = CalibrationRecord("photos", 128, "mse", "0123456789abcdef" * 4)
ARTIFACT = Artifact(
    "out/[x].onnx",
    "onnx",
    Precision.INT8,
    TINY,
    WeightsRecord("random:0", "ab" * 32, trained=False, layout="native"),
    CALIBRATION,
    tools={"vggexport": "0.1.0", "onnx": "1.19.0"},
    size_bytes=9_300_000,
    sha256="cd" * 32,
)
METRICS = ParityMetrics(
    max_abs=0.00123,
    rel_l2=0.01,
    sqnr_db=30.0,
    logit_sqnr_db=25.04,
    cosine=0.999,
    top1_agreement=0.875,
    top5_agreement=1.0,
    finite=True,
)
CHECK = CheckReport("float32 ONNX file", 8, METRICS, Tolerance("why", min_logit_sqnr_db=20.0))
BUILD = BuildReport(
    ARTIFACT,
    {"weights": 0.24, "export": 1.55},
    3 * 2**29,
    CHECK,
    beside=("out/[x].onnx.json",),
)


def rendered(report):
    """Lines as they are written to a file, without the spaces at their ends."""
    console = Console(file=io.StringIO(), width=110, highlight=False)
    console.print(report)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_summary():
    assert rendered(text.summary(SummaryReport(TINY))) == [
        "layer             kernel  stride  output  parameters   MACs  receptive field",
        "mean_subtraction                   8x8x3",
        "block1_conv1         3x3       1   8x8x4         112  6,912                3",
        "block1_pool          2x2       2   4x4x4                                   4",
        "block2_conv1         1x1       1   4x4x8          40    512                4",
        "block2_pool          2x2       2   2x2x8                                   6",
        "flatten                               32",
        "fc1                                   16         528    512",
        "fc2                                   16         272    256",
        "predictions                            5          85     80",
        "probabilities                          5",
        "VGG-tiny: 1,037 parameters, 0.00 GMAC per image, 0.0 MB in float32",
        "input 8x8x3, RGB 0...255 minus (123.68, 116.779, 103.939)",
    ]


def test_build():
    assert rendered(text.build(BUILD, "random:0", "my photos")) == [
        "artifact     out/[x].onnx",
        "beside it    out/[x].onnx.json",
        "format       onnx int8, float32 input, batch dynamic",
        "size         9.3 MB",
        f"sha256       {'cd' * 32}",
        "weights      random:0 (not trained)",
        "calibration  128 images of photos, mse, fingerprint 0123456789ab",
        (
            "check        passed on 8 images against the float32 ONNX file: max abs 1.2e-03, "
            "SQNR of the logits 25.0 dB,"
        ),
        "             the same best class on 7",
        (
            "to run it    x86-64 CPUs without VNNI need ONNX Runtime's session option "
            "session.x64quantprecision=1: without"
        ),
        "             it sums saturate, and best classes change",
        "cost         1.8 s (weights 0.2 s, export 1.6 s), peak 1.50 GiB",
        "next         vggexport inspect 'out/[x].onnx' --require int8",
    ]  # and no verify: the images of the calibration say too much


def test_a_float_build_without_a_check():
    artifact = dataclasses.replace(
        ARTIFACT, precision=Precision.FLOAT32, calibration=None, input_dtype="uint8", batch=4
    )
    report = dataclasses.replace(BUILD, artifact=artifact, check=None, beside=())
    *lines, inspect, verify = rendered(text.build(report, "random:0"))
    names = [line.split()[0] for line in lines]
    assert names == ["artifact", "format", "size", "sha256", "weights", "cost"]
    assert lines[1].split(maxsplit=1)[1] == "onnx float32, uint8 input, batch 4"
    assert inspect.split(maxsplit=1) == ["next", "vggexport inspect 'out/[x].onnx'"]
    assert verify.strip() == "vggexport verify random:0 'out/[x].onnx'"


def test_trained_weights_are_not_called_untrained():
    weights = dataclasses.replace(ARTIFACT.weights, source="vgg.npz", trained=True)
    artifact = dataclasses.replace(ARTIFACT, weights=weights)
    lines = rendered(text.build(dataclasses.replace(BUILD, artifact=artifact), "a/vgg.npz"))
    assert "weights      vgg.npz" in lines
    assert not any("vggexport verify" in line for line in lines)  # no unseen images are known


@pytest.mark.parametrize("trained", [True, False])
def test_the_report_ends_with_a_warning_of_synthetic_ranges(trained):
    weights = dataclasses.replace(ARTIFACT.weights, source="vgg.npz", trained=trained)
    synthetic = dataclasses.replace(CALIBRATION, source="synthetic")
    artifact = dataclasses.replace(ARTIFACT, weights=weights, calibration=synthetic)
    report = dataclasses.replace(BUILD, artifact=artifact)
    several = text.export(ExportReport((report,), {}, 2**30), "vgg.npz")
    for shown in (text.build(report, "vgg.npz"), several):
        words = " ".join(" ".join(rendered(shown)).split())
        said = "of synthetic images, which say little about trained weights: calibrate on your own "
        assert words.endswith(f"{said}with --calibration-data DIR") == trained
        assert (said in words) == trained


def test_files_with_layers_that_were_drawn_are_not_compared_with_their_weights():
    weights = dataclasses.replace(ARTIFACT.weights, initialized=("predictions/kernel",))
    artifact = dataclasses.replace(ARTIFACT, weights=weights)
    lines = rendered(text.build(dataclasses.replace(BUILD, artifact=artifact), "vgg.npz"))
    assert lines[-1] == "next         vggexport inspect 'out/[x].onnx' --require int8"


@pytest.mark.parametrize(
    ("images", "synthetic", "data", "said"),
    [
        (13, 8, "photos", "5 images and 8 synthetic ones"),
        (8, 8, "photos", "8 synthetic images (no picture was left for it)"),
        (8, 8, "synthetic", "8 images"),
        (8, 0, "photos", "8 images"),
    ],
)
def test_images_that_the_tool_made_are_told_apart(images, synthetic, data, said):
    check = dataclasses.replace(CHECK, images=images, synthetic_images=synthetic)
    lines = rendered(text.build(dataclasses.replace(BUILD, check=check), "random:0", data))
    assert any(line.startswith(f"check        passed on {said} against") for line in lines)


def test_a_failed_build_has_no_next_step():
    check = dataclasses.replace(CHECK, tolerance=Tolerance("why", min_logit_sqnr_db=26.0))
    lines = rendered(text.build(dataclasses.replace(BUILD, check=check), "random:0"))
    assert any(line.startswith("check        FAILED on 8 images") for line in lines)
    assert not any(line.startswith("next") for line in lines)


def test_calibration():
    report = CalibrationReport(
        "ranges.json",
        CALIBRATION,
        {"block1_conv1": (0.0, 123.456), "fc1": (-0.5, 7.0)},
        (),
        {"calibrate": 2.0},
        2**30,
    )
    assert rendered(text.calibration(report, " --weights a.npz")) == [
        "layer          low   high",
        "block1_conv1     0  123.5",
        "fc1           -0.5      7",
        "ranges       ranges.json",
        "images       128 of photos, mse",
        f"fingerprint  {'0123456789abcdef' * 4}",
        "cost         2.0 s (calibrate 2.0 s), peak 1.00 GiB",
        "next         vggexport onnx --quantize --ranges ranges.json --weights a.npz",
        "             vggexport tflite --quantize --ranges ranges.json --weights a.npz",
    ]


CONV = Operator("conv", "Conv", ("float32", "float32"), ("float32",), "float32")
QCONV = Operator("qconv", "QLinearConv", ("uint8",) * 8, ("uint8",), "int8")
INSPECTION = Inspection(
    artifact=ARTIFACT,
    inputs=(TensorDescription("images", "float32", ("batch", 8, 8, 3)),),
    outputs=(TensorDescription("probabilities", "float32", ("batch", 5)),),
    operators=(CONV, QCONV),
    parameters=1037,
    size_bytes=9_300_000,
    opset=17,
)


def test_inspection():
    lines = rendered(text.inspection(INSPECTION))
    needed = next(n for n, line in enumerate(lines) if line.startswith("needs at least")) + 1
    notes = " ".join(line[22:] for line in lines[needed:-1])
    assert notes == " ".join(INSPECTION.requires.notes)
    assert [*lines[:needed], lines[-1]] == [
        "operator  type           reads  weights   writes",
        "conv      Conv         float32  float32  float32",
        "qconv     QLinearConv    uint8     int8    uint8",
        "input images          float32 batchx8x8x3",
        "output probabilities  float32 batchx5",
        "parameters            1,037",
        "size                  9.3 MB",
        "float islands         conv",
        "network               VGG-tiny, 5 classes",
        "precision             int8",
        f"weights               random:0, SHA-256 {'ab' * 32}",
        "pictures".ljust(22)
        + "scaled to a short side of 9, the centre 8x8 cut out, bilinear, turned as EXIF says, on",
        "                      white: assumed, as the file does not say",
        "calibration           128 images of photos, mse",
        "needs at least        onnxruntime 1.17.3",
        "made with             vggexport 0.1.0, onnx 1.19.0",
    ]


@pytest.mark.parametrize("known", [True, False])
def test_what_happens_to_pixels_is_told_and_whether_it_is_assumed(known):
    pixels = dataclasses.replace(CONVENTIONS["caffe"], known=known)
    artifact = dataclasses.replace(ARTIFACT, preprocessing=pixels)
    shown = rendered(text.inspection(dataclasses.replace(INSPECTION, artifact=artifact)))
    (line,) = (line for line in shown if line.startswith("pixels"))
    doubt = "" if known else " (assumed)"
    assert line.split(maxsplit=1)[1] == f"caffe, BGR{doubt}, before the weights' own network"
    built = rendered(text.build(dataclasses.replace(BUILD, artifact=artifact), "vgg.npz"))
    told = [line for line in built if line.startswith("pixels")]
    assert bool(told) is not known


def test_an_inspection_of_a_file_that_is_not_ours():
    inspection = dataclasses.replace(INSPECTION, artifact=None, operators=(QCONV,))
    lines = rendered(text.inspection(inspection))
    assert lines[-1] == "float islands         none"


@pytest.mark.parametrize("name", ["[red]conv[/red]", "conv[/b]", ":smile:"])
def test_names_are_not_markup(name):
    operators = (dataclasses.replace(CONV, name=name),)
    lines = rendered(text.inspection(dataclasses.replace(INSPECTION, operators=operators)))
    assert lines[1].startswith(f"{name} ")
