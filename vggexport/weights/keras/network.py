"""The network that a Keras file describes, as a neutral value, or a refusal by a layer's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vggexport.weights.keras.affine import Preprocessing, folded_bias, folded_kernel
from vggexport.weights.keras.chain import Chain, Weighted
from vggexport.weights.keras.classes import check_known, read_layer
from vggexport.weights.keras.config import described_layers
from vggexport.weights.keras.document import read_document
from vggexport.weights.keras.refusal import understanding
from vggexport.weights.keras.settings import Settings
from vggexport.weights.keras.tensors import read_variables
from vggexport.weights.stored import StoredTensor


@dataclass(frozen=True, slots=True)
class LayerTensors:
    """The weights of one convolution or dense layer, all that is affine around it folded in.

    Attributes:
        name: What the file calls the layer.
        kernel: HWIO on the described network's own channels (see ``Preprocessing.order``), or
            (inputs, outputs) with a flattened map's inputs in HWC order.
        bias: (outputs,).
    """

    name: str
    kernel: StoredTensor
    bias: StoredTensor


@dataclass(frozen=True, slots=True)
class DescribedNetwork:
    """A VGG network as its owner built it.

    Attributes:
        input_size: Height and width of the images.
        preprocessing: What the network does to its input before everything else, or None.
        preprocesses: Whether it begins with layers that are there to preprocess, so that it takes
            RGB 0...255 as it is. A batch normalization in front tells nothing of the kind.
        blocks: (kernel size, filters) of each convolution, block by block; a ReLU follows each.
        pooled: Whether a 2x2 max pooling ends each block; all but the last.
        pooling: What the head begins with: "flatten", "average" or "max" of the whole map; "" where
            nothing is after the convolutions.
        hidden: (units, whether a ReLU follows) of each dense layer but the last.
        classes: Units of the last; 0 for a network without dense layers.
        head_activation: "softmax" or "sigmoid".
        logits_only: Whether the file's network ends in logits, and ``head_activation`` is added:
            softmax, for one output sigmoid.
        tensors: The weights of the convolutions and dense layers, in order.
        reduced: Names of dtype policies other than float32, which the export does not repeat.
    """

    input_size: tuple[int, int]
    preprocessing: Preprocessing | None
    preprocesses: bool
    blocks: tuple[tuple[tuple[int, int], ...], ...]
    pooled: tuple[bool, ...]
    pooling: str
    hidden: tuple[tuple[int, bool], ...]
    classes: int
    head_activation: str
    logits_only: bool
    tensors: tuple[LayerTensors, ...]
    reduced: tuple[str, ...]


def read_network(
    path: Path, input_size: tuple[int, int] | None = None, *, headless: bool = False
) -> DescribedNetwork | None:
    """The network that a ``.keras`` or ``.h5`` file describes; None for a file of weights alone.

    ``input_size`` is for what the file leaves open; a headless one may end before its dense layers.

    Raises:
        WeightsError: The file is damaged, or a layer of it is not exported; the message names it.
        Unavailable: h5py is not installed.
    """
    document = read_document(path)
    if document is None:
        return None
    layers = described_layers(document, str(path))
    with understanding(str(path)):
        for described in layers:
            check_known(str(path), described)
        variables = read_variables(path, layers)
        chain, policies = Chain(input_size), set()
        settings = [Settings(str(path), *pair) for pair in zip(layers, variables, strict=True)]
        for layer in settings:
            policies.add(read_layer(chain, layer))
        chain.finish(settings[-1], headless=headless)
        return _network(chain, tuple(sorted(policies - {"float32"})))


def _network(chain: Chain, reduced: tuple[str, ...]) -> DescribedNetwork:
    hidden = chain.head[:-1]
    classes = chain.head[-1].kernel.shape[-1] if chain.head else 0
    weighted = [*(layer for block in chain.blocks for layer in block), *chain.head]
    return DescribedNetwork(
        input_size=chain.input_size,
        preprocessing=_preprocessing(chain),
        preprocesses=chain.preprocesses,
        blocks=tuple(tuple(map(_size_and_filters, block)) for block in chain.blocks),
        pooled=tuple(chain.pooled),
        pooling=chain.pooling,
        hidden=tuple((layer.kernel.shape[-1], layer.relu) for layer in hidden),
        classes=classes,
        head_activation=chain.activation or ("sigmoid" if classes == 1 else "softmax"),
        logits_only=not chain.activation,
        tensors=tuple(map(_tensors, weighted)),
        reduced=reduced,
    )


def _preprocessing(chain: Chain) -> Preprocessing | None:
    front = Preprocessing(
        tuple(map(float, chain.front.scale)), tuple(map(float, chain.front.offset)), chain.order
    )
    return None if front == Preprocessing((1, 1, 1), (0, 0, 0)) else front


def _size_and_filters(convolution: Weighted) -> tuple[int, int]:
    return convolution.kernel.shape[0], convolution.kernel.shape[-1]


def _tensors(weighted: Weighted) -> LayerTensors:
    around = weighted.before, weighted.after
    return LayerTensors(
        weighted.layer.layer.name,
        folded_kernel(weighted.kernel, *around),
        folded_bias(weighted.kernel, weighted.bias, *around),
    )
