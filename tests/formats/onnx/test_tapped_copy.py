"""Layers that a file does not give: read from a copy that does."""

import errno
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest

from vggexport.errors import ArtifactError, Unfinished
from vggexport.formats.onnx import sessions
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.formats.onnx.tapped_copy import READINGS
from vggexport.metrics.parity import sqnr_db
from vggexport.metrics.placement import CPU_PROVIDER
from vggexport.precision import Precision


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_the_copy_is_gone_before_it_runs_and_the_file_is_unchanged(
    export, images, names, temporary, precision
):
    path = export(precision)
    before = path.read_bytes(), sorted(path.parent.iterdir())
    with OnnxRunner(path) as runner:
        runner.activations(images, names)
        assert list(temporary.iterdir()) == []
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_there_is_never_more_than_one_session(export, images, monkeypatch, precision):
    held = []

    def open_session(*arguments):
        held.append(runner._session)
        return real(*arguments)

    real = sessions.open_session
    monkeypatch.setattr(sessions, "open_session", open_session)
    runner = OnnxRunner(export(precision))
    with runner:
        runner.activations(images, ["fc1"])
        runner.activations(images, ["fc2"])
    assert held == [None] * (3 if precision == "float32" else 5)  # a fused graph is written first


def test_a_session_is_kept_while_it_has_the_layers(export, images):
    with OnnxRunner(export()) as runner:
        runner.activations(images, ["fc1", "fc2"])
        session = runner._session
        runner.activations(images, ["fc2", "probabilities"])
        runner.predict(images)
        assert runner._session is session
        runner.activations(images, ["predictions"])
        session = runner._session
        runner.activations(images, ["fc1", "fc2"])
        assert runner._session is session


def test_only_the_probabilities_need_no_copy(export, images, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryDirectory", None)
    with OnnxRunner(export("int8")) as runner:
        assert list(runner.activations(images, ["probabilities"])) == ["probabilities"]


def test_a_full_disk_is_told_and_leaves_the_runner_as_it_was(
    export, images, monkeypatch, temporary
):
    def full(_source, _target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with OnnxRunner(export()) as runner:
        monkeypatch.setattr(shutil, "copyfile", full)
        expected = runner.predict(images)
        with pytest.raises(Unfinished, match=r"no room in .*: No space left"):
            runner.activations(images, ["fc1"])
        np.testing.assert_array_equal(runner.predict(images), expected)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "variant", [("float32", "uint8", 2, 13), ("float16", "float32", 2, 13), ("int8", "uint8", 2)]
)
def test_files_of_a_fixed_batch_and_the_oldest_opset_are_read(
    export, images, names, expected, variant
):
    with OnnxRunner(export(*variant)) as runner:
        found = runner.activations(images[:2], names)
    for name in names:
        assert sqnr_db(expected[name][:2], found[name]) > 30  # as for int8 in the contract's tests


def test_convolutions_and_gemms_stay_integer_operators_when_they_are_read(
    export, images, names, tmp_path, monkeypatch
):
    written = tmp_path / "tapped.onnx"
    real = sessions.open_session

    def open_session(path, *arguments):
        if path.name == "tapped.onnx":
            shutil.copyfile(path, written)
        return real(path, *arguments)

    monkeypatch.setattr(sessions, "open_session", open_session)
    with OnnxRunner(export("int8")) as runner:
        runner.activations(images, names)
        level = runner._session.get_session_options().graph_optimization_level
    assert level == onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # so these are what runs
    operators = Counter(node.op_type for node in onnx.load(written).graph.node)
    assert {"QLinearConv": 3, "QGemm": 3}.items() <= operators.items()
    assert not {"Conv", "Gemm", "FusedConv", "FusedGemm"} & operators.keys()
    assert operators["DequantizeLinear"] == 8  # the taps; what is flattened is read once


def test_int8_layers_are_multiples_of_their_scales(export, images):
    path = export("int8")
    scales = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    layers = {"mean_subtraction": "mean_subtraction/nchw", "block1_pool": "block1_pool"}
    with OnnxRunner(path) as runner:
        found = runner.activations(images, layers)
    for name, tensor in layers.items():
        steps = found[name] / scales[f"{tensor}/scale"]
        np.testing.assert_allclose(steps, np.rint(steps), rtol=0, atol=1e-4)
        assert 100 < len(np.unique(np.rint(steps))) <= 256


def test_without_fusions_the_integers_are_read_as_the_file_has_them(export, images, names, tiny):
    """As for execution providers other than the CPU's, which fuse nothing of QDQ."""
    reading, tensors = READINGS[Precision.INT8](tiny), [n for n in names if n != "flatten"]
    session = replace(reading, fused=False).open_copy(
        export("int8"), tensors, threads=1, provider=CPU_PROVIDER
    )
    with OnnxRunner(export("int8")) as runner:
        fused = runner.activations(images, tensors)
    for name, layer in runner._layers.items():
        if name in tensors:
            (values,) = session.run([layer.output], {"images": images.astype(np.float32)})
            # Float sums round to another integer only where they are within 1e-6 of the middle.
            assert np.mean(layer.value(values) != fused[name]) < 0.01 or name in {
                "predictions",
                "probabilities",
            }
            assert sqnr_db(fused[name], layer.value(values)) > 60


def test_an_int8_file_with_outputs_of_its_own_is_read_the_same_way(export, images, names):
    """Its own outputs are what QuantizeLinear reads, not what it gives."""
    with (
        OnnxRunner(export("int8", taps=("block1_conv2", "block1_pool", "fc1"))) as runner,
        OnnxRunner(export("int8")) as other,
    ):
        found, expected = (r.activations(images, names) for r in (runner, other))
    for name in names:
        assert sqnr_db(expected[name], found[name]) > 60


def test_layers_of_float16_files_are_rounded_to_float16(export, images, names):
    with OnnxRunner(export("float16")) as runner:
        found = runner.activations(images, names)
    for name in set(names) - {"mean_subtraction", "probabilities"}:
        np.testing.assert_array_equal(found[name].astype(np.float16), found[name])


def rename(old: str, new: str) -> Callable[[onnx.ModelProto], None]:
    """An edit that renames a tensor and the operator that gives it."""

    def change(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]
            node.name = new if node.name == old else node.name

    return change


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_graph_without_a_layer_does_not_let_it_be_read_and_still_predicts(
    export, edited, tiny, images, precision, temporary, capfd
):
    def change(model: onnx.ModelProto) -> None:
        rename("fc1", "hidden")(model)
        rename("fc1/quantized", "hidden/quantized")(model)

    with OnnxRunner(edited(export(precision), change)) as runner:
        expected = runner.predict(images)
        with pytest.raises(ArtifactError, match=r"edited\.onnx does not let fc1 be read") as raised:
            runner.activations(images, ["fc1"])
        np.testing.assert_array_equal(runner.predict(images), expected)
        assert runner.activations(images, ["fc2"])["fc2"].shape == (6, tiny.fc_units[0])
    assert "\n" not in str(raised.value)
    assert list(temporary.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_full_temporary_folder_is_no_fault_of_the_file(export, images, monkeypatch):
    """ONNX Runtime says of a copy that does not fit that the model is broken."""
    real, path = sessions.open_session, export("int8")

    def full(model, options, *rest):
        if options.optimized_model_filepath:
            raise ArtifactError(f"{model} is not a model: Protobuf serialization failed.")
        return real(model, options, *rest)

    monkeypatch.setattr(sessions, "open_session", full)
    with OnnxRunner(path) as runner:
        with pytest.raises(ArtifactError, match="serialization"):
            runner.activations(images, ["fc1"])
        monkeypatch.setattr(sessions.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
        with pytest.raises(Unfinished, match=r"no room in the temporary folder .* in TMPDIR"):
            runner.activations(images, ["fc1"])
