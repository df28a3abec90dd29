"""What ONNX Runtime's matrix products reach, on any of its providers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from vggexport.formats.onnx.sessions import session_options
from vggexport.metrics.best_time import best_seconds
from vggexport.metrics.placement import CPU_PROVIDER

SIDES = {CPU_PROVIDER: 1024}
DEVICE_SIDE = 8192
"""Of square matrices on a GPU: smaller ones do not fill it."""

READ = {CPU_PROVIDER: (4096, 2**14)}
"""Shapes of a matrix that is read: 256 MiB in float32, more than caches hold."""

DEVICE_READ = (DEVICE_SIDE, 2**15)
"""On a GPU: 1 GiB."""

_OPSET = 17
_GIGA = 1e9

_TYPES: dict[str, tuple[str, Any, Any]] = {
    "float32": ("MatMul", np.float32, np.float32),
    "float16": ("MatMul", np.float16, np.float16),
    "int8": ("MatMulInteger", np.uint8, np.int8),
}
"""Operator and types of its two inputs."""


class OnnxThroughput:
    """A graph of one matrix product by a constant, which ONNX Runtime packs as it packs weights."""

    def __init__(self, provider: str, threads: int) -> None:
        self._provider = provider
        self._threads = threads

    def compute(self, dtype: str) -> float | None:
        """GFLOP/s, for int8 Gop/s; None where the provider has no kernel for it."""
        side = SIDES.get(self._provider, DEVICE_SIDE)
        seconds = self._seconds(dtype, side, side, side)
        return None if seconds is None else 2 * side**3 / seconds / _GIGA

    def read(self) -> float | None:
        """GB/s of a float32 matrix on the provider's device."""
        inner, columns = READ.get(self._provider, DEVICE_READ)
        seconds = self._seconds("float32", 1, inner, columns)
        return None if seconds is None else inner * columns * 4 / seconds / _GIGA

    def _seconds(self, dtype: str, rows: int, inner: int, columns: int) -> float | None:
        if dtype not in _TYPES:
            return None
        operator, left, right = _TYPES[dtype]
        graph = _graph(operator, left, np.ones((inner, columns), right), rows)
        options = session_options(self._threads, exact_int8=False)
        session = onnxruntime.InferenceSession(graph, options, providers=[self._provider])
        if session.get_providers()[0] != self._provider:
            return None
        binding = session.io_binding()
        device = "cpu" if self._provider == CPU_PROVIDER else "cuda"
        value = onnxruntime.OrtValue.ortvalue_from_numpy(np.ones((rows, inner), left), device, 0)
        binding.bind_ortvalue_input("left", value)
        binding.bind_output("product", device, 0)
        return best_seconds(lambda: session.run_with_iobinding(binding))


def _graph(operator: str, left: Any, right: Any, rows: int) -> bytes:
    """The serialized model: product = left @ right."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(left))
    result = TensorProto.INT32 if operator == "MatMulInteger" else kind
    graph = helper.make_graph(
        [helper.make_node(operator, ["left", "right"], ["product"])],
        "ceiling",
        [helper.make_tensor_value_info("left", kind, [rows, right.shape[0]])],
        [helper.make_tensor_value_info("product", result, [rows, right.shape[1]])],
        [numpy_helper.from_array(right, "right")],
    )
    opset = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=onnx.IR_VERSION_2023_5_5)
    serialized: bytes = model.SerializeToString()
    return serialized
