"""Compiles the Kotlin examples of a bundle, and runs on a JVM what of them needs no phone.

    npm pack kotlin-compiler@2.4.20 && tar xzf kotlin-compiler-2.4.20.tgz
    python -m benchmarks.kotlin_check --kotlinc package/bin/kotlinc --bundle FOLDER

``kotlin/`` holds declarations of the classes of Android, LiteRT and ONNX Runtime that the examples
use. The preprocessing must be within one level of Pillow's for each pair of the bundle, and the
golden check must pass the same answers, find five problems in others, and one in none. Frames must
lie as Pillow turns them by each value of EXIF's orientation, and a part of one likewise. The
bundle's frames of a camera must become the golden pixels read as they state, and not with another
range or matrix; labels that are shifted by one must be found.
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

from vggexport.bundles import static

SIDES = ("height", "width")
LABELS = ("labels [a, b, c]: []", "labels [b, c, a]: [class 0 is shown as b, and is a]")
DECLARATIONS = Path(__file__).parent / "kotlin"
TEMPLATES = Path(static.__file__).parent / "templates" / "android"


def main() -> None:
    """Compiles and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kotlinc", required=True, help="the Kotlin compiler")
    parser.add_argument("--bundle", type=Path, required=True, help="a bundle that is a folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        program = Path(name) / "check.jar"
        sources = [*DECLARATIONS.glob("*.kt"), *TEMPLATES.glob("*.kt")]
        compiler = ["bash", options.kotlinc, *map(str, sources), "-include-runtime", "-d"]
        subprocess.run([*compiler, str(program)], check=True)
        run = ["java", "-cp", str(program), "CheckKt", str(options.bundle / "golden/sources")]
        told = settings(options.bundle) + frames_told(options.bundle)
        ran = subprocess.run([*run, *told], check=True, capture_output=True, text=True)
        print(ran.stdout, end="")
        lines = ran.stdout.splitlines()
        for line in [*map(turned, range(1, 9)), "part: [[4, 1], [5, 2]]", *LABELS]:
            if line not in lines:
                raise SystemExit(f"FAILED: expected {line}")
        check_frames(options.bundle, lines)


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


def turned(orientation: int) -> str:
    """What the program prints of a frame, as Pillow turns it."""
    frame = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    frame.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(frame)
    return f"orientation {orientation}: {np.asarray(upright).tolist()}"


if __name__ == "__main__":
    main()
