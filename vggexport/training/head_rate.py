"""A learning rate that suits the inputs of a head."""

from __future__ import annotations

import numpy as np

from vggexport.training.image_views import CENTRE
from vggexport.training.job import TrainingJob

NORMALIZED_RATE = 400.0
"""Learning rate times the mean squared norm of the inputs. After published convolutions, whose
outputs have the squared norm 1.3e6, that is 3e-4: on 48 photographs of flowers the best of five
rates, where 3e-3 and 1e-2 diverged; on 264 and 360 none of the five was better beyond chance
(``benchmarks/train_defaults.py``)."""


def head_rate(job: TrainingJob, most: float) -> float:
    """The rate of the first steps.

    A step changes what a layer gives for an input by the rate times the input's squared norm, so
    that the rates at which training holds go with its inverse (normalized least mean squares:
    Nagumo and Noda, "A learning method for system identification", IEEE Transactions on Automatic
    Control 12(3), 1967). The paper's 1e-2 is for all layers, drawn anew, and 1.2 million images.
    ``most`` is the recipe's, and the rate where more than a head is trained.
    """
    if job.after != job.spec.head_input:
        return most
    inputs = (job.training.read(int(index), CENTRE) for index in job.training.indices)
    power = float(np.mean([np.square(one, dtype=np.float64).sum() for one in inputs]))
    return min(most, NORMALIZED_RATE / power) if power else most
