"""Kinds of fine-tuned VGG as Keras saves them, exported, against Keras' own answers.

    python -m benchmarks.keras_networks [KIND ...]

Tiny networks with seeded weights whose answers differ from image to image. Each must give what its
owner gets for the same pixels, to 2e-4 in ONNX Runtime and LiteRT, or be refused with exit code 2.
Exit code 1 if one does neither.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from vggexport.cli import main as command_line
from vggexport.formats.registry import load_runner

LIMIT = 2e-4
IMAGES = 6
MEAN_BGR = (103.939, 116.779, 123.68)
Pixels = NDArray[np.float32]


def raw(x: Pixels) -> Pixels:
    """Nothing."""
    return x


def caffe(x: Pixels) -> Pixels:
    """BGR minus the mean."""
    return x[..., ::-1] - np.float32(MEAN_BGR)


def unit(x: Pixels) -> Pixels:
    """Into [0, 1]."""
    return x / 255


def own(x: Pixels) -> Pixels:
    """Numbers that no convention has."""
    return (x - np.float32([10, 20, 30])) / np.float32([50, 60, 70])


OWN = ("--pixel-mean", "10,20,30", "--pixel-std", "50,60,70")
UNIT = ("--preprocessing", "unit")


@dataclass(frozen=True, slots=True)
class Head:
    """What stands after the convolutions."""

    pool: Callable[[], Any] = layers.Flatten
    hidden: Sequence[tuple[int, str | None]] = ((16, "relu"),)
    outputs: int = 4
    last: str | None = "softmax"
    batch_norm: bool = False

    def __call__(self, value: Any) -> Any:
        """The output."""
        value = self.pool()(value)
        if self.batch_norm:
            value = layers.BatchNormalization()(value)
        for units, activation in self.hidden:
            value = layers.Dropout(0.5)(layers.Dense(units, activation)(value))
        return layers.Dense(self.outputs, self.last)(value)


@dataclass(frozen=True, slots=True)
class Body:
    """Convolutions and poolings."""

    blocks: Sequence[Sequence[int]] = ((4,), (6, 6), (8,))
    activation: str = "relu"
    kernel_size: int = 3
    last_pooling: bool = True
    epsilon: float | None = None
    use_bias: bool = True

    def __call__(self, value: Any) -> Any:
        """The features."""
        for number, block in enumerate(self.blocks, start=1):
            for filters in block:
                value = self._convolution(value, filters)
            if self.last_pooling or number < len(self.blocks):
                value = layers.MaxPooling2D(2)(value)
        return value

    def _convolution(self, value: Any, filters: int) -> Any:
        plain = partial(layers.Conv2D, filters, self.kernel_size, padding="same")
        if self.epsilon is None:
            return plain(activation=self.activation, use_bias=self.use_bias)(value)
        value = plain(use_bias=self.use_bias)(value)
        return layers.ReLU()(layers.BatchNormalization(epsilon=self.epsilon)(value))


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of network, and what its owner does and says."""

    body: Body = Body()
    head: Head = Head()
    front: Sequence[Callable[[], Any]] = ()
    side: tuple[int, int] = (32, 32)
    prepare: Callable[[Pixels], Pixels] = caffe
    options: Sequence[str] = ()
    suffix: str = ".keras"
    nested: int = 0
    refused: bool = False

    def make(self) -> Any:
        """The model, its layers ``nested`` times in another."""
        inputs = value = keras.Input((*self.side, 3))
        for layer in self.front:
            value = layer()(value)
        model = keras.Model(inputs, self.head(self.body(value)))
        for _ in range(self.nested):
            model = keras.Sequential([keras.Input((*self.side, 3)), model])
        return model


GLOBAL_AVERAGE = layers.GlobalAveragePooling2D
KINDS: Mapping[str, Kind] = {
    "control": Kind(),
    "rectangle": Kind(side=(96, 64)),
    "odd side": Kind(side=(75, 75)),
    "odd rectangle, [0, 1]": Kind(side=(33, 50), prepare=unit, options=UNIT),
    "no last pooling": Kind(Body(last_pooling=False)),
    "no last pooling, global average": Kind(Body(last_pooling=False), Head(GLOBAL_AVERAGE)),
    "global maximum": Kind(head=Head(layers.GlobalMaxPooling2D)),
    "global average, no hidden layer": Kind(head=Head(GLOBAL_AVERAGE, hidden=())),
    "three hidden layers": Kind(head=Head(hidden=((16, "relu"), (12, "relu"), (8, "relu")))),
    "a linear hidden layer": Kind(head=Head(hidden=((16, None), (12, "relu")))),
    "no hidden layer": Kind(head=Head(hidden=())),
    "seven sigmoids": Kind(head=Head(outputs=7, last="sigmoid")),
    "one sigmoid": Kind(head=Head(outputs=1, last="sigmoid")),
    "batch norm": Kind(Body(epsilon=1e-3)),
    "batch norm, no bias": Kind(Body(epsilon=1e-5, use_bias=False)),
    "batch norm before dense": Kind(head=Head(batch_norm=True)),
    "batch norm after average": Kind(head=Head(GLOBAL_AVERAGE, batch_norm=True)),
    "no bias": Kind(Body(use_bias=False)),
    "1x1": Kind(Body(kernel_size=1)),
    "5x5": Kind(Body(kernel_size=5)),
    "long blocks": Kind(Body(blocks=((4, 4, 4, 4), (8, 8, 8)))),
    "rescaled twice": Kind(
        front=[partial(layers.Rescaling, 1 / 255), partial(layers.Rescaling, 2.0, -1.0)],
        prepare=raw,
    ),
    "normalization": Kind(
        front=[partial(layers.Normalization, mean=[120, 110, 100], variance=[3000, 3500, 4000])],
        prepare=raw,
    ),
    "augmented": Kind(
        front=[partial(layers.RandomRotation, 0.1), partial(layers.Rescaling, 1 / 127.5, -1)],
        prepare=raw,
    ),
    "resized": Kind(
        front=[partial(layers.Resizing, 32, 32), partial(layers.Rescaling, 1 / 255)], prepare=raw
    ),
    "noise": Kind(front=[partial(layers.GaussianNoise, 0.1)]),
    "[0, 1] outside, rescaled inside": Kind(
        front=[partial(layers.Rescaling, 2.0, -1.0)], prepare=unit, options=UNIT
    ),
    "numbers of one's own": Kind(prepare=own, options=OWN),
    "nested": Kind(nested=1),
    "nested twice": Kind(nested=2),
    "h5": Kind(suffix=".h5"),
    "h5, batch norm": Kind(Body(epsilon=1e-3), suffix=".h5"),
    "h5, nested twice": Kind(nested=2, suffix=".h5"),
    "elu": Kind(Body(activation="elu"), refused=True),
    "leaky ReLU": Kind(Body(activation="leaky_relu"), refused=True),
    "tanh in the head": Kind(head=Head(hidden=((16, "tanh"),)), refused=True),
    "average pooling in front": Kind(front=[partial(layers.AveragePooling2D, 2)], refused=True),
    "even kernels": Kind(Body(kernel_size=2), refused=True),
}


def randomize(model: Any, images: Pixels, random: np.random.Generator) -> None:
    """He weights; the last layer centred and scaled so that no answer is certain."""
    for variable in model.variables:
        shape = variable.shape
        if len(shape) > 1:
            variable.assign(random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1])))
        elif variable.name in {"moving_variance", "gamma"}:
            variable.assign(random.uniform(0.5, 1.5, shape))
        elif variable.name in {"bias", "beta", "moving_mean"}:
            variable.assign(random.standard_normal(shape) * 0.1)
    last = _last(model)
    activation, last.activation = last.activation, keras.activations.linear
    model.make_predict_function(force=True)
    logits = model.predict(images, verbose=0) - np.asarray(last.bias)
    scale = 2 / (logits - logits.mean(0)).std()
    last.kernel.assign(last.kernel * scale)
    last.bias.assign(random.standard_normal(last.bias.shape) * 0.5 - logits.mean(0) * scale)
    last.activation = activation
    model.make_predict_function(force=True)


def _last(model: Any) -> Any:
    layer = model.layers[-1]
    return _last(layer) if hasattr(layer, "layers") else layer


def run(*arguments: str) -> tuple[int, str]:
    """A command of vggexport in this process: its exit code, and its last line on stderr."""
    error = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        try:
            command_line(list(arguments))
        except SystemExit as left:
            lines = error.getvalue().splitlines() or [""]
            return int(left.code or 0), lines[-1]
    return 0, ""


def outcome(name: str, kind: Kind, folder: Path) -> tuple[str, bool]:
    """What came of one kind, in words, and whether it is as it should be."""
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(len(name))
    model = kind.make()
    pixels = random.integers(0, 256, (IMAGES, *kind.side, 3)).astype(np.uint8)
    prepared = kind.prepare(pixels.astype(np.float32))
    randomize(model, prepared, random)
    weights = folder / f"network{kind.suffix}"
    model.save(weights)
    return measure(weights, kind, pixels, model.predict(prepared, verbose=0))


def measure(
    weights: Path, kind: Any, pixels: NDArray[np.uint8], expected: NDArray[Any]
) -> tuple[str, bool]:
    """Files of a network, held to its answers for pixels: words, and whether all is right."""
    words, is_right = [], True
    for name_of_format, suffix in (("onnx", ".onnx"), ("tflite", ".tflite")):
        output = weights.with_suffix(suffix)
        code, said = run(
            name_of_format, "--weights", str(weights), *kind.options, "-o", str(output), "--force"
        )
        if code or kind.refused:
            return f"exit {code}: {said[:160]}", kind.refused and code == 2
        with load_runner(name_of_format)(output) as runner:
            actual = np.concatenate([runner.predict(image[np.newaxis]) for image in pixels])
        difference = float(np.abs(actual - expected).max())
        words.append(f"{name_of_format} {difference:.1e}")
        is_right &= difference <= LIMIT
    return ", ".join(words) + f", answers vary by {expected.std(0).max():.2f}", is_right


def tell(kinds: Iterable[str], outcome: Callable[[str, Path], tuple[str, bool]]) -> None:
    """A line a kind, those named on the command line or all, and how many are wrong.

    Args:
        kinds: Their names.
        outcome: What came of one, in words, and whether it is as it should be, from its name and a
            folder.
    """
    wrong = 0
    chosen = sys.argv[1:] or list(kinds)
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            words, is_right = outcome(name, Path(folder))
            wrong += not is_right
            print(f"{'' if is_right else 'WRONG '}{name}: {words}", flush=True)
    print(f"{len(chosen)} kinds, {wrong} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    tell(KINDS, lambda name, folder: outcome(name, KINDS[name], folder))
