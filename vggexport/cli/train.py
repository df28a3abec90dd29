"""``vggexport train``."""

from __future__ import annotations

from typing import Any

import click

from vggexport.cli.options import (
    Decorator,
    combined,
    common_options,
    labelled_data_option,
    max_unreadable_option,
    network_options,
    output_options,
)
from vggexport.cli.value_types import Names, Share, file_path
from vggexport.network.training_recipe import INITIALIZERS, PAPER, Recipe

_NUMBERS = {
    "batch": (int, "Images of a step."),
    "learning_rate": (float, "Of the first steps."),
    "learning_rate_divisor": (float, "Divides it when validation accuracy stops improving."),
    "patience": (int, "Epochs without improvement that count as stopped."),
    "decreases": (int, "How often the learning rate is divided before training stops."),
    "epochs": (int, "At most."),
    "momentum": (float, "Of the gradient descent."),
    "weight_decay": (float, "Multiplier of the sum of squares of each kernel."),
    "dropout": (float, "Share of inputs dropped behind fc1 and fc2."),
    "min_scale": (int, "Smallest short side of an image for a crop of 224."),
    "max_scale": (int, "Largest short side of an image for a crop of 224."),
    "views": (int, "Views of an image that are computed where layers are frozen."),
}
"""Of the recipe: type and help, by name."""


def _number_option(name: str) -> Decorator:
    kind, text = _NUMBERS[name]
    spelled = f"--{name.replace('_', '-')}"
    return click.option(spelled, type=kind, default=getattr(PAPER, name), help=text)


recipe_options = combined(
    *map(_number_option, _NUMBERS),
    click.option("--flip/--no-flip", default=PAPER.flip, help="Mirror half the crops."),
    click.option(
        "--initializer",
        type=click.Choice(INITIALIZERS),
        default=PAPER.initializer,
        help="Of layers without weights.",
    ),
)


@click.command()
@labelled_data_option
@click.option(
    "--validation-data",
    type=file_path(),
    metavar="DIR",
    help="Another one to judge by.  [default: split off]",
)
@click.option("--split", type=Share(), default="25%", help="Share that is split off.")
@network_options
@max_unreadable_option
@click.option(
    "--freeze",
    default="conv",
    metavar="conv|none|BLOCK",
    help="What is not trained: all convolutions, nothing, or all up to a block, as block4.",
)
@click.option("--reinit", type=Names(), default=(), help="Layers to draw anew, as predictions.")
@recipe_options
@click.option("--resume", is_flag=True, help="Go on from the checkpoint beside the output.")
@click.option(
    "--cache-dir",
    type=file_path(),
    metavar="DIR",
    help="Where outputs of frozen layers are kept.  [default: the user's cache]",
)
@click.option("--log-dir", type=file_path(), metavar="DIR", help="Logs for TensorBoard.")
@output_options("vgg_d.safetensors")
@common_options
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
        ),
        terminal.make_progress(),
    )
    terminal.show(text.training(report), report, as_json=json)
