"""Compiles what of a bundle's Swift examples needs no Apple system, and runs it on golden pixels.

    python -m benchmarks.swift_check --swiftc "swiftc" --bundle FOLDER

``--swiftc`` is the compiler's command, which sees the folder for temporary files (``--work``).
``swift/`` has the program, and a declaration of ``Picture``, whose decoding is Apple's. Pixels must
be within one level of Pillow's, and frames must lie as Pillow turns them. The bundle's frames of a
camera must become the golden pixels read as they state, and not with another range or matrix;
labels that are shifted by one must be found.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.kotlin_check import check_frames, settings, turned
from vggexport.bundles import static

PROGRAM = Path(__file__).parent / "swift"
TEMPLATES = Path(static.__file__).parent / "templates" / "ios"
PLAIN = (
    "Bundle", "Frames", "GoldenCheck", "Orientation", "Preprocessing", "Ranking", "Worker",
)  # fmt: skip
"""Files that import Foundation alone."""

READ = ("MANIFEST.json", "preprocessing.json", "labels.txt", "golden")
"""What of a bundle the program reads."""


def main() -> None:
    """Compiles, runs, compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--swiftc", required=True, help="the Swift compiler's command")
    parser.add_argument("--bundle", type=Path, required=True, help="a bundle that is a folder")
    parser.add_argument("--work", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--seen-as", type=Path, help="that folder, as that command has it")
    options = parser.parse_args()
    seen = options.seen_as or options.work
    sources = [*PROGRAM.glob("*.swift"), *(TEMPLATES / f"{name}.swift" for name in PLAIN)]
    (options.work / "bundle").mkdir()
    for source in sources:
        shutil.copy(source, options.work)
    for name in READ:
        copy = shutil.copytree if (options.bundle / name).is_dir() else shutil.copy
        copy(options.bundle / name, options.work / "bundle" / name)
    names = [str(seen / source.name) for source in sources]
    command = shlex.split(options.swiftc)
    launcher = command[:-1]
    subprocess.run([*command, *names, "-o", str(seen / "check")], check=True)
    told = settings(options.bundle) + pairs(options.bundle, options.work)
    run = [*launcher, str(seen / "check"), str(seen), *told]
    ran = subprocess.run(run, check=True, capture_output=True, text=True)
    print(ran.stdout, end="")
    lines = ran.stdout.splitlines()
    if missing := [line for line in map(turned, range(1, 9)) if line not in lines]:
        raise SystemExit(f"FAILED: Pillow has {missing[0]}")
    if not all(line.split()[1] in "01" for line in lines if line.endswith("levels off")):
        raise SystemExit("FAILED: more than one level off")
    check_frames(options.bundle, lines)
    said = {line.partition(" labels: ")[2] for line in lines if " labels: " in line}
    if len(said) != 2 or "no problem" not in said:
        raise SystemExit(f"FAILED: shifted labels pass, or right ones do not: {said}")


def pairs(bundle: Path, work: Path) -> list[str]:
    """Writes the pixels of the bundle's pairs; names and sizes of the images."""
    told = []
    images = [*(bundle / "golden/sources").glob("*.png"), *(bundle / "golden/frames").glob("*.png")]
    for file in sorted(images):
        pixels = np.asarray(Image.open(file).convert("RGB"))
        (work / file.stem).write_bytes(pixels.tobytes())
        if not file.stem.endswith(("_prepared", "_rgb")):
            told += [file.stem, str(pixels.shape[1]), str(pixels.shape[0])]
    return told


if __name__ == "__main__":
    main()
