"""A model repository of NVIDIA Triton Inference Server.

https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_repository.md and
model_configuration.md beside it.
"""

from __future__ import annotations

from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.bundles.layouts.interface import PlacedModel, check_format, placed
from vggexport.network.layers import INPUT_NAME, OUTPUT_NAME

MAX_BATCH_SIZE = 8
"""Of models that take any number of images: from here on VGG gains nothing by larger batches."""

_TYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8"}


def place(artifact: Artifact, path: Path, folder: Path) -> PlacedModel:
    """``triton/<name>/1/model.onnx`` with its ``config.pbtxt`` and labels.

    Raises:
        InputError: It is no ONNX model.
    """
    check_format(artifact, "triton", "onnx")
    root = f"triton/{path.stem}"
    config = folder / "config.pbtxt"
    config.write_text(model_configuration(artifact, path.stem), encoding="utf-8")
    companions = {f"{root}/config.pbtxt": config}
    if names := artifact.output_labels:
        labels = folder / "labels.txt"
        labels.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        companions[f"{root}/labels.txt"] = labels
    return placed(artifact, path, f"{root}/1/model.onnx", companions=companions)


def model_configuration(artifact: Artifact, name: str) -> str:
    """``config.pbtxt``: with a free batch Triton batches requests, and counts it in no shape."""
    fixed = artifact.batch
    batch = [] if fixed is None else [fixed]
    label_file = '\n    label_filename: "labels.txt"' if artifact.output_labels else ""
    batching = "dynamic_batching { }\n" if fixed is None else ""
    return f"""name: "{name}"
backend: "onnxruntime"
max_batch_size: {MAX_BATCH_SIZE if fixed is None else 0}
input [
  {{
    name: "{INPUT_NAME}"
    data_type: {_TYPES[artifact.input_dtype]}
    dims: {[*batch, *artifact.spec.image_shape]}
  }}
]
output [
  {{
    name: "{OUTPUT_NAME}"
    data_type: TYPE_FP32
    dims: {[*batch, artifact.spec.classes]}{label_file}
  }}
]
{batching}"""
