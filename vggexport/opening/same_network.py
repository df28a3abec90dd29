"""Refuses to put together what is not the same network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vggexport.artifact import Artifact
from vggexport.errors import Advice, ArtifactError
from vggexport.formats.golden.golden_file import MAKE_AGAIN
from vggexport.formats.golden.runner import GOLDEN
from vggexport.network.provenance import PruningRecord
from vggexport.system.differences import Difference, differences
from vggexport.system.progress import Steps

DIGITS = 12
"""Of a SHA-256, enough to tell two apart by eye."""

NARROWED = ("configuration", "blocks", "weights")
"""What a narrower network and its ancestor differ in."""

_WAYS: Mapping[str, str | Advice] = {
    "labels": "run them one by one, or export one again with the labels of the other",
    "mean_rgb": Advice(
        "as they were made for different pixels, compare each with the network's own answers by {}",
        "answers",
        command="verify",
    ),
}
"""What to do about two that differ, by what they differ in."""

_APART = Advice("count what each gets right by itself, with {}", "data", command="evaluate")
"""What else can be done with two networks."""


def pruning_between(first: Artifact, second: Artifact) -> PruningRecord | None:
    """What was recorded when one of two was made narrower from the other; None for all others."""
    return first.pruned_from(second) or second.pruned_from(first)


def check_same(
    first: Artifact, second: Artifact, *, ignoring: Iterable[str] = (), fix: str | Advice = ""
) -> None:
    """Refuses two that differ; where one names no classes, the other may name any.

    Of a file of another converter only what is outside is compared: that is all that it tells. What
    may differ are keys of a spec, "weights" and "labels".

    Raises:
        ArtifactError: They differ; names the first difference.
    """
    unnamed = () if first.labels and second.labels else ("labels",)
    ignored = {*ignoring, *unnamed}
    mine, theirs = first.identity, second.identity
    if first.foreign or second.foreign:
        ignored |= mine.keys() ^ theirs.keys()
    for found in differences(mine, theirs):
        if found.name.partition(" ")[0] not in ignored:
            said = f"{first.path} and {second.path} {_said(found)}"
            otherwise = MAKE_AGAIN if first.format == GOLDEN else _APART
            raise ArtifactError(said, fix or _WAYS.get(found.name, otherwise))


def note_other_weights(first: Artifact, other: Artifact, steps: Steps) -> None:
    """Says that two were made of different weights, which a tolerance of roundings may not tell.

    Those of one training that went on are near, and a wide limit lets them pass.
    """
    if first.foreign or other.foreign or first.weights.same_tensors(other.weights):
        return
    trainings = Advice("compare trainings by {}", "max_drop", command="evaluate")
    steps.progress.note(
        f"{other.path} was made of other weights than {first.path}, {_named(other)} and not "
        f"{_named(first)}",
        MAKE_AGAIN if first.format == GOLDEN else trainings,
    )


def _named(artifact: Artifact) -> str:
    return f"{artifact.weights.source} ({artifact.weights.sha256[:DIGITS]}...)"


def check_same_labels(artifacts: Iterable[Artifact]) -> None:
    """Refuses two that name their classes otherwise, whether or not the first names any.

    Raises:
        ArtifactError: They do; names the first class that differs.
    """
    named = [artifact for artifact in artifacts if artifact.labels]
    for other in named[1:]:
        check_same(
            named[0], other, ignoring=(named[0].identity | other.identity).keys() - {"labels"}
        )


def _said(found: Difference) -> str:
    if found.name == "labels":
        pairs = zip(found.first, found.second, strict=True)
        mine, theirs = next(pair for pair in pairs if pair[0] != pair[1])
        return f"have different labels: {mine!r} is {theirs!r} there"
    of = (
        "were made of different weights:"
        if found.name.startswith("weights ")
        else "are different networks:"
    )
    what = found.name.removeprefix("weights ")
    return f"{of} {what} is {found.first} and {found.second}"
