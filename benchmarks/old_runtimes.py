"""Does each model file answer rightly, or is it refused, in old runtimes, as its notes say?

    python -m benchmarks.old_runtimes PYTHON [PYTHON ...]

Each ``PYTHON`` is that of an environment with NumPy and one of onnxruntime, tflite-runtime and
ai-edge-litert. Files of every format and precision are made of a tiny random network, and answer
four images there and here. "right" is within what a bundle allows on any processor. Prints a
Markdown table; exit code 1 if a file answers wrongly, or is refused by a version that its notes
name, or one later.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.kernel_paths import INTERPRETER, SESSION, by_child
from benchmarks.measure import vggexport
from vggexport.bundles.tolerances import CPU, device_tolerances, tolerance_on
from vggexport.formats.registry import load_runner
from vggexport.metrics.parity import compare
from vggexport.metrics.tolerance import Tolerance
from vggexport.results.requirements import Requirements

Answers = NDArray[np.float32]
NETWORK = ("--config", "A", "--input-size", "32", "--fc-units", "64", "--classes", "10")
FILES: Mapping[str, tuple[str, ...]] = {
    **{f"{p}.onnx": ("--precision", p) for p in ("float32", "float16", "int8", "int8-w4")},
    **{
        f"{p}.tflite": ("--precision", p)
        for p in ("float32", "float16", "int8", "dynamic-int8", "int8-w4")
    },
    "full-integer.tflite": ("--full-integer", "--precision", "int8", "--input-dtype", "uint8"),
}
"""By name: options of the command that writes it."""

WHICH = """
from importlib import metadata
for name in ("onnxruntime", "tflite-runtime", "ai-edge-litert"):
    try:
        print(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        pass
"""
"""A child's program: the runtimes of its environment."""


@dataclass(frozen=True, slots=True)
class OldRuntime:
    """One runtime of an environment.

    Attributes:
        python: The environment's.
        package: Its name.
        version: As installed.
    """

    python: str
    package: str
    version: str

    @property
    def program(self) -> list[str]:
        """What runs a file, an array of images and a place for the answers."""
        if self.package == "onnxruntime":
            return [self.python, "-c", SESSION, "ORT_ENABLE_ALL"]
        module = f"{self.package.replace('-', '_')}.interpreter"
        return [self.python, "-c", INTERPRETER, module, "AUTO"]

    @property
    def suffix(self) -> str:
        """Of the files that it reads."""
        return ".onnx" if self.package == "onnxruntime" else ".tflite"

    def is_named_by(self, requirements: Requirements) -> bool:
        """Whether a file's notes promise that it runs here."""
        oldest = requirements.oldest_runtimes.get(self.package)
        return oldest is not None and _numbers(self.version) >= _numbers(oldest)


def main() -> None:
    """Makes the files, and runs each in every runtime that reads its format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("python", nargs="+")
    runtimes = [old for python in parser.parse_args().python for old in runtimes_of(python)]
    print("| file | runtime | named | answers |\n| --- | --- | --- | --- |", flush=True)
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in FILES:
            made = vggexport(Path(file).suffix[1:], *NETWORK, *FILES[file], "-o", folder / file)
            subprocess.run(made, check=True, capture_output=True)
            failures += sum(not is_as_named(folder / file, old) for old in runtimes)
    sys.exit(bool(failures))


def runtimes_of(python: str) -> list[OldRuntime]:
    """What an environment has."""
    done = subprocess.run([python, "-c", WHICH], capture_output=True, text=True, check=True)
    return [OldRuntime(python, *line.split()) for line in done.stdout.splitlines()]


def is_as_named(file: Path, old: OldRuntime) -> bool:
    """Prints a row; whether the file is right there, or refused where its notes promise nothing."""
    if file.suffix != old.suffix:
        return True
    with load_runner(file.suffix[1:])(file) as runner:
        artifact = runner.artifact
        assert artifact  # noqa: S101  it was written here
        size = artifact.spec.input_size
        images = np.random.default_rng(0).integers(0, 256, (4, *size, 3)).astype(np.float32)
        expected = np.concatenate([runner.predict(image[None]) for image in images])
    place = file.with_suffix(".npy")
    named = old.is_named_by(Requirements.of(artifact))
    said = by_child(old.program, file, images, place)
    limits = tolerance_on(device_tolerances(artifact), CPU)
    answers = f"refused: {said}" if said else judged(expected, np.load(place), limits)
    print(f"| {file.name} | {old.package} {old.version} | {'yes' if named else 'no'} | {answers} |")
    return answers.startswith("right") or (bool(said) and not named)


def judged(expected: Answers, found: Answers, limits: Tolerance) -> str:
    """Whether answers are right, and how far the farthest probability is."""
    metrics = compare(expected, found)
    return f"{'wrong' if limits.violations(metrics) else 'right'} ({metrics.max_abs:.2g})"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())


if __name__ == "__main__":
    main()
