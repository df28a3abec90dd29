"""The widest network within a share of the latency: where it is looked for, and what is said."""

from dataclasses import replace

import pytest

from vggexport.errors import InputError
from vggexport.network.head import fully_connected
from vggexport.network.provenance import LatencyRecord
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.pruning.widths import narrowed
from vggexport.workflows.prune.latency_budget import MEASUREMENTS, widest_within

SPEC = VGGSpec(
    "own",
    parse_blocks("conv3-64 conv3-64 | conv3-64"),
    classes=5,
    hidden=fully_connected(),
    input_size=(16, 16),
)
NAMES = ("block1_conv1", "block1_conv2", "block2_conv1")
ALL, LEAST = (dict.fromkeys(NAMES, width) for width in (64, 8))


def share(widths):
    return narrowed(SPEC, widths).macs / SPEC.macs


def planned(macs_share):
    """As wide as that, all layers alike, in steps of one channel."""
    return next(w for n in range(64, 0, -1) if share(w := dict.fromkeys(NAMES, n)) <= macs_share)


class Machine:
    """Takes a part of the time whatever the operations, and the rest by their power."""

    def __init__(self, power=1.0):
        self.power = power
        self.measured = []

    def __call__(self, spec):
        self.measured.append(spec)
        ratio = 0.05 + 0.95 * (spec.macs / SPEC.macs) ** self.power
        return LatencyRecord(ratio, (ratio - 0.01, ratio + 0.01), 1.0, "runtime 1", 1, "CPU", False)


@pytest.mark.parametrize("power", [1.0, 0.7, 1.4])
def test_it_is_as_wide_as_the_latency_allows(power):
    machine = Machine(power)
    widths, latency = widest_within(0.5, SPEC, (LEAST, ALL), planned, machine)
    assert 0.45 < latency.ratio_p50 <= 0.5
    assert latency == machine(narrowed(SPEC, widths))
    assert len(machine.measured) <= MEASUREMENTS
    assert SPEC not in machine.measured  # what it takes beside itself is known


def test_what_other_budgets_leave_is_taken_where_it_is_fast_enough():
    half, machine = planned(0.5), Machine()
    widths, latency = widest_within(0.9, SPEC, (LEAST, half), planned, machine)
    assert widths == half
    assert latency.ratio_p50 == pytest.approx(0.05 + 0.95 * share(half))


def test_what_is_out_of_reach_is_told_with_what_was_reachable():
    said = r"0.05 of the latency is out of reach: the narrowest network, with 1/\d+.\d of the "
    with pytest.raises(InputError, match=said + r"operations, takes 0\.\d{3} of the latency \(0.0"):
        widest_within(0.05, SPEC, (LEAST, ALL), planned, Machine())


def test_a_machine_that_does_not_repeat_gives_what_was_measured_within():
    """Every second answer is twice as long."""
    machine = Machine()

    def shaky(spec):
        found = machine(spec)
        long = 2 if len(machine.measured) % 2 == 0 else 1
        return replace(found, ratio_p50=found.ratio_p50 * long)

    _, latency = widest_within(0.5, SPEC, (LEAST, ALL), planned, shaky)
    assert latency.ratio_p50 <= 0.5
    assert len(machine.measured) <= MEASUREMENTS
