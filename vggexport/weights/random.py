"""``random[:SEED]``: seeded weights for pipelines and latency, without any training.

**Reproducible to the byte.** The numbers of a tensor depend on the seed and its name only, never on
the order of access. They come from the raw 64-bit stream of PCG64, whose stability numpy promises
(NEP 19) where that of its distributions is not; SHA-256 of ``"<seed>/<name>"`` is its 128-bit state
and its increment. Each draw gives two 24-bit integers, low half first. Everything after that is
exact integer arithmetic or single IEEE operations, so platforms and numpy versions agree.

**Alive.** He et al. (arXiv 1502.01852) keep the second moment constant, but in a random ReLU
network the mean of the activations, the same for every image, soon dwarfs what differs between
images. A centred kernel (the weights of one output from the channels of one window position sum
to zero) cancels what all channels share, at the zero-padded border too. It also amplifies every
difference, rounding errors included: by pi / (pi - 1), 1.7 dB a layer, the slope of the
correlation map of a rectifier less its mean. With every kernel centred, int8 has 11 dB on the
logits where a trained network has 25 to 28, and a check of it says nothing. So every third kernel
is: int8 then has about what it has on trained networks, and images still get different answers.
A global pooling takes away most of what differs: the kernels on both sides of it are centred, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import sqrt

import numpy as np

from vggexport.errors import WeightsError
from vggexport.network.head import Pooling
from vggexport.network.layers import CHANNELS, LOGITS_NAME, Layer, TensorSpec
from vggexport.network.spec import VGGSpec
from vggexport.weights.mapping import Weights
from vggexport.weights.open_options import Options
from vggexport.weights.pin import check_pin
from vggexport.weights.stored import Float32Array, StoredTensor

PIXEL_RMS = 65.0
"""Root mean square of mean-subtracted photographs in 0...255; the median of 16 was 64."""

RECTIFIED_VARIANCE = 0.34
"""Variance over the channels after ReLU where the second moment was 1 before it.

(pi - 1) / (2 pi) of a Gaussian; measured 0.33 to 0.37 after the convolutions of D on photographs.
"""

RECTIFIED_SECOND_MOMENT = 0.5
"""Second moment after ReLU where it was 1 before it: half of a symmetric distribution."""

POOLED_SECOND_MOMENT = 0.63
"""The same after ReLU and 2x2 max pooling: neighbours are alike, so the maximum adds little.

Measured on 16 photographs at 224x224 after the first two poolings of D: 0.63 and 0.66.
"""

POOLED_VARIANCE = 0.445
"""The same after ReLU and 2x2 max pooling.

Measured on 16 photographs at 224x224 as the mean over positions of the variance over the channels,
divided by the mean square before ReLU: 0.365, 0.400, 0.456, 0.503 and 0.519 after the five
poolings of D, since neighbours resemble each other less with depth. This is their geometric mean.
"""

LOGITS_STD = 2.0
"""Standard deviation of the logits over the classes that the last kernel's scale aims at.

On photographs at 224x224 configurations A to E measure 2.0 to 2.3, and 16 to 20 % of the logits'
variance is from image to image.
"""

CENTRED_EVERY = 3

PAPER_STD = 1e-2

DRAW_BITS = 24
CHUNK_VALUES = 1 << 20
"""Values drawn at a time. Even, since a draw gives two; the result does not depend on it."""


def open_random(options: Options) -> Weights:
    """Weights for ``random`` and ``random:SEED``; without SEED it is ``options.seed``.

    Raises:
        WeightsError: SEED is not an integer, a foreign layout was asked for, or another SHA-256.
    """
    if options.layout not in ("auto", "native"):
        raise WeightsError(
            f"weights layout {options.layout!r} is for files: random weights are native"
        )
    seed = _parse_seed(options.argument, options.seed)
    request = options.request
    spec = request if isinstance(request, VGGSpec) else request.with_defaults()
    tensors = random_tensors(spec, seed)
    weights = Weights(spec, tensors, source=f"random:{seed}", layout="native")
    if options.pin is not None:
        check_pin(options.pin, weights.sha256, weights.source)
    return weights


def _parse_seed(argument: str | None, default: int) -> int:
    if argument is None:
        return default
    try:
        return int(argument)
    except ValueError:
        raise WeightsError(
            f"random:{argument}: the seed must be an integer, as in random:0"
        ) from None


def random_tensors(spec: VGGSpec, seed: int) -> dict[str, StoredTensor]:
    """Every tensor of ``spec`` by its native name, drawn when it is read."""
    tensors = {}
    for plan in _plans(spec):
        draw = partial(_draw_kernel, plan, seed)
        tensors[plan.layer.kernel.name] = StoredTensor(plan.layer.kernel.shape, draw)
        bias = partial(np.zeros, plan.layer.bias.shape, np.float32)
        tensors[plan.layer.bias.name] = StoredTensor(plan.layer.bias.shape, bias)
    return tensors


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to draw one kernel.

    Attributes:
        layer: The layer that it belongs to.
        taps: Window positions, the leading part of the kernel's inputs; channels are the rest.
        std: Standard deviation of its values.
        centred: Whether the channels of each tap sum to zero for each output.
    """

    layer: Layer
    taps: int
    std: float
    centred: bool


def _plans(spec: VGGSpec) -> Iterator[_Plan]:
    channels, pooled = CHANNELS, False
    beside_pooling = _beside_global_pooling(spec)
    for layer in spec.layers:
        if not layer.tensors:
            pooled |= layer.kernel_size is not None
            continue
        position = spec.weighted_layers.index(layer)
        chosen = position % CENTRED_EVERY == 0 or layer.name in beside_pooling
        # One channel less its own mean would be nothing at all.
        centred = position > 0 and chosen and channels > 1
        outputs = layer.kernel.shape[-1]
        inputs = layer.kernel.size // outputs
        std = 1 / sqrt(inputs * _input_power(position, centred=centred, pooled=pooled))
        if layer.name == LOGITS_NAME:
            std *= LOGITS_STD
        yield _Plan(layer, inputs // channels, std, centred)
        channels, pooled = outputs, False


def _beside_global_pooling(spec: VGGSpec) -> set[str]:
    """The layers with weights in front of a global pooling and after it; none without one."""
    if spec.pooling is Pooling.FLATTEN:
        return set()
    convolutions = sum(map(len, spec.blocks))
    return {layer.name for layer in spec.weighted_layers[convolutions - 1 : convolutions + 1]}


def _input_power(position: int, *, centred: bool, pooled: bool) -> float:
    """Second moment of a layer's input, or its variance over the channels for a centred kernel."""
    if position == 0:
        return PIXEL_RMS**2
    if centred:
        return POOLED_VARIANCE if pooled else RECTIFIED_VARIANCE
    return POOLED_SECOND_MOMENT if pooled else RECTIFIED_SECOND_MOMENT


def _draw_kernel(plan: _Plan, seed: int) -> Float32Array:
    """Uniform in (-limit, limit) with limit = sqrt(3) std, then centred."""
    kernel = plan.layer.kernel
    values = _draw_integers(kernel, seed)
    scale = np.float32(sqrt(3) * plan.std / 2 ** (DRAW_BITS - 1))
    taps = values.reshape(plan.taps, -1, kernel.shape[-1])
    for number in range(plan.taps):  # one at a time stays near the processor
        if plan.centred:
            # Sums of integers below 2**53: exact, in whatever order numpy adds.
            sums = taps[number].sum(axis=0, dtype=np.float64)
            taps[number] -= (sums / taps.shape[1]).astype(np.float32)
        taps[number] *= scale
    return values.reshape(kernel.shape)


def _draw_integers(tensor: TensorSpec, seed: int) -> Float32Array:
    """Uniform signed integers of 24 bits, which float32 holds exactly."""
    bits = _bit_generator(f"{seed}/{tensor.name}")
    values = np.empty(tensor.size, np.float32)
    for start in range(0, values.size, CHUNK_VALUES):
        chunk = values[start : start + CHUNK_VALUES]
        raw = bits.random_raw((chunk.size + 1) // 2).astype("<u8", copy=False)
        integers = raw.view("<i4")[: chunk.size]
        integers >>= 32 - DRAW_BITS
        chunk[:] = integers
    return values


def _bit_generator(text: str) -> np.random.PCG64:
    """PCG64 started from SHA-256, past numpy's own seeding."""
    digest = hashlib.sha256(text.encode()).digest()
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {
            "state": int.from_bytes(digest[:16], "little"),
            "inc": int.from_bytes(digest[16:], "little") | 1,  # must be odd
        },
        "has_uint32": 0,
        "uinteger": 0,
    }
    return bits


def training_tensors(spec: VGGSpec, seed: int, initializer: str) -> dict[str, StoredTensor]:
    """Every tensor of ``spec`` as training starts from it: normal kernels, zero biases.

    Args:
        spec: The network.
        seed: Each tensor's numbers depend on it and on the tensor's name.
        initializer: "paper", standard deviation 1e-2 (see
            ``vggexport.network.training_recipe``), or "he", the square root of 2 over the inputs
            (arXiv 1502.01852).
    """
    tensors = random_tensors(spec, seed)
    for layer in spec.weighted_layers:
        inputs = layer.kernel.size // layer.kernel.shape[-1]
        std = sqrt(2 / inputs) if initializer == "he" else PAPER_STD
        draw = partial(_draw_normal, layer.kernel, seed, std)
        tensors[layer.kernel.name] = StoredTensor(layer.kernel.shape, draw)
    return tensors


def _draw_normal(tensor: TensorSpec, seed: int, std: float) -> Float32Array:
    generator = np.random.Generator(_bit_generator(f"{seed}/{tensor.name}"))
    values = generator.standard_normal(tensor.shape, np.float32)
    values *= np.float32(std)
    return values
