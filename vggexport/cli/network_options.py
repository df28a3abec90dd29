"""Options that say which network is meant: its weights, its shape, what it wants of pictures.

Layouts are literals here and not imported, as ``--help`` must not import numpy: a test holds them
equal.
"""

from __future__ import annotations

import click

from vggexport.cli.options import combined, flag, labels_option, seed_option, strict_option
from vggexport.cli.picture_options import picture_options
from vggexport.cli.preprocessing_options import preprocessing_options
from vggexport.cli.value_types import AT_LEAST_1, ImageSize, Units
from vggexport.network import spec
from vggexport.network.head import HeadActivation, Pooling, units_text
from vggexport.network.table import TABLE_1

LAYOUTS = ("auto", "native", "keras", "torchvision")
POOLINGS = (*(pooling.value for pooling in Pooling), "adaptive")

architecture_options = combined(
    click.option(
        "--config",
        type=click.Choice(tuple(TABLE_1), case_sensitive=False),
        metavar=f"[{'|'.join(TABLE_1)}]",
        help="Take this column of the paper's table 1.  [default: from the weights, or "
        f"{spec.DEFAULT_CONFIGURATION}]",
    ),
    click.option(
        "--classes",
        type=AT_LEAST_1,
        help="Give the last layer this many outputs.  [default: from the weights, or "
        f"{spec.DEFAULT_CLASSES}]",
    ),
    click.option(
        "--fc-units",
        type=Units(),
        help="Give the hidden fully connected layers this many outputs; one number stands for two "
        "layers, none for no layer.  [default: from the weights, or "
        f"{units_text(spec.DEFAULT_FC_UNITS)}]",
    ),
    click.option(
        "--input-size",
        type=ImageSize(),
        help="Set the size of the input in pixels: the side of a square, or height and width.  "
        f"[default: from the weights, or {spec.size_text(spec.DEFAULT_INPUT_SIZE)}]",
    ),
    click.option(
        "--pooling",
        type=click.Choice(POOLINGS, case_sensitive=False),
        metavar=f"[{'|'.join(POOLINGS)}]",
        help="Pool the features before the head: flatten keeps all, average and max keep "
        "one per channel, adaptive is torchvision's average to 7x7, or to the "
        f"square that the head takes.  [default: from the weights, or {Pooling.FLATTEN}]",
    ),
    click.option(
        "--head-activation",
        type=click.Choice(HeadActivation, case_sensitive=False),
        metavar=f"[{'|'.join(HeadActivation)}]",
        help="Turn logits into probabilities by this function.  [default: from the weights, or "
        f"{HeadActivation.SOFTMAX}]",
    ),
)

weights_options = combined(
    click.option(
        "--weights",
        default="random:0",
        metavar="SOURCE",
        help="Take weights from random[:SEED], imagenet (the VGG16 file that Keras publishes), "
        "or a file: .npz, .safetensors, Keras .h5, .weights.h5, .keras, a torch state dict "
        ".pth, .pt.",
    ),
    click.option(
        "--weights-layout",
        type=click.Choice(LAYOUTS),
        default="auto",
        help="State the layout of the weights file; auto says which one it took.",
    ),
    click.option(
        "--weights-sha256", metavar="HEX", help="Refuse a weights file with another SHA-256 digest."
    ),
    flag("--init-missing", "Fill layers that the file lacks with seeded random weights."),
    architecture_options,
    *preprocessing_options,
    strict_option(
        "Refuse to assume the preprocessing or the input size that the weights file does not tell."
    ),
)
network_options = combined(
    weights_options,
    labels_option(
        "Read class names from a file, one per line or JSON; two for one output. They "
        "travel in the artifact."
    ),
    *picture_options,
    seed_option("Draw weights and choose images by this seed."),
)
