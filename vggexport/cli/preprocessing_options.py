"""``--preprocessing`` and its relatives: what happens to RGB 0...255 before the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import click

from vggexport.cli.value_types import Channels
from vggexport.errors import InputError
from vggexport.network.preprocessing import CHANNEL_ORDERS, CHOICES, CONVENTIONS, Preprocessing

AUTO = "auto"


class _Convention(click.Choice[str]):
    """A convention's name, or auto; of another it says what each does."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """What there is to choose from."""
        return f"{value!r} is none of {CHOICES}, or {AUTO}"


preprocessing_options = (
    click.option(
        "--preprocessing",
        type=_Convention((AUTO, *CONVENTIONS)),
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


class PreprocessingOf(click.ParamType[tuple[str, Preprocessing]]):
    """A file and what it wants done to pixels: "old.onnx=torch" and the like."""

    name = "FILE=CONVENTION"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Preprocessing]:
        """Parses one value: a convention's name, or parts; both may end in the channels' order."""
        if isinstance(value, tuple):
            return value
        path, equals, text = str(value).rpartition("=")
        if not (path and equals):
            self.fail(f"{value!r} is not of the form old.onnx=torch", param, ctx)
        named: dict[str, str] = {}
        for part in text.split(";"):
            key, colon, numbers = part.strip().partition(":")
            kind = key if colon else "order" if key in CHANNEL_ORDERS else "name"
            if kind in named or (colon and key not in {"mean", "std"}):
                self.fail(f"{part!r} in {value!r} is not {_FORM}", param, ctx)
            named[kind] = numbers if colon else key
        return path, self._stated(named, str(value), param, ctx)

    def _stated(
        self,
        named: Mapping[str, str],
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Preprocessing:
        plain = CONVENTIONS.get(named.get("name", "raw"))
        own = {key: Channels().convert(named[key], param, ctx) for key in named if key in _PARTS}
        if plain is None or (own and "name" in named):
            self.fail(f"{value!r} is not {_FORM}", param, ctx)
        order = named.get("order", plain.channel_order)
        if not own:
            return replace(plain, channel_order=order)
        mean, std = own.get("mean", plain.mean_rgb), own.get("std", plain.std_rgb)
        try:
            return Preprocessing("custom", mean, std, order)
        except InputError as error:
            return self.fail(str(error), param, ctx)


_PARTS = ("mean", "std")
_FORM = (
    f"one of {CHOICES}, or mean:R,G,B;std:R,G,B (one of them or both), with ;bgr or "
    ";rgb after it for another order of the channels"
)

preprocessing_of_option = click.option(
    "--preprocessing-of",
    type=PreprocessingOf(),
    multiple=True,
    metavar="FILE=CONVENTION",
    help="State what a file of another converter wants done to RGB 0...255: caffe, torch, tf, "
    "unit, raw, vgg, or mean:R,G,B;std:R,G,B, with ;bgr or ;rgb for another order of the channels. "
    "Give it once per file.",
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
