"""A training as text, and the recipe of one."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType

from vggexport.network.training_recipe import PAPER, Recipe
from vggexport.reports.evaluation_words import interval
from vggexport.reports.text import next_steps
from vggexport.reports.text.layout import Grid, Table
from vggexport.results.train import Beginning, TrainingReport
from vggexport.system.number_text import cost, printable, share


def training(report: TrainingReport, data: Path, validation: Path | None) -> RenderableType:
    """Every epoch, and the weights that were kept."""
    judged = _judged_by(report)
    table = Table("epoch", "learning rate", "loss", "validation loss", judged, "seconds")
    for epoch in report.epochs:
        table.add_row(
            str(epoch.number),
            f"{epoch.learning_rate:g}",
            f"{epoch.loss:.4f}",
            f"{epoch.validation_loss:.4f}",
            share(epoch.right),
            f"{epoch.seconds:.1f}",
            bold=epoch.number == report.best,
        )
    evaluated = [_evaluate(report, validation or data)] if report.agreement is None else []
    lines = {
        "weights": f"{printable(report.path)}, of epoch {report.best}",
        "sha256": report.sha256,
        judged: _judged(report),
        **({"gain": _gain(report, report.before)} if report.before else {}),
        "frozen": f"up to {report.frozen}" if report.frozen else "nothing",
        "cost": cost(report.seconds, report.peak_rss_bytes),
        "next": "\n".join([*evaluated, next_steps.quantize(report.path, str(data))]),
    }
    return Group(table, Grid(lines))


def _judged_by(report: TrainingReport) -> str:
    return "accuracy" if report.agreement is None else "agreement"


def _judged(report: TrainingReport) -> str:
    """Accuracy or agreement, with its interval."""
    found = report.interval or report.agreement_interval
    assert found is not None  # noqa: S101  there is one of the two
    what = "" if report.agreement is None else ", the same best class as the teacher's"
    return (
        f"{share(report.kept.right)} of {report.validation_images} validation images{what} "
        f"(95 %: {interval(found)}), which also chose the epoch"
    )


def _gain(report: TrainingReport, before: Beginning) -> str:
    """What learning from a teacher changed on the validation images."""
    after = report.kept
    return (
        f"{_judged_by(report)} {share(before.right)} before, {share(after.right)} after; "
        f"validation loss {before.validation_loss:.4f} before, {after.validation_loss:.4f} after"
    )


def _evaluate(report: TrainingReport, data: Path) -> str:
    table = report.validation_table
    csv = f" --csv {next_steps.quoted(table)}" if table else ""
    weights, folder = map(next_steps.quoted, (report.path, str(data)))
    return f"vggexport evaluate {weights} --data {folder}{csv}"


def recipe(found: Recipe) -> RenderableType:
    """The recipe in words, with its source."""
    return Grid(
        {"recipe": "K. Simonyan, A. Zisserman, arXiv 1409.1556, section 3.1"} | described(found)
    )


def described(found: Recipe) -> dict[str, str]:
    """What each value of a recipe is for."""
    lines = {
        "loss": "categorical cross-entropy after a softmax, binary cross-entropy after a sigmoid",
        "regularization": f"L2, {found.weight_decay:g} times the sum of squares of each kernel; "
        f"dropout {found.dropout:g} after fc1 and fc2",
        "descent": f"SGD, momentum {found.momentum:g}, batch {found.batch}",
        "learning rate": f"{found.learning_rate:g}, divided by {found.learning_rate_divisor:g} "
        f"when validation accuracy has not risen for {found.patience} epochs, {found.decreases} "
        "times",
        "divergence": f"restarts at a third of the rate, at most {found.restarts} times",
        "length": f"at most {found.epochs} epochs",
        "augmentation": f"short side {found.min_scale}...{found.max_scale} for a crop of 224 in a "
        f"random place{', half of them mirrored' if found.flip else ''}",
        "frozen layers": f"{found.views} views of each image, computed once",
        "initialization": {
            "paper": "normal, standard deviation 0.01; biases 0",
            "he": "He normal; biases 0",
        }[found.initializer],
        "seed": str(found.seed),
    }
    if found != PAPER:
        changed = [
            name for name, value in found.to_json().items() if PAPER.to_json()[name] != value
        ]
        lines["changed"] = ", ".join(changed)
    return lines
