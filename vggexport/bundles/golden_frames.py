"""Frames of a camera as planes of YUV, and the pixels that an app has to make of them.

Two, since one range, one matrix and one rotation would be right by chance in an app that assumes
them: one as Android's cameras give it, one as Apple's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.system.json_values import JsonValue

FULL, LIMITED = "full", "limited"

MATRICES: Mapping[str, tuple[float, float]] = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}
"""Shares of red and blue in luma: ITU-R BT.601-7, 2.5.1, and BT.709-6, 3.2."""

FRAME_LEVELS = 4
"""How far a pixel may be: integer arithmetic rounds by 1; where chroma is interpolated, or lies
beside every other column, it is half a sample away, 3 levels in these frames. Mistakes are 20 and
more (tests/bundles)."""

_HEIGHT, _WIDTH = 64, 96
_PADDING = 16
"""Bytes after each row, which belong to no pixel."""


@dataclass(frozen=True, slots=True)
class Plane(JsonValue):
    """Where one plane's bytes are in the file.

    Attributes:
        offset: Of the first.
        row_stride: From one row to the next.
        pixel_stride: From one column to the next.
    """

    offset: int
    row_stride: int
    pixel_stride: int


@dataclass(frozen=True, slots=True)
class GoldenFrame(JsonValue):
    """A frame as it is stored, and how it is to be read.

    Attributes:
        file: Its bytes in the bundle.
        rgb: PNG of the upright pixels, not scaled.
        width: Of the stored frame, in pixels.
        height: The same.
        y: Luma, a byte a pixel.
        u: Cb, a byte for 2x2 pixels.
        v: Cr likewise.
        range: "full": 0 to 255; "limited": luma 16 to 235, chroma 16 to 240.
        matrix: One of :data:`MATRICES`.
        rotation_degrees: How far the stored frame is to be turned clockwise.
        tolerance_levels: How far a pixel may be.
    """

    file: str
    rgb: str
    width: int
    height: int
    y: Plane
    u: Plane
    v: Plane
    range: str
    matrix: str
    rotation_degrees: int
    tolerance_levels: int = FRAME_LEVELS


def golden_frames() -> Iterator[tuple[GoldenFrame, bytes]]:
    """Each, with its bytes."""
    stride = _WIDTH + _PADDING
    luma, first, second = (
        Plane(0, stride, 1), Plane(_HEIGHT * stride, stride, 2),
        Plane(_HEIGHT * stride + 1, stride, 2),
    )  # fmt: skip
    for name, u, v, levels, matrix, degrees in (
        ("android", second, first, FULL, "bt601", 90),
        ("apple", first, second, LIMITED, "bt709", 270),
    ):
        stem, size = f"golden/frames/{name}", (_WIDTH, _HEIGHT)
        frame = GoldenFrame(
            f"{stem}.yuv", f"{stem}_rgb.png", *size, luma, u, v, levels, matrix, degrees
        )
        yield frame, _planes(frame)


def _planes(frame: GoldenFrame) -> bytes:
    """Luma grows along rows, blue along columns, red along both: no two turns are alike."""
    data = np.zeros(frame.height * 3 // 2 * frame.y.row_stride, np.uint8)
    rows, columns = frame.height // 2, frame.width // 2
    down, across = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)[None]
    level = np.linspace(16, 235, frame.width)[None]
    samples(data, frame.y, frame.height, frame.width)[:] = np.rint(level)
    samples(data, frame.u, rows, columns)[:] = np.rint(128 + 48 * down)
    samples(data, frame.v, rows, columns)[:] = np.rint(128 + 28 * (down + across))
    return data.tobytes()


def samples(data: NDArray[np.uint8], plane: Plane, rows: int, columns: int) -> NDArray[np.uint8]:
    """The samples of a plane, uint8 (rows, columns), where they lie."""
    strides = plane.row_stride, plane.pixel_stride
    return np.lib.stride_tricks.as_strided(data[plane.offset :], (rows, columns), strides)


def frame_pixels(data: bytes, frame: GoldenFrame) -> NDArray[np.uint8]:
    """What a frame shows, as it says itself: upright RGB, uint8 (height, width, 3)."""
    stored = np.frombuffer(data, np.uint8)
    half = frame.height // 2, frame.width // 2
    blue, red = (
        samples(stored, plane, *half).repeat(2, axis=0).repeat(2, axis=1)
        for plane in (frame.u, frame.v)
    )
    return upright_rgb(samples(stored, frame.y, frame.height, frame.width), blue, red, frame)


def upright_rgb(
    y: NDArray[Any], u: NDArray[Any], v: NDArray[Any], frame: GoldenFrame
) -> NDArray[np.uint8]:
    """The pixels of luma, Cb and Cr, each (stored height, stored width), read as the frame says."""
    luma, blue, red = y.astype(np.float64), u - 128.0, v - 128.0
    if frame.range == LIMITED:
        luma, blue, red = (luma - 16) * 255 / 219, blue * 255 / 224, red * 255 / 224
    of_red, of_blue = MATRICES[frame.matrix]
    more_red, more_blue = 2 * (1 - of_red) * red, 2 * (1 - of_blue) * blue
    less = (of_red * more_red + of_blue * more_blue) / (1 - of_red - of_blue)
    rgb = np.stack([luma + more_red, luma - less, luma + more_blue], axis=-1)
    turned = np.rot90(rgb, -frame.rotation_degrees // 90)
    return np.rint(np.clip(turned, 0, 255)).astype(np.uint8)
