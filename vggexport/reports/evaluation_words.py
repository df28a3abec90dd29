"""What an evaluation says in words, the same in every rendering of its report."""

from __future__ import annotations

from vggexport.metrics.accuracy import Interval, PairedCounts
from vggexport.metrics.verdict import Verdict
from vggexport.reports.paths import ends
from vggexport.reports.verification_words import pixels, seen, stating, top5
from vggexport.results.accuracy_gate import GateCheck
from vggexport.results.evaluate import Comparison, EvaluationReport, EvaluationResult
from vggexport.system.columns import Columns
from vggexport.system.number_text import counted, fixed, printable, share

DEFINITIONS = (
    "Top-1 and top-5 are the shares of images whose class is the best, or among the five best, of "
    "a network's answers, with 95 % Wilson intervals. Agreement is the share of images with the "
    "best class of the first network; the drop is top-1 of that one less that of the other, in "
    "percentage points, with a 95 % interval for paired answers (Agresti and Min 2005). The exact "
    "McNemar test says how likely so unequal numbers of images that one alone gets right would be, "
    "were both equally good."
)

FIGURES: Columns[EvaluationResult] = {
    "top-1": lambda r: share(r.accuracy.top1),
    "95 %": lambda r: interval(r.accuracy.top1_interval),
    "top-5": lambda r: top5(r.accuracy.top5, len(r.labels)),
    "agreement": lambda r: share(r.agreement) if r.comparison else "",
    "drop, points": lambda r: paired(r.comparison.counts) if r.comparison else "",
    "McNemar p": lambda r: p_value(r.comparison.counts.p_value) if r.comparison else "",
}
"""Of a network, over all images."""


def headline(report: EvaluationReport) -> str:
    """The verdict, a sentence."""
    match report.verdict:
        case None if any(result.other_pixels for result in report.results):
            return "A network was made for other pixels."
        case None if report.failures:
            return "Classes seem to be in another order."
        case None:
            networks, images = len(report.results), report.images
            return f"{counted(networks, 'network')} on {counted(images, 'image')}."
        case Verdict.PASS:
            return "All limits are met."
        case Verdict.FAIL:
            return "A limit is not met."
        case Verdict.INCONCLUSIVE:
            return f"{report.images} images are too few to tell whether the limits are met."


def left_out(report: EvaluationReport) -> str:
    """Images that could not be read, as the end of a sentence; empty where there are none."""
    count = len(report.unreadable)
    return f"; {counted(count, 'image')} could not be read and left out" if count else ""


def pixels_line(report: EvaluationReport) -> str:
    """What happens to pixels before the networks, who says so, and what should; or empty."""
    told = {r.runner.path: _pixels(r) for r in report.results if r.pixels}
    if len({*told.values()}) == 1 and len(told) == len(report.results):
        return next(iter(told.values()))
    names = ends(result.runner.path for result in report.results)
    return "; ".join(f"{printable(names[path])}: {words}" for path, words in told.items())


def _pixels(result: EvaluationResult) -> str:
    if result.runner.foreign:
        return pixels(result.runner).removeprefix("pixels ")
    if other := result.other_pixels:
        open_question = (
            "export it again with --preprocessing and the one of them that its training used, or "
            "compare with answers of the training's own program by verify --answers"
        )
        fix = open_question if other.rivals else stating(other.preprocessing)
        return f"{other.clause}: {fix}"
    return result.pixels.told if result.pixels else ""


def interval(found: Interval) -> str:
    """Both ends: "81.2...88.9"."""
    return f"{fixed(100 * found.low, 1)}...{fixed(100 * found.high, 1)}"


def paired(counts: PairedCounts) -> str:
    """The drop and its interval, in points: "0.42 (-0.9...1.7)"."""
    return f"{fixed(100 * counts.drop, 2)} ({interval(counts.drop_interval)})"


def p_value(value: float) -> str:
    """Of a test: "0.031", "< 0.001"."""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"  # noqa: PLR2004  three digits are shown


def verdict(check: GateCheck) -> str:
    """Of one limit, a word; in capitals where it must not be overlooked."""
    return "FAILED" if check.verdict is Verdict.FAIL else check.verdict.value


def verdict_line(check: GateCheck) -> str:
    """One limit: the verdict and its clause."""
    return f"{verdict(check)}: {printable(check.clause)}"


def findings(result: EvaluationResult) -> dict[str, str]:
    """What there is to say of a network beside its figures: a name and a sentence each."""
    found: dict[str, str] = {}
    if result.seen:
        found["seen images"] = seen(result.seen)
    if result.accuracy.unanswered:
        found["no answer"] = (
            f"probabilities of {result.accuracy.unanswered} images are not finite, which counts as "
            "wrong"
        )
    if result.suspicion and not result.other_pixels:
        found["class order"] = printable(result.suspicion)
    if result.loss:
        found["lost classes"] = printable(result.loss)
    if compared := result.comparison:
        found["against the first"] = _against(compared)
    return found


def _against(compared: Comparison) -> str:
    counts = compared.counts
    if not (counts.only_first or counts.only_second):
        return "both are right on the same images"
    return (
        f"{printable(compared.first)} alone is right on {counted(counts.only_first, 'image')}, "
        f"this one alone on {counts.only_second}"
    )
