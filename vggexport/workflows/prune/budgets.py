"""From what was asked for to widths: one budget's, and the curve of several."""

from __future__ import annotations

from dataclasses import replace

from vggexport.errors import Advice, InputError
from vggexport.network.spec import VGGSpec
from vggexport.pruning.plan import Forecast
from vggexport.pruning.widths import Budget, Widths, descend, narrowed
from vggexport.results.prune import FLOAT32_BYTES, PlanPoint
from vggexport.system.number_text import MEGA
from vggexport.system.progress import Steps
from vggexport.workflows.prune.latency_budget import Measure, widest_within
from vggexport.workflows.prune.options import PruneOptions

SPEEDUPS = (1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0)
"""Of the curve."""
FRONT_SPEEDUPS = (1.5, 2.0, 3.0, 4.0)
"""Of the front, whose networks are made."""


def curve(expected: Forecast, options: PruneOptions) -> tuple[PlanPoint, ...]:
    """What several budgets of operations give, each within the size asked for, the widest first."""
    return tuple(_reachable(expected, options, SPEEDUPS).values())


def front_points(
    expected: Forecast, options: PruneOptions, chosen: PlanPoint | None, steps: Steps
) -> list[PlanPoint]:
    """The networks of a front, the chosen one among them, the widest first.

    Raises:
        InputError: There is none.
    """
    found = _reachable(expected, options, FRONT_SPEEDUPS)
    if missing := [f"{speedup:g}x" for speedup in FRONT_SPEEDUPS if speedup not in found]:
        steps.progress.note(f"{', '.join(missing)} is out of reach: left out")
    points = [point for point in found.values() if chosen is None or point.macs != chosen.macs]
    if not points and not chosen:
        raise _out_of_reach(expected, replace(options, speedup=FRONT_SPEEDUPS[0]))
    return sorted([*points, *([chosen] if chosen else [])], key=lambda point: -point.macs)


def _reachable(
    expected: Forecast, options: PruneOptions, speedups: tuple[float, ...]
) -> dict[float, PlanPoint]:
    """What those of them give that there is a network for."""
    found = {}
    for speedup in speedups:
        widths = _within(expected, _budget(expected.spec, speedup, options.max_size))
        if widths is not None:
            found[speedup] = _point(expected, widths)
    return found


def choose(expected: Forecast, options: PruneOptions) -> PlanPoint:
    """What the budget that was asked for gives.

    Raises:
        InputError: There is no such network.
    """
    if options.target_sqnr is not None:
        return _point(expected, _keeping(expected, options.target_sqnr))
    widths = _within(expected, _budget(expected.spec, options.speedup, options.max_size))
    if widths is None:
        raise _out_of_reach(expected, options)
    return _point(expected, widths)


def choose_by_latency(
    expected: Forecast, options: PruneOptions, limit: float, measure: Measure
) -> PlanPoint:
    """The widest network within a share of the latency, and within what else was asked for.

    Raises:
        InputError: There is no such network.
    """
    spec, size = expected.spec, options.max_size

    def last(budget: Budget) -> Widths:
        *_, widths = descend(spec, expected.error, budget.excess)
        return widths

    narrowest = last(replace(_budget(spec, None, size), macs=1))
    widths, latency = widest_within(
        limit,
        spec,
        (narrowest, choose(expected, options).widths),
        lambda share: last(_budget(spec, 1 / share, size)),
        measure,
    )
    return replace(_point(expected, widths), latency=latency)


def _budget(spec: VGGSpec, speedup: float | None, max_size: int | None) -> Budget:
    return Budget(
        macs=spec.macs / speedup if speedup else None,
        parameters=max_size / FLOAT32_BYTES if max_size else None,
    )


def _within(expected: Forecast, budget: Budget) -> Widths | None:
    """The last step of the way down, if it is within the budget."""
    *_, widths = descend(expected.spec, expected.error, budget.excess)
    return None if budget.excess(narrowed(expected.spec, widths)) else widths


def _keeping(expected: Forecast, target_sqnr: float) -> Widths:
    """The narrowest network of the way down in operations that is to keep so many dB."""
    steps = descend(expected.spec, expected.error, Budget(macs=1).excess)
    reached = [w for w in steps if expected.logit_sqnr_db(w) >= target_sqnr]
    if len(reached) == len(("the network as it is",)):
        raise InputError(
            f"no narrower network is expected to keep {target_sqnr:g} dB",
            Advice("ask for less with {}", "target_sqnr"),
            Advice("see {}", "plan"),
        )
    return reached[-1]


def _point(expected: Forecast, widths: Widths) -> PlanPoint:
    spec = narrowed(expected.spec, widths)
    return PlanPoint.of(spec, expected.spec, expected.logit_sqnr_db(widths), widths)


def _out_of_reach(expected: Forecast, options: PruneOptions) -> InputError:
    """What was reachable."""
    spec = expected.spec
    *_, least = descend(spec, expected.error, Budget(macs=1).excess)
    *_, smallest = descend(spec, expected.error, Budget(parameters=1).excess)
    fastest = spec.macs / narrowed(spec, least).macs
    size = narrowed(spec, smallest).parameters * FLOAT32_BYTES / MEGA
    asked = [f"{options.speedup:g}x"] if options.speedup else []
    asked += [f"{options.max_size / MEGA:g} MB"] if options.max_size else []
    return InputError(
        f"{' and '.join(asked)} is out of reach: narrower convolutions give at most "
        f"{fastest:.1f}x, or {size:.1f} MB of float32 weights",
        Advice("ask for less with {} or {}", "speedup", "max_size"),
    )
