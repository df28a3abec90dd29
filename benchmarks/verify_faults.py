"""Does verify call every healthy file healthy, and name what is wrong with broken ones?

    python -m benchmarks.verify_faults --weights random:0 random:1 W.npz --images PHOTOS
        [--calibration PHOTOS] [--count 16] [--healthy-only]

Exports each network in all formats and precisions and verifies all of them with ``--layers``: no
file may fail, no layer may stand out. Then breaks the last network's ONNX files, float32 and int8,
in each known way, and prints what verify says of each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx

import vggexport as api
from benchmarks.measure import run, vggexport
from tests.diagnosis.faulty_files import (
    IMAGE_BREAKS,
    OUTPUT_BREAKS,
    PAIR_BREAKS,
    Change,
    changed,
    exchanged,
    resize_breaks,
)
from vggexport.results.verify import CandidateReport

SIZE = 224
LAYER_BREAKS: Mapping[str, Change] = {
    "layers-permuted": exchanged("block5_conv1", "block5_conv2"),
    "stale-weights": changed("block3_conv2/kernel", lambda kernel: kernel[::-1]),
}
INTEGER_BREAKS: Mapping[str, Change] = {
    "clipped-range": changed("fc1/scale", lambda scale: scale / 8),
}


def main() -> None:
    """Counts false alarms, then mistakes that were named; exit 1 if either is off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", required=True, nargs="+")
    parser.add_argument("--images", required=True)
    parser.add_argument("--calibration", default="synthetic")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--healthy-only", action="store_true")
    options = parser.parse_args()
    wrong = 0
    for weights in options.weights:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "files"
            command = vggexport("export", "--weights", weights, "-o", str(folder))
            command += ["--precisions", "float32,float16,int8,int8-w4"]
            run([*command, "--calibration-data", options.calibration])
            wrong += false_alarms(weights, folder, options)
            if weights == options.weights[-1] and not options.healthy_only:
                wrong += missed(folder / "vgg_d.onnx", integers=False, options=options)
                wrong += missed(folder / "vgg_d_int8.onnx", integers=True, options=options)
    sys.exit(bool(wrong))


def false_alarms(weights: str, folder: Path, options: argparse.Namespace) -> int:
    """Healthy files that failed, or of which a layer stood out."""
    reference, *others = sorted(str(p) for p in folder.iterdir() if p.suffix != ".json")
    report = verify(reference, others, options, layers=True)
    alarms = [c for c in report if c.failures or c.suspicious]
    print(f"{weights}: {len(others)} healthy files, {len(alarms)} called faulty", flush=True)
    for candidate in alarms:
        print(f"  {Path(candidate.runner.path).name}: {candidate.verdict} {candidate.suspicious}")
    return len(alarms)


def missed(path: Path, *, integers: bool, options: argparse.Namespace) -> int:
    """Mistakes in a file that were not named; those that its precision allows are listed apart."""
    breaks = IMAGE_BREAKS | resize_breaks(SIZE) | PAIR_BREAKS | OUTPUT_BREAKS | LAYER_BREAKS
    breaks |= INTEGER_BREAKS if integers else {}
    wrong = 0
    for name, change in breaks.items():
        model = onnx.load(path)
        change(model)
        broken = path.with_name("broken.onnx")
        onnx.save(model, broken)
        (candidate,) = verify(str(path.with_name("vgg_d.onnx")), [str(broken)], options)
        said, is_wrong = judged(candidate, name)
        wrong += is_wrong
        print(f"{path.name:16} {name:30} {said}", flush=True)
    print(f"{path.name}: {len(breaks)} mistakes, {wrong} of them not named")
    return wrong


def judged(candidate: CandidateReport, expected: str) -> tuple[str, bool]:
    """What verify said, and whether that is wrong."""
    reached = f"{candidate.metrics.logit_sqnr_db:6.1f} dB"
    if not candidate.failures:
        return f"{reached}  passed: less than the precision's tolerance", False
    named = candidate.diagnosis and candidate.diagnosis.named
    if named is None:
        return f"{reached}  NOT NAMED", True
    figures = f"{named.without_db:6.1f} dB -> {named.with_db:6.1f} dB ({named.figure})"
    is_wrong = named.fault != expected
    return f"{reached}  {'WRONG: ' + named.fault if is_wrong else 'named'}  {figures}", is_wrong


def verify(
    reference: str, files: list[str], options: argparse.Namespace, *, layers: bool = False
) -> tuple[CandidateReport, ...]:
    """What ``vggexport verify`` finds."""
    report = api.verify(
        api.VerifyOptions(
            tuple(files),
            reference=reference,
            data=options.images,
            images=options.count,
            layers=layers,
        )
    )
    return report.candidates


if __name__ == "__main__":
    main()
