"""Networks that few people have, as Keras saves them: each comes out right, or is refused.

    python -m benchmarks.odd_networks [KIND ...]

Tiny networks with seeded weights, held to Keras' own answers as in ``benchmarks.keras_networks``.
What is said of each is shown, for one that is refused what names the reason. Exit code 1 if one is
wrong, or ends otherwise than it should.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks.keras_networks import UNIT, Pixels, measure, raw, tell, unit

SIDE = 16
SHAPE = (SIDE, SIDE, 3)
GAP = layers.GlobalAveragePooling2D

pool = layers.MaxPooling2D
conv = partial(layers.Conv2D, kernel_size=3, padding="same", activation="relu")
bare = partial(layers.Conv2D, kernel_size=3, padding="same")
norm = layers.BatchNormalization
dense = layers.Dense


def softmax() -> Any:
    """The usual end."""
    return dense(4, "softmax")


def chain(*members: Any, shape: Sequence[int | None] = SHAPE) -> Any:
    """A Sequential after Rescaling, so that its pixels are known."""
    return keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255), *members])


def vgg(*, front: Sequence[Any] = (), middle: Sequence[Any] = (), end: Sequence[Any] = ()) -> Any:
    """Two blocks, with layers of one's own in front, in the middle or at the end."""
    return chain(*front, conv(4), pool(), *middle, conv(6), pool(), *(end or [GAP(), softmax()]))


def branches() -> Any:
    """A sum around a convolution."""
    inputs = keras.Input(SHAPE)
    value = conv(4)(inputs)
    value = layers.Add()([value, conv(4)(value)])
    return keras.Model(inputs, softmax()(GAP()(pool()(value))))


def shared() -> Any:
    """One convolution, twice."""
    inputs = keras.Input(SHAPE)
    twice = conv(4)
    return keras.Model(inputs, softmax()(GAP()(pool()(twice(twice(conv(4)(inputs)))))))


def two_outputs() -> Any:
    """Features beside the answers."""
    inputs = keras.Input(SHAPE)
    features = GAP()(pool()(conv(4)(inputs)))
    return keras.Model(inputs, [softmax()(features), features])


def quantized() -> Any:
    """Keras' own int8."""
    model = vgg(end=[GAP(), dense(8, "relu"), softmax()])
    model.quantize("int8")
    return model


def adapted(axis: int | None) -> Any:
    """A Normalization that has seen pictures."""
    layer = layers.Normalization(axis=axis)
    random = np.random.default_rng(3)
    layer.adapt(random.uniform(0, 1, (8, *SHAPE)).astype(np.float32) ** 2)
    return layer


def frozen_base() -> Any:
    """A nested base with batch normalization, half of it frozen: HDF5 then has another order."""
    members = []
    for filters in (4, 6):
        members += [bare(filters), norm(), layers.ReLU(), pool()]
    base = keras.Sequential([keras.Input(SHAPE), *members], name="base")
    for layer in base.layers[:4]:
        layer.trainable = False
    return chain(base, layers.Flatten(), dense(8, "relu"), softmax())


def under(policy: str) -> Any:
    """Built under another policy of types."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return vgg(end=[GAP(), dense(8, "relu"), softmax()])
    finally:
        keras.config.set_dtype_policy(before)


@dataclass(frozen=True, slots=True)
class Odd:
    """One kind: how it is made, and whether it is to be refused.

    The answers of one that computes in other types are those of its twin with its weights.
    """

    make: Callable[[], Any]
    refused: bool = False
    suffix: str = ".keras"
    prepare: Callable[[Pixels], Pixels] = raw
    options: Sequence[str] = ()
    twin: Callable[[], Any] | None = None


def no(*members: Any, **places: Any) -> Odd:
    """A chain, or a network with such layers in places, that is to be refused."""
    return Odd((lambda: chain(*members)) if members else (lambda: vgg(**places)), refused=True)


def yes(**places: Any) -> Odd:
    """A network with such layers in places, that comes out."""
    return Odd(lambda: vgg(**places))


VARIED = 0.05
"""Standard deviation of some answer from image to image, at least."""

KINDS: Mapping[str, Odd] = {
    "separate activations": yes(
        middle=[bare(5), layers.Activation("relu"), bare(5), layers.ReLU()],
        end=[layers.Flatten(), dense(8), layers.Activation("relu"), dense(4), layers.Softmax()],
    ),
    "activation softmax": yes(end=[GAP(), dense(4), layers.Activation("softmax")]),
    "activation sigmoid": yes(end=[GAP(), dense(1), layers.Activation("sigmoid")]),
    "logits": yes(end=[GAP(), dense(4)]),
    "flattened average": yes(end=[GAP(keepdims=True), layers.Flatten(), softmax()]),
    "flattened maximum": yes(
        end=[layers.GlobalMaxPooling2D(keepdims=True), layers.Flatten(), softmax()]
    ),
    "dense without bias": yes(
        end=[
            layers.Flatten(),
            dense(8, "relu", use_bias=False),
            dense(4, "softmax", use_bias=False),
        ]
    ),
    "norm after dense": yes(end=[layers.Flatten(), dense(8), norm(), layers.ReLU(), softmax()]),
    "norm after the last": yes(end=[GAP(), dense(4), norm(), layers.Softmax()]),
    "norm without scale": yes(middle=[bare(4), norm(scale=False), layers.ReLU()]),
    "norm without centre": yes(middle=[bare(4), norm(center=False), layers.ReLU()]),
    "norm without either": yes(middle=[bare(4), norm(scale=False, center=False), layers.ReLU()]),
    "norm after ReLU, pooled": yes(end=[norm(), GAP(), softmax()]),
    "norm after hidden ReLU": yes(end=[GAP(), dense(8, "relu"), norm(), softmax()]),
    "two norms": yes(middle=[bare(4), norm(), norm(), layers.ReLU()]),
    "scale a channel": Odd(
        lambda: keras.Sequential(
            [
                keras.Input(SHAPE),
                layers.Rescaling([1 / 255, 1 / 128, 1 / 64], [0.0, -1.0, 0.5]),
                conv(4),
                pool(),
                GAP(),
                softmax(),
            ]
        )
    ),
    "adapted": Odd(lambda: vgg(front=[adapted(-1)])),
    "adapted, axis None": Odd(lambda: vgg(front=[adapted(None)])),
    "adapted h5": Odd(lambda: vgg(front=[adapted(-1)]), suffix=".h5"),
    "multiplied norm": yes(front=[layers.Normalization(mean=0.1, variance=9.0, invert=True)]),
    "identities": yes(
        front=[
            layers.RandomGrayscale(1.0),
            layers.RandomFlip(),
            layers.RandomZoom(0.1),
            layers.RandomContrast(0.1),
        ],
        middle=[layers.SpatialDropout2D(0.2), layers.Activation("linear")],
        end=[layers.Flatten(), layers.ActivityRegularization(), layers.Identity(), softmax()],
    ),
    "frozen base h5": Odd(frozen_base, suffix=".h5"),
    "frozen base": Odd(frozen_base),
    "unit outside h5": Odd(
        lambda: keras.Sequential([keras.Input(SHAPE), conv(4), pool(), GAP(), softmax()]),
        suffix=".h5",
        prepare=unit,
        options=UNIT,
    ),
    "mixed_float16": Odd(partial(under, "mixed_float16"), twin=partial(under, "float32")),
    "mixed_bfloat16": Odd(partial(under, "mixed_bfloat16"), twin=partial(under, "float32")),
    "float64": Odd(partial(under, "float64"), twin=partial(under, "float32")),
    "float16": Odd(partial(under, "float16"), twin=partial(under, "float32")),
    "one pixel left": Odd(lambda: vgg(middle=[conv(4), pool(), conv(4), pool()])),
    "branches": Odd(branches, refused=True),
    "shared layer": Odd(shared, refused=True),
    "two outputs": Odd(two_outputs, refused=True),
    "int8 of Keras": Odd(quantized, refused=True),
    "separable": no(middle=[layers.SeparableConv2D(4, 3, padding="same", activation="relu")]),
    "depthwise": no(middle=[layers.DepthwiseConv2D(3, padding="same", activation="relu")]),
    "valid": no(middle=[layers.Conv2D(4, 3, activation="relu")]),
    "strided": no(middle=[conv(4, strides=2)]),
    "dilated": no(middle=[conv(4, dilation_rate=2)]),
    "grouped": no(middle=[conv(4, groups=2)]),
    "oblong kernel": no(middle=[layers.Conv2D(4, (3, 1), padding="same", activation="relu")]),
    "no ReLU": no(middle=[bare(4)]),
    "ReLU to 6": no(middle=[bare(4), layers.ReLU(max_value=6)]),
    "ReLU with a slope": no(middle=[bare(4), layers.ReLU(negative_slope=0.1)]),
    "ReLU from 1": no(middle=[bare(4), layers.ReLU(threshold=1.0)]),
    "leaky layer": no(middle=[bare(4), layers.LeakyReLU()]),
    "PReLU": no(middle=[bare(4), layers.PReLU()]),
    "relu6": no(middle=[conv(4, activation="relu6")]),
    "gelu in the head": no(end=[GAP(), dense(8, "gelu"), softmax()]),
    "softmax in the head": no(end=[GAP(), dense(8, "softmax"), softmax()]),
    "softmax over height": no(end=[layers.Softmax(axis=1), GAP(), softmax()]),
    "norm after ReLU, padded": no(middle=[norm()]),
    "layer norm": no(middle=[layers.LayerNormalization()]),
    "group norm": no(middle=[layers.GroupNormalization(2)]),
    "unit norm": no(end=[GAP(), layers.UnitNormalization(), softmax()]),
    "rescaled inside": no(middle=[layers.Rescaling(0.5)]),
    "permuted": no(end=[layers.Permute((2, 1, 3)), layers.Flatten(), softmax()]),
    "dense on a map": no(end=[dense(8, "relu"), GAP(), softmax()]),
    "1x1 head": no(end=[layers.Conv2D(4, 1), GAP(), layers.Softmax()]),
    "pool of 3": no(middle=[pool(3, strides=2, padding="same")]),
    "pool by 1": no(middle=[pool(2, strides=1)]),
    "padded pool": Odd(lambda: vgg(middle=[conv(4), pool(2, padding="same")])),
    "zero padding": no(middle=[layers.ZeroPadding2D(1)]),
    "cropped": no(front=[layers.CenterCrop(12, 12)]),
    "random crop": no(front=[layers.RandomCrop(12, 12)]),
    "upsampled": no(middle=[layers.UpSampling2D()]),
    "solarized": no(front=[layers.Solarization()]),
    "one channel": Odd(
        lambda: chain(conv(4), pool(), GAP(), softmax(), shape=(SIDE, SIDE, 1)), refused=True
    ),
    "any size, flattened": Odd(
        lambda: chain(conv(4), pool(), GAP(), softmax(), shape=(None, None, 3)), refused=True
    ),
}


def randomize(model: Any, images: Pixels) -> None:
    """He weights; the last layer is centred, and scaled until answers differ a good deal."""
    random = np.random.default_rng(5)
    for variable in model.variables:
        shape, name = variable.shape, variable.name
        if name in {"seed_generator_state", "kernel_scale"} or "int" in str(variable.dtype):
            continue
        if len(shape) > 1:
            variable.assign(random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1])))
        elif name in {"moving_variance", "gamma"}:
            variable.assign(random.uniform(0.5, 1.5, shape))
        elif name in {"bias", "beta", "moving_mean"}:
            variable.assign(random.standard_normal(shape) * 0.1)
    last = [v for v in model.variables if v.name in {"kernel", "bias"}][-2:]
    last[0].assign(np.asarray(last[0], np.float32) / 10)
    for _ in range(8):
        found = answers(model, images)
        if found.std(0).max() > VARIED:
            return
        logits = np.log(found + 1e-9) - (np.log(1 - found + 1e-9) if found.shape[1] == 1 else 0)
        bias = np.asarray(last[1], np.float32)
        if last[1].name == "bias":
            last[1].assign((bias - logits.mean(0)) * 2)
        last[0].assign(np.asarray(last[0], np.float32) * 2)


def answers(model: Any, images: Pixels) -> Any:
    """Probabilities; where the network ends in logits, their softmax."""
    found = model.predict(images, verbose=0)
    found = np.asarray(found[0] if isinstance(found, list) else found, np.float64)
    last = model.layers[-1]
    if isinstance(last, layers.Dense) and last.activation is keras.activations.linear:
        found = np.exp(found - found.max(-1, keepdims=True))
        found /= found.sum(-1, keepdims=True)
    return found


def outcome(kind: Odd, folder: Path) -> tuple[str, bool]:
    """What came of one kind, in words, and whether it is as it should be."""
    keras.utils.set_random_seed(1)
    model = kind.make()
    channels = model.input_shape[-1]
    random = np.random.default_rng(7)
    colours = random.uniform(0, 255, (6, 2, 2, channels)).repeat(SIDE // 2, 1).repeat(SIDE // 2, 2)
    noise = random.normal(0, 20, colours.shape)
    pixels = np.clip(colours + noise, 0, 255).astype(np.uint8)
    prepared = kind.prepare(pixels.astype(np.float32))
    randomize(model, prepared)
    weights = folder / f"network{kind.suffix}"
    model.save(weights)
    if kind.twin:
        stored, model = model.get_weights(), kind.twin()
        model.set_weights(stored)
    return measure(weights, kind, pixels, answers(model, prepared))


if __name__ == "__main__":
    tell(KINDS, lambda name, folder: outcome(KINDS[name], folder))
