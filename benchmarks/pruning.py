"""``vggexport prune`` against low-rank factors and pruning by magnitude on the same budgets.

    python -m benchmarks.pruning --weights W --calibration DIR --images DIR [--images DIR ...]
        [--speedups 2,3] [--count 100] [--work DIR]

All choose by the same calibration images and are judged on the same others: SQNR of the logits and
agreement with the network as it is, folder by folder. Name folders that share no image with the
calibration; what they share is left out.

- plan: what ``prune --plan`` expects;
- prune: what ``prune`` makes;
- low rank: every convolution but the first as one with fewer outputs and a 1x1 after it (principal
  components of its responses, X. Zhang et al., arXiv 1505.06798, without the refit after the
  ReLU), all cut by the same factor; its two layers cost more time than their operations;
- magnitude: filters with the largest L1 norms stay (H. Li et al., arXiv 1608.08710), the widths
  those of ``prune``, without training.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import calibration
import vggexport
from vggexport.metrics.parity import compare, probabilities_of
from vggexport.network.forward import Array, NumpyNetwork
from vggexport.network.layers import Layer
from vggexport.opening.network import NetworkOptions
from vggexport.pruning.elimination import rows_of
from vggexport.pruning.survey import Survey
from vggexport.pruning.widths import narrowed, prunable
from vggexport.results.prune import PruningReport
from vggexport.weights import SpecRequest, Weights, open_weights

BATCH = 8


def main() -> None:
    """Prunes in every way and prints a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--calibration", required=True)
    parser.add_argument("--images", action="append", required=True)
    parser.add_argument("--speedups", default="2,3")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--work", type=Path, default=Path("pruning"))
    options = parser.parse_args()
    options.work.mkdir(exist_ok=True)
    for speedup in map(float, options.speedups.split(",")):
        begin = time.perf_counter()
        report = vggexport.prune(
            vggexport.PruneOptions(
                NetworkOptions(options.weights),
                options.calibration,
                speedup=speedup,
                output=options.work / f"{speedup:g}.safetensors",
                cache_dir=options.work / "kept",
                force=True,
            )
        )
        print(f"{speedup:g}x: {time.perf_counter() - begin:.0f} s, {report.peak_rss_bytes:,} bytes")
        judge(report, options)


def judge(report: PruningReport, options: argparse.Namespace) -> None:
    """Every way on every folder."""
    made, chosen = report.narrowed, report.chosen
    assert made is not None  # noqa: S101  a budget was given
    assert chosen is not None  # noqa: S101
    whole = open_weights(options.weights, SpecRequest()).in_memory()
    survey = Survey(NumpyNetwork(whole.spec, whole), kept_in(options.work), report.images)
    ways = {
        "prune": numpy_network(open_weights(made.path, SpecRequest()).in_memory()),
        "low rank": low_rank(survey, whole, 1 / chosen.macs_share),
        "magnitude": largest(whole, dict(chosen.widths)),
    }
    print(f"  plan: {chosen.logit_sqnr_db:.1f} dB, widths {[*chosen.widths.values()]}")
    for folder in options.images:
        seen = set(made.pruning.calibration.image_digests)
        pixels = np.stack([*unseen(folder, whole.spec.input_size, seen, options.count)])
        expected = answers(numpy_network(whole), pixels)
        for name, network in ways.items():
            metrics = compare(expected, answers(network, pixels))
            print(
                f"  {Path(folder).name}, {len(pixels)} images, {name}: "
                f"{metrics.logit_sqnr_db:.1f} dB, agreement {metrics.top1_agreement:.1%}",
                flush=True,
            )


def kept_in(work: Path) -> Path:
    """The one folder of a survey."""
    (folder,) = (work / "kept").iterdir()
    return folder


def unseen(
    folder: str, size: calibration.Size, seen: set[str], count: int
) -> Iterator[NDArray[np.uint8]]:
    """Images of a folder that are not among those seen, in a seeded random order."""
    source = calibration.open_source(folder, size=size, seed=0, samples=0)
    found = 0
    for index in np.random.default_rng(0).permutation(len(source)):
        image = source.read(int(index))
        if image.digest not in seen and found < count:
            found += 1
            yield image.pixels


def numpy_network(weights: Weights) -> NumpyNetwork:
    """The network of some weights."""
    return NumpyNetwork(weights.spec, weights)


def answers(network: NumpyNetwork, pixels: NDArray[np.uint8]) -> Array:
    """Probabilities, (images, classes)."""
    parts = (pixels[first : first + BATCH] for first in range(0, len(pixels), BATCH))
    logits = np.concatenate([network.logits(network.enter(part)) for part in parts])
    return probabilities_of(logits, network.spec.head_activation)


def low_rank(survey: Survey, weights: Weights, speedup: float) -> NumpyNetwork:
    """Kernels as the product of their two factors: the answers are those of the two layers."""
    tensors = dict(weights)
    for layer in prunable(weights.spec)[1:]:
        kernel = survey.rows_kernel(layer)
        rows, outputs = kernel.shape
        rank = int(rows * outputs / speedup / (rows + outputs))
        moments = survey.moments(layer)
        _, axes = np.linalg.eigh(kernel.T @ moments.centred() @ kernel)
        kept = axes[:, outputs - max(1, rank) :]
        found = kernel @ kept @ kept.T
        tensors[layer.kernel.name] = found.reshape(layer.kernel.shape)
        tensors[layer.bias.name] = weights[layer.bias.name] + moments.mean @ (kernel - found)
    return NumpyNetwork(weights.spec, tensors)


def largest(weights: Weights, widths: dict[str, int]) -> NumpyNetwork:
    """The filters of these widths with the largest L1 norms."""
    spec, tensors = narrowed(weights.spec, widths), dict(weights)
    before: Layer | None = None
    rows = np.arange(3)
    for layer in weights.spec.weighted_layers:
        kernel, bias = weights[layer.kernel.name], weights[layer.bias.name]
        width = widths.get(layer.name, kernel.shape[-1])
        norms = np.abs(kernel).reshape(-1, kernel.shape[-1]).sum(axis=0)
        outputs = np.sort(np.argsort(-norms)[:width])
        if before is not None and kernel.shape[-2] != before.kernel.shape[-1]:  # flattened
            rows = rows_of(rows, before.kernel.shape[-1], kernel.shape[-2])
        tensors[layer.kernel.name] = kernel[..., rows, :][..., outputs]
        tensors[layer.bias.name] = bias[outputs]
        before, rows = layer, outputs
    return NumpyNetwork(spec, tensors)


if __name__ == "__main__":
    main()
