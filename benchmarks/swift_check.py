"""Compiles a bundle's Swift examples, and runs on golden pixels what of them needs no Apple system.

    python -m benchmarks.swift_check --swiftc "swiftc" --bundle FOLDER --work EMPTY

``--swiftc`` is the compiler's command, which sees the folder for temporary files. Debian trixie's
swiftlang will do, with its libc6-dev and libstdc++-14-dev: unpacked into a folder that ``chroot``
enters, with ``/proc`` mounted.

``swift/apple`` declares what the examples use of Apple's frameworks and of the runtimes; by that
the whole package, its tests and the classifier beside it are compiled. ``swift/main.swift`` runs
what needs no more: pixels must be within one level of Pillow's, and lie as Pillow turns them. A
camera's frames in the bundle, whose planes the declarations keep in memory, must become the golden
pixels read as they state, not with another range or matrix; shifted labels must be found.
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
from vggexport.bundles.static import STATIC

PROGRAM = Path(__file__).parent / "swift"
TEMPLATES = Path(static.__file__).parent / "templates" / "ios"
DECLARED = ("CoreGraphics", "CoreVideo", "ImageIO", "OnnxRuntimeBindings", "TensorFlowLite")
"""Modules, each after those that it imports."""

CAMERA = ("ios/CameraImages.swift",)
TESTS = ("apple/Module.swift", "ios/LiteRtClassifier.swift", "ios/GoldenTests.swift", *CAMERA)

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
    command = shlex.split(options.swiftc)
    compile_all(command, options.work, seen)
    (options.work / "bundle").mkdir()
    for name in READ:
        copy = shutil.copytree if (options.bundle / name).is_dir() else shutil.copy
        copy(options.bundle / name, options.work / "bundle" / name)
    told = settings(options.bundle) + pairs(options.bundle, options.work)
    run = [*command[:-1], str(seen / "check"), str(seen), *told]
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


def compile_all(command: list[str], work: Path, seen: Path) -> None:
    """Compiles the package, its tests, the classifier that lies beside it, and the program."""
    shutil.copytree(PROGRAM, work / "source")
    shutil.copytree(TEMPLATES, work / "source" / "ios")
    place = seen / "source"
    compiler = [*command, "-enable-testing", "-I", str(place), "-module-name"]
    package = [source for name, source in STATIC.items() if name.startswith("examples/ios/Sources")]
    modules = {name: [f"apple/{name}.swift"] for name in DECLARED} | {"VGG": package}
    for name, files in modules.items():
        written = ["-emit-module-path", str(place / f"{name}.swiftmodule")]
        written += ["-wmo", "-c", "-parse-as-library", "-o", str(place / f"{name}.o")]
        subprocess.run([*compiler, name, *(str(place / f) for f in files), *written], check=True)
    tests = [str(place / name) for name in TESTS]
    subprocess.run([*compiler, "VGGTests", "-parse-as-library", "-typecheck", *tests], check=True)
    print(f"compiled: {', '.join(Path(file).stem for file in package)}, and their tests")
    linked = [str(place / name) for name in ("main.swift", *CAMERA, *(f"{m}.o" for m in modules))]
    subprocess.run([*compiler, "main", *linked, "-o", str(seen / "check")], check=True)


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
