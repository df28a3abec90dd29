"""``vggexport train``."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from vggexport.cli import options as shared
from vggexport.cli.group import fail_check
from vggexport.cli.network_options import network_options
from vggexport.cli.value_types import Names, Share
from vggexport.network.training_recipe import INITIALIZERS, PAPER, Recipe

_NUMBERS = {
    "batch": (int, "Take this many images per step."),
    "learning_rate": (
        float,
        "Begin with this learning rate; if not stated, with less for a head of large inputs.",
    ),
    "learning_rate_divisor": (
        float,
        "Divide the learning rate by this when validation accuracy stops improving.",
    ),
    "patience": (int, "Wait this many epochs for an improvement; by default 30 steps at least."),
    "decreases": (int, "Divide the learning rate this many times before training stops."),
    "epochs": (int, "Train for at most this many epochs."),
    "momentum": (float, "Use this momentum in the gradient descent."),
    "weight_decay": (float, "Add this multiple of the sum of squares of each kernel to the loss."),
    "dropout": (float, "Drop this share of the outputs of each hidden layer."),
    "min_scale": (int, "Scale an image's short side to at least this, for a crop of 224."),
    "max_scale": (int, "Scale an image's short side to at most this, for a crop of 224."),
    "restarts": (
        int,
        "Restart at most this many times, at a third of the rate, if training diverges.",
    ),
    "views": (int, "Compute this many views of each image if layers are frozen."),
}
"""Of the recipe: type and help, by name."""


def _number_option(name: str) -> shared.Decorator:
    kind, text = _NUMBERS[name]
    spelled = f"--{name.replace('_', '-')}"
    return click.option(spelled, type=kind, default=getattr(PAPER, name), help=text)


recipe_options = shared.combined(
    *map(_number_option, _NUMBERS),
    click.option("--flip/--no-flip", default=PAPER.flip, help="Mirror half of the crops."),
    click.option(
        "--initializer",
        type=click.Choice(INITIALIZERS),
        default=PAPER.initializer,
        help="Initialize layers that have no weights in this way.",
    ),
)


def _is_stated(option: str) -> bool:
    """Whether the user said it, in whatever way."""
    source = click.get_current_context().get_parameter_source(option)
    return source is not ParameterSource.DEFAULT


@click.command()
@shared.labelled_data_option
@shared.file_option(
    "--validation-data",
    "Validate on the labelled images of this folder.  [default: a part of --data]",
    metavar="DIR",
)
@click.option(
    "--split", type=Share(), default="25%", help="Split off this share of --data to validate on."
)
@network_options
@shared.max_unreadable_option
@click.option(
    "--freeze",
    default="conv",
    metavar="conv|none|BLOCK",
    help="Freeze these layers: all convolutions, none, or all up to a block, such as block4.",
)
@click.option(
    "--reinit", type=Names(), default=(), help="Reinitialize these layers, such as predictions."
)
@click.option(
    "--teacher",
    metavar="WEIGHTS",
    help="Learn the answers of these weights in place of the classes; with --freeze none.",
)
@shared.flag(
    "--unlabelled",
    "Learn the answers of --teacher to images without classes, in folders of any depth.",
)
@recipe_options
@shared.flag("--resume", "Resume from the checkpoint beside the output.")
@shared.file_option(
    "--cache-dir",
    "Keep the outputs of frozen layers in this folder.  [default: the user's cache]",
    metavar="DIR",
)
@shared.file_option("--log-dir", "Write logs for TensorBoard into this folder.", metavar="DIR")
@shared.output_options("vgg_d.safetensors")
@shared.common_options
def train(json: bool, **options: Any) -> None:  # noqa: FBT001
    """Train weights on labelled images by the paper's recipe.

    The weights of the epoch that gets most validation images right are written, with labels, and
    every command reads them. Beside them goes a CSV file of the images that were split off, for
    evaluate --csv. A checkpoint is kept after every epoch until the training is finished.
    """
    import vggexport
    from vggexport.cli import parsed, terminal
    from vggexport.reports import text

    report = vggexport.train(
        parsed.taken(
            vggexport.TrainOptions,
            options,
            network=parsed.network(options),
            recipe=parsed.taken(Recipe, options),
            stated=frozenset(filter(_is_stated, ("learning_rate", "patience"))),
        ),
        terminal.make_progress(),
    )
    rendered = text.training(report, options["data"], options["validation_data"])
    terminal.show(rendered, report, as_json=json)
    fail_check(report.failures, "the weights are written, but not marked as trained")
