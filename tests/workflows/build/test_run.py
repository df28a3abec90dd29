"""The Python API: build, calibrate, inspect, summarize."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import vggexport
from vggexport.artifact import TARGETS, Artifact
from vggexport.cli import onnx as command
from vggexport.errors import CalibrationError, InputError, OutputError, Unavailable, WeightsError
from vggexport.formats.onnx import qualcomm
from vggexport.formats.registry import WRITTEN, load_exporter, load_weight_reader
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.head import fully_connected
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.file_check import same_integers
from vggexport.precision import Precision
from vggexport.results.requirements import Requirements
from vggexport.system.digests import files_of
from vggexport.weights import SpecRequest
from vggexport.workflows.build import options
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.verify.options import VerifyOptions

FEW = CalibrationOptions(samples=4)
INT8 = FileOptions("onnx", precision=Precision.INT8)
FULL_INTEGER = FileOptions(
    "tflite", precision=Precision.INT8, input_dtype="uint8", batch=1, full_integer=True
)


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch, any_int8_will_do):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
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


def test_symmetric_activations_have_zero_point_0_and_other_integers(network):
    """TensorRT takes no other (its developer guide, "Explicit quantization")."""
    import onnx
    from onnx import numpy_helper

    def zero_points(path):
        constants = onnx.load(path).graph.initializer
        named = {t.name: numpy_helper.to_array(t) for t in constants}
        return [v for n, v in named.items() if n.endswith(("/zero_point", "/zero_points"))]

    symmetric = FileOptions("onnx", Path("s.onnx"), precision=Precision.INT8, symmetric=True)
    report = vggexport.build(network, FEW, symmetric)
    usual = vggexport.build(
        network, FEW, dataclasses.replace(symmetric, output=Path("u.onnx"), symmetric=False)
    )
    assert report.failures == usual.failures == ()
    assert [v for v in zero_points("s.onnx") if v.any()] == []
    assert any(v.any() for v in zero_points("u.onnx"))
    assert (report.artifact.symmetric, usual.artifact.symmetric) == (True, False)
    # ONNX Runtime's CPU fuses a ReLU where zero is the least integer, and computes these in float.
    assert "computes in float" in vggexport.inspect(Path("s.onnx")).not_integer()[0]
    assert not same_integers(report.artifact, usual.artifact)
    assert same_integers(report.artifact, report.artifact)


def test_the_command_offers_every_target():
    assert command.TARGETS == TARGETS


def test_a_file_for_tensorrt_is_the_symmetric_one(network):
    symmetric = FileOptions("onnx", Path("s.onnx"), precision=Precision.INT8, symmetric=True)
    for_it = FileOptions("onnx", Path("t.onnx"), precision=Precision.INT8, target="tensorrt")
    one, other = (vggexport.build(network, FEW, file).artifact for file in (symmetric, for_it))
    assert (other.symmetric, other.target, one.target) == (True, "tensorrt", None)
    first, second = (list(load_weight_reader("onnx")(Path(a.path)).operators) for a in (one, other))
    assert first == second


def test_the_last_layer_of_a_file_for_snapdragon_is_in_float(network):
    """int8 in and float out is what Qualcomm's NPU does not take, and any number of images."""
    for_it = FileOptions("onnx", Path("q.onnx"), precision=Precision.INT8, target="snapdragon")
    report = vggexport.build(network, FEW, for_it)
    assert report.failures == ()
    assert (report.artifact.batch, report.artifact.target) == (1, "snapdragon")
    model = onnx.load("q.onnx")
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    kernels = [types[layer.kernel.name] for layer in report.artifact.spec.weighted_layers]
    assert kernels == [onnx.TensorProto.INT8] * (len(kernels) - 1) + [onnx.TensorProto.FLOAT]
    assert "predictions" in vggexport.inspect(Path("q.onnx")).not_integer()[0]
    read = load_weight_reader("onnx")(Path("q.onnx"))
    last = report.artifact.spec.weighted_layers[-1].kernel.name
    usual = FileOptions("onnx", Path("u.onnx"), precision=Precision.INT8, batch=1)
    other = vggexport.build(network, FEW, usual).artifact
    assert not same_integers(report.artifact, other)
    rounded = load_weight_reader("onnx")(Path("u.onnx"))
    assert 0 < np.abs(read[last] - rounded[last]).max() < 0.01
    assert "half precision" in Requirements.of(report.artifact).notes[-1]


COMPILED = FileOptions(
    "onnx", Path("q.onnx"), precision=Precision.INT8, target="snapdragon", compile=True
)


def test_what_a_file_is_compiled_to_stands_beside_it(network, monkeypatch):
    def compiled(path, written):
        written.write_bytes(path.read_bytes()[:9])

    monkeypatch.setattr(options, "is_installed", lambda _package: True)
    monkeypatch.setattr(qualcomm, "compile_context", compiled)
    vggexport.build(network, FEW, COMPILED)
    assert Path("q_ctx.onnx").read_bytes() == Path("q.onnx").read_bytes()[:9]
    Path("q.onnx").unlink()
    Path("q.onnx.json").unlink()
    with pytest.raises(OutputError, match=r"q_ctx\.onnx"):
        vggexport.build(network, FEW, COMPILED)


def test_without_its_compiler_nothing_is_begun(network, monkeypatch):
    monkeypatch.setattr(options, "is_installed", lambda _package: False)
    with pytest.raises(Unavailable, match=r"onnxruntime_qnn is not .* 'vggexport\[qnn\]'"):
        vggexport.build(network, FEW, COMPILED)
    assert not Path("q.onnx").exists()


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
    notes = [event[1] for event in progress.events if event[0] == "note"]
    assert any("4 times what synthetic images do: then fc1 reaches" in n for n in notes)


def test_summarize():
    report = vggexport.summarize(SpecRequest("A", classes=10))
    assert (report.spec.configuration, report.spec.classes, report.spec.input_size) == (
        "A",
        10,
        (224, 224),
    )
    with pytest.raises(InputError, match="'Z'"):
        vggexport.summarize(SpecRequest("Z"))


def test_a_missing_weights_file_leaves_nothing(network, workplace):
    with pytest.raises(WeightsError, match="does not exist"):
        vggexport.build(dataclasses.replace(network, weights="none.npz"), FEW, FileOptions("onnx"))
    assert list(workplace.iterdir()) == []
