"""The Python API: build, calibrate, inspect, summarize."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from vggexport import workflows
from vggexport.errors import CalibrationError, InputError, OutputError, WeightsError
from vggexport.parity import Tolerance
from vggexport.spec import Precision
from vggexport.weights import SpecRequest
from vggexport.workflows import (
    BuildOptions,
    CalibrationOptions,
    FileOptions,
    building,
    checking,
)
from vggexport.workflows.network import read_labels

FEW = CalibrationOptions(samples=4)


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """Some thousand random weights on four images are no better than 13 to 30 dB in int8."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setitem(checking.TOLERANCES, Precision.INT8, Tolerance("not looked at here"))
    return folder


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

    def note(self, message):
        self.events.append(("note", message))


def steps(progress):
    return [event[1] for event in progress.events if event[0] == "start"]


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
@pytest.mark.parametrize("batch", [None, 3])
def test_every_variant_is_built_and_checked(network, precision, input_dtype, batch):
    """A batch of three, four or eight images: the last batch is filled up."""
    options = OnnxOptions(precision=precision, input_dtype=input_dtype, batch=batch)
    report = workflows.build_onnx(network, FEW, options)
    assert report.failures == ()
    assert report.check.images == building.CHECK_IMAGES[precision]
    artifact = report.artifact
    assert (artifact.precision, artifact.input_dtype, artifact.batch) == (
        precision,
        input_dtype,
        batch,
    )
    inspection = workflows.inspect(Path(artifact.path))
    assert inspection.artifact == artifact
    assert inspection.inputs[0].dtype == input_dtype
    assert (inspection.not_integer() == ()) is (precision is Precision.INT8)


def test_the_batch_does_not_change_what_the_check_finds(network):
    def found(batch):
        options = OnnxOptions(batch=batch, force=True)
        return workflows.build_onnx(network, FEW, options).check.metrics

    alone, filled = found(1), found(3)
    # ONNX Runtime orders a Gemm's sums by its batch, so the last bits of probabilities may differ.
    assert filled.max_abs == pytest.approx(alone.max_abs, abs=1e-6)
    assert filled.top1_agreement == alone.top1_agreement == 1.0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (OnnxOptions(), ["weights", "export", "check"]),
        (OnnxOptions(check=False), ["weights", "export"]),
        (
            OnnxOptions(precision=Precision.INT8),
            ["weights", "float32", "calibrate", "export", "check"],
        ),
        (
            OnnxOptions(precision=Precision.INT8, check=False),
            ["weights", "float32", "calibrate", "export"],
        ),
    ],
)
def test_steps(network, options, expected):
    progress = Recorded()
    report = workflows.build_onnx(network, FEW, options, progress)
    assert steps(progress) == list(report.seconds) == expected


def test_ranges_need_no_images(network):
    """Neither calibration nor a check: the source is not even opened."""
    workflows.calibrate(network, FEW, Path("ranges.json"))
    options = OnnxOptions(precision=Precision.INT8, ranges=Path("ranges.json"), check=False)
    progress = Recorded()
    none = CalibrationOptions(data="none")
    report = workflows.build_onnx(network, none, options, progress)
    assert steps(progress) == ["weights", "export"]
    assert report.artifact.calibration.samples == 4


def test_calibration_counts_its_images(network):
    progress = Recorded()
    workflows.calibrate(network, FEW, progress=progress)
    advances = [event for event in progress.events if event[0] == "advance"]
    assert advances == [("advance", done, 4) for done in (1, 2, 3, 4)]


def test_ranges_hold_what_the_images_reach(network, make_npz, pixels):
    """Against the float32 network run by itself: the largest value of each hidden layer."""
    from vggexport.runners.keras import KerasRunner
    from vggexport.weights import open_weights

    options = CalibrationOptions(data=make_npz(10), samples=10, method="minmax")
    report = workflows.calibrate(network, options)
    weights = open_weights("random:0", network.request)
    with KerasRunner(network.request, weights) as runner:
        activations = runner.activations(pixels, report.ranges)
    for name, (low, high) in report.ranges.items():
        assert low == 0
        # Sums in another order differ in the last of 24 bits, a few times over.
        assert high == pytest.approx(float(activations[name].max()), rel=1e-5)


@pytest.mark.parametrize(
    ("output", "options"),
    [("vgg_tiny.onnx", OnnxOptions()), ("sub/x.onnx", OnnxOptions(output=Path("sub/x.onnx")))],
)
def test_where_the_file_goes(network, workplace, output, options):
    (workplace / "sub").mkdir()
    report = workflows.build_onnx(network, FEW, options)
    assert report.artifact.path == output
    assert (workplace / output).stat().st_size == report.artifact.size_bytes


def test_a_refused_file_is_described_and_not_kept(network, workplace, monkeypatch):
    out_of_reach = Tolerance("none is that good", min_logit_sqnr_db=1e6)
    monkeypatch.setitem(checking.TOLERANCES, Precision.FLOAT32, out_of_reach)
    report = workflows.build_onnx(network, FEW, OnnxOptions())
    assert len(report.failures) == 1
    assert "is below 1e+06 dB" in report.failures[0]
    assert report.artifact.size_bytes > 0
    assert list(workplace.iterdir()) == []


def test_an_existing_output(network, workplace):
    (workplace / "vgg_tiny.onnx").write_bytes(b"old")
    with pytest.raises(OutputError, match="--force"):
        workflows.build_onnx(network, FEW, OnnxOptions())
    assert (workplace / "vgg_tiny.onnx").read_bytes() == b"old"


def test_ranges_of_other_weights(network):
    workflows.calibrate(network, FEW, Path("ranges.json"))
    other = dataclasses.replace(network, weights="random:1")
    options = OnnxOptions(precision=Precision.INT8, ranges=Path("ranges.json"))
    with pytest.raises(CalibrationError, match="belong to other weights"):
        workflows.build_onnx(other, FEW, options)


def test_ranges_for_a_float_file(network):
    with pytest.raises(InputError, match="has no use in float16"):
        workflows.build_onnx(
            network, FEW, OnnxOptions(precision=Precision.FLOAT16, ranges=Path("ranges.json"))
        )


def test_a_calibration_method_that_is_unknown(network, workplace):
    with pytest.raises(CalibrationError, match="'best'"):
        workflows.calibrate(network, dataclasses.replace(FEW, method="best"))
    assert list(workplace.iterdir()) == []


def test_an_activation_that_is_not_finite(network, workplace):
    """Weights whose products overflow float32 are found while calibrating, not in the file."""
    spec = network.request
    arrays = {name: np.full(t.shape, 1e30, np.float32) for name, t in spec.tensors.items()}
    np.savez(workplace / "weights.npz", **arrays)
    huge = dataclasses.replace(network, weights="weights.npz")
    with pytest.raises(CalibrationError, match="finite"):
        workflows.build_onnx(huge, FEW, OnnxOptions(precision=Precision.INT8))
    assert [path.name for path in workplace.iterdir()] == ["weights.npz"]


def test_summarize():
    report = workflows.summarize(SpecRequest("A", classes=10))
    assert (report.spec.configuration, report.spec.classes, report.spec.input_size) == (
        "A",
        10,
        224,
    )
    with pytest.raises(InputError, match="'Z'"):
        workflows.summarize(SpecRequest("Z"))


def test_a_missing_weights_file_leaves_nothing(network, workplace):
    with pytest.raises(WeightsError, match="does not exist"):
        workflows.build_onnx(dataclasses.replace(network, weights="none.npz"), FEW, OnnxOptions())
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (b"a\nb c\n", ("a", "b c")),
        (b"a\r\nb\r\n", ("a", "b")),
        (b" a\t\nb", ("a", "b")),
        (b"\xef\xbb\xbfa\nb\n", ("a", "b")),  # the mark that Windows editors put first
        ("ä\n犬\n".encode(), ("ä", "犬")),
    ],
)
def test_labels(workplace, content, labels):
    (workplace / "labels.txt").write_bytes(content)
    assert read_labels(Path("labels.txt"), 2) == labels
