"""The streamed writer against protobuf's own reader."""

import io

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vggexport.errors import OutputError
from vggexport.formats.onnx import file_writer
from vggexport.formats.onnx.file_writer import BindingError, write_model

# Around 2**7, 2**14 and 2**21, where protobuf's lengths take a further byte.
LENGTHS = [0, 1, 90, *range(110, 132), 16_360, *range(16_366, 16_386), 2**21 - 1, 2**21]


def make_model(arrays: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A graph of one Identity, with every array as a symbol."""
    symbols = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
        )
        for name, array in arrays.items()
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1])
    output = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["images"], ["out"], name="only")
    constant = numpy_helper.from_array(np.float32([7]), "constant")
    graph = helper.make_graph([node], "g", [images, *symbols], [output], [constant])
    model = helper.make_model(graph, producer_name="test")
    helper.set_model_props(model, {"key": "value"})
    return model


def written(model: onnx.ModelProto, arrays) -> bytes:
    file = io.BytesIO()
    write_model(file, model, arrays)
    return file.getvalue()


def read(data: bytes) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    model = onnx.load_from_string(data)
    return model, {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "a": random.standard_normal((2, 3, 4)).astype(np.float32),
        "b": random.standard_normal(5).astype(np.float16),
        "c": random.integers(-128, 128, (3, 2), dtype=np.int8),
        "d": random.integers(-(2**31), 2**31, 4, dtype=np.int32),
    }


def test_arrays_of_every_length_are_read_back_as_they_were():
    random = np.random.default_rng(0)
    arrays = {f"{n}": random.integers(-128, 128, n, dtype=np.int8) for n in LENGTHS}
    data = written(make_model(arrays), arrays.items())
    model, found = read(data)
    np.testing.assert_array_equal(found.pop("constant"), [7])
    assert list(found) == list(arrays)
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    assert len(model.SerializeToString()) == len(data)


def test_types_and_shapes_are_kept(arrays):
    _, found = read(written(make_model(arrays), arrays.items()))
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def test_all_but_the_symbols_is_kept(arrays):
    model = make_model(arrays)
    before = model.SerializeToString()
    found, _ = read(written(model, arrays.items()))
    assert model.SerializeToString() == before
    assert [value.name for value in found.graph.input] == ["images"]
    assert [node.name for node in found.graph.node] == ["only"]
    assert (found.producer_name, found.metadata_props[0].value) == ("test", "value")
    assert found.opset_import == model.opset_import
    onnx.checker.check_model(found, full_check=True)


def test_arrays_may_come_in_any_order(arrays):
    backwards = list(arrays.items())[::-1]
    _, found = read(written(make_model(arrays), backwards))
    assert list(found) == ["constant", "d", "c", "b", "a"]
    assert all(np.array_equal(found[name], array) for name, array in backwards)


def test_an_array_that_is_not_contiguous_is_written_in_its_own_order(arrays):
    turned = arrays["a"].transpose(2, 0, 1)
    _, found = read(written(make_model({"a": turned}), [("a", turned)]))
    np.testing.assert_array_equal(found["a"], turned)


def test_each_array_is_in_the_file_before_the_next_is_asked_for(arrays):
    file, places = io.BytesIO(), []

    def one_by_one():
        for name, array in arrays.items():
            yield name, array
            places.append(file.getvalue().endswith(array.tobytes()))

    write_model(file, make_model(arrays), one_by_one())
    assert places == [True] * 4


def test_a_symbol_never_bound_is_refused(arrays):
    bound = [(name, array) for name, array in arrays.items() if name not in "bd"]
    with pytest.raises(BindingError, match="never bound: b, d"):
        written(make_model(arrays), bound)


def test_a_symbol_bound_twice_is_refused(arrays):
    with pytest.raises(BindingError, match="a is not a symbol of the graph, or is bound twice"):
        written(make_model(arrays), [*arrays.items(), ("a", arrays["a"])])


@pytest.mark.parametrize("name", ["other", "images", "constant"])
def test_what_is_no_symbol_is_refused(arrays, name):
    with pytest.raises(BindingError, match=f"{name} is not a symbol"):
        written(make_model(arrays), [(name, np.zeros(1, np.float32))])


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("a", np.zeros((3, 2, 4), np.float32), r"a: float32 \(2, 3, 4\) declared, float32 \(3, 2,"),
        ("a", np.zeros(24, np.float32), r"a: float32 \(2, 3, 4\) declared, float32 \(24,\) given"),
        ("a", np.zeros((2, 3, 4)), r"a: float32 .* declared, float64"),
        ("c", np.zeros((3, 2), np.uint8), r"c: int8 .* declared, uint8"),
        ("d", np.zeros(4, np.float32), r"d: int32 .* declared, float32"),
    ],
)
def test_another_shape_or_type_is_refused(arrays, name, array, message):
    with pytest.raises(BindingError, match=message):
        written(make_model(arrays), (arrays | {name: array}).items())


def test_the_limit_of_protobuf_holds_to_the_byte(arrays, monkeypatch):
    model = make_model(arrays)
    size = len(written(model, arrays.items()))
    monkeypatch.setattr(file_writer, "MAX_MODEL_BYTES", size)
    assert len(written(model, arrays.items())) == size
    monkeypatch.setattr(file_writer, "MAX_MODEL_BYTES", size - 1)
    file = io.BytesIO()
    with pytest.raises(OutputError, match=f"would have {size} bytes, more than the {size - 1}"):
        write_model(file, model, arrays.items())
    assert file.getvalue() == b""


def test_the_limit_is_two_gibibytes_less_a_byte(arrays):
    """A declared tensor of 2 GiB is refused without one being made."""
    assert file_writer.MAX_MODEL_BYTES == 2_147_483_647
    big = np.broadcast_to(np.float32(0), 2**29)
    with pytest.raises(OutputError, match="choose fewer fc_units, or choose a smaller precision"):
        written(make_model({"big": big}), iter(()))
