"""One network under each convention for pixels, for labels to say which it was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from vggexport.errors import Advice, InputError
from vggexport.formats.registry import KERAS, is_model, load_runner
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.network.spec import DEFAULT_INPUT_SIZE
from vggexport.opening.foreign import TRIED, stated_as
from vggexport.opening.models import OpenedModel, open_model, with_preprocessing
from vggexport.opening.network import NetworkOptions, open_network
from vggexport.opening.run_options import RunOptions
from vggexport.opening.stated_preprocessing import can_be_done
from vggexport.precision import Precision
from vggexport.results.evaluate import EvaluationResult
from vggexport.system.progress import Progress, Steps
from vggexport.weights.files import prepares_pixels
from vggexport.weights.layouts import FIRST_KERNEL
from vggexport.weights.sources import is_word


def open_under_conventions(
    entered: ExitStack, source: str, options: RunOptions, steps: Steps
) -> list[OpenedModel]:
    """A file of another converter, or the Keras network of weights, once a convention.

    Of the network's weights all but the first kernel is held once.

    Raises:
        InputError: ``source`` is a file of ours, or describes a network, that prepares pixels.
        WeightsError: The weights cannot be used, or say themselves what they were trained with.
    """
    if is_model(source):
        return _foreign_under_conventions(entered, source, options, steps)
    if not is_word(source) and prepares_pixels(Path(source), DEFAULT_INPUT_SIZE):
        raise InputError(
            f"{source} prepares RGB 0...255 itself before its first convolution, so there is no "
            "convention to try",
            Advice("leave out {}", "try_preprocessing"),
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


def note_favoured(results: Sequence[EvaluationResult], steps: Steps) -> None:
    """Says which convention labels speak for: one whose 95 % interval lies above all others.

    Of those that they do not tell apart none is favoured.
    """
    best = max(results, key=lambda result: result.accuracy.top1)
    least = best.accuracy.top1_interval.low
    tied = [r.runner.path for r in results if r.accuracy.top1_interval.high >= least]
    told, asking = f"the labels favour {best.runner.path}", ""
    if len(tied) > 1:
        told = f"the labels cannot tell {', '.join(tied[:-1])} and {tied[-1]} apart"
        asking = "ask which one its training used, and "
    stating = Advice(f"{asking}state it with {{}}", "preprocessing", command="export")
    if best.runner.foreign:
        stating = Advice(f"{asking}state it with {{}}", "preprocessing_of")
    steps.progress.note(told, stating)


def _foreign_under_conventions(
    entered: ExitStack, source: str, options: RunOptions, steps: Steps
) -> list[OpenedModel]:
    """One runner of the file for all of them, in both orders of the channels."""
    with steps.step("load"):
        model = open_model(entered, source, None, options, steps)
    if not model.artifact.foreign:
        raise InputError(
            f"{source} was made by vggexport, and its preprocessing is inside: name the weights "
            "that it was made of"
        )
    return [
        replace(with_preprocessing(model, one), path=f"{source} ({stated_as(one)})")
        for one in TRIED
        if can_be_done(one, model.artifact)
    ]
