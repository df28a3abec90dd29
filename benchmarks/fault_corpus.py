"""Is every seeded fault named rightly, and no healthy file refused or called faulty?

    python -m benchmarks.fault_corpus [--keep DIR]

Writes files of tiny networks with known mistakes, each in every format and precision that can have
it, and verifies them; then healthy files of several networks, and coarse ones: quantized with few
or poor calibration images, or held to limits that no file of their precision reaches. Prints how
many were named rightly, named as something else, or refused; exit 1 if any is off.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

import calibration
import vggexport as api
from tests.diagnosis.faulty_files import OUTPUT_BREAKS, PAIR_BREAKS, in_front, node, resize_breaks
from vggexport.artifact import Artifact
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import FORMATS, load_exporter, load_runner
from vggexport.metrics.tolerance import Tolerance
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
HEALTHY_SEEDS = (1, 2, 3, 4)
PIXEL_SCALE = 60.0
"""About the standard deviation of pixels: dividing by it leaves the softmax unsaturated."""

FLOATS = (("onnx", "float32"), ("onnx", "float16"), ("tflite", "float32"), ("tflite", "float16"))
KINDS = (
    *FLOATS,
    ("tflite", "dynamic-int8"),
    *(("onnx", "int8"), ("onnx", "int8-w4"), ("tflite", "int8"), ("tflite", "int8-w4")),
)
"""Formats and precisions of files."""

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
        assert shape is not None  # noqa: S101
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


FLOAT_ONLY = {"scaled-0-1", "scaled-minus1-1", "torchvision-normalized"}
"""Mistakes whose mean no integer range holds; int8 files with them have operators in front."""


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


def faulty(shop: Workshop, right: Network) -> Iterator[tuple[str, Path]]:
    """Files by the mistake in them."""
    images = colourful(7)
    for fault, network in mistakes(right).items():
        ranges = None if fault in FLOAT_ONLY else shop.ranges(network, images)
        for kind in KINDS:
            if ranges or not Precision(kind[1]).profile.needs_ranges:
                yield fault, shop.write(network, kind, ranges)
    yield from _graph_faults(shop, right, shop.ranges(right, images))
    yield from _clipped(shop, right, shop.ranges(right, images))


def _graph_faults(
    shop: Workshop, right: Network, ranges: ActivationRanges
) -> Iterator[tuple[str, Path]]:
    """ONNX files with operators added or taken out."""
    scaled = node("Div", "images by", "scaled")
    breaks = {
        "scaled-0-1": in_front(node("Div", "images by", "fed"), by=255.0),
        "scaled-minus1-1": in_front(scaled, node("Sub", "scaled less", "fed"), by=127.5, less=1.0),
    }
    breaks |= resize_breaks(SIZE) | PAIR_BREAKS | OUTPUT_BREAKS
    for precision in ("float32", "int8"):
        for fault, change in breaks.items():
            if precision == "int8" and "quantized" in fault:
                continue  # int8 rounds as much
            path = shop.write(right, ("onnx", precision), ranges)
            model = onnx.load(path)
            change(model)
            onnx.save(model, path)
            yield fault, path


def _clipped(
    shop: Workshop, right: Network, ranges: ActivationRanges
) -> Iterator[tuple[str, Path]]:
    """Files with one range an eighth of what it should be, and with a weight that overflows."""
    for layer in ("block2_conv1", "fc1"):
        low, high = ranges.ranges[layer]
        narrow = {**ranges.ranges, layer: (low / 8, high / 8)}
        for kind in KINDS:
            if Precision(kind[1]).profile.needs_ranges:
                clipped = dataclasses.replace(ranges, ranges=narrow)
                yield "clipped-range", shop.write(right, kind, clipped)
    for kind in FLOATS:
        broken = right.changing("fc2/kernel", lambda kernel: np.where(kernel > 0, np.inf, kernel))
        yield "stale-weights", shop.write(broken, kind)


def unharmed(shop: Workshop) -> Iterator[tuple[Path, Path, bool]]:
    """Reference, file, and whether the file is to pass: healthy ones, and coarse ones."""
    for seed in HEALTHY_SEEDS:
        network = healthy(seed)
        reference = shop.write(network, ("onnx", "float32"))
        ranges = shop.ranges(network, colourful(7))
        for kind in KINDS[1:]:
            yield reference, shop.write(network, kind, ranges), True
        for poor in _poor(shop, network):
            for kind in (("onnx", "int8"), ("tflite", "int8"), ("onnx", "int8-w4")):
                yield reference, shop.write(network, kind, poor), False


def _poor(shop: Workshop, network: Network) -> Iterator[ActivationRanges]:
    """Ranges from black pictures, from one picture, and of too few of the values."""
    yield shop.ranges(network, np.zeros((8, SIZE, SIZE, 3), np.uint8))
    yield shop.ranges(network, colourful(7, 1))
    yield shop.ranges(network, colourful(7), "entropy")


def verify(reference: Path, file: Path, **options: Any) -> CandidateReport:
    """What ``vggexport verify`` finds."""
    data = file.parent / "images.npz"
    if not data.exists():
        np.savez(data, images=colourful(0))
    options = {"images": IMAGES, "data": str(data), "run": RunOptions(threads=1), **options}
    report = api.verify(api.VerifyOptions((str(file),), reference=str(reference), **options))
    return report.candidates[0]


def judge_faulty(shop: Workshop) -> int:
    """How many mistakes were not named rightly."""
    right = healthy(0)
    reference = shop.write(right, ("onnx", "float32"))
    limits = Tolerance("whatever a file has, it is looked into", min_logit_sqnr_db=200.0)
    whole = {(kind, p): verify(reference, f, limits=limits) for kind, p, f in _whole(shop, right)}
    total = named_rightly = misnamed = unseen = 0
    for fault, file in faulty(shop, right):
        candidate = verify(reference, file, limits=limits)
        named = candidate.diagnosis and candidate.diagnosis.named
        of = whole[file.suffix, candidate.runner.precision]
        if candidate.metrics.logit_sqnr_db > of.metrics.logit_sqnr_db - LEAST_COST_DB:
            unseen += 1
            continue
        total += 1
        named_rightly += bool(named and named.fault == fault)
        misnamed += bool(named and named.fault != fault)
        if not (named and named.fault == fault):
            said = named.fault if named else "nothing"
            kind = f"{file.suffix} {candidate.runner.precision.value}"
            print(f"  {fault:26} {kind:20} {candidate.metrics.logit_sqnr_db:6.1f} dB: {said}")
            for trial in candidate.diagnosis.trials if candidate.diagnosis else ():
                if trial.fault in (fault, said):
                    print(f"    {trial.fault} {trial.without_db:.1f} -> {trial.with_db:.1f} dB")
    share = named_rightly / total
    print(f"{total} faulty files: {named_rightly} named rightly ({share:.1%}), {misnamed} misnamed")
    print(f"{unseen} more cost less than {LEAST_COST_DB:g} dB of what the whole file has")
    return misnamed + (share < LEAST_NAMED)


LEAST_NAMED = 0.98
LEAST_COST_DB = 3.0
"""What a mistake must cost to be one that can be told from its file's rounding."""


def _whole(shop: Workshop, right: Network) -> Iterator[tuple[str, Precision, Path]]:
    """A file of every kind without a mistake."""
    ranges = shop.ranges(right, colourful(7))
    for kind in KINDS:
        yield FORMATS[kind[0]].suffix, Precision(kind[1]), shop.write(right, kind, ranges)


def judge_unharmed(shop: Workshop) -> int:
    """How many files without a mistake were refused, or had one named."""
    demanding = Tolerance("more than any file of its precision has", min_logit_sqnr_db=200.0)
    total = refused = misnamed = 0
    for reference, file, is_healthy in unharmed(shop):
        total += 1
        candidate = verify(reference, file)
        if is_healthy and candidate.failures:
            refused += 1
            print(f"  refused: {file.suffix} {candidate.verdict}")
        looked_into = verify(reference, file, limits=demanding)
        named = looked_into.diagnosis and looked_into.diagnosis.named
        if named and (is_healthy or named.fault != "clipped-range"):
            misnamed += 1
            print(f"  misnamed: {file.suffix} {looked_into.verdict}")
    print(f"{total} healthy or coarse files: {refused} refused, {misnamed} misnamed")
    return refused + misnamed


def main() -> None:
    """Counts both; exit 1 if one is off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(exist_ok=True)
        shop = Workshop(folder)
        wrong = judge_faulty(shop)
        wrong += judge_unharmed(shop)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
