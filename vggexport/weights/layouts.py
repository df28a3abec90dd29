"""Layouts of the weights that others publish, and the exact way from each into the native one.

A layout is a convention for names and axes, and the preprocessing that its networks were trained
with by convention (:mod:`vggexport.network.preprocessing`). Kernels of torchvision's convolutions
are OIHW -> HWIO, those of its fully connected layers (outputs, inputs) -> (inputs, outputs), and
the inputs of the first of those, flattened CHW, are reordered to HWC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Protocol

import numpy as np

from vggexport.errors import InputError
from vggexport.network.preprocessing import Preprocessing
from vggexport.weights.named_network import Blocks, NamedNetwork
from vggexport.weights.native_names import native_network
from vggexport.weights.stored import AnyArray, Archive, StoredTensor
from vggexport.weights.torch_names import ENDINGS, torch_network

FIRST_KERNEL = "block1_conv1/kernel"


class Naming(Protocol):
    """Finds the layers of a VGG by a file's names for them."""

    def __call__(self, archive: Archive, origin: str, asked: Blocks | None) -> NamedNetwork:
        """Takes the tensors, the file for messages, and the blocks that were asked for."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One convention for names and axes.

    Attributes:
        name: As ``--weights-layout`` takes it.
        convention: Name of the preprocessing that its networks usually have.
        network: What finds the layers.
    """

    name: str
    convention: str
    network: Naming


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        layout.name: layout
        for layout in (
            Layout("native", "vgg", native_network),
            Layout("keras", "caffe", native_network),
            Layout("torchvision", "torch", torch_network),
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
    if any(stored.endswith(ENDINGS) for stored in archive):
        return LAYOUTS["torchvision"]
    return LAYOUTS[default]
