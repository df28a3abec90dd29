"""What the classes are called: all that say so have to say the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vggexport.bundles.evidence import EVALUATE, Evidence
from vggexport.bundles.release_checks import Model
from vggexport.errors import Advice, InputError
from vggexport.opening.labels import read_labels

Names = tuple[str, ...]


def agreed_labels(
    models: Sequence[Model], file: Path | None, evidence: Sequence[Evidence], *, may_lack: bool
) -> Names:
    """Class names of the models, of a file and of reports of ``evaluate``, which have to agree.

    A trained network may go without names where it ``may_lack`` them.

    Returns:
        A name a class, or nothing where nobody names them.

    Raises:
        InputError: The file cannot be used, two disagree, a report says that the classes seem to
            be in another order, or a trained network has no names.
    """
    artifact = models[0].artifact
    count = artifact.spec.label_count
    stated = read_labels(file, count) if file else ()
    said = [(f"labels file {file}", stated), (artifact.path, artifact.labels)]
    told = [(f"report {e.path}", names) for e in evidence for names in _evaluated(models, e)]
    said += [(where, names) for where, names in told if len(names) == count]
    found = [(where, names) for where, names in said if names]
    for where, names in found[1:]:
        _check_same(found[0], (where, names))
    chosen = found[0][1] if found else ()
    for where, names in told:
        _check_order(where, names, chosen)
    if not chosen and not may_lack and all(m.artifact.weights.trained for m in models):
        raise InputError(
            f"nothing says what the {count} classes of {artifact.path} are called",
            Advice("name them with {}", "labels"),
            "hand over a report of evaluate, which names them",
            Advice("pass {} if the receiver is to do without", "no_labels"),
        )
    return chosen


def _evaluated(models: Sequence[Model], report: Evidence) -> Iterator[Names]:
    """Names in a report of ``evaluate``: all, or of older versions those that had images."""
    if report.kind != EVALUATE:
        return
    for model in models:
        for row in report.rows(model.path.name, model.artifact.sha256):
            if row.get("other_class_order"):
                raise InputError(
                    f"report {report.path} says that the classes of {model.path.name} seem to be "
                    "in another order: see which is right, and evaluate again"
                )
            if names := _names(row):
                yield names


def _names(row: Any) -> Names:
    """Nothing where classes are numbered alone."""
    names = row.get("class_names")
    if not isinstance(names, list):
        scores = row.get("classes")
        known = scores if isinstance(scores, list) else []
        names = [one.get("label") if isinstance(one, dict) else None for one in known]
    is_named = all(isinstance(name, str) for name in names)
    return tuple(names) if is_named and not all(name.isdecimal() for name in names) else ()


def _check_same(first: tuple[str, Names], other: tuple[str, Names]) -> None:
    (where, names), (place, others) = first, other
    pairs = enumerate(zip(names, others, strict=True))
    if found := next(((i, a, b) for i, (a, b) in pairs if a != b), None):
        index, here, there = found
        raise InputError(
            f"{where} has other names than {place}: class {index} is {here!r} in the one and "
            f"{there!r} in the other; find out which is right, and evaluate or export again"
        )


def _check_order(where: str, names: Names, chosen: Names) -> None:
    """Holds names of some classes to those of all: the same, in the same order."""
    rest = iter(chosen)
    if wrong := next((name for name in names if chosen and name not in rest), None):
        raise InputError(
            f"{where} has other names than are to be bundled, or another order: {wrong!r}; find "
            "out which is right, and evaluate again"
        )
