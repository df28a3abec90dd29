"""The limits that were asked for, held to what was counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vggexport.metrics.accuracy import judge_at_least, judge_at_most
from vggexport.metrics.sample_size import images_for_drop, images_for_share
from vggexport.metrics.verdict import Verdict
from vggexport.results.accuracy_gate import GateCheck
from vggexport.results.evaluate import Comparison, EvaluationResult


def checks(
    results: Sequence[EvaluationResult], min_top1: float | None, max_drop: float | None
) -> Iterator[GateCheck]:
    """One for each limit and each network that has one.

    ``max_drop`` is the largest share by which a network may be right less often than the first.
    """
    if min_top1 is not None:
        yield from (_top1(result, min_top1) for result in results)
    if max_drop is not None:
        yield from (_drop(one, max_drop) for result in results if (one := result.comparison))


def _top1(result: EvaluationResult, limit: float) -> GateCheck:
    counted, path = result.accuracy, result.runner.path
    interval = counted.top1_interval
    verdict = judge_at_least(interval, limit)
    needed = images_for_share(counted, limit) if verdict is Verdict.INCONCLUSIVE else None
    return GateCheck(path, "top-1", counted.top1, interval, limit, verdict, needed)


def _drop(compared: Comparison, limit: float) -> GateCheck:
    counted, interval = compared.counts, compared.counts.drop_interval
    verdict = judge_at_most(interval, limit)
    needed = images_for_drop(counted, limit) if verdict is Verdict.INCONCLUSIVE else None
    return GateCheck(compared.second, "top-1 drop", counted.drop, interval, limit, verdict, needed)
