"""How far one file's answers are apart in the kernels that run it, and how far wrong pixels are.

    python -m benchmarks.kernel_paths FILE... --images PHOTOS --out FOLDER
        [--count 200] [--slow 8] [--older PYTHON]

A receiver's runtime need not be the one that gave the golden answers at home. Every path that can
be had here answers the same photographs: LiteRT with XNNPACK, with its optimized kernels alone and
with its reference kernels, an older tflite-runtime (``--older``: the Python of an environment that
has it), ONNX Runtime with and without its graph optimizations, and OpenVINO. Beside them the same
file is given pixels that are wrong in six ways. Answers are kept in ``--out``: another run measures
what is missing. Of sets of eight images, as a bundle has, 1,000 are drawn: the worst of a path is
told, and of a mistake the one that is nearest to passing.

Prints a Markdown table a file.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.measure import photographs
from vggexport.formats.registry import load_runner
from vggexport.metrics.parity import compare

SET, SETS = 8, 1000
SLOW = ("reference",)
"""Paths that take minutes an image of VGG-D."""

INTERPRETER = """
import sys, numpy as np
name, resolver, model, images, out = sys.argv[1:]
module = __import__(name, fromlist=["Interpreter"])
kinds = getattr(module, "OpResolverType", None)
interpreter = module.Interpreter(model, experimental_op_resolver_type=getattr(kinds, resolver))
pixels, answers = np.load(images), []
given, gives = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
if given["shape"][0] != 1:
    interpreter.resize_tensor_input(given["index"], (1, *pixels.shape[1:]))
interpreter.allocate_tensors()
for image in pixels:
    value = np.rint(image) if given["dtype"] == np.uint8 else image
    interpreter.set_tensor(given["index"], value[None].astype(given["dtype"]))
    interpreter.invoke()
    answer = interpreter.get_tensor(gives["index"])[0].astype(np.float32)
    scale, zero = gives["quantization"]
    answers.append((answer - zero) * scale if scale else answer)
np.save(out, np.stack(answers))
"""
"""A child's program: LiteRT's interpreter or tflite-runtime's, whose kernels one may choose."""

_SESSION = """
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


def tflite_paths(older: str | None) -> dict[str, list[str]]:
    """By name: the program and its first arguments."""
    litert, chosen = "ai_edge_litert.interpreter", [sys.executable, "-c", INTERPRETER]
    paths = {
        "LiteRT XNNPACK": [*chosen, litert, "AUTO"],
        "LiteRT builtin": [*chosen, litert, "BUILTIN_WITHOUT_DEFAULT_DELEGATES"],
        "LiteRT reference": [*chosen, litert, "BUILTIN_REF"],
    }
    if older:
        runtime, chosen = "tflite_runtime.interpreter", [older, "-c", INTERPRETER]
        paths["tflite-runtime 2.14 XNNPACK"] = [*chosen, runtime, "AUTO"]
        paths["tflite-runtime 2.14 builtin"] = [
            *chosen, runtime, "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
        ]  # fmt: skip
    return paths


def onnx_paths() -> dict[str, list[str]]:
    """The same of ONNX Runtime."""
    levels = {"optimized": "ORT_ENABLE_ALL", "as written": "ORT_DISABLE_ALL"}
    return {
        f"ONNX Runtime {name}": [sys.executable, "-c", _SESSION, level]
        for name, level in levels.items()
    }


def by_openvino(path: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """As ``verify --runtime openvino`` does."""
    with load_runner(path.suffix[1:], "openvino")(path) as runner:
        return np.concatenate([runner.predict(image[None]) for image in images])


_DARK, _DARK_LINEAR = 0.04045, 0.0031308
"""Ends of the straight part of sRGB's curve (IEC 61966-2-1)."""


def as_p3(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What an sRGB picture's values are in Display P3: those of a P3 file whose profile is lost."""
    to_p3 = np.array([[0.8225, 0.1774, 0.0], [0.0332, 0.9669, 0.0], [0.0171, 0.0724, 0.9108]])
    unit = image / 255
    linear = np.where(unit <= _DARK, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4) @ to_p3.T
    encoded = np.where(linear <= _DARK_LINEAR, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.float32)


MEAN = np.array([123.68, 116.779, 103.939], np.float32)
WRONG: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "BGR": lambda image: image[..., ::-1],
    "mean subtracted twice": lambda image: np.clip(image - MEAN, 0, 255),
    "divided by 255": lambda image: image / 255,
    "P3 read as sRGB": as_p3,
    "EXIF ignored": np.rot90,
}
"""What a wrong preprocessing gives the network in place of a prepared image."""


def stretched(folder: Path, size: int) -> Iterator[NDArray[np.float32]]:
    """Photographs without the crop."""
    for file in sorted(path for path in folder.rglob("*") if path.suffix.lower() != ".csv"):
        with Image.open(file) as image:
            scaled = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
        yield np.asarray(scaled, np.float32)


def main() -> None:
    """Runs what is missing, prints a table a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--slow", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--older")
    options = parser.parse_args()
    options.out.mkdir(exist_ok=True)
    images = np.stack(
        [p for _, p in islice(photographs(options.images, options.size), options.count)]
    ).astype(np.float32)
    for file in options.files:
        show(file, images, options)


def show(file: Path, images: NDArray[np.float32], options: argparse.Namespace) -> None:
    """One file's table."""
    paths = onnx_paths() if file.suffix == ".onnx" else tflite_paths(options.older)
    home, *others = [*paths, "OpenVINO"]
    expected = answers(file, home, paths, images, options)
    if isinstance(expected, str):
        raise SystemExit(f"{file}: {expected}")
    print(f"\n### {file.name}, against {home}\n")
    print("| path or mistake | images | logits, dB | of 8, dB | max abs | same class |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for name in others:
        count = options.slow if any(word in name for word in SLOW) else options.count
        row(name, expected, answers(file, name, paths, images[:count], options))
    for name, spoil in WRONG.items():
        spoiled = np.stack([spoil(image) for image in images]).astype(np.float32)
        row(name, expected, answers(file, home, paths, spoiled, options, name), max)
    flat = np.stack([*islice(stretched(options.images, options.size), options.count)])
    row("stretched", expected, answers(file, home, paths, flat, options, "stretched"), max)


def answers(
    file: Path,
    name: str,
    paths: dict[str, list[str]],
    images: NDArray[np.float32],
    options: argparse.Namespace,
    mistake: str = "",
) -> NDArray[np.float32] | str:
    """Probabilities, or why there are none; kept for another run."""
    place = options.out / f"{file.stem}{file.suffix} {mistake or name} {len(images)}.npy"
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
    expected: NDArray[np.float32],
    found: NDArray[np.float32] | str,
    extreme: Callable[[list[float]], float] = min,
) -> None:
    """One line of the table: of sets of eight the least of a path, the most of a mistake."""
    if isinstance(found, str):
        print(f"| {name} | - | {found} | | | |", flush=True)
        return
    wanted = expected[: len(found)]
    whole, random = compare(wanted, found), np.random.default_rng(0)
    sets = [random.choice(len(found), min(SET, len(found)), replace=False) for _ in range(SETS)]
    worst = extreme([compare(wanted[s], found[s]).logit_sqnr_db for s in sets])
    print(
        f"| {name} | {len(found)} | {whole.logit_sqnr_db:.1f} | {worst:.1f} | {whole.max_abs:.2g} "
        f"| {whole.top1_agreement:.1%} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
