"""What a verification says in words, the same in every rendering of its report."""

from __future__ import annotations

import math

from vggexport.metrics.tolerance import Tolerance
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing
from vggexport.results.diagnosis import Diagnosis, Trial
from vggexport.results.verify import CandidateReport, Guess, LayerParity, RunnerRecord, VerifyReport
from vggexport.system.columns import Columns
from vggexport.system.number_text import (
    counted,
    decibels,
    difference,
    printable,
    probability,
    share,
)

BEST = 5
"""Classes that top-5 looks at."""

DEFINITIONS = (
    "SQNR is 10 log10 of the power of the reference's values over that of the differences: of the "
    "probabilities, or of the logits, which are log-probabilities minus their mean in each image. "
    "Top-1 and top-5 are the shares of the reference's best classes that a file finds too."
)

FIGURES: Columns[CandidateReport] = {
    "max abs": lambda c: difference(c.metrics.max_abs),
    "SQNR, dB": lambda c: _number(c.metrics.sqnr_db),
    "logit SQNR, dB": lambda c: _number(c.metrics.logit_sqnr_db),
    "top-1": lambda c: share(c.metrics.top1_agreement),
    "top-5": lambda c: top5(c.metrics.top5_agreement, c.classes),
}
"""Of a file against the reference, over all images."""


def top5(value: float, classes: int) -> str:
    """A share of five best classes; none of no more than five, as all are then. 0 are unknown."""
    return "-" if 0 < classes <= BEST else share(value)


def _number(value_db: float) -> str:
    return decibels(value_db).removesuffix(" dB")


def headline(report: VerifyReport) -> str:
    """The verdict, a sentence."""
    total, failed = len(report.candidates), len(report.failures)
    if not failed:
        subject = "The file is" if total == 1 else f"All {total} files are"
        return f"{subject} within tolerance."
    verb = "is" if failed == 1 else "are"
    return f"{failed} of {total} {'file' if total == 1 else 'files'} {verb} out of tolerance."


def doubtful_pixels(report: VerifyReport) -> str:
    """That a convention is assumed or only stated, and how to know; else empty."""
    if report.pixels and report.is_pixels_stated:
        return (
            f"both sides use {report.pixels.words}, as stated at the export; nothing here checks "
            "that against your program: --answers does"
        )
    if not report.assumed_pixels:
        return ""
    return (
        f"{report.assumed_pixels} is assumed, by the reference and the files alike, so this does "
        "not tell whether it is right; state --preprocessing at the export, or compare with the "
        "network's own --answers"
    )


def pictures_line(line: str) -> str:
    """A report's line on how pictures became pixels as a sentence; empty where there is none."""
    return f"Pictures: {printable(line)}." if line else ""


def verdict(candidate: CandidateReport, *, is_doubtful: bool = False) -> str:
    """The same for one file; in capitals where it must not be overlooked.

    ``is_doubtful`` where there is something to know of all files, such as assumed pixels.
    """
    if candidate.failures:
        return "FAILED"
    return "passed, with warnings" if is_doubtful or findings(candidate) else "passed"


def described(runner: RunnerRecord) -> str:
    """A network and what ran it: "vgg_d.onnx, float32, onnxruntime 1.32.0"."""
    told = f"{printable(runner.path)}, {runner.precision.value}, {runner.runtime}"
    known = runner.foreign and runner.preprocessing  # of its owner's answers nothing is
    return f"{told}, of another converter ({pixels(runner)})" if known else told


def pixels(runner: RunnerRecord) -> str:
    """What was done to pixels in front of a file of another converter, and who says so."""
    done = runner.preprocessing
    if done is None:
        return "nothing done to pixels"
    told = f"pixels {done.words}"
    if (found := runner.found) is None:
        return f"{told}, as stated"
    how = "found" if found.fits else "the nearest, which does not fit"
    figures = f"{decibels(found.sqnr_db)}, next {found.next} with {decibels(found.next_sqnr_db)}"
    return f"{told}, {how}: {figures}"


def guess(best: Guess) -> str:
    """A class and its probability: "tulip 97.5%", or "class 4 97.5%" without labels."""
    name = f"class {best.index}" if best.label == str(best.index) else printable(best.label)
    return f"{name} {probability(best.probability)}"


def limits(tolerance: Tolerance) -> tuple[str, ...]:
    """What a file must reach, a clause each."""
    given = {
        "max abs at most": (difference, tolerance.max_abs),
        "SQNR of the logits at least": (decibels, tolerance.min_logit_sqnr_db),
        "SQNR of the probabilities at least": (decibels, tolerance.min_sqnr_db),
        "SQNR of the logits in 256ths at least": (decibels, tolerance.min_coarse_logit_sqnr_db),
        "SQNR of the logits in half precision at least": (
            decibels,
            tolerance.min_half_logit_sqnr_db,
        ),
        "top-1 agreement at least": (share, tolerance.min_top1_agreement),
        "top-1 agreement not surely below": (share, tolerance.min_sure_agreement),
    }
    return tuple(
        f"{name} {text(value)}" for name, (text, value) in given.items() if value is not None
    )


def stands_out(candidate: CandidateReport, layer: LayerParity) -> bool:
    """Whether this is the first layer that falls by more than its neighbours explain."""
    return candidate.suspicious is not None and candidate.suspicious.name == layer.name


def findings(candidate: CandidateReport) -> dict[str, str]:
    """What there is to say of a file beside its figures: a name and a sentence each, in order.

    Of a file that failed: what is out of tolerance, and the mistake that explains it. Of any file:
    the layer that stands out, and the images that it was calibrated on. Of one that passed: images
    that it surely takes for something else.
    """
    found: dict[str, str] = {}
    if candidate.runner.foreign:
        found["another converter's"] = pixels(candidate.runner)
    if candidate.failures:
        found["out of tolerance"] = ", ".join(candidate.failures)
        if candidate.diagnosis:
            found |= _diagnosed(candidate.diagnosis)
    if suspicious := candidate.suspicious:
        found["suspect layer"] = (
            f"{suspicious.name} has {decibels(suspicious.sqnr_db)}, and the layers around it "
            f"suggest {decibels(suspicious.expected_db)}"
        )
    if candidate.seen:
        found["seen images"] = seen(candidate.seen)
    if not candidate.failures and (changed := _changed(candidate)):
        found["best class"] = changed
    return found


def _changed(candidate: CandidateReport) -> str:
    """That images have another best class, where a probability moved by more than half of one."""
    metrics = candidate.metrics
    images = metrics.choices.images if metrics.choices else 0
    changed = round((1 - metrics.top1_agreement) * images)
    if not changed or metrics.max_abs <= 0.5:  # noqa: PLR2004  no rounding near a tie does that
        return ""
    return (
        f"{changed} of {counted(images, 'image')} changed class, a probability by "
        f"{metrics.max_abs:.2f} at most, which the tolerance allows: --min-top1-agreement asks for "
        "more"
    )


def seen(images: int) -> str:
    """What it means that a file was calibrated on some of the images that it is judged by."""
    return f"calibration used {images} of these images, so the figures are better than on others"


def figure(trial: Trial) -> str:
    """What was measured with the mistake and, if anything could be, without it."""
    told = f"{trial.figure}: {decibels(trial.without_db)} as the file is"
    if math.isnan(trial.with_db):
        return told
    return f"{told}, {decibels(trial.with_db)} with the mistake undone"


def fix(trial: Trial) -> str:
    """What to do about a mistake."""
    return stating(trial.preprocessing) if trial.preprocessing else trial.fix


def fixes(report: VerifyReport) -> tuple[str, ...]:
    """What to do about the mistakes that explain failures, each once."""
    named = (c.diagnosis.named for c in report.candidates if c.failures and c.diagnosis)
    return tuple(dict.fromkeys(fix(trial) for trial in named if trial))


def stating(stated: Preprocessing) -> str:
    """How a file gets another preprocessing."""
    usual = CONVENTIONS.get(stated.name)
    if usual and usual.affine == stated.affine:
        options = f"--preprocessing {stated.name}"
    else:
        mean, std = stated.numbers
        options = f"--pixel-mean {mean} --pixel-std {std} --channel-order {stated.channel_order}"
    return f"export it again with {options}"


def _diagnosed(diagnosis: Diagnosis) -> dict[str, str]:
    if trial := diagnosis.named:
        layer = f" in {trial.layer}" if trial.layer else ""
        return {
            "fault": f"{trial.fault}{layer}: {trial.description}",
            "figure": figure(trial),
            "fix": fix(trial),
        }
    nearest = ", ".join(
        f"{trial.fault} ({decibels(trial.with_db)} instead of {decibels(trial.without_db)})"
        for trial in diagnosis.nearest
    )
    nothing = "no known mistake explains it"
    where = f"on the {counted(diagnosis.images, 'worst image')}"
    return {"fault": f"{nothing}; nearest, {where}: {nearest}" if nearest else nothing}


def tried(diagnosis: Diagnosis) -> str:
    """Every mistake that was tried, and how near each brings the file."""
    listed = ", ".join(f"{trial.fault} ({decibels(trial.with_db)})" for trial in diagnosis.trials)
    return f"on the worst {counted(diagnosis.images, 'image')}: {listed or 'nothing'}"
