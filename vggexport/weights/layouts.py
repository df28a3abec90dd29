"""Layouts of the weights that others publish, and the exact way from each into the native one.

A layout is a convention for names and axes, and the preprocessing that its networks were trained
with by convention (:mod:`vggexport.network.preprocessing`). Kernels of torchvision's convolutions
are OIHW -> HWIO, those of its fully connected layers (outputs, inputs) -> (inputs, outputs), and
fc1's inputs, flattened CHW, are reordered to HWC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import isqrt
from types import MappingProxyType

import numpy as np

from vggexport.errors import InputError
from vggexport.network.layers import LOGITS_NAME, LayerKind
from vggexport.network.preprocessing import Preprocessing
from vggexport.network.spec import VGGSpec
from vggexport.weights.stored import AnyArray, Archive, StoredTensor

FIRST_KERNEL = "block1_conv1/kernel"
FC1_KERNEL = "fc1/kernel"

_NO_AXES: Mapping[int, tuple[int, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Layout:
    """One convention for names and axes.

    Attributes:
        name: As it is asked for.
        convention: Name of the preprocessing that its networks usually have.
        names: Names that a file in this layout gives the native names of a network.
        axes: Native axis order of a stored kernel, by its rank; other ranks stay as they are.
        adjust: Last step from a stored tensor, its axes native already, to the native values;
            takes the native name, the array and the number of channels that fc1's inputs have.
    """

    name: str
    convention: str
    names: Callable[[VGGSpec], dict[str, str]]
    axes: Mapping[int, tuple[int, ...]]
    adjust: Callable[[str, AnyArray, int], AnyArray]

    def native_shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that a stored tensor has in the native layout."""
        return tuple(stored[axis] for axis in self._axes(len(stored)))

    def stored_shape(self, native: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that a file must have for a tensor of this native shape."""
        return tuple(native[axis] for axis in np.argsort(self._axes(len(native))))

    def to_native(self, name: str, tensor: StoredTensor, spec: VGGSpec) -> StoredTensor:
        """The tensor of that native name, converted when it is read."""
        channels = spec.blocks[-1][-1].filters
        read = partial(self._read, name, tensor, channels)
        return StoredTensor(self.native_shape(tensor.shape), read)

    def _read(self, name: str, tensor: StoredTensor, channels: int) -> AnyArray:
        array = tensor.read()
        return self.adjust(name, array.transpose(self._axes(array.ndim)), channels)

    def _axes(self, rank: int) -> tuple[int, ...]:
        return self.axes.get(rank, tuple(range(rank)))


def _native_names(spec: VGGSpec) -> dict[str, str]:
    return {name: name for name in spec.tensors}


def _torchvision_names(spec: VGGSpec) -> dict[str, str]:
    """``features.N`` counts convolutions, their ReLUs, and poolings; Dropouts lie between fc's."""
    names = {"fc1": "classifier.0", "fc2": "classifier.3", LOGITS_NAME: "classifier.6"}
    index = 0
    for layer in spec.layers:
        if layer.kind is LayerKind.CONVOLUTION:
            names[layer.name] = f"features.{index}"
            index += 2
        elif layer.kind is LayerKind.MAX_POOLING:
            index += 1
    return {
        native: names[layer.name] + ending
        for layer in spec.weighted_layers
        for native, ending in ((layer.kernel.name, ".weight"), (layer.bias.name, ".bias"))
    }


def _keep(_name: str, array: AnyArray, _channels: int) -> AnyArray:
    return array


def _from_torchvision(name: str, array: AnyArray, channels: int) -> AnyArray:
    if name == FC1_KERNEL:
        side = isqrt(len(array) // channels)
        chw = array.reshape(channels, side, side, array.shape[-1])
        return np.moveaxis(chw, 0, 2).reshape(array.shape)
    return array


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        layout.name: layout
        for layout in (
            Layout("native", "vgg", _native_names, _NO_AXES, _keep),
            Layout("keras", "caffe", _native_names, _NO_AXES, _keep),
            Layout(
                "torchvision",
                "torch",
                _torchvision_names,
                MappingProxyType({4: (2, 3, 1, 0), 2: (1, 0)}),
                _from_torchvision,
            ),
        )
    }
)
AUTO = "auto"


def folded(kernel: StoredTensor, preprocessing: Preprocessing) -> StoredTensor:
    """The first kernel, HWIO, for RGB minus the preprocessing's mean, converted when it is read."""
    return StoredTensor(kernel.shape, partial(_fold, kernel, preprocessing))


def _fold(kernel: StoredTensor, preprocessing: Preprocessing) -> AnyArray:
    array = kernel.read()[:, :, list(preprocessing.order)]
    divisor = np.array(preprocessing.std_rgb)[:, np.newaxis]
    return array if (divisor == 1).all() else np.divide(array, divisor)


def check_layout(name: str) -> None:
    """Refuses a name that no layout has.

    Raises:
        InputError: It is neither "auto" nor in ``LAYOUTS``.
    """
    if name != AUTO and name not in LAYOUTS:
        raise InputError(f"weights layout {name!r}: choose from {', '.join((AUTO, *LAYOUTS))}")


def choose_layout(name: str, archive: Archive, default: str) -> Layout:
    """The layout asked for; for "auto" torchvision by its names, else that of the file type."""
    if name != AUTO:
        return LAYOUTS[name]
    if any(stored.startswith(("features.", "classifier.")) for stored in archive):
        return LAYOUTS["torchvision"]
    return LAYOUTS[default]
