"""Where the variables of the described layers lie in the HDF5 file, whatever their names are.

* Keras 3 (``keras.src.saving.saving_lib``): a model's group has ``layers/<class>[_<number>]``: the
  class in snake case, and a number that counts the layers of that class in that model. A layer's
  variables are ``vars/0``, ``vars/1`` …; a nested model has ``layers`` in its own group.
* Legacy ``.h5`` (``keras.src.legacy.saving.legacy_h5_format``): a group for each layer of the
  outermost model, by its name, lists all its variables in ``weight_names``: of a nested model those
  that training changes first, then the others.

Integers are counters and the state of random numbers, not weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from vggexport.errors import WeightsError
from vggexport.weights.keras.config import DescribedLayer
from vggexport.weights.keras.hdf5 import check_inside, opened, stored, text
from vggexport.weights.stored import StoredTensor

Variables: TypeAlias = Mapping[str, StoredTensor]
"""A layer's variables by what they are to it: "kernel", "bias", "gamma" …"""

_LEGACY_GROUP = "model_weights"
_KERAS_3_GROUP = "layers"
_NOT_TRAINED = ("moving_mean", "moving_variance", "mean", "variance")


def read_variables(path: Path, layers: Sequence[DescribedLayer]) -> tuple[Variables, ...]:
    """The variables of each layer, to be read later.

    Raises:
        WeightsError: The file is damaged, leads outside of itself, or holds others than described.
        Unavailable: h5py is not installed.
    """
    with opened(path) as file:
        check_inside(path, file)
        places = _legacy_places if _LEGACY_GROUP in file else _keras_3_places
        found = [places(file, layer, layers, str(path)) for layer in layers]
        return tuple(
            {role: stored(path, file, place) for role, place in roles.items()} for roles in found
        )


def variable_roles(layer: DescribedLayer) -> tuple[str, ...]:
    """What the variables of a layer are, in the order of its own; nothing for other classes."""
    setting = layer.config.get
    match layer.class_name:
        case "Conv2D" | "Dense":
            return ("kernel", "bias") if setting("use_bias") is not False else ("kernel",)
        case "BatchNormalization":
            learned = (("scale", "gamma"), ("center", "beta"))
            present = (role for key, role in learned if setting(key) is not False)
            return (*present, "moving_mean", "moving_variance")
        case "Normalization" if setting("mean") is None:
            return ("mean", "variance")
        case _:
            return ()


def _keras_3_places(
    file: Any, layer: DescribedLayer, _layers: Sequence[DescribedLayer], origin: str
) -> dict[str, str]:
    roles = variable_roles(layer)
    if not roles:
        return {}
    groups = (f"{_KERAS_3_GROUP}/{_group(s.class_name, s.number)}" for s in layer.path)
    place = "/".join((*groups, "vars"))
    if place not in file:
        raise _missing(origin, layer, f"no {place}")
    return _paired(origin, layer, roles, list(_weights_of(file[place])))


def _weights_of(group: Any) -> Iterator[str]:
    for index in map(str, count()):
        if index not in group:
            return
        if _is_weight(group[index]):
            yield f"{group.name}/{index}"


def _group(class_name: str, number: int) -> str:
    """``keras.src.utils.naming.to_snake_case``, and the number that makes it unique."""
    words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    name = re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
    return f"{name}_{number}" if number else name


def _legacy_places(
    file: Any, layer: DescribedLayer, layers: Sequence[DescribedLayer], origin: str
) -> dict[str, str]:
    roles = variable_roles(layer)
    if not roles:
        return {}
    top = layer.path[0].name
    root = file[_LEGACY_GROUP]
    if top not in root:
        raise _missing(origin, layer, f"no {_LEGACY_GROUP}/{top}")
    names = [name for name in _weight_names(root[top]) if _is_weight(root[top][name])]
    places = [f"{root.name}/{top}/{name}" for name in names]
    if len(layer.path) == 1:
        return _paired(origin, layer, roles, places)
    beside = [other for other in layers if other.path[:1] == layer.path[:1]]
    wanted = list(_legacy_order(beside))
    if len(wanted) != len(places):
        raise _missing(origin, layer, f"{top} has {len(places)} variables for {len(wanted)}")
    by_name = {(owner.name, role): index for index, (owner, role) in enumerate(wanted)}
    told = [_owner_and_role(name) for name in names]
    if len(by_name) == len(wanted) and set(told) == set(by_name):
        wanted = [wanted[by_name[key]] for key in told]
    placed = zip(wanted, places, strict=True)
    return {role: place for (owner, role), place in placed if owner is layer}


def _legacy_order(layers: Sequence[DescribedLayer]) -> Iterator[tuple[DescribedLayer, str]]:
    for first in (True, False):
        for layer in layers:
            for role in variable_roles(layer):
                trained = all(step.trainable for step in layer.path) and role not in _NOT_TRAINED
                if trained is first:
                    yield layer, role


def _owner_and_role(name: str) -> tuple[str, str]:
    parts = name.partition(":")[0].split("/")
    return "/".join(parts[-2:-1]), parts[-1]


def _weight_names(group: Any) -> list[str]:
    """The list, which Keras cuts into numbered pieces where it is long."""
    key = "weight_names"
    if key in group.attrs:
        return [text(name) for name in group.attrs[key]]
    pieces: list[str] = []
    for number in count():
        if f"{key}{number}" not in group.attrs:
            return pieces
        pieces += map(text, group.attrs[f"{key}{number}"])
    return pieces


def _is_weight(dataset: Any) -> bool:
    return bool(np.issubdtype(dataset.dtype, np.floating))


def _paired(
    origin: str, layer: DescribedLayer, roles: Sequence[str], places: Sequence[str]
) -> dict[str, str]:
    if len(roles) != len(places):
        raise _missing(origin, layer, f"{len(places)} variables for {', '.join(roles)}")
    return dict(zip(roles, places, strict=True))


def _missing(origin: str, layer: DescribedLayer, what: str) -> WeightsError:
    return WeightsError(
        f"{origin}: the weights of layer {layer.name!r} ({layer.class_name}) are not as its "
        f"description says: {what}: save the whole model again with Keras"
    )
