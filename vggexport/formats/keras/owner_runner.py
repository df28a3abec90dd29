"""The network of a weights file that describes it, as its owner runs it: a reference of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

import keras
import numpy as np
import tensorflow as tf
from keras.applications import imagenet_utils
from numpy.typing import NDArray

from vggexport.formats.keras.owner_layers import Computation, computation, ends
from vggexport.formats.keras.runner import KerasRunner
from vggexport.formats.runner import Images, Prepared
from vggexport.network.layers import OUTPUT_NAME
from vggexport.network.preprocessing import BGR, Preprocessing
from vggexport.network.spec import MEAN_RGB, VGGSpec
from vggexport.weights.keras.config import described_layers
from vggexport.weights.keras.document import read_document
from vggexport.weights.keras.refusal import understanding
from vggexport.weights.keras.tensors import read_variables

Pixels = NDArray[np.float32]


class OwnerRunner(KerasRunner):
    """Probabilities by the description's own layers, one layer's weights in memory at a time.

    Nothing is used of the way by which a description becomes a spec and native tensors: neither
    the walk nor a folding, a layout or a mean subtraction. So a mistake there shows as a
    difference. Outputs of inner layers are those of the network as it was read: where they agree
    with a file and the probabilities do not, the reading is what is wrong.

    Args:
        spec: The network as it was read.
        weights: The same.
        path: The file that describes it.
        preprocessing: What happens to RGB 0...255 before the described network.
        added: The activation that is put after it where it ends in logits.
        threads: Threads to use; 0 for what TensorFlow has in this process.
    """

    def __init__(
        self,
        spec: VGGSpec,
        weights: Mapping[str, NDArray[np.float32]],
        *,
        path: Path,
        preprocessing: Preprocessing,
        added: str,
        threads: int = 0,
    ) -> None:
        super().__init__(spec, weights, threads=threads)
        self._keras = self.runtime
        self.runtime = f"{self._keras}, by the description in {path.name}"
        self._path = path
        self._preprocessing = preprocessing
        self._added = added
        self._computations: tuple[Computation, ...] = ()

    def __enter__(self) -> Self:
        super().__enter__()
        self._computations = computations(self._path, self._added)
        return self

    def close(self) -> None:
        """Lets go of the network and its memory."""
        super().close()
        self._computations = ()

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs of layers by the names of the spec, in the order asked for.

        Raises:
            ArtifactError: The network has no such layer.
        """
        wanted = list(names)
        inner = [name for name in wanted if name != OUTPUT_NAME]
        found = super().activations(images, inner) if inner else {}
        return {
            name: found[name] if name in found else self._probabilities(images) for name in wanted
        }

    def prepare(self, images: Images) -> Prepared:
        """What is timed is one graph, the network as it was read; the runtime's name says so."""
        self.runtime = f"{self._keras}, the network as read from {self._path.name}"
        return super().prepare(images)

    def _probabilities(self, images: Images) -> NDArray[np.float32]:
        values = tf.convert_to_tensor(preprocessed(images, self._preprocessing))
        for compute in self._computations:
            values = compute(values)
        return np.array(values)


def computations(path: Path, added: str) -> tuple[Computation, ...]:
    """What the layers that a file describes compute, in order, and what is added to their logits.

    Raises:
        WeightsError: A layer is not of a known class, or not as its class is.
    """
    document = read_document(path)
    assert document is not None  # noqa: S101  what has no description is not run by it
    layers = described_layers(document, str(path))
    with understanding(str(path)):
        pairs = zip(layers, read_variables(path, layers), strict=True)
        found = tuple(filter(None, (computation(*pair) for pair in pairs)))
    return found if any(map(ends, layers)) else (*found, keras.activations.get(added))


def preprocessed(images: Images, preprocessing: Preprocessing) -> Pixels:
    """Images as a convention's own definition has them: float32 NHWC.

    Those of ``keras.applications`` are Keras' own functions.
    """
    pixels = np.array(images, np.float32)
    if preprocessing.name in _BY_NAME:
        return np.asarray(_BY_NAME[preprocessing.name](pixels), np.float32)
    pixels -= np.array(preprocessing.mean_rgb, np.float32)
    pixels /= np.array(preprocessing.std_rgb, np.float32)
    return pixels[..., ::-1] if preprocessing.channel_order == BGR else pixels


def _mode(name: str) -> Callable[[Pixels], Pixels]:
    return lambda x: imagenet_utils.preprocess_input(x, data_format="channels_last", mode=name)


_BY_NAME: Mapping[str, Callable[[Pixels], Pixels]] = MappingProxyType(
    {
        "vgg": lambda x: x - np.array(MEAN_RGB, np.float32),
        "caffe": _mode("caffe"),
        "torch": _mode("torch"),
        "tf": _mode("tf"),
        "unit": lambda x: x / np.float32(255),
        "raw": lambda x: x,
    }
)
