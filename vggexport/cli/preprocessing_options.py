"""``--preprocessing`` and its relatives: what happens to RGB 0...255 before the network."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, TypeVar

import click

from vggexport.errors import InputError
from vggexport.network.preprocessing import CHANNEL_ORDERS, CONVENTIONS, Preprocessing

Command = TypeVar("Command", bound=Callable[..., Any])

AUTO = "auto"


class Channels(click.ParamType[tuple[float, float, float]]):
    """Three numbers, separated by commas, for red, green and blue."""

    name = "R,G,B"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float]:
        """Parses one value: text, or a list of the configuration file."""
        parts = value.split(",") if isinstance(value, str) else value
        try:
            red, green, blue = map(float, parts)
        except (TypeError, ValueError):
            self.fail(f"{value!r} is not three numbers, as 123.68,116.779,103.939", param, ctx)
        if not all(map(isfinite, (red, green, blue))):
            self.fail(f"{value!r} has a number that is not finite", param, ctx)
        return red, green, blue


def preprocessing_options(command: Command) -> Command:
    """``--preprocessing --pixel-mean --pixel-std --channel-order``."""
    for option in (
        click.option(
            "--channel-order",
            type=click.Choice(CHANNEL_ORDERS),
            help="Order in which the network takes the channels.  [default: rgb]",
        ),
        click.option(
            "--pixel-std",
            type=Channels(),
            help="Divides RGB 0...255 less the mean, for any other preprocessing.",
        ),
        click.option(
            "--pixel-mean",
            type=Channels(),
            help="Subtracted from RGB 0...255, for any other preprocessing.",
        ),
        click.option(
            "--preprocessing",
            type=click.Choice((AUTO, *CONVENTIONS)),
            default=AUTO,
            show_default=True,
            help="What your training did to RGB 0...255 before the network: vgg (RGB minus the "
            "paper's mean), caffe, torch, tf (Keras' three modes), unit (x/255), raw. auto reads "
            "it from the file, or assumes what is usual for its layout, and says so.",
        ),
    ):
        command = option(command)
    return command


def preprocessing(options: dict[str, Any]) -> Preprocessing | None:
    """What :func:`preprocessing_options` say; None for auto.

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
