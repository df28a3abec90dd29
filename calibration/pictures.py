"""How a picture becomes pixels, as one value: training, calibration and use must have the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from calibration.errors import CalibrationDataError

Size = int | tuple[int, int]
"""Side of a square, or height and width, in pixels, at least 1."""

Colour = tuple[int, int, int]
"""RGB, 0...255."""

CROP, STRETCH, PAD = RESIZES = ("crop", "stretch", "pad")

INTERPOLATIONS: Mapping[str, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}
"""Pillow's filters by name. All but nearest are as wide as a target pixel (antialiased)."""

SHORT_SIDE_RATIO = 256 / 224
WHITE: Colour = (255, 255, 255)
BIT_DEPTHS = range(8, 17)


@dataclass(frozen=True, slots=True)
class PictureOptions:
    """How a picture becomes pixels.

    The scale of 256 : 224 and the centre crop are the usual single-scale evaluation of VGG networks
    (Simonyan and Zisserman, arXiv 1409.1556, section 3.2: smallest side Q = 256 for 224 inputs).

    Attributes:
        resize: "crop": scaled until its short side is ``resize_to`` long, and the centre is cut
            out; "stretch": scaled to the size wanted, whatever its shape; "pad": scaled until it
            fits, in the middle of ``background``.
        resize_to: That side, in pixels; of a size that is no square, the short side of what is
            covered, in proportion. None for 256 where 224 are wanted, and in proportion.
        interpolation: Key of :data:`INTERPOLATIONS`.
        ignore_exif: Leave a picture as it lies, whatever its EXIF orientation says.
        background: What is behind transparent pixels, and around a picture that is padded.
        bit_depth: Bits of deeper gray that are used, 8...16; None for what the file says.

    Raises:
        CalibrationDataError: A value is none of those.
    """

    resize: str = CROP
    resize_to: int | None = None
    interpolation: str = "bilinear"
    ignore_exif: bool = False
    background: Colour = WHITE
    bit_depth: int | None = None

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("resize", self.resize, RESIZES),
            ("interpolation", self.interpolation, tuple(INTERPOLATIONS)),
        ):
            if value not in choices:
                raise CalibrationDataError(f"{what} {value!r}: choose from {', '.join(choices)}")
        if self.resize_to is not None and (self.resize != CROP or self.resize_to < 1):
            raise CalibrationDataError(
                f"a short side of {self.resize_to} pixels with resize {self.resize}: name one of "
                "1 or more, for crop alone"
            )
        if not all(0 <= level <= max(WHITE) for level in self.background):
            raise CalibrationDataError(f"background {self.background}: levels are 0...255")
        if self.bit_depth is not None and self.bit_depth not in BIT_DEPTHS:
            raise CalibrationDataError(f"bit depth {self.bit_depth}: name 8 to 16")

    def cover(self, size: Size) -> tuple[int, int]:
        """Height and width that a picture is scaled to cover before its centre is cut out.

        Args:
            size: Of what is cut out.

        Raises:
            CalibrationDataError: The short side is shorter than that.
        """
        rows, columns = height_and_width(size)
        short = min(rows, columns)
        if self.resize_to is not None and self.resize_to < short:
            raise CalibrationDataError(
                f"a short side of {self.resize_to} pixels is less than the {short} that the "
                "network takes: name that or more"
            )
        ratio = SHORT_SIDE_RATIO if self.resize_to is None else self.resize_to / short
        return round(rows * ratio), round(columns * ratio)


def height_and_width(size: Size) -> tuple[int, int]:
    """Both sides of a size."""
    return size if isinstance(size, tuple) else (size, size)
