"""How long a training waits for an improvement."""

from __future__ import annotations

import math

from vggexport.network.training_recipe import Recipe
from vggexport.training.job import TrainingJob

STEPS = 30
"""Steps without improvement before the learning rate is divided. The paper's epochs are 5,000
steps; one of a few hundred images is a step or two, and momentum alone takes ten to come to
anything. Learnt from 48 photographs of 12 classes, 41 % of others were right with 5 epochs of one
step, and 61 % with 30 (``benchmarks/train_defaults.py``)."""


def patience(job: TrainingJob, recipe: Recipe) -> int:
    """Epochs: the recipe's, or as many more as make enough steps."""
    steps = math.ceil(len(job.training.indices) / recipe.batch)
    return max(recipe.patience, math.ceil(STEPS / steps))
