"""What happens to RGB 0...255 before a network, as one affine step a channel.

A network computes ``conv(pad0(y))`` on ``y[c] = (x[c] - mean[c]) / std[c]``. That is this project's
contract, one mean subtraction on RGB 0...255, with another first kernel: ``std`` divides the
kernel's input channels, and BGR puts them in another order. Zeros of the padding stay zeros, since
only what is linear moves into the kernel. The mean cannot go into a bias: at the borders the
padding does not carry it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Self

from vggexport.errors import InputError
from vggexport.network.layers import CHANNELS
from vggexport.network.spec import MEAN_RGB
from vggexport.system.json_values import JsonValue

Channels = tuple[float, float, float]

RGB, BGR = "rgb", "bgr"
CHANNEL_ORDERS = (RGB, BGR)

_ZEROS: Channels = (0.0, 0.0, 0.0)
_ONES: Channels = (1.0, 1.0, 1.0)

TORCH_MEAN = (0.485, 0.456, 0.406)
TORCH_STD = (0.229, 0.224, 0.225)
"""Of RGB in [0, 1]: ``VGG16_Weights.IMAGENET1K_V1.transforms()`` of torchvision, and mode "torch"
of ``keras.applications``."""


@dataclass(frozen=True, slots=True)
class Preprocessing(JsonValue):
    """One affine step a channel.

    Attributes:
        name: "vgg", "caffe", "torch", "tf", "unit", "raw", or "custom".
        mean_rgb: Subtracted from RGB 0...255.
        std_rgb: Divides what is left, by the channel of the image.
        channel_order: "rgb" or "bgr": the order in which the network takes the channels.
        known: Whether it was stated or read; False where a convention was assumed.

    Raises:
        InputError: A divisor is zero, or a value is not finite.
    """

    name: str
    mean_rgb: Channels = _ZEROS
    std_rgb: Channels = _ONES
    channel_order: str = RGB
    known: bool = True

    def __post_init__(self) -> None:
        if self.channel_order not in CHANNEL_ORDERS:
            raise InputError(f"channel order {self.channel_order!r}: choose from rgb, bgr")
        if not all(map(isfinite, (*self.mean_rgb, *self.std_rgb))) or 0 in self.std_rgb:
            raise InputError(
                f"preprocessing with mean {self.mean_rgb} and divisor {self.std_rgb}: both must be "
                "finite, and no divisor zero"
            )

    @property
    def assumed(self) -> Self:
        """The same as a convention that nobody stated."""
        return replace(self, known=False)

    @property
    def order(self) -> tuple[int, ...]:
        """Of each channel of the network: which channel of RGB it is."""
        channels = tuple(range(CHANNELS))
        return channels if self.channel_order == RGB else channels[::-1]

    @property
    def words(self) -> str:
        """Its name, and the order of the channels: "raw, RGB"."""
        return f"{self.name}, {self.channel_order.upper()}"

    @property
    def told(self) -> str:
        """The same, and whether nobody said so: "caffe, BGR (assumed)"."""
        return self.words + ("" if self.known else " (assumed)")

    @property
    def numbers(self) -> tuple[str, str]:
        """Mean and divisors as they are stated: "0,0,0" and "255,255,255"."""
        mean, std = (",".join(f"{v:g}" for v in three) for three in (self.mean_rgb, self.std_rgb))
        return mean, std

    @property
    def affine(self) -> tuple[Channels, Channels, str]:
        """What it computes, whatever its name is and whoever said it."""
        return self.mean_rgb, self.std_rgb, self.channel_order

    def followed_by(self, scale: Channels, offset: Channels) -> Self:
        """This and then ``scale * y + offset``, both by the channel of the network.

        Raises:
            InputError: A scale is zero: the network would not see that channel.
        """
        if 0 in scale:
            raise InputError("a layer multiplies a colour by 0: the network cannot see it")
        places = self.order  # BGR is its own inverse
        std = tuple(self.std_rgb[c] / scale[places[c]] for c in range(CHANNELS))
        mean = tuple(self.mean_rgb[c] - offset[places[c]] * std[c] for c in range(CHANNELS))
        return replace(self, mean_rgb=_three(mean), std_rgb=_three(std))


def _three(values: tuple[float, ...]) -> Channels:
    red, green, blue = values
    return red, green, blue


def _scaled(values: Channels) -> Channels:
    return _three(tuple(255 * value for value in values))


CONVENTIONS: Mapping[str, Preprocessing] = {
    one.name: one
    for one in (
        Preprocessing("vgg", MEAN_RGB),
        Preprocessing("caffe", MEAN_RGB, channel_order=BGR),
        Preprocessing("torch", _scaled(TORCH_MEAN), _scaled(TORCH_STD)),
        Preprocessing("tf", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
        Preprocessing("unit", std_rgb=(255.0, 255.0, 255.0)),
        Preprocessing("raw"),
    )
}
"""By name: the paper's, the three modes of ``keras.applications``, [0, 1], and nothing at all."""

CHOICES = (
    "unit (x / 255), tf (x / 127.5 - 1), caffe (vgg16.preprocess_input of Keras), torch (x / 255 "
    "and normalized), vgg (RGB minus the mean), raw (nothing)"
)
"""The same to choose from, each by what programs that train do."""


def any_of(*words: str) -> str:
    """Conventions of which nobody knows which one, none before the others for a reason.

    Args:
        words: Of two or more: "unit, RGB" and "raw, BGR" are "raw in BGR or unit in RGB".
    """
    *others, last = sorted(each.replace(", ", " in ") for each in words)
    return f"{', '.join(others)} or {last}"


def mean_subtraction(mean_rgb: Channels) -> Preprocessing:
    """What the native layout means by its own definition: the paper's, or another mean's."""
    paper = CONVENTIONS["vgg"]
    return paper if mean_rgb == paper.mean_rgb else Preprocessing("custom", mean_rgb)
