"""Layouts of the weights that others publish, and the exact way from each into the native one.

The network computes ``conv(pad0(x - mean))`` on RGB ``x`` in 0...255, with a mean that belongs to
the weights. Both foreign conventions fold into that exactly:

* **keras** (caffe preprocessing, ``keras.applications.vgg16.preprocess_input``) feeds BGR minus the
  mean: the same numbers in another channel order. ``kernel[:, :, c]`` becomes
  ``kernel[:, :, 2 - c]`` in the first kernel, nothing else.
* **torchvision** feeds ``(x / 255 - m) / s = (x - 255 m) / (255 s)`` per channel: the first kernel
  is divided by ``255 s`` per input channel, and the mean to subtract is ``255 m``. That is not
  ``MEAN_RGB``; the difference, a constant offset, cannot go into block1_conv1's bias, since the
  zeros of the padding do not carry it. So the mean travels as ``VGGSpec.mean_rgb``. Kernels of
  convolutions are OIHW -> HWIO, those of fully connected layers (outputs, inputs) -> (inputs,
  outputs), and fc1's inputs, flattened CHW, are reordered to HWC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import isqrt
from types import MappingProxyType

import numpy as np

from vggexport.errors import InputError
from vggexport.network.layers import LOGITS_NAME, LayerKind
from vggexport.network.spec import MEAN_RGB, VGGSpec
from vggexport.weights.stored import AnyArray, Archive, StoredTensor

FIRST_KERNEL = "block1_conv1/kernel"
FC1_KERNEL = "fc1/kernel"

TORCHVISION_MEAN = (0.485, 0.456, 0.406)
TORCHVISION_STD = (0.229, 0.224, 0.225)
"""Of RGB in [0, 1]: ``VGG16_Weights.IMAGENET1K_V1.transforms()``."""

_NO_AXES: Mapping[int, tuple[int, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Layout:
    """One convention for names, axes and input values.

    Attributes:
        name: As ``--weights-layout`` takes it.
        mean_rgb: What its networks subtract from RGB 0...255; None leaves it to the network that
            is asked for.
        names: Names that a file in this layout gives the native names of a network.
        axes: Native axis order of a stored kernel, by its rank; other ranks stay as they are.
        adjust: Last step from a stored tensor, its axes native already, to the native values;
            takes the native name, the array and the number of channels that fc1's inputs have.
    """

    name: str
    mean_rgb: tuple[float, float, float] | None
    names: Callable[[VGGSpec], dict[str, str]]
    axes: Mapping[int, tuple[int, ...]]
    adjust: Callable[[str, AnyArray, int], AnyArray]

    def with_mean(self, spec: VGGSpec) -> VGGSpec:
        """The network with the mean that weights in this layout need."""
        return spec if self.mean_rgb is None else replace(spec, mean_rgb=self.mean_rgb)

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


def _from_keras(name: str, array: AnyArray, _channels: int) -> AnyArray:
    return array[:, :, ::-1, :] if name == FIRST_KERNEL else array


def _from_torchvision(name: str, array: AnyArray, channels: int) -> AnyArray:
    if name == FIRST_KERNEL:
        divisor: AnyArray = 255 * np.array(TORCHVISION_STD)[:, np.newaxis]
        return np.divide(array, divisor)
    if name == FC1_KERNEL:
        side = isqrt(len(array) // channels)
        chw = array.reshape(channels, side, side, array.shape[-1])
        return np.moveaxis(chw, 0, 2).reshape(array.shape)
    return array


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        layout.name: layout
        for layout in (
            Layout("native", None, _native_names, _NO_AXES, _keep),
            Layout("keras", MEAN_RGB, _native_names, _NO_AXES, _from_keras),
            Layout(
                "torchvision",
                (255 * TORCHVISION_MEAN[0], 255 * TORCHVISION_MEAN[1], 255 * TORCHVISION_MEAN[2]),
                _torchvision_names,
                MappingProxyType({4: (2, 3, 1, 0), 2: (1, 0)}),
                _from_torchvision,
            ),
        )
    }
)
AUTO = "auto"


def check_layout(name: str) -> None:
    """Refuses a name that ``--weights-layout`` does not take.

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
