"""A network whose answers are learnt in place of labels.

Source: G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network", arXiv
1503.02531, at temperature 1.
"""

from __future__ import annotations

from vggexport.errors import Advice, InputError
from vggexport.network.spec import size_text
from vggexport.training.initial_weights import InitialWeights
from vggexport.weights import SpecRequest, Weights, open_weights

ALL = Advice("train all layers with {} none", "freeze")


def open_teacher(source: str) -> Weights:
    """Opens it.

    Raises:
        WeightsError: It cannot be read.
        InputError: It is not trained.
    """
    teacher = open_weights(source, SpecRequest())
    if not teacher.trained:
        raise InputError(f"the teacher {teacher.source} is not trained: name trained weights")
    return teacher


def check_teaches(teacher: Weights, start: InitialWeights, labels: tuple[str, ...]) -> None:
    """Refuses a teacher of other answers.

    Raises:
        InputError: It is of other classes or another input.
    """
    for name, theirs, mine in (
        ("input size", size_text(teacher.spec.input_size), size_text(start.spec.input_size)),
        ("number of classes", teacher.spec.classes, start.spec.classes),
        ("end", teacher.spec.head_activation.value, start.spec.head_activation.value),
        ("classes", teacher.labels or labels, labels),
    ):
        if theirs != mine:
            raise InputError(
                f"the teacher {teacher.source} is of another kind: its {name} is {theirs}, and of "
                f"{start.source} {mine}: name the weights that those were made from"
            )
