"""Keras' own files: ``.weights.h5`` and ``.keras`` of Keras 3, and ``.h5`` of every Keras.

Three ways of writing down a model, told apart by what is inside:

* legacy HDF5: groups named by the attribute ``layer_names``, each with the attribute
  ``weight_names``; the groups are at the root (``save_weights`` of Keras 2, and the files that
  ``keras.applications`` downloads) or in ``model_weights`` (``model.save("….h5")``).
* Keras 3 HDF5: ``layers/<class>_<number>/vars/<index>``, the layer's name in the attribute ``name``
  of ``vars`` (Keras before 3.6 wrote none); numbers count in the model's order.
* ``.keras``: a zip with such an HDF5 file beside ``config.json``, which ``network`` reads as data.

Names come out as ``<layer>/kernel`` and ``<layer>/bias``. Only data inside the file is read: links
and data sets that lead to other files are refused.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vggexport.errors import WeightsError
from vggexport.weights.keras.hdf5 import check_inside, opened, stored, text
from vggexport.weights.stored import Archive

_LEGACY_GROUP = "model_weights"
_KERAS_3_GROUP = "layers"
_LAYER_TENSORS = 2
"""A kernel and a bias; a legacy group with more is a nested model."""
_KERNEL_RANK = 2
"""Least rank of a kernel; biases have 1."""
_NOT_LAYERS = ("seed_generator",)
"""State of random numbers, which Dropout keeps beside the weights."""


def read_keras(path: Path) -> Archive:
    """The weights of a Keras file as ``<layer>/kernel`` and ``<layer>/bias``, in Keras' layout.

    Raises:
        WeightsError: The file is damaged, holds no model, or leads outside of itself.
        Unavailable: h5py is not installed.
    """
    with opened(path) as file:
        paths = _tensor_paths(path, file)
        return {name: stored(path, file, place) for name, place in paths.items()}


def _tensor_paths(path: Path, file: Any) -> dict[str, str]:
    """Tensor name -> its place in the file, in the model's order."""
    check_inside(path, file)
    legacy = file.get(_LEGACY_GROUP, file)
    if "layer_names" in legacy.attrs:
        pairs = list(_legacy_paths(legacy))
    elif _KERAS_3_GROUP in file:
        pairs = list(_keras_3_paths(file[_KERAS_3_GROUP]))
    elif "nb_layers" in file.attrs:
        raise WeightsError(
            f"{path} is of Keras before 1.0 (nb_layers), whose kernels are in Theano's order and "
            "whose layers have no names: take the file that Keras publishes for TensorFlow"
        )
    else:
        raise WeightsError(f"{path} is an HDF5 file without a Keras model: save it with Keras")
    paths = dict(pairs)
    if len(paths) < len(pairs):
        raise WeightsError(f"{path} has two tensors of one name: {', '.join(_repeated(pairs))}")
    return paths


def _repeated(pairs: list[tuple[str, str]]) -> list[str]:
    return [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]


def _legacy_paths(root: Any) -> Iterator[tuple[str, str]]:
    for layer in map(text, root.attrs["layer_names"]):
        names = [text(name) for name in root[layer].attrs["weight_names"]]
        for name in names:
            place = f"{root.name}/{layer}/{name}"
            parts = name.split("/")
            # "functional/block1_conv1/kernel:0" of a nested model; else the group is the layer.
            nested = len(names) > _LAYER_TENSORS and len(parts) > 1
            yield f"{parts[-2] if nested else layer}/{_role(root[layer][name], parts[-1])}", place


def _role(dataset: Any, name: str) -> str:
    """Kernel or bias, whatever a Keras of its time called it ("block1_conv1_W_1:0")."""
    name = name.partition(":")[0]
    if name in ("kernel", "bias"):
        return name
    if dataset.ndim >= _KERNEL_RANK:
        return "kernel"
    return "bias" if re.search(r"(^|_)b(_|$)", name) else name


def _keras_3_paths(root: Any) -> Iterator[tuple[str, str]]:
    variables: list[Any] = []
    root.visititems(lambda place, item: variables.append(item) if place.endswith("/vars") else None)
    for group in sorted(variables, key=lambda group: _natural(group.name)):
        if group.parent.name.endswith(_NOT_LAYERS):
            continue
        layer = text(group.attrs.get("name", group.parent.name.rpartition("/")[2]))
        has_kernel = "0" in group and group["0"].ndim >= _KERNEL_RANK
        roles = {"0": "kernel", "1": "bias"} if has_kernel else {}
        for index in group:
            yield f"{layer}/{roles.get(index, index)}", f"{group.name}/{index}"


def _natural(name: str) -> list[tuple[str, int]]:
    """Key that sorts "conv2d_10" after "conv2d_9"."""
    return [(word, int(number or 0)) for word, number in re.findall(r"(\D+)(\d*)", name)]
