"""The streamed writer against the generated flatbuffer classes."""

import io

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from vggexport.errors import OutputError
from vggexport.formats.tflite import file_writer
from vggexport.formats.tflite.bound_weights import Value
from vggexport.formats.tflite.file_writer import BindingError, write_model
from vggexport.formats.tflite.graph import Blocks, Graph, Operator, Tensor
from vggexport.quantization.int8 import ActivationQuantization

SIZES = [1, 3, 4, 11, 12, 13, 15, 16, 17, 31, 32, 33, 1000]
"""Around the multiples of 16 at which data begins, with and without the length in front."""


def make_graph(*weights: Tensor, batch: int | None = 1) -> Graph:
    """One RESHAPE with a constant, beside every weight."""
    graph = Graph("g", batch)
    graph.add(Tensor("in", "int8", (4,), ActivationQuantization(0.5, -3)))
    graph.add(Tensor("constant", "int32", (2,), data=np.int32([-1, 4])))
    for tensor in weights:
        graph.add(tensor)
    graph.add(Tensor("out", "int8", (4,), ActivationQuantization(0.5, -3)))
    options = schema.ReshapeOptionsT()
    options.newShape = [-1, 4]
    graph.operators.append(Operator("RESHAPE", 1, ("in", "constant"), "out", options))
    return graph


def weight(name: str, array: np.ndarray, channels: int = 0) -> Tensor:
    return Tensor(name, array.dtype.name, array.shape, channels=channels, is_weight=True)


def written(graph: Graph, values) -> bytes:
    file = io.BytesIO()
    write_model(file, graph, values, description="what", metadata={"key": b"value"})
    return file.getvalue()


def read(data: bytes) -> tuple[schema.ModelT, dict[str, schema.TensorT]]:
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    return model, {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}


def array_of(model: schema.ModelT, tensor: schema.TensorT, dtype) -> np.ndarray:
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
    return data.view(dtype).reshape(tensor.shape)


def data_positions(data: bytes) -> dict[str, int]:
    """Where the data of every constant begins in the file."""
    graph = (model := schema.Model.GetRootAs(data, 0)).Subgraphs(0)
    start = np.frombuffer(data, np.uint8).ctypes.data
    found = {}
    for tensor in (graph.Tensors(i) for i in range(graph.TensorsLength())):
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength():
            found[tensor.Name().decode()] = buffer.DataAsNumpy().ctypes.data - start
    return found


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "a": random.standard_normal((2, 3, 4)).astype(np.float32),
        "b": random.standard_normal(5).astype(np.float16),
        "c": random.integers(-128, 128, (3, 2), dtype=np.int8),
        "d": random.integers(-(2**62), 2**62, 4, dtype=np.int64),
    }


@pytest.fixture
def graph(arrays) -> Graph:
    return make_graph(*(weight(name, array) for name, array in arrays.items()))


def values_of(arrays: dict[str, np.ndarray]) -> list[Value]:
    return [Value(name, array) for name, array in arrays.items()]


def test_arrays_of_every_type_and_shape_are_read_back(arrays, graph):
    model, tensors = read(written(graph, values_of(arrays)))
    for name, array in arrays.items():
        np.testing.assert_array_equal(array_of(model, tensors[name], array.dtype), array)
        assert tensors[name].type == getattr(schema.TensorType, array.dtype.name.upper())
    np.testing.assert_array_equal(array_of(model, tensors["constant"], np.int32), [-1, 4])


def test_all_but_the_weights_is_as_the_graph_has_it(arrays, graph):
    data = written(graph, values_of(arrays))
    assert data[4:8] == b"TFL3"
    model, tensors = read(data)
    assert (model.version, model.description) == (3, b"what")
    (subgraph,), (signature,), (code,) = (model.subgraphs, model.signatureDefs, model.operatorCodes)
    assert list(tensors) == ["in", "constant", "a", "b", "c", "d", "out"]
    assert (list(subgraph.inputs), list(subgraph.outputs)) == ([0], [6])
    (operator,) = subgraph.operators
    assert (list(operator.inputs), list(operator.outputs)) == ([0, 1], [6])
    assert list(operator.builtinOptions.newShape) == [-1, 4]
    reshape = schema.BuiltinOperator.RESHAPE
    assert (code.builtinCode, code.deprecatedBuiltinCode, code.version) == (reshape, reshape, 1)
    assert signature.signatureKey == b"serving_default"
    ends = [(e.name, e.tensorIndex) for e in (*signature.inputs, *signature.outputs)]
    assert ends == [(b"images", 0), (b"probabilities", 6)]
    (entry,) = model.metadata
    assert (entry.name, bytes(model.buffers[entry.buffer].data)) == (b"key", b"value")
    assert model.buffers[0].data is None
    assert [tensors[name].buffer for name in ("in", "out")] == [0, 0]
    quantization = tensors["in"].quantization
    assert (list(quantization.scale), list(quantization.zeroPoint)) == ([0.5], [-3])


def test_every_weight_has_a_buffer_of_its_own(arrays, graph):
    data = written(graph, values_of(arrays))
    _, tensors = read(data)
    buffers = [tensors[name].buffer for name in (*arrays, "constant")]
    assert len({*buffers, 0}) == 6
    positions = data_positions(data)
    assert len(set(positions.values())) == len(positions) == 5


@pytest.mark.parametrize("batch", [1, 3, None])
def test_the_batch_is_in_the_shapes_of_activations_alone(arrays, batch):
    graph = make_graph(weight("a", arrays["a"]), batch=batch)
    _, tensors = read(written(graph, values_of({"a": arrays["a"]})))
    assert list(tensors["in"].shape) == [batch or 1, 4]
    signature = tensors["in"].shapeSignature
    assert signature is None if batch else list(signature) == [-1, 4]
    assert list(tensors["a"].shape) == [2, 3, 4]
    assert tensors["a"].shapeSignature is None


def test_data_of_every_size_begins_at_a_multiple_of_sixteen():
    """The schema's ``force_align``, which the generated classes do not know."""
    random = np.random.default_rng(0)
    arrays = {f"{n}": random.integers(-128, 128, n, dtype=np.int8) for n in SIZES}
    data = written(make_graph(*(weight(n, a) for n, a in arrays.items())), values_of(arrays))
    positions = data_positions(data)
    assert positions.keys() == {*arrays, "constant"}
    assert [name for name, position in positions.items() if position % 16] == []
    model, tensors = read(data)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array_of(model, tensors[name], np.int8), array)


def test_values_may_come_in_any_order(arrays, graph):
    model, tensors = read(written(graph, values_of(arrays)[::-1]))
    for name, array in arrays.items():
        np.testing.assert_array_equal(array_of(model, tensors[name], array.dtype), array)


def test_an_array_that_is_not_contiguous_is_written_in_its_own_order(arrays):
    turned = arrays["a"].transpose(2, 0, 1)
    model, tensors = read(written(make_graph(weight("a", turned)), [Value("a", turned)]))
    np.testing.assert_array_equal(array_of(model, tensors["a"], np.float32), turned)


@pytest.mark.parametrize("chunk_bytes", [1, 48, 49, 100, 10_000])
def test_a_large_array_is_written_in_parts_that_make_up_the_whole(arrays, monkeypatch, chunk_bytes):
    turned = np.arange(7 * 12, dtype=np.float32).reshape(12, 7).T
    monkeypatch.setattr(file_writer, "_CHUNK_BYTES", chunk_bytes)
    model, tensors = read(written(make_graph(weight("a", turned)), [Value("a", turned)]))
    np.testing.assert_array_equal(array_of(model, tensors["a"], np.float32), turned)


def test_each_array_is_in_the_file_before_the_next_is_asked_for(arrays, graph):
    file, places = io.BytesIO(), []

    def one_by_one():
        for name, array in arrays.items():
            yield Value(name, array)
            places.append(file.getvalue().endswith(array.tobytes()))

    write_model(file, graph, one_by_one(), description="", metadata={})
    assert places == [True] * 4
    assert file.tell() == len(file.getvalue())  # what is appended goes behind


def test_scales_of_channels_are_set_with_the_values():
    """Also where two weights have as many: each has scales of its own."""
    kernel = np.arange(6, dtype=np.int8).reshape(3, 2)
    first, second = np.float32([0.1, 0.2, 0.3]), np.float32([4, 5, 6])
    data = written(
        make_graph(weight("k", kernel, channels=3), weight("l", kernel, channels=3)),
        [Value("k", kernel, first), Value("l", kernel, second)],
    )
    _, tensors = read(data)
    for name, scales in {"k": first, "l": second}.items():
        quantization = tensors[name].quantization
        np.testing.assert_array_equal(quantization.scale, scales)
        np.testing.assert_array_equal(quantization.zeroPoint, [0, 0, 0])
        assert quantization.quantizedDimension == 0


def test_blocks_name_the_tensor_of_their_scales():
    scales = np.ones((2, 1), np.float16)
    kernel = Tensor("k", "int4", (2, 64), blocks=Blocks(64, "s"), is_weight=True)
    packed = np.arange(64, dtype=np.uint8)
    graph = make_graph(weight("s", scales), kernel)
    model, tensors = read(written(graph, [Value("s", scales), Value("k", packed)]))
    details = tensors["k"].quantization.details
    assert list(tensors)[details.scales] == "s"
    assert (details.blockSize, details.zeroPoints) == (64, -1)
    assert list(tensors["k"].shape) == [2, 64]
    np.testing.assert_array_equal(model.buffers[tensors["k"].buffer].data, packed)


def test_a_weight_never_bound_is_refused(arrays, graph):
    bound = [value for value in values_of(arrays) if value.name not in "bd"]
    with pytest.raises(BindingError, match="never bound: b, d"):
        written(graph, bound)


def test_a_weight_bound_twice_is_refused(arrays, graph):
    with pytest.raises(BindingError, match="a is not a weight of the graph, or is bound twice"):
        written(graph, [*values_of(arrays), Value("a", arrays["a"])])


@pytest.mark.parametrize("name", ["other", "in", "constant", "out"])
def test_what_is_no_weight_is_refused(arrays, graph, name):
    with pytest.raises(BindingError, match=f"{name} is not a weight"):
        written(graph, [*values_of(arrays), Value(name, np.zeros(1, np.float32))])


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("a", np.zeros((3, 2, 4), np.float32)),
        ("a", np.zeros(24, np.float32)),
        ("a", np.zeros((2, 3, 4))),
        ("c", np.zeros((3, 2), np.uint8)),
        ("d", np.zeros(4, np.int32)),
    ],
    ids=["turned", "flat", "float64", "uint8", "int32"],
)
def test_another_shape_or_type_is_refused(arrays, graph, name, array):
    with pytest.raises(BindingError, match=rf"{name}: .* declared, .*{array.dtype}.* given"):
        written(graph, values_of(arrays | {name: array}))


@pytest.mark.parametrize("scales", [None, np.ones(2, np.float32), np.ones(4, np.float32)])
def test_another_number_of_scales_than_channels_is_refused(scales):
    kernel = np.zeros((3, 2), np.int8)
    with pytest.raises(BindingError, match=r"k: .* declared, .* given"):
        written(make_graph(weight("k", kernel, channels=3)), [Value("k", kernel, scales)])


def test_scales_where_none_are_declared_are_refused():
    kernel = np.zeros((3, 2), np.int8)
    with pytest.raises(BindingError, match=r"k: .* declared, .* given"):
        written(make_graph(weight("k", kernel)), [Value("k", kernel, np.ones(3, np.float32))])


def test_a_file_within_the_limit_is_written_and_a_larger_one_never_begun(
    arrays, graph, monkeypatch
):
    size = len(written(graph, values_of(arrays)))
    # The place of a weight depends on what is in front of it, so up to 15 bytes each are reckoned.
    monkeypatch.setattr(file_writer, "MAX_MODEL_BYTES", size + 4 * 15)
    assert len(written(graph, values_of(arrays))) == size
    monkeypatch.setattr(file_writer, "MAX_MODEL_BYTES", size - 1)
    file = io.BytesIO()
    with pytest.raises(OutputError, match=f"more than the {size - 1:,} that one file may have"):
        write_model(file, graph, values_of(arrays), description="what", metadata={"key": b"value"})
    assert file.getvalue() == b""


def test_the_limit_is_two_gibibytes_less_a_byte():
    """A declared tensor of 2 GiB is refused without one being made."""
    assert file_writer.MAX_MODEL_BYTES == 2_147_483_647
    big = Tensor("big", "float32", (2**29,), is_weight=True)
    with pytest.raises(OutputError, match="choose fewer fc_units, or choose a smaller precision"):
        written(make_graph(big), iter(()))


def test_two_tensors_of_one_name_are_refused(graph):
    with pytest.raises(ValueError, match="two tensors are named a"):
        graph.add(Tensor("a", "float32", (1,)))
