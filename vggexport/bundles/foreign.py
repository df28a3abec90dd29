"""Models of other converters in a bundle: what they do not say themselves has to be stated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vggexport.artifact import Artifact
from vggexport.bundles.layouts import PLAIN
from vggexport.bundles.release_checks import Model
from vggexport.errors import Advice, InputError
from vggexport.network.preprocessing import Preprocessing
from vggexport.opening.foreign import unstated
from vggexport.opening.labels import read_labels
from vggexport.opening.stated_preprocessing import check_named, check_stated


def with_stated(
    models: Sequence[Model],
    preprocessing: Mapping[str, Preprocessing],
    labels: Path | None,
    *,
    has_golden: bool,
    layout: str,
) -> list[Model]:
    """The models, with what is stated of those of other converters.

    ``preprocessing`` says by path what each wants done to RGB 0...255.

    Raises:
        InputError: Something that has to be is not stated, or nothing is there to hold them to.
    """
    check_named(preprocessing, [str(model.path) for model in models])
    for model in models:
        if stated := preprocessing.get(str(model.path)):
            check_stated(stated, str(model.path), model.artifact)
    foreign = [model for model in models if model.artifact.foreign]
    ours = [model for model in models if model not in foreign]
    if not foreign:
        return list(models)
    path = foreign[0].path
    if not (ours or has_golden):
        raise InputError(
            f"{path} was not made by vggexport, and there is nothing to compare it with",
            Advice("name answers of a reference with {}", "golden"),
            "bundle it beside a file of ours",
        )
    if layout != PLAIN:
        raise InputError(
            f"layout {layout} is for files of vggexport, and {path} is not one",
            Advice(f"leave {{}} at {PLAIN}", "layout"),
        )
    names = next((model.artifact.labels for model in ours), ())
    if labels:
        names = read_labels(labels, foreign[0].artifact.spec.label_count)
    if not names:
        raise InputError(
            f"{path} was not made by vggexport and does not name its classes",
            Advice("name them with {}", "labels"),
        )
    return [_settled(m, preprocessing, names) if m in foreign else m for m in models]


def _settled(
    model: Model, preprocessing: Mapping[str, Preprocessing], labels: tuple[str, ...]
) -> Model:
    stated = preprocessing.get(str(model.path))
    if stated is None:
        raise unstated(str(model.path), "a bundle must")
    return replace(model, artifact=replace(model.artifact, preprocessing=stated, labels=labels))


def ends_described(artifact: Artifact) -> dict[str, Any]:
    """What a receiver does in front of such a model and after it; nothing for ours."""
    ends, done = artifact.ends, artifact.preprocessing
    if ends is None or done is None:
        return {}
    return {
        "preprocessing": {
            "mean_rgb": list(done.mean_rgb),
            "std_rgb": list(done.std_rgb),
            "channel_order": done.channel_order,
        },
        "behind": ends.head_activation.value if ends.gives_logits else None,
    }


def layout_of(artifact: Artifact) -> str:
    """Axes of what a model takes."""
    return artifact.ends.layout if artifact.ends else "NHWC"


def foreign_names(artifacts: Iterable[Artifact]) -> list[str]:
    """Paths of those that other converters wrote."""
    return [artifact.path for artifact in artifacts if artifact.foreign]
