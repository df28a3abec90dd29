"""Where the nodes of a network really ran, and why an execution provider did not start.

ONNX Runtime puts every node that a provider has no kernel for on the CPU, and the whole network if
the provider does not start, without an error. What it then did stands in its profile: an event a
kernel, with the node's name, its type and the provider that ran it
(https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vggexport.network.spec import VGGSpec
from vggexport.system.json_values import JsonValue

CPU_PROVIDER = "CPUExecutionProvider"
"""ONNX Runtime's name of what computes everything that other providers do not."""

CUDA_PROVIDER = "CUDAExecutionProvider"
"""ONNX Runtime's name of NVIDIA's GPUs."""

QNN_PROVIDER = "QNNExecutionProvider"
"""ONNX Runtime's name of Qualcomm's NPUs."""

_KERNEL = "_kernel_time"
_COMPUTES = ("Conv", "Gemm", "MatMul")
"""Parts of the names of types that multiply: of a layer's nodes, these have its MACs."""

_COPIES = "Memcpy"
"""Types that bring tensors from one provider to another; not nodes of the network."""


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A node as a runtime ran it."""

    name: str
    type: str
    provider: str


@dataclass(frozen=True, slots=True)
class Placement(JsonValue):
    """How much of a network an execution provider ran.

    Attributes:
        provider: Which one.
        node_share: Of all nodes, 0 to 1.
        mac_share: Of all multiply-accumulates; None where the provider does not tell what is in the
            nodes that it compiled.
        elsewhere: Types of the nodes that others ran, by provider, sorted.
    """

    provider: str
    node_share: float
    mac_share: float | None
    elsewhere: Mapping[str, tuple[str, ...]]

    @property
    def complete(self) -> bool:
        """Whether the provider ran it all. A profile that names no node does not show that."""
        return self.node_share > 0 and not self.elsewhere

    @property
    def reason(self) -> str:
        """What it did not run; empty if that is nothing."""
        if not (self.node_share or self.elsewhere):
            return "the profile names no node"
        parts = (f"{', '.join(types)} on {name}" for name, types in self.elsewhere.items())
        return f"node types without a kernel there: {'; '.join(parts)}" if self.elsewhere else ""


def nodes_of_profile(events: Iterable[Mapping[str, Any]]) -> tuple[PlacedNode, ...]:
    """The nodes of a profile, each once, in the order in which they ran."""
    nodes = {key: node for key, node, _ in kernels(events) if not node.type.startswith(_COPIES)}
    return tuple(nodes.values())


def kernels(
    events: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[tuple[str, object], PlacedNode, float]]:
    """Runs of nodes in a profile: what tells a node from others, the node, milliseconds."""
    for event in events:
        arguments = event.get("args") or {}
        name = str(event.get("name", ""))
        if name.endswith(_KERNEL) and "provider" in arguments:
            node = PlacedNode(
                name.removesuffix(_KERNEL), str(arguments["op_name"]), str(arguments["provider"])
            )
            microseconds = float(event.get("dur", 0))
            yield (node.name, arguments.get("node_index")), node, microseconds / 1000


def place(nodes: Sequence[PlacedNode], spec: VGGSpec, provider: str) -> Placement:
    """How much of the network the provider ran."""
    elsewhere: dict[str, set[str]] = {}
    for node in nodes:
        if node.provider != provider:
            elsewhere.setdefault(node.provider, set()).add(node.type)
    own = sum(node.provider == provider for node in nodes)
    return Placement(
        provider,
        own / len(nodes) if nodes else 0.0,
        _mac_share(nodes, spec, provider),
        {name: tuple(sorted(types)) for name, types in sorted(elsewhere.items())},
    )


def _mac_share(nodes: Sequence[PlacedNode], spec: VGGSpec, provider: str) -> float | None:
    layers = {layer.name: _provider_of(layer.name, nodes) for layer in spec.weighted_layers}
    if None in layers.values() or not spec.blocks:  # no more may be known than the ends
        # Nodes that a provider compiled bear no layer's name. If no other took part, all is there.
        return 1.0 if nodes and all(node.provider == provider for node in nodes) else None
    macs = sum(layer.macs for layer in spec.weighted_layers if layers[layer.name] == provider)
    return macs / spec.macs


def _provider_of(layer: str, nodes: Sequence[PlacedNode]) -> str | None:
    """Who multiplied for a layer."""
    for node in nodes:
        if is_named(layer, node.name) and any(part in node.type for part in _COMPUTES):
            return node.provider
    return None


def is_named(layer: str, node: str) -> bool:
    """Whether a node bears a layer's name; optimizers put words around it, and numbers."""
    return bool(re.search(rf"(?<![A-Za-z0-9/]){re.escape(layer)}(?![A-Za-z0-9])", node))


_REASONS = (
    (re.compile(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object"), "library {} is not found"),
    (re.compile(r"no CUDA-capable device", re.I), "there is no device"),
    (re.compile(r"CUDA driver version is insufficient", re.I), "the driver is too old or missing"),
    (
        re.compile(r"graph capture feature", re.I),
        "not all of the network runs there, as a CUDA graph needs",
    ),
    (re.compile(r"out of memory", re.I), "the device is out of memory"),
    (re.compile(r"(Please install TensorRT libraries)"), "TensorRT's libraries are not found"),
)
"""What providers print as they fail to start, and what it means."""


def reason_not_started(log: str) -> str:
    """Why a provider did not start, from what was printed meanwhile; empty if it does not tell."""
    for pattern, reason in _REASONS:
        if match := pattern.search(log):
            return reason.format(*match.groups())
    return ""
