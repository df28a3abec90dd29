"""What a trainer is given: a network, what of it is trained, and images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.network.spec import VGGSpec
from vggexport.training.checkpoint import Tensors
from vggexport.weights import Weights

Read = Callable[[int, int], NDArray[Any]]
"""(index, view) -> the input of the first layer that is trained; called from several threads."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Images by index, int (images,), their classes, int32 (images,), and what reads inputs."""

    indices: NDArray[np.intp]
    targets: NDArray[np.int32]
    read: Read


@dataclass(frozen=True, slots=True, eq=False)
class TrainingJob:
    """What there is to train, and on what.

    Attributes:
        spec: The network.
        after: The last frozen layer, or None to train all.
        weights: Native tensors by name, as training begins.
        views: Training views that it can give; 0 for a new one each epoch.
        training: Images to learn from.
        validation: Images to judge by.
        teacher: Weights whose answers to the same images are learnt; None to learn the classes.
        unlabelled: Whether images have no classes: targets are the teacher's best.
    """

    spec: VGGSpec
    after: str | None
    weights: Tensors
    views: int
    training: Sample
    validation: Sample
    teacher: Weights | None = None
    unlabelled: bool = False
