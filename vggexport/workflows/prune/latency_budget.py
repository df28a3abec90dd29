"""The widest network that takes no more than a share of the original's time, found by measuring.

Time is nearly a straight line in operations, so that between two networks that were measured the
next is guessed. Its values are random: what a convolution takes does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from vggexport.errors import Advice, InputError
from vggexport.network.provenance import LatencyRecord
from vggexport.network.spec import VGGSpec
from vggexport.opening.alternated_latency import latencies
from vggexport.opening.measured_files import write_onnx
from vggexport.opening.network import Network, NetworkOptions, open_network
from vggexport.pruning.widths import Widths, narrowed
from vggexport.system.machine import Machine
from vggexport.system.progress import Progress, Steps

MEASUREMENTS = 6
"""At most."""
CLOSE = 0.97
"""Share of the budget from which on a network is as near to it as measurements repeat."""

Measure = Callable[[VGGSpec], LatencyRecord]
"""How long a network takes beside the original."""


@contextmanager
def measuring(network: Network, folder: Path, machine: Machine, steps: Steps) -> Iterator[Measure]:
    """Measures networks beside this one; float32 in ONNX Runtime, one thread."""
    with TemporaryDirectory(dir=folder) as place:
        original, other = Path(place, "original.onnx"), Path(place, "other.onnx")
        write_onnx(network, original)

        def measure(spec: VGGSpec) -> LatencyRecord:
            with steps.step("latency"):
                write_onnx(open_network(NetworkOptions(request=spec), Steps(Progress())), other)
                _, found = latencies([original, other], spec.input_size, machine, steps)
            steps.progress.note(
                f"1/{network.spec.macs / spec.macs:.2f} of the operations takes {found.said}"
            )
            return found

        yield measure


@dataclass(frozen=True, slots=True)
class _Measured:
    """A network, and its operations as a share of the original's."""

    widths: Widths
    macs_share: float
    latency: LatencyRecord

    @property
    def shares(self) -> tuple[float, float]:
        """Of operations and of latency."""
        return self.macs_share, self.latency.ratio_p50


def widest_within(
    limit: float,
    spec: VGGSpec,
    ends: tuple[Widths, Widths],
    planned: Callable[[float], Widths],
    measure: Measure,
) -> tuple[Widths, LatencyRecord]:
    """Searches for at most a share of the original's latency, between two networks.

    ``ends`` are the narrowest that there is and the widest that other budgets allow; ``planned``
    has the network of a share of the operations.

    Raises:
        InputError: The narrowest takes more.
    """

    def measured(widths: Widths) -> _Measured:
        narrow = narrowed(spec, widths)
        return _Measured(widths, narrow.macs / spec.macs, measure(narrow))

    narrowest, widest = ends
    below, above = measured(narrowest), (1.0, 1.0)
    if below.latency.ratio_p50 > limit:
        raise _out_of_reach(limit, below)
    if narrowed(spec, widest) != spec:
        found = measured(widest)
        if found.latency.ratio_p50 <= limit:
            return found.widths, found.latency
        above = found.shares
    for _ in range(MEASUREMENTS - len(ends)):
        widths = planned(_guess(limit, below.shares, above))
        if below.latency.ratio_p50 >= CLOSE * limit or widths == below.widths:
            break
        found = measured(widths)
        if found.latency.ratio_p50 <= limit:
            below = found
        else:
            above = found.shares
    return below.widths, below.latency


def _guess(limit: float, below: tuple[float, float], above: tuple[float, float]) -> float:
    """Share of the operations that a straight line gives for a little less than the limit.

    Both ends are shares of operations and of latency.
    """
    aim = max(below[1], limit * (1 + CLOSE) / 2)
    part = (aim - below[1]) / (above[1] - below[1])
    return below[0] + part * (above[0] - below[0])


def _out_of_reach(limit: float, narrowest: _Measured) -> InputError:
    """What was reachable."""
    return InputError(
        f"{limit:g} of the latency is out of reach: the narrowest network, with "
        f"1/{1 / narrowest.macs_share:.1f} of the operations, takes {narrowest.latency.said}",
        Advice("ask for more with {}", "latency"),
    )
