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
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from tests.diagnosis.faulty_files import OUTPUT_BREAKS, PAIR_BREAKS, in_front, node, resize_breaks
from tests.diagnosis.seeded_networks import (
    SIZE,
    Network,
    Workshop,
    colourful,
    healthy,
    mistakes,
    verify,
)
from vggexport.formats.registry import FORMATS
from vggexport.metrics.tolerance import Tolerance
from vggexport.precision import Precision
from vggexport.quantization.ranges import ActivationRanges

HEALTHY_SEEDS = (1, 2, 3, 4)
FLOATS = (("onnx", "float32"), ("onnx", "float16"), ("tflite", "float32"), ("tflite", "float16"))
KINDS = (
    *FLOATS,
    ("tflite", "dynamic-int8"),
    *(("onnx", "int8"), ("onnx", "int8-w4"), ("tflite", "int8"), ("tflite", "int8-w4")),
)
"""Formats and precisions of files."""

FLOAT_ONLY = {"scaled-0-1", "scaled-minus1-1", "torchvision-normalized"}
"""Mistakes whose mean no integer range holds; int8 files with them have operators in front."""


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
