"""Compiles the Kotlin examples of a bundle, and runs on a JVM what of them needs no phone.

    npm pack kotlin-compiler@2.4.20 && tar xzf kotlin-compiler-2.4.20.tgz
    npm pack com.github.asus4.onnxruntime@0.4.9 && tar xzf com.github.asus4.onnxruntime-0.4.9.tgz
    unzip package/Plugins/Android/onnxruntime.aar classes.jar
    python -m benchmarks.kotlin_check --kotlinc package/bin/kotlinc --bundle FOLDER
        [--classes classes.jar --classes android.jar ...]

``kotlin/`` holds declarations of the classes of Android, LiteRT and ONNX Runtime that the examples
use. With ``--classes`` each member that is declared of a class in these jars must be there:
ONNX Runtime's, Android's (Debian 11 has those of Android 6 in libandroid-23-java), JUnit's. The
preprocessing must be within one level of Pillow's for each pair of the bundle, and the
golden check must pass the same answers, find five problems in others, and one in none. Frames must
lie as Pillow turns them by each value of EXIF's orientation, and a part of one likewise. The
bundle's frames of a camera must become the golden pixels read as they state, and not with another
range or matrix; labels that are shifted by one must be found. To prepare a picture of 12 megapixels
of any shape, no more than 6 MB are asked for beside it, garbage included.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from benchmarks.java_members import faults
from vggexport.bundles import static

SIDES = ("height", "width")
LABELS = ("labels [a, b, c]: []", "labels [b, c, a]: [class 0 is shown as b, and is a]")
MOST_BYTES = 6_000_000
"""Beside a picture, as the examples' guide has it."""

DECLARATIONS = Path(__file__).parent / "kotlin"
NEWER = {
    "android.graphics.BitmapFactory$Options: inPreferredColorSpace Landroid/graphics/ColorSpace;"
}
"""Of Android 8, which is newer than the classes that Debian has."""

TEMPLATES = Path(static.__file__).parent / "templates" / "android"


def main() -> None:
    """Compiles and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kotlinc", required=True, help="the Kotlin compiler")
    parser.add_argument("--bundle", type=Path, required=True, help="a bundle that is a folder")
    help_of_classes = "a jar of real classes, to which declarations are held"
    parser.add_argument("--classes", type=Path, action="append", help=help_of_classes)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        program = Path(name) / "check.jar"
        sources = [*DECLARATIONS.glob("*.kt"), *TEMPLATES.glob("*.kt")]
        compiler = ["bash", options.kotlinc, *map(str, sources), "-include-runtime", "-d"]
        subprocess.run([*compiler, str(program)], check=True)
        if options.classes:
            check_declarations(program, options.classes)
        run = ["java", "-cp", str(program), "CheckKt", str(options.bundle / "golden/sources")]
        told = settings(options.bundle) + frames_told(options.bundle)
        ran = subprocess.run([*run, *told], check=True, capture_output=True, text=True)
        print(ran.stdout, end="")
        lines = ran.stdout.splitlines()
        for line in [*map(turned, range(1, 9)), "part: [[4, 1], [5, 2]]", *LABELS]:
            if line not in lines:
                raise SystemExit(f"FAILED: expected {line}")
        check_frames(options.bundle, lines)
        check_memory(lines)


def check_declarations(program: Path, jars: Sequence[Path]) -> None:
    """Refuses members that real classes have not, but for those that are newer than a jar's."""
    classes, wrong = faults(program, jars)
    print(f"declarations of {classes} classes: {len(wrong)} members are not in {len(jars)} jars")
    if unknown := sorted({*wrong} - NEWER):
        raise SystemExit(f"FAILED: {', '.join(unknown)}")


def settings(bundle: Path) -> list[str]:
    """What ``preprocessing.json`` says, as the program takes it."""
    steps = json.loads((bundle / "preprocessing.json").read_text())["steps"]
    found = {step["step"]: step for step in steps}
    resize, target = found["resize"], found.get("crop", found["resize"])
    cover = [resize.get("short_side", resize.get(f"cover_{side}", 0)) for side in SIDES]
    told = [resize.get("mode", "crop"), *cover, *(target[side] for side in SIDES)]
    told += [resize["interpolation"], *resize.get("background", (255, 255, 255))]
    return [str(value) for value in told]


def golden_frames(bundle: Path) -> list[dict[str, Any]]:
    """What the bundle says of its frames."""
    found: list[dict[str, Any]] = json.loads((bundle / "golden/golden.json").read_text())["frames"]
    return found


def frames_told(bundle: Path) -> list[str]:
    """The same, as the program takes it."""
    keys = ("file", "rgb", "width", "height", "range", "matrix", "rotation_degrees")
    told: list[object] = []
    for frame in golden_frames(bundle):
        told += [bundle, *(frame[key] for key in keys)]
        told += [value for plane in "yuv" for value in frame[plane].values()]
    return [str(value) for value in told]


def check_frames(bundle: Path, lines: Sequence[str]) -> None:
    """Refuses frames that become other pixels, and wrong ones that become the golden ones."""
    for frame in golden_frames(bundle):
        said = rf"frame {frame['file']} as (\w+ \w+): (\d+)"
        found = [match for line in lines if (match := re.fullmatch(said, line))]
        levels = {match[1]: int(match[2]) for match in found}
        if levels.pop(f"{frame['range']} {frame['matrix']}", 255) > 1:
            raise SystemExit(f"FAILED: {frame['file']} became other pixels")
        if len(levels) != 2 or min(levels.values()) <= frame["tolerance_levels"]:
            raise SystemExit(f"FAILED: mistakes pass on {frame['file']}: {levels}")


def check_memory(lines: Sequence[str]) -> None:
    """Refuses shapes of pictures that take more than the guide says."""
    told = [line.rpartition(": ") for line in lines if line.startswith("allocated ")]
    most, shape = max((int(count), shape) for shape, _, count in told)
    if most > MOST_BYTES:
        raise SystemExit(f"FAILED: {shape}: {most} bytes")


def turned(orientation: int) -> str:
    """What the program prints of a frame, as Pillow turns it."""
    frame = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    frame.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(frame)
    return f"orientation {orientation}: {np.asarray(upright).tolist()}"


if __name__ == "__main__":
    main()
