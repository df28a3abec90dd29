#!/usr/bin/env python3
"""Checks this folder on this machine: every file's digest, the preprocessing, the answers.

    pip install numpy pillow onnxruntime      # for .onnx and .ort
    pip install numpy pillow ai-edge-litert   # for .tflite
    pip install numpy pillow tensorflow       # for SavedModel directories
    python self_test.py

Needs Python 3.9 or later. Models whose runtime is not installed are skipped; the exit code is 1 if
anything is wrong or no model could be run.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageOps

FOLDER = Path(__file__).resolve().parent
SMALLEST = 1e-30  # probability that smaller ones count as, before their logarithm is taken
HALF_STEP = 1 / 512  # the same where they may be in whole 256ths
HALVES_END = {"softmax": 2**-14, "sigmoid": 2**-9}  # the same where they may have 16 bits
CERTAIN = 1e-4  # a sigmoid's nearer to 0 or 1 are all one: runtimes stop at other ends


def main() -> int:
    problems = check_files()
    if problems:  # a file that is not the one that was packed is not opened
        return conclude(problems, "")
    golden = read_json("golden/golden.json")
    description = read_json("preprocessing.json")
    problems = check_preprocessing(golden, description)
    images = golden_images(golden)
    ran = 0
    for entry in read_json("MANIFEST.json")["artifacts"]:
        name, kind = entry["artifact"]["path"], entry["artifact"]["format"]
        if kind not in RUNNERS:
            print(f"skipped  {name}: this script runs no {kind}, vggexport check-bundle does")
            continue
        answers = next(a for a in golden["artifacts"] if a["name"] == name)
        try:
            model = description["models"][name]
            run = RUNNERS[kind](FOLDER / name, model)
            actual = [behind(run(in_front(image, model)), model) for image in images]
            told = entry["artifact"]["spec"] or entry["artifact"]["ends"]
            activation = told.get("head_activation", "softmax")
            found = check_answers(np.stack(actual), answers, activation)
        except ImportError as error:
            print(f"skipped  {name}: {error}")
            continue
        except Exception as error:  # noqa: BLE001  runtimes' errors share no class of their own
            found = [f"cannot be run here: {error}"]
        print(f"{'FAILED' if found else 'passed':8} {name}")
        problems += [f"{name}: {problem}" for problem in found]
        ran += 1
    if not ran:
        problems.append("no model was run: install a runtime, README.md says which")
    return conclude(problems, f"{ran} models, {len(golden['images'])} golden images")


def conclude(problems: list[str], passed: str) -> int:
    for problem in problems:
        print(f"FAILED   {problem}")
    print("failed" if problems else f"passed: {passed}")
    return 1 if problems else 0


def read_json(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def golden_images(golden: Any) -> Any:
    """What the models take: the golden images, and then the golden pictures, which are vivid."""
    return [read_image(image["file"]) for image in golden["images"] + golden["pictures"]]


def read_image(name: str) -> Any:
    with Image.open(FOLDER / name) as image:
        return np.array(image.convert("RGB"))


def decode(name: Any, step: Any) -> Any:
    """A picture as the first step says: upright, in sRGB, on a background; uint8 RGB."""
    with Image.open(FOLDER / name) as opened:
        profile = opened.info.get("icc_profile")
        upright = ImageOps.exif_transpose(opened) if step["orientation"] != "as it lies" else opened
        alpha = upright.convert("RGBA").getchannel("A")
        gray = upright.mode in ("L", "LA")
        colours = upright.convert("L" if gray else "RGB")
    colours = to_srgb(colours, profile).convert("RGB")
    behind = Image.new("RGB", colours.size, tuple(step.get("background", (255, 255, 255))))
    return np.array(Image.composite(colours, behind, alpha))


def to_srgb(image: Any, profile: Any) -> Any:
    """RGB or gray by the picture's own profile, unless that is damaged or of another kind."""
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != {"RGB": "RGB ", "L": "GRAY"}[image.mode]:
            return image
        srgb, intent = ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
        return ImageCms.profileToProfile(image, source, srgb, intent, "RGB")
    except (OSError, ImageCms.PyCMSError):
        return image


def check_files() -> list[str]:
    """Holds every file to SHA256SUMS, and the list to what is there."""
    present = {p.relative_to(FOLDER).as_posix() for p in FOLDER.rglob("*") if p.is_file()}
    if "SHA256SUMS" not in present:
        return ["SHA256SUMS is missing"]
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8", errors="replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    extra = present - set(listed) - {"SHA256SUMS", "SHA256SUMS.sig"}
    problems = [f"{name} {fault_of(name)}" for name in sorted(extra)]
    for name, digest in listed.items():
        if name not in present:
            problems.append(f"{name} is missing")
        elif sha256(FOLDER / name) != digest:
            problems.append(f"{name} was changed")
    return problems


def fault_of(extra: str) -> str:
    left = {".DS_Store", "Thumbs.db", "desktop.ini", ".directory"}
    if extra.rpartition("/")[2] in left:
        return "was left by a file manager and is not part of the bundle: remove it"
    return "is not in SHA256SUMS"


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}


def prepare(pixels: Any, description: Any) -> Any:
    """Makes of an image what the models take, as the description says; uint8 RGB."""
    steps = {step["step"]: step for step in description["steps"]}
    resize, image = steps["resize"], Image.fromarray(pixels)
    target = steps.get("crop", resize)
    rows, columns = target["height"], target["width"]
    kernel, mode = FILTERS[resize["interpolation"]], resize.get("mode", "crop")
    if mode == "pad":
        scale = min(rows / image.height, columns / image.width)
        height, width = (max(1, round(side * scale)) for side in (image.height, image.width))
        padded = np.full((rows, columns, 3), resize["background"], np.uint8)
        top, left = (rows - height) // 2, (columns - width) // 2
        padded[top : top + height, left : left + width] = image.resize((width, height), kernel)
        return padded
    if mode == "part":
        box = largest_part(image, rows, columns)
    else:
        box = None if mode == "stretch" else centre_of_covering(image, resize, rows, columns)
    return np.array(image.resize((columns, rows), kernel, box=box))


def largest_part(image: Any, rows: int, columns: int) -> Any:
    """The largest part of a shape in the middle, in whole pixels."""
    width = max(1, min(image.width, image.height * columns // rows))
    height = max(1, min(image.height, image.width * rows // columns))
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return left, top, left + width, top + height


def centre_of_covering(image: Any, resize: Any, rows: int, columns: int) -> Any:
    """The part in the middle of an image that is scaled to cover a size."""
    cover_height = resize.get("cover_height", resize.get("short_side"))
    cover_width = resize.get("cover_width", resize.get("short_side"))
    scale = max(cover_height / image.height, cover_width / image.width)
    scaled_width, scaled_height = round(image.width * scale), round(image.height * scale)
    left, top = (scaled_width - columns) // 2, (scaled_height - rows) // 2
    across, down = image.width / scaled_width, image.height / scaled_height
    right, bottom = (left + columns) * across, (top + rows) * down
    return left * across, top * down, min(right, image.width), min(bottom, image.height)


def check_preprocessing(golden: Any, description: Any) -> list[str]:
    """Scales and crops the source images, and holds them to what they must become."""
    problems = []
    for pair in golden["preprocessing"]:
        pixels = decode(pair["file"], description["steps"][0])
        actual = prepare(pixels, description).astype(int)
        levels = int(np.abs(actual - read_image(pair["prepared"])).max())
        if levels > pair.get("tolerance_levels", description["tolerance_levels"]):
            problems.append(f"preprocessing of {pair['file']}: {levels} levels off")
    return problems


def in_front(pixels: Any, model: Any) -> Any:
    """What a model of another converter wants done to RGB 0...255; nothing for others."""
    done = model.get("preprocessing")
    if done is None:
        return pixels
    values = (pixels - np.float32(done["mean_rgb"])) / np.float32(done["std_rgb"])
    if done["channel_order"] == "bgr":
        values = values[..., ::-1]
    if model["input"]["layout"] == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values)


def behind(values: Any, model: Any) -> Any:
    """Probabilities of one image, where a model of another converter gives logits."""
    kind = model.get("behind")
    if kind is None:
        return values
    powers = np.exp(values - values.max()) if kind == "softmax" else 1 / (1 + np.exp(-values))
    return powers / powers.sum() if kind == "softmax" else powers


def quantized(pixels: Any, tensor: Any) -> Any:
    """One image as the model takes it, as often as its batch has room."""
    count = tensor["shape"][0]
    batch = np.repeat(pixels[None], count if isinstance(count, int) else 1, axis=0)
    quantization = tensor["quantization"]
    if quantization is None:
        return batch.astype(tensor["dtype"])
    values = np.rint(batch / quantization["scale"]) + quantization["zero_point"]
    limits = np.iinfo(tensor["dtype"])
    return np.clip(values, limits.min, limits.max).astype(tensor["dtype"])


def dequantized(values: Any, tensor: Any) -> Any:
    """Probabilities of one image."""
    quantization = tensor["quantization"]
    if quantization is None:
        return values[0].astype(np.float64)
    return (values[0].astype(np.float64) - quantization["zero_point"]) * quantization["scale"]


def run_onnx(path: Path, model: Any) -> Any:
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    # Without it int8 answers are wrong on x86-64 CPUs that lack VNNI: 16-bit sums saturate there.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    source, result = model["input"], model["output"]

    def run(pixels: Any) -> Any:
        feed = {source["name"]: quantized(pixels, source)}
        return dequantized(session.run([result["name"]], feed)[0], result)

    return run


def run_tflite(path: Path, model: Any) -> Any:
    interpreter = load_interpreter(str(path))
    interpreter.allocate_tensors()
    source, result = model["input"], model["output"]
    into = interpreter.get_input_details()[0]["index"]
    out = interpreter.get_output_details()[0]["index"]

    def run(pixels: Any) -> Any:
        interpreter.set_tensor(into, quantized(pixels, source))
        interpreter.invoke()
        return dequantized(interpreter.get_tensor(out), result)

    return run


def load_interpreter(path: str) -> Any:
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            return importlib.import_module(module).Interpreter(model_path=path)
        except ImportError:
            continue
    raise ImportError("ai-edge-litert is not installed")


def run_saved_model(path: Path, model: Any) -> Any:
    tensorflow = importlib.import_module("tensorflow")
    loaded = tensorflow.saved_model.load(str(path))
    function = loaded.signatures["serving_default"]
    source, result = model["input"], model["output"]

    def run(pixels: Any) -> Any:
        feed = tensorflow.constant(quantized(pixels, source))
        return dequantized(function(**{source["name"]: feed})[result["name"]].numpy(), result)

    return run


RUNNERS = {
    "onnx": run_onnx,
    "ort": run_onnx,
    "tflite": run_tflite,
    "savedmodel": run_saved_model,
}


def read_labels() -> list[str]:
    return (FOLDER / "labels.txt").read_text(encoding="utf-8").splitlines()


def of_classes(probabilities: Any) -> Any:
    """A probability a class: one output p stands for two, 1 - p and p."""
    p = probabilities[0]
    return np.array([1 - p, p]) if len(probabilities) == 1 else np.array(probabilities)


def ranked(probabilities: Any, labels: list[str]) -> list[tuple[str, float]]:
    """Names of the classes and their probabilities, the best first."""
    values = of_classes(probabilities)
    if len(values) != len(labels):
        raise ValueError(f"labels.txt has {len(labels)} names for {len(values)} classes")
    return [(labels[i], float(values[i])) for i in np.argsort(-values, kind="stable")]


def check_labels(actual: Any, answers: Any, labels: list[str]) -> list[str]:
    """The name that is shown for the best class, where that is the golden one."""
    for number, best in enumerate(answers["best"] + answers["picture_best"]):
        shown, _ = ranked(actual[number], labels)[0]
        if of_classes(actual[number]).argmax() == best["index"] and shown != best["label"]:
            return [f"class {best['index']} is shown as {shown!r}, and is {best['label']!r}"]
    return []


def check_answers(actual: Any, answers: Any, activation: str) -> list[str]:
    """What is wrong on a CPU, of the golden images and of the golden pictures."""
    limits = next(t for t in answers["tolerances"] if t["device"] == "cpu")
    images, pictures = answers["probabilities"], answers["picture_probabilities"]
    expected = np.array(images + pictures)
    if actual.shape != expected.shape:
        return [f"answers of shape {actual.shape}, expected {expected.shape}"]
    if not np.isfinite(actual).all():
        return ["NaN or infinity in the output"]
    parts = {"": slice(len(images)), "golden/pictures: ": slice(len(images), None)}
    return check_labels(actual, answers, read_labels()) + [
        told + problem
        for told, part in parts.items()
        for problem in out_of_tolerance(expected[part], actual[part], limits, activation)
    ]


def out_of_tolerance(expected: Any, actual: Any, limits: Any, activation: str) -> list[str]:
    logits, problems = LOGITS[activation], []
    largest = np.abs(actual - expected).max()
    if limits["max_abs"] is not None and largest > limits["max_abs"]:
        problems.append(f"probabilities differ by {largest:.1e}")
    for key, values in (
        ("min_sqnr_db", (expected, actual)),
        ("min_logit_sqnr_db", (logits(expected), logits(actual))),
        ("min_coarse_logit_sqnr_db", [logits(p, HALF_STEP) for p in (expected, actual)]),
        (
            "min_half_logit_sqnr_db",
            [logits(p, HALVES_END[activation]) for p in (expected, actual)],
        ),
    ):
        if limits.get(key) is not None and decibels(*values) < limits[key]:
            problems.append(f"{key} is {limits[key]:g}, found {decibels(*values):.1f}")
    return problems


def softmax_logits(probabilities: Any, smallest: float = SMALLEST) -> Any:
    """Logits up to a constant: log-probabilities less their mean."""
    logarithms = np.log(np.maximum(probabilities, smallest))
    return logarithms - logarithms.mean(axis=1, keepdims=True)


def sigmoid_logits(probabilities: Any, smallest: float = CERTAIN) -> Any:
    """ln(p / (1 - p)), each output by itself."""
    within = np.clip(probabilities, smallest, 1 - smallest)
    return np.log(within) - np.log(1 - within)


LOGITS = {"softmax": softmax_logits, "sigmoid": sigmoid_logits}


def decibels(expected: Any, actual: Any) -> float:
    """Signal-to-quantization-noise ratio."""
    noise = float(np.sum((actual - expected) ** 2))
    return 10 * float(np.log10(np.sum(expected**2) / noise)) if noise else float("inf")


if __name__ == "__main__":
    sys.exit(main())
