"""What a training says while it runs, and at its end."""

from __future__ import annotations

import math

from vggexport.errors import Advice
from vggexport.network.head import HeadActivation
from vggexport.system.progress import Steps
from vggexport.training.checkpoint import Course
from vggexport.training.training_data import TrainingData

GUESSES_WITHIN = 0.01
"""Of ln(classes): as near as losses stay where every image gets the same answer."""


def note_epoch(course: Course, steps: Steps) -> None:
    """One line an epoch, and how much time the others take at most."""
    if not course.history:
        steps.progress.note(
            f"the training diverged and restarts at learning rate {course.learning_rate:.2g}"
        )
        return
    epoch, recipe = course.history[-1], course.recipe
    judged = "validation" if epoch.validation_agreement is None else "agreement with the teacher"
    left = (recipe.epochs - epoch.number) * epoch.seconds
    ends = "the last" if course.is_over else f"at most {left / 60:.0f} min left"
    steps.progress.advance(epoch.number, recipe.epochs)
    steps.progress.note(
        f"epoch {epoch.number} of {recipe.epochs}: loss {epoch.loss:.3f}, {judged} "
        f"{epoch.right:.1%} (loss {epoch.validation_loss:.3f}), learning rate "
        f"{epoch.learning_rate:.3g}, {epoch.seconds:.1f} s, {ends}"
    )


def note_gain(course: Course, steps: Steps) -> None:
    """Says so where a teacher's answers made nothing better."""
    before, best = course.before, course.best
    if before and best and not best.better_than(before):
        judged = "accuracy" if best.validation_agreement is None else "agreement with the teacher"
        steps.progress.note(
            f"nothing was gained on the validation images: {judged} was {before.right:.1%} (loss "
            f"{before.validation_loss:.3f}) with the weights that training began with, and is "
            f"{best.right:.1%} (loss {best.validation_loss:.3f}) with those of the best epoch",
            Advice(f"try {{}} {course.history[0].learning_rate / 10:.1g}", "learning_rate"),
        )


def note_plateau(course: Course, data: TrainingData, steps: Steps) -> None:
    """Says so where no class was told from another: a softmax that guesses loses ln(classes)."""
    spec, last = data.start.spec, course.history[-1]
    guessing = math.log(spec.label_count)
    one_answer = spec.head_activation is HeadActivation.SOFTMAX or spec.classes == 1
    if (
        one_answer
        and not data.unlabelled
        and abs(last.validation_loss / guessing - 1) < GUESSES_WITHIN
    ):
        steps.progress.note(
            f"the validation loss ends at {last.validation_loss:.3f}, and ln({spec.label_count}) = "
            f"{guessing:.3f} is what guessing gives: nothing was learnt",
            Advice(f"try {{}} {course.history[0].learning_rate / 10:.1g}", "learning_rate"),
            Advice("{} he for new layers", "initializer"),
            "weights that are trained already",
        )
