"""How pictures become the pixels of a network: stated, recorded with it, and agreed on."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import calibration
from vggexport.errors import Advice, InputError
from vggexport.system.json_values import JsonValue

Size = tuple[int, int]

_WORDS = {
    "crop": "scaled to {cover}, the centre {size} cut out",
    "part": "the largest centre part of its shape scaled to {size}",
    "stretch": "stretched to {size}",
    "pad": "scaled into {size}, padded with the background",
}

_COLOURS = {(255, 255, 255): "white", (0, 0, 0): "black"}

_LEAVE_OUT = {
    "resize": Advice("leave out {}", "resize"),
    "resize_to": Advice("leave out {}", "resize_to"),
    "interpolation": Advice("leave out {}", "interpolation"),
    "ignore_exif": Advice("leave out {}", "ignore_exif"),
    "background": Advice("leave out {}", "background"),
    "bit_depth": Advice("leave out {}", "bit_depth"),
}
"""By what was asked for and is recorded otherwise."""


@dataclass(frozen=True, slots=True)
class Pictures(calibration.PictureOptions, JsonValue):
    """How pictures become pixels, as artifacts and weights record it.

    Attributes:
        known: Whether it was stated, or trained with; False where the defaults were taken.
    """

    json_keys = """
        resize resize_to interpolation ignore_exif background bit_depth known
    """

    known: bool = True

    def pixels(self, size: Size) -> dict[str, Any]:
        """What tells its pixels from others', whatever words they were stated in."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        del told["known"]
        is_crop = self.resize == "crop"
        return told | {"resize_to": min(self.cover(size)) if is_crop else None}

    def words(self, size: Size) -> str:
        """One line, for a network of that input size."""
        is_crop = self.resize == "crop"
        cover = self.cover(size) if is_crop else size
        kind = "part" if is_crop and cover == size else self.resize
        sides = "x".join(map(str, size))
        said = _WORDS[kind].format(cover=f"a short side of {min(cover)}", size=sides)
        levels = ",".join(map(str, self.background))
        return ", ".join(
            [
                said,
                self.interpolation,
                "EXIF ignored" if self.ignore_exif else "turned as EXIF says",
                f"on {_COLOURS.get(self.background, levels)}",
                *([f"gray of {self.bit_depth} bits"] if self.bit_depth else []),
            ]
        )


UNSTATED = Pictures(known=False)
"""What is taken where nobody said anything."""


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """What is asked for; None is whatever is recorded, else the default.

    Attributes:
        resize: "crop", "stretch" or "pad".
        resize_to: Length of the short side before the centre is cut out, in pixels.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos" or "area".
        ignore_exif: Leave pictures as they lie.
        background: RGB 0...255.
        bit_depth: Bits of deeper gray that are used.
    """

    resize: str | None = None
    resize_to: int | None = None
    interpolation: str | None = None
    ignore_exif: bool | None = None
    background: calibration.pictures.Colour | None = None
    bit_depth: int | None = None

    def on(self, base: Pictures, size: Size) -> Pictures:
        """What is recorded with what is asked for in its place, for an input of that size.

        Raises:
            InputError: The two are not possible together, or not for that size.
        """
        given = {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}
        try:
            found = replace(base, **given, known=base.known or bool(given))
            found.pixels(size)
        except calibration.CalibrationDataError as error:
            raise InputError(str(error)) from error
        return found

    def within(self, recorded: Pictures, size: Size, owner: str) -> Pictures:
        """The same where what a file, the ``owner``, records must not be contradicted.

        Raises:
            InputError: It says otherwise.
        """
        found = self.on(recorded, size)
        if recorded.known:
            check_same_pixels(recorded, found, size, f"{owner} records pictures", "asked for here")
        return found


def check_same_pixels(
    first: Pictures, second: Pictures, size: Size, which: str, other: str, *ways: str | Advice
) -> None:
    """Refuses two that would mix pixels; a bit depth that one leaves open is no contradiction.

    Args:
        first: One.
        second: The other.
        size: Of the network's input.
        which: Says of the first, "a.onnx records pictures".
        other: Whose the second is, "in b.onnx".
        ways: Ways out; none for leaving the option out.

    Raises:
        InputError: They differ; names the first difference.
    """
    mine, theirs = first.pixels(size), second.pixels(size)
    for name, value in mine.items():
        if value != theirs[name] and not (name == "bit_depth" and None in (value, theirs[name])):
            raise InputError(
                f"{which} with {_said(name, value)}, and {_said(name, theirs[name])} is {other}",
                *(ways or (_LEAVE_OUT[name],)),
            )


def _said(name: str, value: Any) -> str:
    return f"{name.replace('_', ' ')} {value}"
