"""How far one file's answers are apart in the kernels that run it, and how far wrong pixels are.

    python -m benchmarks.kernel_paths --weights W --data PHOTOS --images 200 --out FOLDER
        [--calibration PHOTOS] [--files int8.tflite ...] [--mistaken 32] [--slow 4]
        [--older "tflite-runtime 2.14=PYTHON"]

A receiver's runtime need not be the one that gave the golden answers at home. Every path that can
be had here answers the same photographs: LiteRT with XNNPACK, with its optimized kernels alone and
with its reference kernels, older runtimes (``--older``: the Python of an environment that has one),
ONNX Runtime with and without its graph optimizations, and OpenVINO. Beside them the same file
is given pixels that are wrong in six ways. Files that are not in ``--out`` yet are written there,
and answers are kept there: another run measures what is missing. ``--data synthetic`` takes images
as a bundle has them where nobody gives photographs.

Of sets of eight images, as a bundle has, 1,000 are drawn, and each is judged by the tolerances that
the file would have in a bundle: how many are refused is told of each path and each mistake. The
worst set of a path is told, and of a mistake the one that is nearest to passing.

Prints a Markdown table a file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
from benchmarks.measure import vggexport
from benchmarks.wrong_pixels import WRONG, stretched
from vggexport.artifact import Artifact
from vggexport.bundles.tolerances import device_tolerances
from vggexport.formats.registry import load_runner
from vggexport.metrics.parity import ParityMetrics, compare
from vggexport.metrics.tolerance import Tolerance

SET, SETS = 8, 1000
SLOW = ("reference",)
"""Paths that take minutes an image of VGG-D."""

FILES: Mapping[str, tuple[str, ...]] = {
    **{f"{p}.tflite": ("--precision", p) for p in ("int8", "dynamic-int8", "int8-w4")},
    "full-integer.tflite": ("--full-integer", "--precision", "int8", "--input-dtype", "uint8"),
    **{f"{p}.onnx": ("--precision", p) for p in ("int8", "int8-w4", "float32", "float16")},
    **{f"{p}.tflite": ("--precision", p) for p in ("float32", "float16")},
}
"""By name: options of the command that writes it. Those that differ most come first."""

UNCALIBRATED = (
    "dynamic-int8.tflite",
    *(f"float{n}.{end}" for n in (32, 16) for end in ("onnx", "tflite")),
)
"""Of them those whose activations need no ranges."""

INTERPRETER = """
import importlib, sys, numpy as np
name, resolver, model, images, out = sys.argv[1:]
module = importlib.import_module(name)
kinds = getattr(module, "OpResolverType", None)
interpreter = module.Interpreter(model, experimental_op_resolver_type=getattr(kinds, resolver))
pixels, answers = np.load(images), []
given, gives = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
if given["shape"][0] != 1:
    interpreter.resize_tensor_input(given["index"], (1, *pixels.shape[1:]))
interpreter.allocate_tensors()
for image in pixels:
    value = np.clip(np.rint(image), 0, 255) if given["dtype"] == np.uint8 else image
    interpreter.set_tensor(given["index"], value[None].astype(given["dtype"]))
    interpreter.invoke()
    answer = interpreter.get_tensor(gives["index"])[0].astype(np.float32)
    scale, zero = gives["quantization"]
    answers.append((answer - zero) * scale if scale else answer)
np.save(out, np.stack(answers))
"""
"""A child's program: LiteRT's interpreter or tflite-runtime's, whose kernels one may choose."""

SESSION = """
import sys, numpy as np, onnxruntime as ort
level, model, images, out = sys.argv[1:]
options = ort.SessionOptions()
options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
options.add_session_config_entry("session.x64quantprecision", "1")
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
dtype = np.uint8 if "uint8" in given.type else np.float32
answers = [session.run(None, {given.name: i[None].astype(dtype)})[0][0] for i in np.load(images)]
np.save(out, np.stack(answers))
"""
"""The same of ONNX Runtime."""


def tflite_paths(older: list[str]) -> dict[str, list[str]]:
    """By name: the program and its first arguments."""
    litert, chosen = "ai_edge_litert.interpreter", [sys.executable, "-c", INTERPRETER]
    paths = {
        "LiteRT XNNPACK": [*chosen, litert, "AUTO"],
        "LiteRT builtin": [*chosen, litert, "BUILTIN_WITHOUT_DEFAULT_DELEGATES"],
        "LiteRT reference": [*chosen, litert, "BUILTIN_REF"],
    }
    for name, python in (text.split("=") for text in older):
        module = "tflite_runtime.interpreter" if name.startswith("tflite") else litert
        chosen = [python, "-c", INTERPRETER, module]
        paths[f"{name} as it comes"] = [*chosen, "AUTO"]
        paths[f"{name} builtin"] = [*chosen, "BUILTIN_WITHOUT_DEFAULT_DELEGATES"]
    return paths


def onnx_paths() -> dict[str, list[str]]:
    """The same of ONNX Runtime."""
    levels = {"optimized": "ORT_ENABLE_ALL", "as written": "ORT_DISABLE_ALL"}
    return {
        f"ONNX Runtime {name}": [sys.executable, "-c", SESSION, level]
        for name, level in levels.items()
    }


def by_openvino(path: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """As ``verify --runtime openvino`` does."""
    with load_runner(path.suffix[1:], "openvino")(path) as runner:
        return np.concatenate([runner.predict(image[None]) for image in images])


def main() -> None:
    """Writes and runs what is missing, prints a table a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True, help="a folder of photographs, or synthetic")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--calibration", help="photographs of which int8 files are made: --data")
    parser.add_argument("--files", nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--mistaken", type=int, default=32, help="images of each mistake")
    parser.add_argument(
        "--slow", type=int, default=4, help="images in reference kernels; 0 for none"
    )
    parser.add_argument("--older", action="append", default=[], metavar="NAME=PYTHON")
    options = parser.parse_args()
    options.out.mkdir(exist_ok=True)
    for name in options.files:
        show(written(name, options), options)


def written(name: str, options: argparse.Namespace) -> Path:
    """A file of the network."""
    path: Path = options.out / name
    if not path.exists():
        told = ["--weights", options.weights, "--no-check", *FILES[name]]
        if name not in UNCALIBRATED:
            told += ["--ranges", str(ranges(options))]
        command = vggexport(path.suffix[1:], *told, "-o", path)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def ranges(options: argparse.Namespace) -> Path:
    """Those of 32 images."""
    path: Path = options.out / "ranges.json"
    if not path.exists():
        source = ("--calibration-data", options.calibration or options.data)
        command = ("calibrate", "--weights", options.weights, *source)
        made = vggexport(*command, "--calibration-samples", "32", "-o", path)
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
    return path


def images_of(data: str, count: int, artifact: Artifact) -> NDArray[np.float32]:
    """The first images of a source as a network takes them, (images, height, width, 3)."""
    source = calibration.open_source(
        data, size=artifact.spec.input_size, seed=0, samples=count, pictures=artifact.pictures
    )
    read = (source.read(index).pixels for index in range(min(count, len(source))))
    return np.stack([*read]).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What one file gave, and may give.

    Attributes:
        expected: In the kernels at home, (images, classes).
        tolerances: By device.
    """

    expected: NDArray[np.float32]
    tolerances: Mapping[str, Tolerance]

    def decibels(self, metrics: ParityMetrics) -> float:
        """The figure that the tolerances limit."""
        coarse = any(limits.min_coarse_logit_sqnr_db for limits in self.tolerances.values())
        return metrics.coarse_logit_sqnr_db if coarse else metrics.logit_sqnr_db


def show(file: Path, options: argparse.Namespace) -> None:
    """One file's table."""
    with load_runner(file.suffix[1:])(file) as runner:
        artifact = runner.artifact
    assert artifact  # noqa: S101  it was written here
    images = images_of(options.data, options.images, artifact)
    paths = onnx_paths() if file.suffix == ".onnx" else tflite_paths(options.older)
    home, *others = [*paths, "OpenVINO"]
    expected = answers(file, home, paths, images, options)
    if isinstance(expected, str):
        raise SystemExit(f"{file}: {expected}")
    limits = {found.device: found.tolerance for found in device_tolerances(artifact)}
    told = Answers(expected, limits)
    print(f"\n### {file.name} of {options.weights}, against {home}, {options.data}\n")
    judged = " | ".join(f"pass {device}" for device in limits)
    print(f"| path or mistake | images | dB | of 8, dB | max abs | same | {judged} |")
    print(f"| --- | --- | --- | --- | --- | --- |{' --- |' * len(limits)}", flush=True)
    for name in others:
        count = options.slow if any(word in name for word in SLOW) else options.images
        if count:
            row(name, told, answers(file, name, paths, images[:count], options))
    few = images[: options.mistaken]
    for name, spoil in WRONG.items():
        spoiled = np.stack([spoil(image) for image in few]).astype(np.float32)
        row(name, told, answers(file, home, paths, spoiled, options, name), max)
    if options.data != calibration.SYNTHETIC:
        folder, size = Path(options.data), artifact.spec.input_size
        flat = np.stack([*islice(stretched(folder, size), len(few))])
        row("stretched", told, answers(file, home, paths, flat, options, "stretched"), max)


def answers(
    file: Path,
    name: str,
    paths: dict[str, list[str]],
    images: NDArray[np.float32],
    options: argparse.Namespace,
    mistake: str = "",
) -> NDArray[np.float32] | str:
    """Probabilities, or why there are none; kept for another run."""
    source = calibration.SYNTHETIC if options.data == calibration.SYNTHETIC else "photographs"
    place = options.out / f"{file.name} {mistake or name} {len(images)} {source}.npy"
    if not place.exists():
        if name == "OpenVINO":
            try:
                np.save(place, by_openvino(file, images))
            except Exception as error:  # noqa: BLE001  whatever it is, it is what the row says
                return str(error).splitlines()[0][:70]
        elif said := by_child(paths[name], file, images, place):
            return said
    found: NDArray[np.float32] = np.load(place)
    return found


def by_child(command: list[str], file: Path, images: NDArray[np.float32], place: Path) -> str:
    """Runs a child's program; says why it failed, or nothing."""
    pixels = place.with_suffix(".pixels.npy")
    np.save(pixels, images)
    done = subprocess.run(
        [*command, str(file), str(pixels), str(place)], capture_output=True, text=True, check=False
    )
    pixels.unlink()
    return (done.stderr.strip().splitlines() or ["ended"])[-1][:70] if done.returncode else ""


def row(
    name: str,
    told: Answers,
    found: NDArray[np.float32] | str,
    extreme: Callable[[list[float]], float] = min,
) -> None:
    """One line of the table: of sets of eight the least of a path, the most of a mistake."""
    if isinstance(found, str):
        print(f"| {name} | - | {found} |", flush=True)
        return
    wanted, random = told.expected[: len(found)], np.random.default_rng(0)
    whole = compare(wanted, found)
    sets = [random.choice(len(found), min(SET, len(found)), replace=False) for _ in range(SETS)]
    metrics = [compare(wanted[s], found[s]) for s in sets]
    worst = extreme([told.decibels(of) for of in metrics])
    passed = [
        f"{sum(not limits.violations(of) for of in metrics)} of {SETS}"
        for limits in told.tolerances.values()
    ]
    print(
        f"| {name} | {len(found)} | {told.decibels(whole):.1f} | {worst:.1f} "
        f"| {whole.max_abs:.2g} | {whole.top1_agreement:.1%} "
        f"| {' | '.join(passed)} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
