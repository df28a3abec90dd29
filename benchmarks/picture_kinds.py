"""Pictures of many kinds, each held to the pixels that it was made of.

    python -m benchmarks.picture_kinds [--huge]

Every file is written to a folder, listed and decoded as every command does it. It is "right" where
no pixel is further from its twin than the kind allows: nothing where the format keeps pixels, some
levels on average where it is lossy. Else it must be counted as skipped, with the reason shown.
``--huge`` decodes 12000x12000 pixels, and says how much memory that took.
"""

from __future__ import annotations

import argparse
import io
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import calibration
from calibration.decoding import decode

HEIGHT, WIDTH = 48, 64
LOSSY_LEVELS = 4.0
ORIENTATION = 0x0112
TRANSPARENT = 7
"""Gray level, or index of a palette, that is seen through."""

HUGE = 12000
MEASURED = """
import resource, sys
from pathlib import Path
import calibration
image = calibration.decode(Path(sys.argv[1]))
calibration.prepare(image, 224)
print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB of memory at most")
"""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A file and what it must become.

    Attributes:
        name: What it is, with its ending.
        data: Content.
        twin: uint8 (height, width, 3) that it was made of; None where it must be skipped.
        levels: How far it may be on average.
        pictures: How it becomes pixels.
    """

    name: str
    data: bytes
    twin: Pixels | None
    levels: float = 0.0
    pictures: calibration.PictureOptions = field(default_factory=calibration.PictureOptions)


def main() -> None:
    """Writes them all, and prints a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--huge", action="store_true", help="the memory of 12000x12000 pixels")
    options = parser.parse_args()
    kinds = [*lossless(), *deep(), *lossy(), *several(), *shapes(), *no_pictures()]
    verdicts = [shown(kind) for kind in kinds]
    wrong = verdicts.count("WRONG")
    print(f"{len(kinds)} kinds: {verdicts.count('right')} right, {wrong} wrong, the rest skipped")
    if options.huge:
        show_memory()
    raise SystemExit(1 if wrong else 0)


def shown(kind: Kind) -> str:
    """Prints a kind's line, and gives the verdict."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, kind.name.replace(" ", "_").replace("/", "_"))
        path.write_bytes(kind.data)
        verdict, said = judged(path, kind)
    print(f"{verdict:8} {kind.name:44} {said}", flush=True)
    return verdict


def judged(path: Path, kind: Kind) -> tuple[str, str]:
    """The verdict, and why."""
    try:
        calibration.open_source(str(path.parent), size=HEIGHT, seed=0, samples=1)
        pixels = np.array(decode(path, kind.pictures))
    except calibration.CalibrationDataError as error:
        return "skipped" if kind.twin is None else "SKIPPED", str(error).partition(": ")[2][:110]
    if kind.twin is None or pixels.shape != kind.twin.shape:
        return "WRONG", f"decoded to {pixels.shape}"
    away = np.abs(pixels.astype(int) - kind.twin)
    levels = float(away.mean()) if kind.levels else float(away.max())
    return "right" if levels <= kind.levels else "WRONG", f"{levels:.2f} levels off"


def scene() -> Pixels:
    """Smooth colours, which every codec keeps."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    red, green = rows * 5, columns * 4
    return np.stack([red, green, 255 - (red + green) // 2], axis=-1).astype(np.uint8)


def gray() -> Pixels:
    """The green of it, three times."""
    return np.repeat(scene()[..., 1:2], 3, axis=-1)


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:
    """A file."""
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def lossless() -> Iterator[Kind]:
    """Eight bits and fewer, in formats that keep pixels."""
    rgb, level = Image.fromarray(scene()), Image.fromarray(gray()[..., 0])
    for image_format in ("PNG", "BMP", "TIFF", "PPM"):
        yield Kind(f"RGB.{image_format.lower()}", encoded(rgb, image_format), scene())
    yield Kind("gray.png", encoded(level, "PNG"), gray())
    yield Kind("gray.bmp", encoded(level, "BMP"), gray())
    yield Kind("LZW.tiff", encoded(rgb, "TIFF", compression="tiff_lzw"), scene())
    yield Kind("tiled by deflate.tif", encoded(rgb, "TIFF", compression="tiff_deflate"), scene())
    yield Kind("lossless.webp", encoded(rgb, "WEBP", lossless=True), scene())
    bits = level.convert("1")
    yield Kind("1 bit.png", encoded(bits, "PNG"), np.array(bits.convert("RGB")))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    yield Kind("turned by EXIF.png", encoded(rgb, "PNG", exif=exif), np.rot90(scene(), -1))
    yield from transparent()
    for image_format in ("PNG", "GIF", "TIFF", "BMP"):
        palette = rgb.quantize(16)
        twin = np.array(palette.convert("RGB"))
        yield Kind(f"palette.{image_format.lower()}", encoded(palette, image_format), twin)
    inks = Image.fromarray(np.dstack([255 - scene(), np.zeros_like(scene()[..., 0])]), "CMYK")
    yield Kind("CMYK.tiff", encoded(inks, "TIFF"), scene())


def transparent() -> Iterator[Kind]:
    """What is seen through, on white and on black."""
    alpha = np.where(np.arange(WIDTH) < WIDTH // 2, 255, 0).astype(np.uint8)
    alpha = np.broadcast_to(alpha, (HEIGHT, WIDTH))
    through = np.where(alpha[..., None] > 0, scene(), 255).astype(np.uint8)
    image = Image.fromarray(np.dstack([scene(), alpha]))
    for image_format in ("PNG", "TIFF"):
        yield Kind(f"alpha.{image_format.lower()}", encoded(image, image_format), through)
    black = calibration.PictureOptions(background=(0, 0, 0))
    twin = np.where(alpha[..., None] > 0, scene(), 0).astype(np.uint8)
    yield Kind("alpha on black.png", encoded(image, "PNG"), twin, pictures=black)
    palette = Image.fromarray(scene()).quantize(16)
    twin = np.array(palette.convert("RGB"))
    twin[np.array(palette) == TRANSPARENT] = 255
    data = encoded(palette, "PNG", transparency=TRANSPARENT)
    yield Kind("palette with transparency.png", data, twin)


def deep() -> Iterator[Kind]:
    """More than eight bits, all used, or twelve of them."""
    level, twin = gray()[..., 0].astype(np.uint16), gray()
    twelve = calibration.PictureOptions(bit_depth=12)
    for image_format in ("PNG", "TIFF"):
        end = image_format.lower()
        whole, part = (encoded(Image.fromarray(x), image_format) for x in (level * 257, level * 16))
        yield Kind(f"16 bits.{end}", whole, twin)
        yield Kind(f"12 of 16 bits.{end}", part, None)
        exact = np.rint(twin * (16 * 255 / 4095)).astype(np.uint8)
        yield Kind(f"12 of 16 bits, stated.{end}", part, exact, pictures=twelve)
    for name, values, expected in (
        ("float 0...1.tiff", level / np.float32(255), twin),
        ("float 0...255.tiff", level.astype(np.float32), twin),
        ("float 0...4095.tiff", level.astype(np.float32) * 16, None),
        ("32 bits 0...65535.tiff", level.astype(np.int32) * 257, twin),
    ):
        yield Kind(name, encoded(Image.fromarray(values), "TIFF"), expected)
    rows = np.rint(level * (4095 / 255)).astype(">u2").tobytes()
    yield Kind("12 bits.pgm", b"P5 %d %d 4095\n" % (WIDTH, HEIGHT) + rows, twin)
    yield Kind("white is zero.tiff", white_is_zero(255 * 257 - level * 257), twin)


def white_is_zero(values: NDArray[np.uint16]) -> bytes:
    """A TIFF of 16 bits, as X-ray machines write it."""
    rows = values.astype("<u2").tobytes()
    tags = [
        (256, 4, WIDTH), (257, 4, HEIGHT), (258, 3, 16), (259, 3, 1), (262, 3, 0), (273, 4, 8),
        (277, 3, 1), (278, 4, HEIGHT), (279, 4, len(rows)),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    listed = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", 8 + len(rows)) + rows + listed


def lossy() -> Iterator[Kind]:
    """Formats that change pixels by little; contents decide, not endings."""
    rgb, level = Image.fromarray(scene()), Image.fromarray(gray()[..., 0])
    for name, image, image_format, twin, options in (
        ("baseline.jpg", rgb, "JPEG", scene(), {"quality": 95}),
        ("progressive.jpeg", rgb, "JPEG", scene(), {"quality": 95, "progressive": True}),
        ("gray.jpg", level, "JPEG", gray(), {"quality": 95}),
        ("named.jfif", rgb, "JPEG", scene(), {"quality": 95}),
        ("named.jpe", rgb, "JPEG", scene(), {"quality": 95}),
        ("JPEG named.png", rgb, "JPEG", scene(), {"quality": 95}),
        ("JPEG without ending", rgb, "JPEG", scene(), {"quality": 95}),
        ("lossy.webp", rgb, "WEBP", scene(), {"quality": 95}),
        ("still.avif", rgb, "AVIF", scene(), {"quality": 95}),
    ):
        yield Kind(name, encoded(image, image_format, **options), twin, LOSSY_LEVELS)
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    turned = encoded(rgb, "JPEG", quality=95, exif=exif)
    yield Kind("turned by EXIF.jpg", turned, np.rot90(scene()), LOSSY_LEVELS)
    left = calibration.PictureOptions(ignore_exif=True)
    yield Kind("EXIF ignored.jpg", turned, scene(), LOSSY_LEVELS, left)
    inks = Image.fromarray(np.dstack([255 - scene(), np.zeros_like(scene()[..., 0])]), "CMYK")
    yield Kind("CMYK.jpg", encoded(inks, "JPEG", quality=95), scene(), LOSSY_LEVELS)


def several() -> Iterator[Kind]:
    """More than one frame: the first."""
    first, second = Image.fromarray(scene()), Image.new("RGB", (WIDTH, HEIGHT), "red")
    for name, image_format, levels, options in (
        ("animated.png", "PNG", 0.0, {}),
        ("animated.webp", "WEBP", 0.0, {"lossless": True}),
        ("two pages.tiff", "TIFF", 0.0, {}),
        ("two frames MPO.jpg", "MPO", LOSSY_LEVELS, {"quality": 95}),
        ("sequence.avif", "AVIF", LOSSY_LEVELS, {"quality": 95}),
    ):
        data = encoded(first, image_format, save_all=True, append_images=[second], **options)
        yield Kind(name, data, scene(), levels)
    palette = first.quantize(16)
    data = encoded(palette, "GIF", save_all=True, append_images=[second.quantize(16)])
    yield Kind("animated.gif", data, np.array(palette.convert("RGB")))


def shapes() -> Iterator[Kind]:
    """One pixel across."""
    for width, height in ((1, 4000), (4000, 1), (1, 1)):
        pixels = np.full((height, width, 3), (9, 99, 199), np.uint8)
        yield Kind(f"{width}x{height}.png", encoded(Image.fromarray(pixels), "PNG"), pixels)


def no_pictures() -> Iterator[Kind]:
    """What cannot be read must not be read as something else."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    for name, image_format in (("half.jpg", "JPEG"), ("half.png", "PNG"), ("half.webp", "WEBP")):
        data = encoded(Image.fromarray(noise), image_format)
        yield Kind(name, data[: len(data) // 2], None)
    yield Kind("empty.jpg", b"", None)
    yield Kind("a page.jpg", b"<!doctype html><title>404</title>", None)
    yield Kind("vectors.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", None)
    yield Kind("program.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n", None)
    yield Kind("icon.ico", encoded(Image.fromarray(noise[:32, :32]), "ICO"), None)


def show_memory() -> None:
    """144 million pixels as files of several kinds, each decoded by a process of its own."""
    for mode, image_format in (("RGB", "JPEG"), ("RGBA", "PNG"), ("I;16", "PNG")):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"huge.{image_format.lower()}")
            Image.new(mode, (HUGE, HUGE), 40000 if mode == "I;16" else "teal").save(path)
            ran = [sys.executable, "-c", MEASURED, str(path)]
            told = subprocess.run(ran, capture_output=True, text=True, check=True).stdout
        print(f"{HUGE}x{HUGE} {mode}.{image_format.lower()}: {told.strip()}", flush=True)


if __name__ == "__main__":
    main()
