"""Files of other converters: what all formats have in common about them.

A reader of each format (``onnx/foreign.py`` and so on) makes :class:`Ends` and :class:`Step` of a
graph; here they become an artifact, an input and an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import FOREIGN_WEIGHTS, Artifact
from vggexport.errors import ArtifactError, InputError
from vggexport.formats.recognition import Step, recognize
from vggexport.formats.runner import Images, as_input
from vggexport.metrics.parity import probabilities_of
from vggexport.network.ends import NCHW, NHWC, Ends
from vggexport.network.head import HeadActivation
from vggexport.network.layers import CHANNELS
from vggexport.precision import Precision

INPUT_DTYPES = frozenset({"float32", "float16", "uint8", "int8"})
MAX_SIDE = 8192
"""Pixels of a side: beyond it no image classifier goes, and one image alone has 800 MB."""

MAX_TENSOR_BYTES = 2**31
"""Of one tensor: what a file declares is allocated when it is opened, and a few bytes declare
terabytes. The largest of VGG-E is fc1 with 411 MB; a file of ONNX cannot have more than this."""

_NCHW_FROM_NHWC = (0, 3, 1, 2)
_IMAGE_AXES = 4


@dataclass(frozen=True, slots=True)
class ForeignGraph:
    """What a format's reader finds in a file of another converter.

    Attributes:
        ends: What it takes and gives.
        batch: Images at a time; None for any number.
        precision: How it computes.
        steps: The operators from the image to the scores, in order; None where they are no chain.
        quantized_scores: Whether it gives 8-bit numbers, or floats made of them.
    """

    ends: Ends
    batch: int | None
    precision: Precision
    steps: Sequence[Step] | None = None
    quantized_scores: bool = False


def foreign_artifact(
    path: Path, file_format: str, graph: ForeignGraph
) -> tuple[Artifact, dict[str, Step]]:
    """What is known of a file of another converter, and where its layers are.

    Raises:
        ArtifactError: It has no classes.
    """
    try:
        spec = graph.ends.spec
    except InputError as error:
        raise ArtifactError(f"{path}: {error}") from error
    layers: dict[str, Step] = {}
    if graph.steps and (found := recognize(graph.steps, graph.ends)):
        spec, layers = found
    artifact = Artifact(
        str(path),
        file_format,
        graph.precision,
        spec,
        FOREIGN_WEIGHTS,
        input_dtype=graph.ends.input_dtype,
        batch=graph.batch,
        full_integer=graph.quantized_scores and graph.precision is Precision.INT8,
        ends=graph.ends,
    )
    return artifact, layers


def feed(images: Images, ends: Ends) -> NDArray[Any]:
    """Images (images, height, width, 3), in the network's numbers, as a file's input takes them."""
    array: NDArray[Any] = images
    if ends.layout == NCHW and array.ndim == _IMAGE_AXES:
        array = array.transpose(_NCHW_FROM_NHWC)
    if ends.quantization:
        scale, zero_point = ends.quantization.scale, ends.quantization.zero_point
        array = array.astype(np.float32) / np.float32(scale) + np.float32(zero_point)
    return np.ascontiguousarray(as_input(array, np.dtype(ends.input_dtype)))


def scores(values: NDArray[Any], ends: Ends) -> NDArray[np.float32]:
    """Probabilities, float32 (images, classes), of what a file gives as real numbers."""
    rows = np.array(values, np.float32).reshape(len(values), -1)
    return probabilities_of(rows, ends.head_activation) if ends.gives_logits else rows


def image_shape(
    path: Path, name: str, shape: Sequence[int | None]
) -> tuple[int | None, tuple[int, int], str]:
    """Batch, height and width, and layout of an input, whose free sizes are None.

    Raises:
        ArtifactError: It is no image of three channels and of one size.
    """
    told = f"its input {name} is ({', '.join('?' if s is None else str(s) for s in shape)})"
    expected = "expected a batch of RGB images, (batch, height, width, 3) or (batch, 3, ...)"
    if len(shape) != _IMAGE_AXES:
        raise not_taken(path, f"{told}: {expected}")
    batch, *image = shape
    if None in image:
        raise not_taken(path, f"{told}, of free size: convert it with height and width fixed")
    sides = [side for side in image if side is not None]
    first, last = sides[0] == CHANNELS, sides[-1] == CHANNELS
    if first == last:
        raise not_taken(path, f"{told}: {expected}")
    size = sides[1:] if first else sides[:-1]
    if not all(0 < side <= MAX_SIDE for side in size) or (batch is not None and batch < 1):
        raise not_taken(path, f"{told}: sides from 1 to {MAX_SIDE} pixels are taken")
    return batch, (size[0], size[1]), NCHW if first else NHWC


def check_dtype(path: Path, name: str, dtype: str) -> None:
    """Refuses an input that takes something else than numbers of a pixel.

    Raises:
        ArtifactError: It does.
    """
    if dtype not in INPUT_DTYPES:
        known = ", ".join(sorted(INPUT_DTYPES))
        raise not_taken(path, f"its input {name} is {dtype or 'of no type'}: expected {known}")


def class_count(path: Path, name: str, shape: Sequence[int | None]) -> int:
    """Numbers that an output gives for an image.

    Raises:
        ArtifactError: They are not one score a class.
    """
    sizes = [size for size in shape[1:] if size != 1] or [1]
    if len(shape) < len(("batch", "classes")) or len(sizes) != 1 or not sizes[0]:
        told = ", ".join("?" if size is None else str(size) for size in shape)
        raise not_taken(path, f"its output {name} is ({told}): expected (batch, classes)")
    return sizes[0]


def only(path: Path, kind: str, names: Sequence[str]) -> str:
    """The only one of a file's inputs or outputs.

    Raises:
        ArtifactError: It has none, or several.
    """
    if len(names) != 1:
        raise not_taken(path, f"it has {len(names)} {kind}s ({', '.join(names)}): expected one")
    return names[0]


def check_sizes(path: Path, tensors: Iterable[tuple[str, Sequence[int], int]]) -> None:
    """Refuses a file that declares more than any network has, before something allocates it.

    A tensor is a name, its known sizes and the bytes of a value.

    Raises:
        ArtifactError: It does.
    """
    for name, shape, width in tensors:
        if (size := prod(max(side, 1) for side in shape) * width) > MAX_TENSOR_BYTES:
            raise not_taken(
                path, f"its tensor {name} has {size:,} bytes, above {MAX_TENSOR_BYTES:,}"
            )


def data_path(
    source: Hashable,
    output: Hashable,
    operators: Sequence[tuple[Any, Collection[Hashable], Iterable[Hashable]]],
) -> list[Any] | None:
    """The operators from the image to the scores, in order; None where they are no chain.

    With each come the tensors that it reads, none where it asks for a shape alone, and those that
    it computes. Tools list operators in any order.
    """
    data, known = {source}, 0
    while known < len(data):
        known = len(data)
        data.update(t for _, reads, gives in operators if data.intersection(reads) for t in gives)
    makers = {tensor: (one, reads) for one, reads, gives in operators for tensor in gives}
    path: list[Any] = []
    while output != source:
        operator, reads = makers.get(output, (None, ()))
        read = [tensor for tensor in reads if tensor in data]
        if len(read) != 1 or len(path) > len(makers):
            return None
        path.append(operator)
        output = read[0]
    return path[::-1]


def not_taken(path: Path, reason: str) -> ArtifactError:
    """The refusal of a file of another converter."""
    return ArtifactError(f"{path} was not made by vggexport, and {reason}")


def told(read: Callable[[], Artifact]) -> tuple[Artifact | None, str]:
    """What a reader says of a file of another converter, or why the file is not taken."""
    try:
        return read(), ""
    except ArtifactError as error:
        return None, str(error)


def activation_for(classes: int, last: HeadActivation | None) -> HeadActivation:
    """What makes probabilities of logits: the graph's own, or a sigmoid for one output only."""
    return last or (HeadActivation.SIGMOID if classes == 1 else HeadActivation.SOFTMAX)
