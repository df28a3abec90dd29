"""Which class of a network each folder of images stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import calibration
from calibration.class_names import listed
from vggexport.errors import Advice, InputError
from vggexport.opening.calibration_images import translated
from vggexport.opening.labelled_images import wrapped_advice
from vggexport.opening.labels import read_labels
from vggexport.opening.models import OpenedModel
from vggexport.system.progress import Steps

ORDERS = ("auto", "index", "index-from-1", "alphabetical")
"""What folders may be asked to stand for; "auto" is what labels or the folders' names tell."""

SORTED_AS_TEXT_FROM = 11
"""Folders 0 to 10 are the first that text sorts otherwise than numbers: 0, 1, 10, 2."""

SHOWN_IN_ORDER = 20

LABELS = Advice("name them with {}", "labels")
CLASS_ORDER = Advice("say {} index, index-from-1 or alphabetical", "class_order")


def order_classes(
    images: calibration.LabelledImages,
    models: Sequence[OpenedModel],
    steps: Steps,
    *,
    labels_file: Path | None,
    order: str,
) -> calibration.LabelledImages:
    """The images with the classes of the networks, in their order.

    The first network that carries labels names the classes, if no file does.

    Raises:
        CalibrationError: Labels do not name the folders.
        InputError: It is not known which folder is which class.
    """
    count = models[0].artifact.spec.label_count
    model = next((model for model in models if model.artifact.labels), models[0])
    labels, owner = model.artifact.labels, model.path
    if labels_file:
        labels, owner = read_labels(labels_file, count), str(labels_file)
    match order:
        case "auto" if labels:
            numbers = [] if _numbers(images) is None else [CLASS_ORDER]
            with translated(*wrapped_advice(images), *numbers):
                return images.ordered_by(labels, owner)
        case "auto":
            return _by_order(images, model, count, steps)
        case "alphabetical":
            _check_count(images, model, count)
            return replace(images, classes=labels or images.classes)
        case "index" | "index-from-1":
            return _numbered(images, labels, count, first=int(order == "index-from-1"))
    raise InputError(f"class order {order!r}: pass one of {', '.join(ORDERS)}")


def note_absent(images: calibration.LabelledImages, steps: Steps) -> None:
    """Says which classes have no image: what is counted says nothing of them."""
    present = set(images.targets.tolist())
    absent = [name for index, name in enumerate(images.classes) if index not in present]
    if absent:
        steps.progress.note(
            f"{images.source.name!r} has no image of {len(absent)} of {len(images.classes)} "
            f"classes: {listed(absent)}"
        )


def _by_order(
    images: calibration.LabelledImages, model: OpenedModel, count: int, steps: Steps
) -> calibration.LabelledImages:
    """For networks without labels: folders named by index, or as many as there are classes."""
    if (numbers := _numbers(images)) is not None:
        if sorted(numbers) != list(range(count)):
            raise InputError(
                f"{model.path} carries no labels, and {images.source.name!r} has the classes "
                f"{_listed(images.classes)}: they may be indices of its {count} classes from 0 or "
                "from 1, or names in alphabetical order",
                CLASS_ORDER,
                LABELS,
            )
        if count >= SORTED_AS_TEXT_FROM:
            steps.progress.note(
                f"{_listed(images.classes)} are taken for indices; frameworks that sort folders "
                "have 10 in front of 2",
                Advice("say {} alphabetical if it was trained so", "class_order"),
            )
        return _numbered(images, (), count, first=0)
    _check_count(images, model, count)
    steps.progress.note(
        f"{model.path} carries no labels: {_listed(images.classes, SHOWN_IN_ORDER)} are taken for "
        "its classes in this order",
        Advice("pass {} to be sure", "labels"),
    )
    return images


def _check_count(images: calibration.LabelledImages, model: OpenedModel, count: int) -> None:
    if len(images.classes) != count:
        raise InputError(
            f"{model.path} carries no labels, and {images.source.name!r} has "
            f"{len(images.classes)} classes where it has {count}",
            *wrapped_advice(images),
            LABELS,
        )


def _numbers(images: calibration.LabelledImages) -> list[int] | None:
    """What the classes are named, if they are named by number alone."""
    if not all(name.isdecimal() for name in images.classes):
        return None
    return [int(name) for name in images.classes]


def _numbered(
    images: calibration.LabelledImages, labels: tuple[str, ...], count: int, *, first: int
) -> calibration.LabelledImages:
    """Folders by number, the first class having that number."""
    numbers = _numbers(images) or []
    indices = [number - first for number in numbers]
    if not numbers or len({*indices}) < len(indices) or not {*indices} <= {*range(count)}:
        raise InputError(
            f"{images.source.name!r} has the classes {_listed(images.classes)}, which are not "
            f"numbers from {first} to {first + count - 1}",
            LABELS,
        )
    names = labels or tuple(str(first + index) for index in range(count))
    return replace(images, classes=names, targets=np.array(indices, np.int32)[images.targets])


def _listed(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" ... {names[-1]}" if len(names) > most else "")
