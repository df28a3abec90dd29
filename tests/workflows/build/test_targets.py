"""int8 files for one kind of processor: symmetric, for an NPU, compiled."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

import vggexport
from vggexport.artifact import TARGETS, Artifact
from vggexport.cli import onnx as command
from vggexport.errors import ArtifactError, OutputError, Unavailable
from vggexport.formats.onnx import qualcomm
from vggexport.formats.registry import load_weight_reader
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.file_check import same_integers
from vggexport.precision import Precision
from vggexport.results.requirements import Requirements
from vggexport.workflows.build import options
from vggexport.workflows.build.options import FileOptions

FEW = CalibrationOptions(samples=4)

pytestmark = pytest.mark.usefixtures("workplace")


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


FOR_SNAPDRAGON = FileOptions("onnx", Path("q.onnx"), precision=Precision.INT8, target="snapdragon")


@pytest.mark.parametrize("bits", [8, 16, None])
def test_the_last_layer_of_a_file_for_snapdragon_is_in_float(network, bits):
    """int8 in and float out is what Qualcomm's NPU does not take, and any number of images."""
    for_it = dataclasses.replace(FOR_SNAPDRAGON, activation_bits=bits)
    report = vggexport.build(network, FEW, for_it)
    assert report.failures == ()
    assert (report.artifact.batch, report.artifact.target) == (1, "snapdragon")
    assert report.artifact.activation_bits == (bits or 16)
    model = onnx.load("q.onnx")
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    kernels = [types[layer.kernel.name] for layer in report.artifact.spec.weighted_layers]
    assert kernels == [onnx.TensorProto.INT8] * (len(kernels) - 1) + [onnx.TensorProto.FLOAT]
    refusal = "predictions" if bits == 8 else "16-bit activations, which CPUs compute in float"
    assert refusal in vggexport.inspect(Path("q.onnx")).not_integer()[0]
    read = load_weight_reader("onnx")(Path("q.onnx"))
    last = report.artifact.spec.weighted_layers[-1].kernel.name
    usual = FileOptions("onnx", Path("u.onnx"), precision=Precision.INT8, batch=1)
    other = vggexport.build(network, FEW, usual).artifact
    assert not same_integers(report.artifact, other)
    rounded = load_weight_reader("onnx")(Path("u.onnx"))
    assert 0 < np.abs(read[last] - rounded[last]).max() < 0.01
    assert "half precision" in Requirements.of(report.artifact).notes[-1]


def test_by_name_and_by_what_it_says_a_file_with_16_bits_is_another(network):
    files = [dataclasses.replace(FOR_SNAPDRAGON, output=None, activation_bits=n) for n in (16, 8)]
    wide, narrow = (vggexport.build(network, FEW, file).artifact for file in files)
    assert (wide.path, narrow.path) == ("vgg_tiny_int8_a16.onnx", "vgg_tiny_int8.onnx")
    assert "activation_bits" not in narrow.to_json()
    assert wide.to_json()["activation_bits"] == 16
    assert Artifact.from_json(wide.to_json()) == wide
    with pytest.raises(ArtifactError, match="activation_bits 12"):
        Artifact.from_json(wide.to_json() | {"activation_bits": 12})
    needs, other = Requirements.of(wide), Requirements.of(narrow)
    assert (needs.words, other.words) == ("onnxruntime 1.18.0", "onnxruntime 1.17.3")
    assert needs.notes[0].startswith("CPUs compute 16-bit activations in float")
    assert "VNNI" in other.notes[0]
    converted = Requirements.of(dataclasses.replace(wide, format="ort"))  # fused, for newer ones
    assert converted.words == "not tried in older runtimes"
    report = vggexport.diff(Path(narrow.path), Path(wide.path))
    (model,) = report.models
    assert "activation bits" in {fact.name for fact in model.facts}


COMPILED = dataclasses.replace(FOR_SNAPDRAGON, compile=True)


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
