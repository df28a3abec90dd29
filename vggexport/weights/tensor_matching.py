"""Holds the tensors of a file against the network: which serve, which lack, which are too many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vggexport.errors import Advice, WeightsError
from vggexport.network.preprocessing import Preprocessing
from vggexport.network.spec import VGGSpec, size_text
from vggexport.network.table import OWN, column_of
from vggexport.system.number_text import counted
from vggexport.weights.head_inputs import ADAPTIVE_SIZE, averaged_to, head_kernel
from vggexport.weights.layouts import FIRST_KERNEL, Layout, folded
from vggexport.weights.named_network import NamedNetwork
from vggexport.weights.request import SpecRequest, resolve, shown
from vggexport.weights.stored import Archive, StoredTensor

FILL = Advice("fill what is missing with random weights by {}", "init_missing")

LISTED_NAMES = 8
"""Longest list in a message."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a file and a network meet.

    Attributes:
        spec: The network, its sizes taken from the file where it tells them, its mean from the
            layout.
        tensors: What the file has of it, in the native layout, by native name.
        missing: Native name -> the name that the file should have.
        surplus: Names that the network has no use for.
        misshapen: One phrase for each tensor of another shape.
        column: The configuration that the file's convolutions are.
        notes: What a user should know of how the file was read.
        size_assumed: Whether nothing tells the size of the images.
    """

    spec: VGGSpec
    tensors: dict[str, StoredTensor]
    missing: dict[str, str]
    surplus: tuple[str, ...]
    misshapen: tuple[str, ...]
    column: str
    notes: tuple[str, ...]
    size_assumed: bool = False

    def serves(self, *, init_missing: bool) -> bool:
        """Whether the network can be built from it."""
        return not (self.surplus or self.misshapen or (self.missing and not init_missing))


def fit(
    archive: Archive,
    request: VGGSpec | SpecRequest,
    layout: Layout,
    preprocessing: Preprocessing,
    origin: str,
) -> Fit:
    """Holds ``archive`` against the network that ``request`` asks for.

    What happens to RGB 0...255 first is folded into the first kernel.

    Raises:
        WeightsError: The file's shapes say other sizes than ``request``.
        InputError: ``request`` is no network.
    """
    network = layout.network(archive, origin, request.blocks)
    chosen = request if isinstance(request, VGGSpec) else resolve(request, network, origin)
    spec = replace(chosen, mean_rgb=preprocessing.mean_rgb)
    tensors = _converted(network, spec, preprocessing, origin)
    return Fit(
        spec,
        {name: tensor for name, tensor in tensors.items() if name in spec.tensors},
        {name: network.name(name) for name in spec.tensors if name not in tensors},
        tuple(network.name(name) for name in tensors if name not in spec.tensors),
        tuple(
            f"{network.name(name)} has shape {tensors[name].shape}, expected {expected.shape}"
            for name, expected in spec.tensors.items()
            if name in tensors and tensors[name].shape != expected.shape
        ),
        column_of(network.blocks),
        (*network.notes, *_notes(spec, network, known=isinstance(request, VGGSpec))),
        isinstance(request, SpecRequest) and _is_size_open(request, spec, network),
    )


def _is_size_open(request: SpecRequest, spec: VGGSpec, network: NamedNetwork) -> bool:
    """Whether nothing tells the size: a torch network may average any map to what its head takes.

    7x7 is torchvision's, whose networks take 224 pixels.
    """
    if request.input_size or not network.head:
        return False
    _, features = _flattened(spec)
    is_flat = features is not None and features[:2] != ADAPTIVE_SIZE
    return bool(request.pooling) or (network.channels_first and is_flat)


def _converted(
    network: NamedNetwork, spec: VGGSpec, preprocessing: Preprocessing, origin: str
) -> dict[str, StoredTensor]:
    """The file's tensors as the native layout has them, whether the network has a use or not."""
    tensors = dict(network.tensors)
    if FIRST_KERNEL in tensors:
        tensors[FIRST_KERNEL] = folded(tensors[FIRST_KERNEL], preprocessing)
    name, features = _flattened(spec)
    if features and name in tensors:
        label = f"{origin}: {network.name(name)}"
        tensors[name] = head_kernel(tensors[name], features, network, label)
    return tensors


def _flattened(spec: VGGSpec) -> tuple[str, tuple[int, int, int] | None]:
    """The first kernel of the head, and the map, HWC, that is flattened for it."""
    first = next(layer for layer in spec.weighted_layers if layer.is_matrix)
    features = spec.flattened_in_front_of(first)
    if features is None:
        return first.kernel.name, None
    height, width, channels = features
    return first.kernel.name, (height, width, channels)


def network_note(spec: VGGSpec) -> str:
    """What was taken from a file, on one line."""
    hidden = " and ".join(map(str, spec.fc_units)) or "none"
    return (
        f"network: configuration {spec.configuration}, {size_text(spec.input_size)} pixels, "
        f"{spec.pooling} of the features, hidden layers {hidden}, "
        f"{counted(spec.classes, 'output')}, then {spec.head_activation}"
    )


def _notes(spec: VGGSpec, network: NamedNetwork, *, known: bool) -> Iterator[str]:
    """What of the network nobody said in so many words."""
    if not known and network.channels_first and spec.configuration == OWN:
        yield (
            f"blocks: {shown('blocks', spec.blocks)}, by the numbers of the convolutions: a ReLU "
            "after each, and a maximum of 2x2 after each block, assumed as in torchvision, for the "
            "file has no layer without weights: answers of the network itself, given to verify, "
            "show whether it is so"
        )
    if not known:
        yield network_note(spec)
    name, features = _flattened(spec)
    kernel = network.tensors.get(name)
    if features and kernel and (grid := averaged_to(kernel, features, network)):
        whose = " of torchvision" if grid == ADAPTIVE_SIZE else ""
        yield (
            f"the average to {grid[0]}x{grid[1]}{whose}: folded into {network.name(name)} for "
            f"{size_text(spec.input_size)} pixels"
        )


def require_fit(
    archive: Archive,
    request: VGGSpec | SpecRequest,
    layout: Layout,
    preprocessing: Preprocessing,
    origin: str,
    *,
    init_missing: bool,
) -> Fit:
    """:func:`fit`, where the network can be built from it.

    Raises:
        WeightsError: It cannot; everything that is wrong is named at once.
        InputError: ``request`` is no network.
    """
    result = fit(archive, request, layout, preprocessing, origin)
    if result.serves(init_missing=init_missing):
        return result
    problems = "; ".join(_problems(result, init_missing=init_missing))
    configuration = result.spec.configuration
    ways = []
    if result.column not in (configuration, OWN):
        ways.append(Advice(f"take {{}} {result.column}, which its convolutions are", "config"))
    if result.missing and not init_missing:
        ways.append(FILL)
    raise WeightsError(f"{origin} does not fit configuration {configuration}: {problems}", *ways)


def _problems(result: Fit, *, init_missing: bool) -> Iterator[str]:
    if result.missing and not init_missing:
        yield f"missing {_listed(list(result.missing.values()))}"
    if result.surplus:
        yield f"surplus {_listed(result.surplus)}"
    if result.misshapen:
        yield _listed(result.misshapen)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:LISTED_NAMES])
    more = len(names) - LISTED_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
