"""What the layers of a network take, from the times that a runtime tells of its nodes."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vggexport.metrics.placement import is_named, kernels
from vggexport.network.spec import VGGSpec
from vggexport.system.json_values import JsonValue


@dataclass(frozen=True, slots=True)
class NodeTime:
    """Milliseconds of a node, the median of some runs."""

    name: str
    type: str
    ms: float


def times_of_profile(events: Iterable[Mapping[str, Any]]) -> tuple[NodeTime, ...]:
    """Of every node of a profile the median of all runs but the first, in the order of the runs."""
    nodes, times = {}, dict[tuple[str, object], list[float]]()
    for key, node, ms in kernels(events):
        nodes[key] = node
        times.setdefault(key, []).append(ms)
    return tuple(
        NodeTime(node.name, node.type, statistics.median(times[key][1:] or times[key]))
        for key, node in nodes.items()
    )


@dataclass(frozen=True, slots=True)
class LayerTime(JsonValue):
    """What a layer takes.

    Attributes:
        name: The layer's; of nodes that bear the name of none, their own.
        type: Of its nodes, by the runtime's names.
        ms: Milliseconds a run.
        share: Of all layers' together, 0 to 1.
    """

    name: str
    type: str
    ms: float
    share: float


def by_layer(nodes: Iterable[NodeTime], spec: VGGSpec) -> tuple[LayerTime, ...]:
    """Times of layers, in the order in which their first nodes ran."""
    layers = [layer.name for layer in spec.layers]
    found: dict[str, list[NodeTime]] = {}
    for node in nodes:
        name = next((layer for layer in layers if is_named(layer, node.name)), node.name)
        found.setdefault(name, []).append(node)
    sums = {name: sum(node.ms for node in parts) for name, parts in found.items()}
    whole = sum(sums.values())
    return tuple(
        LayerTime(
            name,
            ", ".join(dict.fromkeys(node.type for node in parts)),
            round(sums[name], 5),
            sums[name] / whole if whole else 0.0,
        )
        for name, parts in found.items()
    )
