"""Tiny networks, right or with one known mistake, and files that claim to be right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import calibration
import vggexport as api
from vggexport.artifact import Artifact
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import FORMATS, load_exporter, load_runner
from vggexport.network.head import fully_connected
from vggexport.network.provenance import CalibrationRecord, WeightsRecord
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.opening.run_options import RunOptions
from vggexport.precision import Precision
from vggexport.quantization.calibrate import observe_growing
from vggexport.quantization.ranges import ActivationRanges, observed_layers
from vggexport.results.verify import CandidateReport

SPEC = VGGSpec(
    "tiny",
    parse_blocks("conv3-16 conv3-16 conv3-16 | conv3-32 conv3-32"),
    classes=10,
    hidden=fully_connected(64, 64),
    input_size=(32, 32),
)
SIZE = 32
IMAGES = 16

PIXEL_SCALE = 60.0
"""About the standard deviation of pixels: dividing by it leaves the softmax unsaturated."""

Weights = dict[str, NDArray[np.float32]]
KERNEL = "block1_conv1/kernel"


@dataclass(frozen=True)
class Mistaken(Artifact):
    """An artifact that says of itself what it should be."""

    claimed: VGGSpec = SPEC

    def embedded(self) -> str:
        """The JSON of the artifact that it should be."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(Artifact)}
        return Artifact(**own | {"spec": self.claimed}).embedded()


@dataclass(frozen=True)
class Network:
    """What a file is made of: a mean and weights, right or mistaken."""

    mean: tuple[float, float, float]
    weights: Weights

    def feeding(self, scale: Any, shift: Any) -> Network:
        """The network that computes on ``scale * pixels + shift``."""
        scale, shift = np.broadcast_to(scale, 3), np.broadcast_to(shift, 3)
        mean = (np.array(self.mean) - shift) / scale
        kernel = self.weights[KERNEL] * scale[:, None].astype(np.float32)
        return Network(tuple(mean.tolist()), self.weights | {KERNEL: kernel})

    def changing(self, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Network:
        """The network with one tensor put through a function."""
        changed = np.ascontiguousarray(change(self.weights[name]), np.float32)
        return Network(self.mean, self.weights | {name: changed})

    def turned(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Network:
        """The network that sees images with their first two axes changed by a function."""
        weights = dict(self.weights)
        for name in (row.kernel.name for row in SPEC.weighted_layers if not row.is_matrix):
            weights[name] = np.ascontiguousarray(change(weights[name]))
        first = next(layer for layer in SPEC.weighted_layers if layer.is_matrix)
        shape = SPEC.flattened_in_front_of(first)
        assert shape is not None
        rows = weights[first.kernel.name]
        weights[first.kernel.name] = np.ascontiguousarray(change(rows.reshape(*shape, -1))).reshape(
            rows.shape
        )
        return Network(self.mean, weights)


def healthy(seed: int) -> Network:
    """Seeded random weights whose answers differ from image to image."""
    random = np.random.default_rng(seed)
    weights: Weights = {}
    for layer in SPEC.weighted_layers:
        kernel = random.standard_normal(layer.kernel.shape)
        kernel *= np.sqrt(2 / np.prod(layer.kernel.shape[:-1]))
        kernel /= PIXEL_SCALE if layer is SPEC.weighted_layers[0] else 1
        weights[layer.kernel.name] = kernel.astype(np.float32)
        bias = random.standard_normal(layer.bias.shape) / 4
        weights[layer.bias.name] = bias.astype(np.float32)
    return Network(SPEC.mean_rgb, weights)


def mistakes(right: Network) -> Mapping[str, Network]:
    """Networks with one known mistake, by its name."""
    mean, weights = np.array(right.mean), right.weights
    exchanged = {
        f"block1_conv{a}/{part}": weights[f"block1_conv{b}/{part}"]
        for a, b in ((2, 3), (3, 2))
        for part in ("kernel", "bias")
    }
    order = np.roll(np.arange(SPEC.classes), 2)
    permuted = right.changing("predictions/kernel", lambda kernel: kernel[:, order])
    kernel_swapped = right.changing(KERNEL, lambda kernel: kernel[:, :, ::-1])
    torch = 255 * np.array([0.485, 0.456, 0.406]), 255 * np.array([0.229, 0.224, 0.225])
    stale = healthy(99).weights
    return {
        "channels-swapped": Network(tuple(mean[::-1].tolist()), kernel_swapped.weights),
        "kernel-channels-swapped": kernel_swapped,
        "mean-missing": right.feeding(1, mean),
        "mean-twice": right.feeding(1, -mean),
        "mean-reversed": right.feeding(1, mean - mean[::-1]),
        "scaled-0-1": right.feeding(1 / 255, 0),
        "expects-0-1": right.feeding(255, 0),
        "scaled-minus1-1": right.feeding(1 / 127.5, -1),
        "expects-minus1-1": right.feeding(127.5, 127.5),
        "torchvision-normalized": right.feeding(1 / torch[1], -torch[0] / torch[1]),
        "height-width-swapped": right.turned(lambda kernel: kernel.swapaxes(0, 1)),
        "upside-down": right.turned(lambda kernel: kernel[::-1]),
        "classes-permuted": permuted.changing("predictions/bias", lambda bias: bias[order]),
        "layers-permuted": Network(right.mean, weights | exchanged),
        "kernel-layout": right.changing("block1_conv2/kernel", lambda kernel: kernel[::-1, ::-1]),
        "stale-weights": right.changing("fc1/kernel", lambda _kernel: stale["fc1/kernel"]),
    }


class Workshop:
    """Writes files of networks into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = iter(range(100_000))

    def write(
        self,
        network: Network,
        kind: tuple[str, str],
        ranges: ActivationRanges | None = None,
        *,
        taps: tuple[str, ...] = (),
    ) -> Path:
        """One file that claims to be the right network."""
        name, precision = kind
        path = self.folder / f"{next(self._numbers)}{FORMATS[name].suffix}"
        spec = dataclasses.replace(SPEC, mean_rgb=network.mean)
        needs = Precision(precision).profile.needs_ranges
        artifact = Mistaken(
            path.name,
            name,
            Precision(precision),
            spec,
            WeightsRecord("seeded", "ab" * 32, trained=True, layout="native"),
            ranges.calibration if ranges and needs else None,
            batch=FORMATS[name].batch,
        )
        request = ExportRequest(artifact, network.weights, ranges if needs else None, taps)
        load_exporter(name).export(request, path)
        return path

    def ranges(
        self, network: Network, images: NDArray[np.uint8], method: str = "minmax"
    ) -> ActivationRanges:
        """Of a network, as its own converter would take them."""
        path = self.write(network, ("onnx", "float32"), taps=observed_layers(SPEC))
        spec = dataclasses.replace(SPEC, mean_rgb=network.mean)
        with load_runner("onnx")(path) as runner:
            *_, found = observe_growing(runner.activations, spec, images, method)
            bounds = found()
        weights = WeightsRecord("seeded", "ab" * 32, trained=True, layout="native")
        digests = tuple(calibration.array_digest(image) for image in images)
        record = CalibrationRecord(
            "images", len(images), method, calibration.fingerprint(digests), digests
        )
        return ActivationRanges(spec, weights, record, bounds)


def colourful(seed: int, count: int = IMAGES) -> NDArray[np.uint8]:
    """Synthetic images with each channel made lighter or darker: colours tell them apart."""
    source = calibration.open_source("synthetic", size=SIZE, seed=seed, samples=count)
    images = np.stack([source.read(index).pixels for index in range(count)]).astype(np.float32)
    random = np.random.default_rng(seed)
    gains = random.uniform(0.2, 1.5, (count, 1, 1, 3))
    return np.clip(images * gains, 0, 255).astype(np.uint8)


def verify(reference: Path, file: Path, **options: Any) -> CandidateReport:
    """What ``vggexport verify`` finds."""
    data = file.parent / "images.npz"
    if not data.exists():
        np.savez(data, images=colourful(0))
    options = {"images": IMAGES, "data": str(data), "run": RunOptions(threads=1), **options}
    report = api.verify(api.VerifyOptions((str(file),), reference=str(reference), **options))
    return report.candidates[0]
