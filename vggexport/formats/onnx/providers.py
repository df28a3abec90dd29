"""Which execution providers of ONNX Runtime start here.

It offers every provider that it was built with, whether or not the machine has what that needs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import onnxruntime
from onnx import TensorProto, helper

from vggexport.errors import ArtifactError, Unavailable
from vggexport.formats.onnx.sessions import open_session, session_options


def try_providers() -> dict[str, str]:
    """Opens a network of one operator on each: by name why it does not start, or nothing."""
    with tempfile.TemporaryDirectory(prefix="vggexport-") as folder:
        path = Path(folder) / "relu.onnx"
        onnx.save(_one_operator(), path)
        return {name: _problem(path, name) for name in onnxruntime.get_available_providers()}


def _one_operator() -> onnx.ModelProto:
    ends = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])], "relu", *([end] for end in ends)
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _problem(path: Path, provider: str) -> str:
    try:
        open_session(path, session_options(threads=1), provider)
    except (ArtifactError, Unavailable) as error:
        return error.fact
    return ""
