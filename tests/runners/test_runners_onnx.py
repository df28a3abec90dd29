"""ONNX Runtime behind the runner interface."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from vggexport.errors import InputError, Unavailable
from vggexport.runners.onnx import OnnxRunner

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


def test_activations_are_given_by_name_and_nchw(runner, images, expected):
    found = runner.activations(images, TAPS)
    assert list(found) == list(TAPS)
    for name, values in found.items():
        nhwc = values.transpose(0, 2, 3, 1) if values.ndim == 4 else values
        assert values.dtype == np.float32
        limit = ROUNDING * np.abs(expected[name]).max()
        np.testing.assert_allclose(nhwc, expected[name], rtol=0, atol=limit)


def test_activations_come_in_the_order_asked_for_and_from_any_iterable(runner, images):
    backwards = [*TAPS[::-1], "probabilities"]
    found = runner.activations(images, iter(backwards))
    assert list(found) == backwards
    assert found["fc1"].shape == (6, 16)
    assert found["block1_pool"].shape == (6, 6, 8, 8)
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


def test_a_silent_fall_back_to_the_cpu_is_unavailable(export, monkeypatch):
    """As on a machine with onnxruntime-gpu and no GPU."""
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, providers: real(path, options, providers=["CPUExecutionProvider"]),
    )
    with (
        pytest.raises(Unavailable, match="did not start and ONNX Runtime fell back to CPUExec"),
        OnnxRunner(export(), provider="CUDAExecutionProvider"),
    ):
        pass


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


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(export, tmp_path, kept):
    data = export().read_bytes()
    path = tmp_path / "broken.onnx"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError, match=r"broken\.onnx is not a model"):
        open_it(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(InputError, match=f"{path} is not a model that ONNX Runtime reads"):
            open_it(path)


@pytest.mark.parametrize(
    ("inputs", "output"),
    [
        (("pixels",), "probabilities"),
        (("images",), "scores"),
        (("images", "mask"), "probabilities"),
    ],
)
def test_a_foreign_model_is_refused(tmp_path, inputs, output):
    graph = helper.make_graph(
        [helper.make_node("Sum", list(inputs), [output])],
        "foreign",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    path = tmp_path / "foreign.onnx"
    onnx.save(model, path)
    with pytest.raises(InputError, match=r"foreign\.onnx does not map images to probabilities"):
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


def test_a_layer_that_the_file_does_not_give_is_refused(runner, images):
    with pytest.raises(InputError, match="fc9") as raised:
        runner.activations(images, ["fc1", "fc9"])
    assert "\n" not in str(raised.value)


def test_no_layers_asked_for_give_none(runner, images):
    assert runner.activations(images, []) == {}
