"""The Python API: build, calibrate, inspect, summarize."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import vggexport
from vggexport.errors import CalibrationError, InputError, OutputError, WeightsError
from vggexport.formats.registry import WRITTEN, load_exporter
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.head import fully_connected
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.precision import Precision
from vggexport.system.digests import files_of
from vggexport.weights import SpecRequest
from vggexport.workflows.build.options import BuildOptions, FileOptions

FEW = CalibrationOptions(samples=4)
INT8 = FileOptions("onnx", precision=Precision.INT8)
FULL_INTEGER = FileOptions(
    "tflite", precision=Precision.INT8, input_dtype="uint8", batch=1, full_integer=True
)


pytestmark = pytest.mark.usefixtures("workplace")


class Recorded:
    """A progress that remembers everything."""

    def __init__(self):
        self.events = []

    def start(self, step):
        self.events.append(("start", step))

    def advance(self, done, total):
        self.events.append(("advance", done, total))

    def finish(self, seconds):
        assert seconds >= 0
        self.events.append(("finish",))

    def note(self, message, *advice):
        self.events.append(("note", message))


def steps(progress):
    return [event[1] for event in progress.events if event[0] == "start"]


@pytest.mark.parametrize(
    ("file_format", "precision"),
    [(name, precision) for name, row in WRITTEN.items() for precision in row.precisions],
)
@pytest.mark.parametrize(("input_dtype", "batch"), [("float32", None), ("uint8", 3)])
def test_every_variant_is_built_and_checked(network, file_format, precision, input_dtype, batch):
    """A batch of three, four or eight images: the last batch is filled up."""
    file = FileOptions(file_format, precision=precision, input_dtype=input_dtype, batch=batch)
    report = vggexport.build(network, FEW, file)
    assert report.failures == ()
    assert report.check.images == (16 if precision in {Precision.INT8, Precision.INT8_W4} else 4)
    artifact = report.artifact
    assert (artifact.format, artifact.precision) == (file_format, precision)
    assert (artifact.input_dtype, artifact.batch) == (input_dtype, batch)
    inspection = vggexport.inspect(Path(artifact.path))
    assert inspection.artifact == artifact
    assert inspection.inputs[0].dtype == input_dtype
    assert (inspection.not_integer() == ()) is precision.profile.needs_ranges


def test_a_full_integer_file_is_built_and_checked(network):
    report = vggexport.build(network, FEW, FULL_INTEGER)
    assert report.failures == ()
    inspection = vggexport.inspect(Path("vgg_tiny_int8_full_integer.tflite"))
    assert inspection.artifact == report.artifact
    assert inspection.artifact.full_integer
    assert [t.dtype for t in (*inspection.inputs, *inspection.outputs)] == ["uint8", "uint8"]


def test_a_float_operator_in_a_full_integer_file_is_found(network, monkeypatch):
    """The same network in plain int8 has some: passed off as full integer it is refused."""
    exporter = type(load_exporter("tflite"))

    def export(self, request, path):
        plain = dataclasses.replace(request.artifact, full_integer=False)
        original(self, dataclasses.replace(request, artifact=plain), path)

    original = exporter.export
    monkeypatch.setattr(exporter, "export", export)
    file = dataclasses.replace(FULL_INTEGER, output=Path("x.tflite"))
    report = vggexport.build(network, FEW, file)
    assert len(report.failures) == 1
    assert "computed in float: images/float32" in report.failures[0]
    assert not Path("x.tflite").exists()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (FileOptions("savedmodel", precision=Precision.INT8), "no savedmodel in int8: choose from"),
        (FileOptions("onnx", precision=Precision.DYNAMIC_INT8), "no onnx in dynamic-int8"),
        (FileOptions("tflite", full_integer=True), "full integer is int8, not float32"),
        (
            FileOptions("onnx", precision=Precision.INT8, full_integer=True),
            "full integer is TFLite, not onnx",
        ),
        (FileOptions("onnx", symmetric=True), "for int8 ONNX, not onnx in float32"),
        (
            FileOptions("onnx", precision=Precision.INT8, target="tensorrt", compile=True),
            "snapdragon has a compiler here, tensorrt has none",
        ),
        (FileOptions("onnx", target="tensorrt"), "for tensorrt are int8 ONNX, not onnx in float32"),
        (
            FileOptions("tflite", precision=Precision.INT8, target="snapdragon"),
            "for snapdragon are int8 ONNX, not tflite in int8",
        ),
        (
            FileOptions("onnx", precision=Precision.INT8, activation_bits=16),
            "in 16 bits are a choice for snapdragon, not for no target",
        ),
        (
            FileOptions("onnx", precision=Precision.INT8, target="snapdragon", opset=17),
            "opset 17 and 16-bit activations, asymmetric and of opset 21",
        ),
        (
            FileOptions("onnx", precision=Precision.INT8, target="snapdragon", symmetric=True),
            "symmetric activations and 16-bit activations",
        ),
        (
            FileOptions("tflite", precision=Precision.INT8, symmetric=True),
            "for int8 ONNX, not tflite in int8",
        ),
        (
            FileOptions("tflite", precision=Precision.INT8, full_integer=True),
            "takes uint8 images, not float32",
        ),
    ],
)
def test_what_there_is_not_is_refused_before_any_work(network, workplace, file, message):
    progress = Recorded()
    with pytest.raises(InputError, match=message):
        vggexport.build(network, FEW, file, progress=progress)
    assert progress.events == list(workplace.iterdir()) == []


@pytest.mark.parametrize("file_format", ["onnx", "tflite"])
def test_layers_that_do_not_divide_into_blocks_are_refused_before_calibration(network, file_format):
    request = dataclasses.replace(network.request, hidden=fully_connected(17, 17))
    odd = dataclasses.replace(network, request=request)
    progress = Recorded()
    file = FileOptions(file_format, precision=Precision.INT8_W4)
    with pytest.raises(InputError, match="fc2 has 17: choose other fc_units"):
        vggexport.build(odd, FEW, file, progress=progress)
    assert steps(progress) == ["weights"]


def test_the_batch_does_not_change_what_the_check_finds(network):
    def found(batch):
        file = FileOptions("onnx", batch=batch)
        return vggexport.build(network, FEW, file, BuildOptions(force=True)).check.metrics

    alone, filled = found(1), found(3)
    # ONNX Runtime orders a Gemm's sums by its batch, so the last bits of probabilities may differ.
    assert filled.max_abs == pytest.approx(alone.max_abs, abs=1e-6)
    assert filled.top1_agreement == alone.top1_agreement == 1.0


@pytest.mark.parametrize(
    ("precision", "options", "expected"),
    [
        ("float32", BuildOptions(), ["weights", "export", "check"]),
        ("float32", BuildOptions(check=False), ["weights", "export"]),
        (
            "int8",
            BuildOptions(),
            ["weights", "float32", "calibrate", "reference", "export", "check"],
        ),
        ("int8", BuildOptions(check=False), ["weights", "float32", "calibrate", "export"]),
    ],
)
@pytest.mark.parametrize("file_format", ["onnx", "tflite"])
def test_steps(network, file_format, precision, options, expected):
    progress = Recorded()
    file = FileOptions(file_format, precision=Precision(precision))
    report = vggexport.build(network, FEW, file, options, progress)
    assert steps(progress) == list(report.seconds) == expected


def test_ranges_need_no_images(network):
    """Neither calibration nor a check: the source is not even opened."""
    vggexport.calibrate(network, FEW, Path("ranges.json"))
    options = BuildOptions(ranges=Path("ranges.json"), check=False)
    progress = Recorded()
    none = CalibrationOptions(data="none")
    report = vggexport.build(network, none, INT8, options, progress)
    assert steps(progress) == ["weights", "export"]
    assert report.artifact.calibration.samples == 4


def test_calibration_counts_its_images(network):
    progress = Recorded()
    vggexport.calibrate(network, FEW, progress=progress)
    advances = [event for event in progress.events if event[0] == "advance"]
    assert advances == [("advance", done, 4) for done in (1, 2, 3, 4)]


def test_ranges_hold_what_the_images_reach(network, make_npz, pixels):
    """Against the float32 network run by itself: the largest value of each hidden layer."""
    from vggexport.formats.keras.runner import KerasRunner
    from vggexport.weights import open_weights

    options = CalibrationOptions(data=make_npz(7), samples=7, method="minmax")
    report = vggexport.calibrate(network, options)
    weights = open_weights("random:0", network.request)
    with KerasRunner(network.request, weights) as runner:
        activations = runner.activations(pixels[:7], report.ranges)
    for name, (low, high) in report.ranges.items():
        smallest = min(0.0, float(activations[name].min()))  # a range has zero in it
        assert low == pytest.approx(smallest, rel=1e-5)
        # Sums in another order differ in the last of 24 bits, a few times over.
        assert high == pytest.approx(float(activations[name].max()), rel=1e-5)


@pytest.mark.parametrize(
    ("output", "file"),
    [
        ("vgg_tiny.onnx", FileOptions("onnx")),
        ("sub/x.onnx", FileOptions("onnx", output=Path("sub/x.onnx"))),
        ("vgg_tiny_float16.tflite", FileOptions("tflite", precision=Precision.FLOAT16)),
        ("vgg_tiny_saved_model", FileOptions("savedmodel")),
        ("vgg_tiny_saved_model/1", FileOptions("savedmodel", serving=True)),
    ],
)
def test_where_the_file_goes(network, workplace, output, file):
    (workplace / "sub").mkdir()
    report = vggexport.build(network, FEW, file)
    assert report.artifact.path == output
    sizes = [part.stat().st_size for part in files_of(workplace / output)]
    assert sum(sizes) == report.artifact.size_bytes
    beside = json.loads(Path(f"{output}.json").read_text())
    assert beside == report.artifact.to_json()


def test_a_serving_directory_leaves_nothing_when_it_is_refused(network, workplace, tolerate):
    out_of_reach = Tolerance("nothing is below zero", max_abs=-1.0)
    tolerate(out_of_reach, Precision.FLOAT32.profile)
    report = vggexport.build(network, FEW, FileOptions("savedmodel", serving=True))
    assert len(report.failures) == 1
    assert list(workplace.iterdir()) == []


def test_another_version_stays_beside_a_new_one(network, workplace):
    (workplace / "vgg_tiny_saved_model" / "2").mkdir(parents=True)
    vggexport.build(network, FEW, FileOptions("savedmodel", serving=True))
    names = sorted(path.name for path in (workplace / "vgg_tiny_saved_model").iterdir())
    assert names == ["1", "1.json", "2"]


def test_a_refused_file_is_described_and_not_kept(network, workplace, tolerate):
    out_of_reach = Tolerance("none is that good", min_logit_sqnr_db=1e6)
    tolerate(out_of_reach, Precision.FLOAT32.profile)
    report = vggexport.build(network, FEW, FileOptions("onnx"))
    assert len(report.failures) == 1
    assert "is below 1e+06 dB" in report.failures[0]
    assert report.artifact.size_bytes > 0
    assert list(workplace.iterdir()) == []


def test_an_existing_output(network, workplace):
    (workplace / "vgg_tiny.onnx").write_bytes(b"old")
    with pytest.raises(OutputError, match="pass force"):
        vggexport.build(network, FEW, FileOptions("onnx"))
    assert (workplace / "vgg_tiny.onnx").read_bytes() == b"old"


def test_ranges_of_other_weights(network):
    vggexport.calibrate(network, FEW, Path("ranges.json"))
    other = dataclasses.replace(network, weights="random:1")
    options = BuildOptions(ranges=Path("ranges.json"))
    with pytest.raises(CalibrationError, match="belong to other weights"):
        vggexport.build(other, FEW, INT8, options)


def test_ranges_for_a_float_file(network):
    with pytest.raises(InputError, match="have no use in float16"):
        vggexport.build(
            network,
            FEW,
            FileOptions("onnx", precision=Precision.FLOAT16),
            BuildOptions(ranges=Path("ranges.json")),
        )


def test_a_calibration_method_that_is_unknown(network, workplace):
    with pytest.raises(CalibrationError, match="'best'"):
        vggexport.calibrate(network, dataclasses.replace(FEW, method="best"))
    assert list(workplace.iterdir()) == []


def test_an_activation_that_is_not_finite(network, workplace):
    """Weights whose products overflow float32 are found while calibrating, not in the file."""
    spec = network.request
    arrays = {name: np.full(t.shape, 1e30, np.float32) for name, t in spec.tensors.items()}
    np.savez(workplace / "weights.npz", **arrays)
    huge = dataclasses.replace(network, weights="weights.npz")
    with pytest.raises(CalibrationError, match="finite"):
        vggexport.build(huge, FEW, INT8)
    assert [path.name for path in workplace.iterdir()] == ["weights.npz"]


def test_summarize():
    report = vggexport.summarize(SpecRequest("A", classes=10))
    assert (report.spec.configuration, report.spec.classes, report.spec.input_size) == (
        "A",
        10,
        (224, 224),
    )
    with pytest.raises(InputError, match="'Z'"):
        vggexport.summarize(SpecRequest("Z"))
    assert vggexport.summarize("random:3").spec.configuration == "D"


def test_a_missing_weights_file_leaves_nothing(network, workplace):
    with pytest.raises(WeightsError, match="does not exist"):
        vggexport.build(dataclasses.replace(network, weights="none.npz"), FEW, FileOptions("onnx"))
    assert list(workplace.iterdir()) == []
