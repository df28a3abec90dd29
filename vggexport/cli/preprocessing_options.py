"""``--preprocessing`` and its relatives: what happens to RGB 0...255 before the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from vggexport.cli.value_types import Channels
from vggexport.errors import InputError
from vggexport.network.preprocessing import CHANNEL_ORDERS, CONVENTIONS, Preprocessing

AUTO = "auto"


preprocessing_options = (
    click.option(
        "--preprocessing",
        type=click.Choice((AUTO, *CONVENTIONS)),
        default=AUTO,
        help="State what your training did to RGB 0...255 before the network: vgg (RGB minus the "
        "paper's mean), caffe, torch, tf (Keras' three modes), unit (x/255), raw. auto "
        "reads it from the file, or assumes what is usual for its layout and says so.",
    ),
    click.option(
        "--pixel-mean",
        type=Channels(),
        help="Subtract this from RGB 0...255, for any other preprocessing.",
    ),
    click.option(
        "--pixel-std",
        type=Channels(),
        help="Divide RGB 0...255 less the mean by this, for any other preprocessing.",
    ),
    click.option(
        "--channel-order",
        type=click.Choice(CHANNEL_ORDERS),
        help="State the order in which the network takes the channels.  [default: rgb]",
    ),
)


def preprocessing(options: Mapping[str, Any]) -> Preprocessing | None:
    """What ``preprocessing_options`` say; None for auto.

    Raises:
        InputError: They contradict each other, or divide by zero.
    """
    name, mean, std = options["preprocessing"], options["pixel_mean"], options["pixel_std"]
    order = options["channel_order"]
    custom = [value for value in (mean, std, order) if value is not None]
    if name != AUTO and custom:
        raise InputError(
            f"preprocessing {name} is whole by itself: state either it, or mean, divisor and "
            "channel order"
        )
    if not custom:
        return CONVENTIONS.get(name)
    plain = CONVENTIONS["raw"]
    return Preprocessing(
        "custom", mean or plain.mean_rgb, std or plain.std_rgb, order or plain.channel_order
    )
