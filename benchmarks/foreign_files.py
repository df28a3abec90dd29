"""Files of other converters against our export of the same weights: verified, benchmarked.

    python -m benchmarks.foreign_files [KIND ...]

One tiny VGG of Keras that takes pixels by torchvision's convention goes through tf2onnx, Keras' and
TensorFlow's own exporters, TFLite's converter, ONNX Runtime's quantizers and a graph as torch
writes it. ``verify`` is not told what they want done to pixels. Exit code 1 if one kind does not
pass, is not benchmarked, or its convention is not found.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import onnx
import tensorflow as tf
from keras import layers
from onnxruntime import quantization

import calibration
from tests.foreign_onnx import Style, torch_like
from vggexport.cli import main as command_line
from vggexport.network.head import fully_connected
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks

SIDE, CLASSES, IMAGES = 32, 5, 32
SPEC = VGGSpec(
    "own",
    parse_blocks("conv3-8 conv3-8 | conv3-16"),
    classes=CLASSES,
    hidden=fully_connected(32),
    input_size=(SIDE, SIDE),
    mean_rgb=(0.0, 0.0, 0.0),
)
CONVENTION = "torch"


def small_vgg() -> Any:
    """The network, seeded so that answers differ from image to image."""
    keras.utils.set_random_seed(3)
    convolution = partial(layers.Conv2D, kernel_size=3, padding="same", activation="relu")
    network = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            *(convolution(8), convolution(8), layers.MaxPooling2D()),
            *(convolution(16), layers.MaxPooling2D()),
            *(layers.Flatten(), layers.Dense(32, activation="relu")),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    random = np.random.default_rng(5)
    for weight in network.weights:
        if len(weight.shape) == 1:
            weight.assign(random.normal(0, 0.2, weight.shape))
    return network


def prepared(count: int) -> np.ndarray:
    """Images as the network wants them."""
    convention = CONVENTIONS[CONVENTION]
    pixels = np.stack([calibration.synthetic_image(7, i, (SIDE, SIDE)) for i in range(count)])
    return ((pixels - np.float32(convention.mean_rgb)) / np.float32(convention.std_rgb)).astype(
        np.float32
    )


@dataclass(frozen=True)
class Maker:
    """What makes the files.

    Attributes:
        network: The Keras network.
        folder: Where they go.
    """

    network: Any
    folder: Path

    def saved_model(self) -> Path:
        """As Keras exports it for TensorFlow Serving."""
        path = self.folder / "keras_saved_model"
        if not path.exists():
            self.network.export(path, format="tf_saved_model", verbose=False)
        return path

    def module(self) -> Path:
        """As ``tf.saved_model.save`` writes a function of one's own."""
        module = tf.Module()
        module.network = self.network
        signature = tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32, name="pixels")
        function = tf.function(
            lambda pixels: {"scores": self.network(pixels)}
        ).get_concrete_function(signature)
        path = self.folder / "module_saved_model"
        tf.saved_model.save(module, path, signatures={"serving_default": function})
        return path

    def keras_onnx(self) -> Path:
        """As Keras exports ONNX."""
        path = self.folder / "keras.onnx"
        self.network.export(path, format="onnx", verbose=False)
        return path

    def tf2onnx(self, *options: str) -> Path:
        """As tf2onnx's command writes it."""
        path = self.folder / f"tf2onnx{''.join(options).replace(':', '_')}.onnx"
        command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", self.saved_model()]
        subprocess.run([*command, "--output", path, *options], check=True, capture_output=True)
        return path

    def nchw(self) -> Path:
        """The same with the input's layout changed."""
        plain = onnx.load(self.tf2onnx("--opset", "15"))
        return self.tf2onnx("--opset", "15", "--inputs-as-nchw", plain.graph.input[0].name)

    def tflite(self, name: str, change: Callable[[Any], None] = lambda _: None) -> Path:
        """As TFLite's converter writes it."""
        converter = tf.lite.TFLiteConverter.from_keras_model(self.network)
        change(converter)
        path = self.folder / f"{name}.tflite"
        path.write_bytes(converter.convert())
        return path

    def torch(self, style: Style) -> Path:
        """As torch would write it."""
        path = self.folder / "torch.onnx"
        weights = {
            tensor.name: weight.numpy()
            for tensor, weight in zip(SPEC.tensors.values(), self.network.weights, strict=True)
        }
        onnx.save(torch_like(SPEC, weights, CONVENTIONS[CONVENTION], style), path)
        return path

    def qdq(self) -> Path:
        """As ONNX Runtime quantizes it, by its defaults."""
        path = self.folder / "qdq.onnx"
        images = iter([{"input": image[None].transpose(0, 3, 1, 2)} for image in prepared(IMAGES)])

        class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
            def get_next(self) -> Any:
                return next(images, None)

        quantization.quantize_static(self.torch(Style()), path, Reader())
        return path

    def dynamic(self) -> Path:
        """As ONNX Runtime quantizes weights alone."""
        path = self.folder / "dynamic.onnx"
        operators = ["MatMul", "Gemm"]
        quantization.quantize_dynamic(self.torch(Style()), path, op_types_to_quantize=operators)
        return path


def _calibrated(converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in prepared(IMAGES))


def _whole(dtype: Any) -> Callable[[Any], None]:
    def change(converter: Any) -> None:
        _calibrated(converter)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = dtype

    return change


def _half(converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


KINDS: Mapping[str, tuple[Callable[[Maker], Path], str]] = {
    "tf2onnx": (lambda make: make.tf2onnx("--opset", "15"), CONVENTION),
    "tf2onnx, opset 11": (lambda make: make.tf2onnx("--opset", "11"), CONVENTION),
    "tf2onnx, inputs as NCHW": (Maker.nchw, CONVENTION),
    "Keras, ONNX": (Maker.keras_onnx, CONVENTION),
    "torch": (lambda make: make.torch(Style()), CONVENTION),
    "torch, logits": (lambda make: make.torch(Style(softmax=False)), CONVENTION),
    "torch, batch norm": (lambda make: make.torch(Style(batch_norm=True)), CONVENTION),
    "torch, float16": (lambda make: make.torch(Style(half=True)), CONVENTION),
    "torch, uint8": (lambda make: make.torch(Style(uint8=True)), "raw"),
    "torch, batch 1": (lambda make: make.torch(Style(batch=1, opset=11)), CONVENTION),
    "ONNX Runtime, static int8": (Maker.qdq, CONVENTION),
    "ONNX Runtime, dynamic int8": (Maker.dynamic, CONVENTION),
    "TFLite": (lambda make: make.tflite("float32"), CONVENTION),
    "TFLite, float16": (lambda make: make.tflite("float16", _half), CONVENTION),
    "TFLite, dynamic range": (lambda make: make.tflite("dynamic", _dynamic), CONVENTION),
    "TFLite, int8": (lambda make: make.tflite("int8", _calibrated), CONVENTION),
    "TFLite, int8 in and out": (lambda make: make.tflite("whole", _whole(tf.int8)), CONVENTION),
    "TFLite, uint8 in and out": (lambda make: make.tflite("whole8", _whole(tf.uint8)), CONVENTION),
    "Keras, SavedModel": (Maker.saved_model, CONVENTION),
    "tf.saved_model.save": (Maker.module, CONVENTION),
}
"""By name: what makes a file, and the convention that it takes."""


def run(*arguments: str) -> tuple[int, Any, str]:
    """Exit code, JSON and stderr of a command."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            command_line([*arguments, "--json"], prog_name="vggexport")
        except SystemExit as ended:
            code = int(ended.code or 0)
    text = out.getvalue()
    return code, json.loads(text) if text else None, err.getvalue().strip()


def row(ours: Path, kind: str, make: Maker) -> tuple[bool, str]:
    """Whether a kind is served, and the line of the table."""
    maker, convention = KINDS[kind]
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converters' own
        path = str(maker(make))
    images = ("--images", "64", "--layers")
    code, document, said = run("verify", str(ours), path, *images)
    candidate = document["candidates"][0] if document else {}
    found = candidate.get("preprocessing_found") or {}
    name = f"{found.get('name')} {found.get('channel_order')}"
    figures = "{sqnr_db}, next {next_sqnr_db}".format(**found) if found else said
    timed, speed, complaint = run("benchmark", path, "--runs", "3", "--duration", "0")
    macs = speed["results"][0]["macs"] if speed else complaint
    rights = (code == 0, name == f"{convention} rgb", timed == 0)
    words = ["yes" if right else "NO" for right in rights]
    cells = (kind, *words, name, figures, len(candidate.get("layers") or ()), macs)
    return all(rights), " | ".join(map(str, cells))


def rows(kinds: list[str]) -> Iterator[bool]:
    """Prints a line for each kind."""
    network = small_vgg()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network.save(folder / "small.keras")
        ours = folder / "ours.onnx"
        weights = ("--weights", str(folder / "small.keras"), "--preprocessing", CONVENTION)
        code, _, said = run("onnx", *weights, "-o", str(ours))
        if code:
            raise SystemExit(said)
        print("kind | verified | convention | benchmarked | found | dB | layers | MACs")
        for kind in kinds:
            served, line = row(ours, kind, Maker(network, folder))
            print(line, flush=True)
            yield served


if __name__ == "__main__":
    sys.exit(not all(list(rows(sys.argv[1:] or list(KINDS)))))
