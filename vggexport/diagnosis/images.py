"""The known mistakes with images, as functions that undo and that imitate them.

A file made with a mistake computes ``network(mistaken(images))``. Either its images are prepared so
that the mistake is made up for (:attr:`ImageFault.undo`), and it agrees with the reference; or the
reference is given mistaken images (:attr:`ImageFault.imitate`), and agrees with the file. The first
shows the remedy and stays within the ranges of an int8 file; the second also works for files that
take whole pixels only, and for mistakes that lose something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[Any]
"""(images, size, size, 3), RGB 0...255, uint8 or float32."""

PAIRED = "+"
"""Between the names of two mistakes made together."""

RESTATE = "with its weights, export it again and state the preprocessing of its training"

TORCHVISION_MEAN = np.array((0.485, 0.456, 0.406), np.float32)
TORCHVISION_STD = np.array((0.229, 0.224, 0.225), np.float32)
"""Of pixels in 0...1, as torchvision's ImageNet transforms subtract and divide by them."""


@dataclass(frozen=True, slots=True)
class ImageFault:
    """One mistake with the images.

    Attributes:
        name: Its short name.
        description: What the file does with the images, a clause.
        before: What makes up for it in front of the file, for those who have nothing else; empty
            where nothing does.
        imitate: From right images to what the network effectively sees.
        undo: From right images to those which, given to the file, make the network see the right
            ones; None where there are none.
        keeps_pixels: Whether both give whole numbers in 0...255 for such numbers.
        lossy: Whether runtimes differ in how they do it, so that imitating it comes near only.
        again: What makes a file without it, for those who have its weights.
    """

    name: str
    description: str
    before: str
    imitate: Callable[[Pixels], Pixels]
    undo: Callable[[Pixels], Pixels] | None = None
    keeps_pixels: bool = False
    lossy: bool = False
    again: str = RESTATE

    @property
    def fix(self) -> str:
        """What to do about it, with the weights or with the file alone."""
        return f"{self.again}; with the file alone, {self.before}" if self.before else self.again

    def colour_matrix(self) -> NDArray[np.float32]:
        """(3, 3): row by row what red, green and blue become, of a mistake pixel by pixel."""
        pure, black = np.eye(3, dtype=np.float32), np.zeros((3, 3), np.float32)
        mistaken = self.imitate(pure[None, None]) - self.imitate(black[None, None])
        return np.asarray(mistaken[0, 0], np.float32)


def swap_channels(images: Pixels) -> Pixels:
    """BGR from RGB, and back."""
    return np.ascontiguousarray(images[..., ::-1])


def reread_as_nchw(images: Pixels) -> Pixels:
    """What NHWC memory holds when it is taken for NCHW."""
    count, height, width, channels = images.shape
    return np.ascontiguousarray(
        images.reshape(count, channels, height, width).transpose(0, 2, 3, 1)
    )


def lay_out_as_nchw(images: Pixels) -> Pixels:
    """Images that are the right ones when their memory is taken for NCHW."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(images.shape)


def prepare_again(images: Pixels) -> Pixels:
    """The resize to 256 / 224 and the centre crop, done to images that have had it."""
    height, width = images.shape[1:3]
    rows, columns = round(height * 256 / 224), round(width * 256 / 224)
    top, left = (rows - height) // 2, (columns - width) // 2
    return np.stack(
        [
            np.asarray(Image.fromarray(image).resize((columns, rows), Image.Resampling.BILINEAR))[
                top : top + height, left : left + width
            ]
            for image in np.asarray(images, np.uint8)
        ]
    )


def halve_resolution(images: Pixels) -> Pixels:
    """Every second pixel, each shown twice: a resize to half the size by nearest neighbours."""
    rows, columns = (np.arange(side) // 2 * 2 for side in images.shape[1:3])
    return np.ascontiguousarray(images[:, rows][:, :, columns])


CHANNELS_SWAPPED = ImageFault(
    "channels-swapped",
    "takes the channels as BGR",
    "reverse the channels before it",
    swap_channels,
    swap_channels,
    keeps_pixels=True,
    again=f"{RESTATE} and the layout of the weights",
)

RANGE_FAULTS = (
    ImageFault(
        "scaled-0-1",
        "divides the pixels by 255",
        "multiply the pixels by 255 before it",
        lambda images: images / np.float32(255),
        lambda images: images * np.float32(255),
    ),
    ImageFault(
        "expects-0-1",
        "expects pixels in [0, 1] and multiplies them by 255",
        "divide the pixels by 255 before it",
        lambda images: images * np.float32(255),
        lambda images: images / np.float32(255),
    ),
    ImageFault(
        "scaled-minus1-1",
        "scales the pixels to [-1, 1]",
        "add 1 to the pixels and multiply them by 127.5 before it",
        lambda images: images / np.float32(127.5) - np.float32(1),
        lambda images: (images + np.float32(1)) * np.float32(127.5),
    ),
    ImageFault(
        "expects-minus1-1",
        "expects pixels in [-1, 1] and scales them to 0...255",
        "divide the pixels by 127.5 and subtract 1 before it",
        lambda images: (images + np.float32(1)) * np.float32(127.5),
        lambda images: images / np.float32(127.5) - np.float32(1),
    ),
    ImageFault(
        "torchvision-normalized",
        "normalizes by torchvision's mean and deviation before it subtracts the mean",
        "multiply the pixels by the deviation, add the mean and multiply by 255 before it",
        lambda images: (images / np.float32(255) - TORCHVISION_MEAN) / TORCHVISION_STD,
        lambda images: (images * TORCHVISION_STD + TORCHVISION_MEAN) * np.float32(255),
    ),
)

LAYOUT_FAULTS = (
    ImageFault(
        "nchw-for-nhwc",
        "takes the memory of NHWC images for NCHW",
        "lay the memory out as NCHW before it",
        reread_as_nchw,
        lay_out_as_nchw,
        keeps_pixels=True,
        again="convert it again with a transposition: a reshape does not move the channels",
    ),
    ImageFault(
        "height-width-swapped",
        "takes columns for rows",
        "transpose height and width of the images before it",
        lambda images: images.swapaxes(1, 2),
        lambda images: images.swapaxes(1, 2),
        keeps_pixels=True,
        again="convert it again with rows before columns",
    ),
    ImageFault(
        "upside-down",
        "takes the rows from the bottom up",
        "flip the images before it",
        lambda images: images[:, ::-1],
        lambda images: images[:, ::-1],
        keeps_pixels=True,
        again="take the flip out: some cameras and textures begin with the last row",
    ),
    ImageFault(
        "resized-twice",
        "resizes images to 256 / 224 of their size and crops them, which was done already",
        "",
        prepare_again,
        keeps_pixels=True,
        lossy=True,
        again="take one of the two preparations out",
    ),
    ImageFault(
        "resized-nearest",
        "halves the resolution by nearest neighbours",
        "",
        halve_resolution,
        keeps_pixels=True,
        lossy=True,
        again="resize bilinearly, once, to the size of the network",
    ),
)


def image_faults(mean_rgb: Sequence[float]) -> tuple[ImageFault, ...]:
    """Every mistake with the images of a network that subtracts this mean."""
    return (CHANNELS_SWAPPED, *_mean_faults(mean_rgb), *RANGE_FAULTS, *LAYOUT_FAULTS)


def _mean_faults(mean_rgb: Sequence[float]) -> tuple[ImageFault, ...]:
    mean = np.array(mean_rgb, np.float32)
    return (
        ImageFault(
            "kernel-channels-swapped",
            "has the first convolution's weights in BGR order after a mean in RGB order",
            "subtract the mean, reverse the channels and add it again before it",
            lambda images: swap_channels(images - mean) + mean,
            lambda images: swap_channels(images - mean) + mean,
            again=f"{RESTATE} and the layout of the weights",
        ),
        ImageFault(
            "mean-missing",
            "does not subtract the mean",
            "subtract the mean from the pixels before it",
            lambda images: images + mean,
            lambda images: images - mean,
        ),
        ImageFault(
            "mean-twice",
            "subtracts the mean twice",
            "add the mean to the pixels before it",
            lambda images: images - mean,
            lambda images: images + mean,
        ),
        ImageFault(
            "mean-reversed",
            "subtracts the mean in BGR order from RGB",
            f"subtract {_listed(mean - mean[::-1])} from R, G and B before it",
            lambda images: images + (mean - mean[::-1]),
            lambda images: images - (mean - mean[::-1]),
        ),
    )


def _listed(values: NDArray[np.float32]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def combined(first: ImageFault, second: ImageFault) -> ImageFault:
    """Both mistakes: what the file does first to its images is ``first``."""
    undo_first, undo_second = first.undo, second.undo
    return ImageFault(
        f"{first.name}{PAIRED}{second.name}",
        f"{first.description} and {second.description}",
        f"{second.before}, then {first.before}",
        lambda images: second.imitate(first.imitate(images)),
        (lambda images: undo_first(undo_second(images))) if undo_first and undo_second else None,
        keeps_pixels=first.keeps_pixels and second.keeps_pixels,
        again=first.again,
    )


def scaling_faults() -> tuple[ImageFault, ...]:
    """Every mistake with the size of the values, alone and with swapped channels."""
    return (*RANGE_FAULTS, *(combined(CHANNELS_SWAPPED, fault) for fault in RANGE_FAULTS))


def image_fault_pairs(mean_rgb: Sequence[float]) -> Iterator[ImageFault]:
    """Swapped channels together with each mistake in the range: the pair that is made most."""
    _, missing, twice, _ = _mean_faults(mean_rgb)  # with a reversed mean it is the kernel's
    for other in (missing, twice, *RANGE_FAULTS):
        yield combined(CHANNELS_SWAPPED, other)
