"""ONNX Runtime behind the runner interface."""

import errno
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from vggexport.artifact import METADATA_KEY
from vggexport.errors import ArtifactError, InputError, Unavailable
from vggexport.formats.onnx import sessions
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.formats.onnx.sessions import bound_to
from vggexport.formats.onnx.tapped_copy import READINGS
from vggexport.formats.registry import load_exporter
from vggexport.formats.runner import ends_of
from vggexport.metrics.parity import sqnr_db
from vggexport.metrics.placement import CPU_PROVIDER
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.precision import Precision

TAPS = ("block1_conv2", "block1_pool", "fc1")
ROUNDING = 1e-6
"""float32 sums of at most 128 products against float64 ones, relative to the largest value."""


@pytest.fixture
def runner(export):
    with OnnxRunner(export("float32", "uint8", taps=TAPS), threads=1) as runner:
        yield runner


@pytest.fixture
def expected(tiny, tiny_weights, images, numpy_network) -> dict[str, np.ndarray]:
    return numpy_network(tiny, tiny_weights, images)


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
@pytest.mark.parametrize("given", ["float32", "uint8"])
def test_pixels_of_either_type_give_the_same_probabilities(
    export, images, expected, input_dtype, given
):
    with OnnxRunner(export("float32", input_dtype)) as runner:
        probabilities = runner.predict(images.astype(given))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected["probabilities"], rtol=0, atol=ROUNDING)


def test_layers_that_the_file_has_are_given_by_name_and_nhwc(runner, images, expected, monkeypatch):
    monkeypatch.setattr(shutil, "copyfile", None)  # no copy is made for them
    found = runner.activations(images, TAPS)
    assert list(found) == list(TAPS)
    for name, values in found.items():
        assert values.dtype == np.float32
        limit = ROUNDING * np.abs(expected[name]).max()
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=limit)


def test_activations_come_in_the_order_asked_for_and_from_any_iterable(runner, images, tiny):
    backwards = [*TAPS[::-1], "probabilities"]
    found = runner.activations(images, iter(backwards))
    assert list(found) == backwards
    assert found["fc1"].shape == (6, tiny.fc_units[0])
    assert found["block1_pool"].shape == (6, 8, 8, 6)
    np.testing.assert_array_equal(found["probabilities"], runner.predict(images))


def test_what_is_returned_belongs_to_the_caller(export, images):
    pixels = images.astype(np.float32)
    with OnnxRunner(export(taps=TAPS)) as runner:
        first = runner.predict(pixels)
        activations = runner.activations(pixels, TAPS)
        kept = first.copy()
        kept_activations = {name: values.copy() for name, values in activations.items()}
        pixels[:] = 255 - pixels
        other = runner.predict(pixels)
        first_again = first.copy()
        other[:] = -1
    assert first.flags.writeable
    assert not np.array_equal(kept, other)
    np.testing.assert_array_equal(first_again, kept)
    np.testing.assert_array_equal(first, kept)  # the session is closed
    for name, values in activations.items():
        np.testing.assert_array_equal(values, kept_activations[name])
    first[:] = 0


def test_the_images_are_left_as_they_are(runner, images):
    before = images.copy()
    runner.predict(images)
    np.testing.assert_array_equal(images, before)


def test_images_that_are_not_contiguous_are_taken_as_they_look(runner, images):
    turned = images[::-1, :, ::-1]
    np.testing.assert_array_equal(
        runner.predict(turned), runner.predict(np.ascontiguousarray(turned))
    )


def test_it_says_what_really_runs(export):
    with OnnxRunner(export(), threads=1) as runner:
        assert runner.runtime == f"onnxruntime {onnxruntime.__version__}"
        assert runner.provider == "CPUExecutionProvider"
        assert runner.threads == 1
        assert runner._session.get_session_options().intra_op_num_threads == 1


def test_sessions_do_not_saturate_where_there_is_no_vnni(export):
    """What ONNX Runtime computes then is told by test_int8's arithmetic, on whatever runs it."""
    with OnnxRunner(export("int8")) as runner:
        options = runner._session.get_session_options()
        assert options.get_session_config_entry("session.x64quantprecision") == "1"


def test_the_session_is_released_when_it_is_left_even_by_an_error(export):
    runner = OnnxRunner(export())
    with pytest.raises(RuntimeError, match="inside"), runner:
        raise RuntimeError("inside")
    assert runner._session is None


def test_a_provider_that_is_not_there_is_unavailable(export):
    with (
        pytest.raises(Unavailable, match="NoExecutionProvider is not in this onnxruntime"),
        OnnxRunner(export(), provider="NoExecutionProvider"),
    ):
        pass


@pytest.fixture
def cuda_starts(monkeypatch):
    """Makes sessions that are asked for CUDA do something else, as with onnxruntime-gpu."""

    def install(start):
        providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        real = onnxruntime.InferenceSession
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
        monkeypatch.setattr(
            onnxruntime,
            "InferenceSession",
            lambda path, options, **_kwargs: (
                start() or real(path, options, providers=["CPUExecutionProvider"])
            ),
        )

    return install


def open_on_cuda(path) -> None:
    with OnnxRunner(path, provider="CUDAExecutionProvider"):
        pass


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (b"", "ONNX Runtime does not say why"),
        (b"error: libcudart.so.12: cannot open shared object file", "library libcudart.so.12 is"),
    ],
)
def test_a_silent_fall_back_to_the_cpu_is_unavailable(export, cuda_starts, capfd, printed, reason):
    """What onnxruntime-gpu does where libraries are missing: a session on the CPU, and a line."""
    cuda_starts(lambda: os.write(2, printed) and None)
    with pytest.raises(Unavailable, match=f"CUDAExecutionProvider did not start: {reason}"):
        open_on_cuda(export())
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", [RuntimeError, ort_errors.Fail, ort_errors.EPFail])
def test_a_provider_without_a_device_is_unavailable(export, cuda_starts, kind):
    def start():
        raise kind("CUDA failure 100: no CUDA-capable device is detected")

    cuda_starts(start)
    with pytest.raises(Unavailable, match="did not start: there is no device"):
        open_on_cuda(export())


def test_a_provider_that_fails_for_another_reason_is_unavailable(export, cuda_starts):
    def start():
        raise RuntimeError("cuDNN is unwell\ntoday")

    cuda_starts(start)
    with pytest.raises(Unavailable, match="did not start: cuDNN is unwell today;"):
        open_on_cuda(export())


def test_a_network_that_cannot_be_recorded_is_not_a_broken_file(export, cuda_starts):
    def start():
        raise ort_errors.Fail("This session cannot use the graph capture feature as requested")

    cuda_starts(start)
    with pytest.raises(Unavailable, match="not all of the network runs there, as a CUDA graph"):
        open_on_cuda(export())


def test_a_file_that_cannot_be_read_is_not_the_providers_fault(export, cuda_starts):
    def start():
        raise ort_errors.InvalidProtobuf("Protobuf parsing failed")

    cuda_starts(start)
    with pytest.raises(ArtifactError, match="not a model that ONNX Runtime reads"):
        open_on_cuda(export())


def test_cuda_libraries_that_pip_installed_are_loaded_first(export, cuda_starts, monkeypatch):
    calls = []
    monkeypatch.setattr(
        onnxruntime, "preload_dlls", lambda: sys.stdout.write("missing\n") and calls.append("load")
    )
    cuda_starts(lambda: calls.append("start"))
    with pytest.raises(Unavailable):
        open_on_cuda(export())
    assert calls == ["load", "start"]


def test_a_device_has_input_and_output_bound(export, images):
    """On the CPU's own memory: the calls are those for CUDA."""
    with OnnxRunner(export("int8")) as runner:
        expected = runner.predict(images)
        prepared = bound_to(
            runner._session, "cpu", images.astype(np.float32), ends_of(runner.artifact)
        )
        prepared.run()
        np.testing.assert_array_equal(prepared.probabilities(), expected)
        prepared.transfer()
        np.testing.assert_array_equal(prepared.probabilities(), expected)


class RecordsRuns:
    """A session on the CPU that says of itself that it records a CUDA graph."""

    def __init__(self, session):
        self._session = session

    def __getattr__(self, name):
        return getattr(self._session, name)

    def get_provider_options(self):
        return {CPU_PROVIDER: {sessions.CUDA_GRAPH: "1"}}


def test_a_run_that_is_recorded_writes_to_one_address(export, images):
    with OnnxRunner(export("int8")) as runner:
        expected = runner.predict(images)
        session, bound = RecordsRuns(runner._session), []
        binding = runner._session.io_binding()
        session.io_binding = lambda: binding
        pixels = images.astype(np.float32)
        prepared = bound_to(session, "cpu", pixels, ends_of(runner.artifact))
        for _ in range(2):
            np.testing.assert_array_equal(prepared.probabilities(), expected)
            bound.append(binding.get_outputs()[0].data_ptr())
    assert bound[0] == bound[1]


def test_options_of_the_provider_reach_every_session(export, images, monkeypatch):
    """The file's, the tapped copy's, and without a recorded run the profile's."""
    asked, real = [], onnxruntime.InferenceSession

    def session(path, options, providers, **_kwargs):
        asked.append(providers)
        return real(path, options, providers=[CPU_PROVIDER])

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    options = {"arena_extend_strategy": "kSameAsRequested"}
    with OnnxRunner(export(), provider_options=options | {sessions.CUDA_GRAPH: "1"}) as runner:
        runner.placed_nodes(images)
        runner.activations(images, ["block1_pool"])
    recorded = (CPU_PROVIDER, options | {sessions.CUDA_GRAPH: "1"})
    assert asked == [[recorded], [(CPU_PROVIDER, options)], [recorded]]


def test_a_session_on_a_device_is_prepared_there(export, images, monkeypatch):
    monkeypatch.setattr(sessions, "DEVICES", {"CPUExecutionProvider": "cpu"})
    with OnnxRunner(export()) as runner:
        prepared = runner.prepare(images)
        assert prepared.transfer is not None
        np.testing.assert_array_equal(prepared.probabilities(), runner.predict(images))


def open_it(path) -> None:
    with OnnxRunner(path):
        pass


@pytest.mark.parametrize(
    "content", [b"", b"a text file\nof two lines\n", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"]
)
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.onnx is not a model") as raised:
        open_it(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_file_that_is_cut_anywhere_is_refused_in_one_line(export, tmp_path, precision, capfd):
    data = export(precision).read_bytes()
    path = tmp_path / "broken.onnx"
    for size in (*range(0, 2000, 41), *range(2000, len(data), 997), len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(ArtifactError, match=r"broken\.onnx is not a model") as raised:
            open_it(path)
        assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_whose_error_cannot_be_quoted_is_refused_in_one_line(export, tmp_path, capfd):
    """ONNX Runtime's message holds the operator's name, which is no UTF-8."""
    path = tmp_path / "broken.onnx"
    path.write_bytes(export().read_bytes().replace(b"Softmax", b"S\xffftmax"))
    with pytest.raises(ArtifactError, match=r"broken\.onnx is not a model") as raised:
        open_it(path)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(InputError, match=f"{path} is not a model that ONNX Runtime reads"):
            open_it(path)


def test_a_model_that_takes_no_image_is_refused(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Relu", ["images"], ["probabilities"])],
        "foreign",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    path = tmp_path / "foreign.onnx"
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"foreign\.onnx was not made by vggexport, and its input"):
        open_it(path)


@pytest.mark.parametrize(
    "shape", [(2, 8, 16, 3), (2, 16, 16, 1), (16, 16, 3), (2, 3, 16, 16)], ids=str
)
def test_images_of_another_shape_are_refused_in_one_line(runner, shape):
    with pytest.raises(InputError, match="images") as raised:
        runner.predict(np.zeros(shape, np.uint8))
    assert "\n" not in str(raised.value)


def test_another_batch_than_the_files_is_refused_in_one_line(export, images):
    with OnnxRunner(export("float32", "uint8", 2)) as runner:
        assert runner.predict(images[:2]).shape == (2, 5)
        with pytest.raises(InputError, match="images") as raised:
            runner.predict(images[:3])
    assert "\n" not in str(raised.value)


def test_a_layer_that_is_not_there_is_refused_with_those_that_are(runner, images, tiny):
    with pytest.raises(ArtifactError, match="has no layer fc8, fc9 that can be read") as raised:
        runner.activations(images, ["fc1", "fc8", "fc9"])
    assert str(raised.value).endswith(", ".join(layer.name for layer in tiny.layers))
    assert "\n" not in str(raised.value)


def test_no_layers_asked_for_give_none(runner, images):
    assert runner.activations(images, []) == {}


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def names(tiny) -> list[str]:
    return [layer.name for layer in tiny.layers]


@pytest.fixture
def edited(tmp_path) -> Callable[..., Path]:
    """(path, edit) -> another file that ``edit(model)`` changed."""

    def write(path: Path, edit: Callable[[onnx.ModelProto], object]) -> Path:
        model = onnx.load(path)
        edit(model)
        onnx.save(model, written := tmp_path / "edited.onnx")
        return written

    return write


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


def test_a_full_disk_is_an_os_error_and_leaves_the_runner_as_it_was(
    export, images, monkeypatch, temporary
):
    def full(_source, _target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with OnnxRunner(export()) as runner:
        monkeypatch.setattr(shutil, "copyfile", full)
        expected = runner.predict(images)
        with pytest.raises(OSError, match="No space left"):
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
    with OnnxRunner(export("int8", taps=TAPS)) as runner, OnnxRunner(export("int8")) as other:
        found, expected = (r.activations(images, names) for r in (runner, other))
    for name in names:
        assert sqnr_db(expected[name], found[name]) > 60


def test_layers_of_float16_files_are_rounded_to_float16(export, images, names):
    with OnnxRunner(export("float16")) as runner:
        found = runner.activations(images, names)
    for name in set(names) - {"mean_subtraction", "probabilities"}:
        np.testing.assert_array_equal(found[name].astype(np.float16), found[name])


def test_a_flattening_of_one_position_and_odd_maps(
    make_request, make_weights, numpy_network, tmp_path
):
    blocks = parse_blocks("conv5-3 | conv1-4 conv3-5")
    spec = VGGSpec("odd", blocks, classes=3, hidden=fully_connected(4, 4), input_size=(7, 7))
    request, weights, path = make_request(), make_weights(spec), tmp_path / "odd.onnx"
    load_exporter("onnx").export(
        replace(request, artifact=replace(request.artifact, spec=spec), weights=weights), path
    )
    images = np.random.default_rng(5).integers(0, 256, (3, 7, 7, 3), dtype=np.uint8)
    with OnnxRunner(path) as runner:
        found = runner.activations(images, [layer.name for layer in spec.layers])
    assert found["block2_pool"].shape == (3, 1, 1, 5)
    assert not np.shares_memory(found["flatten"], found["block2_pool"])
    for name, expected in numpy_network(spec, weights, images).items():
        limit = ROUNDING * np.abs(expected).max()
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=limit, err_msg=name)


def test_a_file_without_metadata_is_read_as_another_converters(export, edited, images, tiny):
    path = edited(export(), lambda model: model.ClearField("metadata_props"))
    names = [layer.name for layer in tiny.layers[1:]]
    with OnnxRunner(path) as runner, OnnxRunner(export()) as ours:
        assert runner.artifact.foreign
        found, expected = (one.activations(images, names) for one in (runner, ours))
        with pytest.raises(ArtifactError, match="has no layer mean_subtraction that can be read"):
            runner.activations(images, ["mean_subtraction"])
    for name in names:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def described(edit: Callable[[str], str]) -> Callable[[onnx.ModelProto], None]:
    """An edit of what a file says of itself."""

    def change(model: onnx.ModelProto) -> None:
        (entry,) = (entry for entry in model.metadata_props if entry.key == METADATA_KEY)
        before, entry.value = entry.value, edit(entry.value)
        assert entry.value != before

    return change


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text[:-5],
        lambda text: text.replace('"float32"', '"float7"'),
        lambda text: text.replace('"spec"', '"specs"'),
        lambda text: "[]",
    ],
    ids=["cut", "precision", "key", "list"],
)
def test_damaged_metadata_is_refused_in_one_line(export, edited, edit):
    path = edited(export(), described(edit))
    with pytest.raises(ArtifactError, match=r"edited\.onnx: its vggexport metadata") as raised:
        open_it(path)
    assert "\n" not in str(raised.value)


def test_of_a_precision_without_a_reading_only_its_own_outputs_are_read(export, edited, images):
    precision = '"precision": "float32"', '"precision": "dynamic-int8"'
    path = edited(export(), described(lambda text: text.replace(*precision)))
    assert Precision.DYNAMIC_INT8 not in READINGS
    with OnnxRunner(path) as runner:
        assert runner.predict(images).shape == (6, 5)
        with pytest.raises(ArtifactError, match="has no layer fc2 that can be read"):
            runner.activations(images, ["fc2"])


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
