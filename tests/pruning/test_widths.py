"""Widths by budget."""

import pytest

from vggexport.network.spec import VGGSpec
from vggexport.pruning.widths import Budget, descend, narrowed, prunable, step_of

SPEC = VGGSpec.named("A", classes=10, fc_units=(64, 64), input_size=(64, 64))


def error(name, width):
    """Of block3_conv2 no width costs anything, of the others the fewer the more."""
    return 0.0 if name == "block3_conv2" else 1 / width**2


def test_widths_are_multiples_of_what_runtimes_compute_at_a_time():
    assert [step_of(width) for width in (512, 256, 128, 64, 16, 4)] == [16, 16, 16, 8, 2, 1]
    for widths in descend(SPEC, error, Budget(macs=1).excess):
        last = widths
        assert all(width % step_of(64) == 0 for width in widths.values())
    assert [*last.values()] == [8, *[16] * 7]


def test_what_costs_nothing_goes_first_and_the_budget_is_kept():
    first, second, *_, last = descend(SPEC, error, Budget(macs=SPEC.macs / 2).excess)
    assert [*first.values()] == [64, 128, 256, 256, 512, 512, 512, 512]
    assert {name for name, width in second.items() if width != first[name]} == {"block3_conv2"}
    assert narrowed(SPEC, last).macs <= SPEC.macs / 2
    assert last["block3_conv2"] == 16


def test_a_budget_of_both_keeps_both():
    budget = Budget(macs=SPEC.macs / 1.5, parameters=SPEC.parameters / 2)
    *_, last = descend(SPEC, error, budget.excess)
    narrow = narrowed(SPEC, last)
    assert budget.excess(narrow) == 0
    assert narrow.macs <= SPEC.macs / 1.5
    assert narrow.parameters <= SPEC.parameters / 2
    assert budget.excess(SPEC) == pytest.approx(0.5 + 1)


def test_a_narrower_network_is_of_no_column():
    narrow = narrowed(SPEC, {"block1_conv1": 24})
    assert (narrow.configuration, str(narrow.blocks[0][0])) == ("own", "conv3-24")
    assert narrowed(SPEC, {}) == SPEC
    assert len(prunable(SPEC)) == 8
