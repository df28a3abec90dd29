"""ONNX files of ours with a known mistake put into them, for tests and for benchmarks.

Each change of a ModelProto alters weights or adds operators, as a wrong script, a stale file or a
helpful converter would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Change = Callable[[onnx.ModelProto], None]

PARTS = ("kernel", "bias", "kernel/scales", "bias/scales")
"""Tensors of a layer, behind its name; the scales are those of int8."""


def initializers(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """By name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def set_array(tensor: onnx.TensorProto, array: NDArray[Any]) -> None:
    """Gives an initializer another value."""
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))


def changed(name: str, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Change:
    """One initializer put through a function."""

    def change(model: onnx.ModelProto) -> None:
        tensor = initializers(model)[name]
        set_array(tensor, function(numpy_helper.to_array(tensor)))

    return change


def exchanged(one: str, other: str) -> Change:
    """All tensors of two layers."""

    def change(model: onnx.ModelProto) -> None:
        tensors = initializers(model)
        for part in PARTS:
            pair = [tensors.get(f"{layer}/{part}") for layer in (one, other)]
            if all(pair):
                arrays = [numpy_helper.to_array(tensor).copy() for tensor in pair]
                for tensor, array in zip(pair, reversed(arrays), strict=True):
                    set_array(tensor, array)

    return change


def permuted(model: onnx.ModelProto) -> None:
    """The classes in another order."""
    tensors = initializers(model)
    classes = tensors["predictions/bias"].dims[0]
    order = np.roll(np.arange(classes), 2)
    for part in PARTS:
        if tensor := tensors.get(f"predictions/{part}"):
            axis = list(tensor.dims).index(classes)
            set_array(tensor, np.take(numpy_helper.to_array(tensor), order, axis=axis))


def without_softmax(model: onnx.ModelProto) -> None:
    """Logits for probabilities."""
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    softmax.CopyFrom(helper.make_node("Identity", softmax.input, softmax.output))


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(model: onnx.ModelProto) -> None:
        for one in changes:
            one(model)

    return change


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    """An operator whose inputs are separated by spaces; "-" is one left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(operator, names, [output], **attributes)


def in_front(*nodes: onnx.NodeProto, **constants: Any) -> Change:
    """Operators from ``images`` to ``fed``, which the network then reads."""

    def change(model: onnx.ModelProto) -> None:
        graph = model.graph
        for reader in graph.node:
            reader.input[:] = ["fed" if name == "images" else name for name in reader.input]
        _add_constants(graph, constants)
        for new in reversed(nodes):
            graph.node.insert(0, new)

    return change


def behind(*nodes: onnx.NodeProto, of: str = "probabilities", **constants: Any) -> Change:
    """Operators from ``own`` to the tensor ``of``, which is put out or read on."""

    def change(model: onnx.ModelProto) -> None:
        graph = model.graph
        place = next(i for i, writer in enumerate(graph.node) if of in writer.output)
        graph.node[place].output[:] = ["own"]
        _add_constants(graph, constants)
        for offset, new in enumerate(nodes, start=1):
            graph.node.insert(place + offset, new)

    return change


def _add_constants(graph: onnx.GraphProto, constants: Mapping[str, Any]) -> None:
    for name, value in constants.items():
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        graph.initializer.append(numpy_helper.from_array(array, name))


SWAPPED = in_front(node("Gather", "images order", "fed", axis=3), order=[2, 1, 0])
MEAN = "mean_subtraction/mean_rgb"

IMAGE_BREAKS: Mapping[str, Change] = {
    "channels-swapped": SWAPPED,
    "kernel-channels-swapped": changed("block1_conv1/kernel", lambda kernel: kernel[:, ::-1]),
    "mean-missing": changed(MEAN, lambda mean: 0 * mean),
    "mean-twice": changed(MEAN, lambda mean: 2 * mean),
    "mean-reversed": changed(MEAN, lambda mean: mean[..., ::-1]),
    "scaled-0-1": in_front(node("Div", "images by", "fed"), by=255.0),
    "expects-0-1": in_front(node("Mul", "images by", "fed"), by=255.0),
    "scaled-minus1-1": in_front(
        node("Div", "images by", "scaled"), node("Sub", "scaled less", "fed"), by=127.5, less=1.0
    ),
    "expects-minus1-1": in_front(
        node("Add", "images plus", "moved"), node("Mul", "moved by", "fed"), plus=1.0, by=127.5
    ),
    "torchvision-normalized": in_front(
        node("Sub", "images mean", "moved"),
        node("Div", "moved by", "fed"),
        mean=255 * np.array([0.485, 0.456, 0.406]),
        by=255 * np.array([0.229, 0.224, 0.225]),
    ),
    "height-width-swapped": in_front(node("Transpose", "images", "fed", perm=[0, 2, 1, 3])),
    "upside-down": in_front(
        node("Slice", "images last first axis step", "fed"),
        last=[-1], first=[-9999], axis=[1], step=[-1],
    ),
}  # fmt: skip
"""By the name of the mistake with the images; of any size."""


def resize_breaks(size: int) -> Mapping[str, Change]:
    """The same for mistakes that depend on the size of the images in pixels."""
    larger = round(size * 256 / 224)
    margin = (larger - size) // 2
    planes = node("Transpose", "images", "planes", perm=[0, 3, 1, 2])
    nearest = {
        "mode": "nearest",
        "nearest_mode": "floor",
        "coordinate_transformation_mode": "asymmetric",
    }
    return {
        "nchw-for-nhwc": in_front(
            node("Reshape", "images shape", "apart"),
            node("Transpose", "apart", "fed", perm=[0, 2, 3, 1]),
            shape=[-1, 3, size, size],
        ),
        "resized-twice": in_front(
            planes,
            node("Resize", "planes - scales", "larger", mode="linear"),
            node("Slice", "larger from to axes", "cropped"),
            node("Transpose", "cropped", "fed", perm=[0, 2, 3, 1]),
            **{
                "scales": [1, 1, larger / size, larger / size],
                "from": [margin, margin],
                "to": [margin + size, margin + size],
                "axes": [2, 3],
            },
        ),
        "resized-nearest": in_front(
            planes,
            node("Resize", "planes - half", "smaller", **nearest),
            node("Resize", "smaller - twice", "larger", **nearest),
            node("Transpose", "larger", "fed", perm=[0, 2, 3, 1]),
            half=[1, 1, 0.5, 0.5],
            twice=[1.0, 1.0, 2.0, 2.0],
        ),
    }


PAIR_BREAKS: Mapping[str, Change] = {
    "channels-swapped+mean-missing": both(SWAPPED, IMAGE_BREAKS["mean-missing"]),
    "channels-swapped+mean-twice": both(SWAPPED, IMAGE_BREAKS["mean-twice"]),
}

OUTPUT_BREAKS: Mapping[str, Change] = {
    "softmax-missing": without_softmax,
    "softmax-twice": behind(node("Softmax", "own", "probabilities", axis=-1)),
    "classes-permuted": permuted,
    "softmax-quantized": behind(
        node("QuantizeLinear", "own step zero", "integers"),
        node("DequantizeLinear", "integers step zero", "probabilities"),
        step=1 / 255,
        zero=np.uint8(0),
    ),
    "logits-quantized": behind(
        node("QuantizeLinear", "own step zero", "integers"),
        node("DequantizeLinear", "integers step zero", "predictions"),
        of="predictions",
        step=0.25,
        zero=np.int8(0),
    ),
}
"""By the name of the mistake behind the last layer."""
