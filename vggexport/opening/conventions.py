"""One network under each convention for pixels, for labels to say which it was trained with."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from vggexport.errors import InputError
from vggexport.formats.registry import KERAS, is_model, load_runner
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.opening.models import OpenedModel
from vggexport.opening.network import NetworkOptions, open_network
from vggexport.opening.run_options import RunOptions
from vggexport.precision import Precision
from vggexport.system.progress import Progress, Steps
from vggexport.weights.layouts import FIRST_KERNEL


def open_under_conventions(
    entered: ExitStack, source: str, options: RunOptions, steps: Steps
) -> list[OpenedModel]:
    """The Keras network of weights once a convention; all but the first kernel is held once.

    Args:
        entered: Closes the runners.
        source: A source of weights.
        options: How they run.
        steps: Who counts the seconds.

    Raises:
        InputError: ``source`` is a model file, in which its preprocessing is fixed.
        WeightsError: The weights cannot be used, or say themselves what they were trained with.
    """
    if is_model(source):
        raise InputError(
            f"{source} is a model file, and its preprocessing is inside: name the weights that it "
            "was made of"
        )
    with steps.step("load"):
        quiet = Steps(Progress())
        opened = {
            name: open_network(NetworkOptions(weights=source, preprocessing=convention), quiet)
            for name, convention in CONVENTIONS.items()
        }
        shared = dict(next(iter(opened.values())).weights)
        models = []
        for name, network in opened.items():
            arrays = shared | {FIRST_KERNEL: network.weights[FIRST_KERNEL]}
            runner = load_runner(KERAS)(network.spec, arrays, threads=options.threads)
            artifact = network.artifact(Path(f"{source} ({name})"), KERAS, Precision.FLOAT32)
            models.append(
                OpenedModel(artifact.path, entered.enter_context(runner), artifact, network)
            )
    return models
