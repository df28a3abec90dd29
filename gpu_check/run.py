"""The half of ``gpu-check`` that runs where the GPU is, with numpy, onnx and onnxruntime alone.

Draws the weights, writes the three files, holds their bytes and answers to the pack's and measures
them. Exit codes: 0 done, 1 other bytes, out of tolerance or not all on the provider, 3 no such
provider.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import onnxruntime

from gpu_check import beside, measure
from gpu_check.figures import figures
from gpu_check.table import markdown
from vggexport.artifact import Artifact
from vggexport.errors import CheckFailed, InputError, Unavailable, VggExportError, one_line
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.onnx.exporter import OnnxExporter
from vggexport.metrics.placement import CUDA_PROVIDER
from vggexport.quantization.ranges import ActivationRanges
from vggexport.system.digests import sha256
from vggexport.system.process import package_versions
from vggexport.weights.mapping import Weights
from vggexport.weights.random import random_tensors

SECONDS = 330.0
"""Of the whole run, after which no further part is begun."""


@dataclass
class Run:
    """What is asked for, and what was found so far.

    Attributes:
        pack: The folder.
        provider: Execution provider.
        quick: Batch 1 and few runs, as on a CPU.
        report: The JSON.
        failures: What did not pass, a sentence each.
    """

    pack: Path
    provider: str
    quick: bool
    report: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        """Until no further part is begun."""
        return SECONDS - (time.monotonic() - self.begun)

    def part(self, name: str, measure: Callable[[], Any], needs: float) -> None:
        """Measures one thing; what it cannot is told in its place, and the others go on.

        Args:
            name: In the report.
            measure: Gives what is reported.
            needs: Seconds that must be left.
        """
        start = time.monotonic()
        if self.seconds_left < needs:
            self.report[name] = {"skipped": f"of {SECONDS:g} s, {self.seconds_left:.0f} were left"}
            return
        try:
            self.report[name] = measure()
        except Exception as error:  # noqa: BLE001  one runtime's failure costs its own row alone
            self.report[name] = {"error": f"{type(error).__name__}: {one_line(error)}"}
            self.failures.append(f"{name}: {one_line(error)}")
        taken = time.monotonic() - start
        self.report.setdefault("seconds", {})[name] = round(taken, 1)
        print(f"{name}: {taken:.1f} s", file=sys.stderr)


def main(pack: Path, arguments: Sequence[str]) -> int:
    """Runs the check of a pack."""
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--provider", default=CUDA_PROVIDER)
    parser.add_argument("--quick", action="store_true", help="batch 1 and few runs")
    parser.add_argument("--json", action="store_true", help="JSON to stdout, not a table")
    parser.add_argument("--files", type=Path, help="keep the three .onnx files in this folder")
    options = parser.parse_args(arguments)
    run = Run(pack, options.provider, options.quick)
    try:
        with tempfile.TemporaryDirectory(prefix="vggexport-") as folder:
            _check(run, options.files or Path(folder))
    except VggExportError as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        return error.exit_code
    run.report |= {"passed": not run.failures, "failures": run.failures}
    table = markdown(run.report)
    print(json.dumps(run.report) if options.json else table)
    for name, text in (("report.json", json.dumps(run.report, indent=1)), ("report.md", table)):
        try:
            (pack / name).write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            print(f"{pack / name} is not written: {error}", file=sys.stderr)
    return int(bool(run.failures))


def _check(run: Run, folder: Path) -> None:
    offered = onnxruntime.get_available_providers()
    if run.provider not in offered:
        raise Unavailable(
            f"execution provider {run.provider} is not in this onnxruntime, which offers "
            f"{', '.join(offered)}: for CUDA, install onnxruntime-gpu"
        )
    told, expected = _read(run.pack)
    images = expected.pop("images")
    run.report |= {
        "provider": run.provider,
        "machine": measure.machine(),
        "versions": {"here": package_versions(), "pack": told["versions"]},
    }
    measure.check_starts(run.provider)
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = {name: Artifact.from_json(data) for name, data in told["artifacts"].items()}
    start = time.monotonic()
    paths = dict(write_files(run.pack, artifacts, folder))
    run.report["seconds"] = {"files": round(time.monotonic() - start, 1)}
    run.report["files"] = {}
    for name, path in paths.items():
        equal = sha256(path) == artifacts[name].sha256
        run.report["files"][name] = {"bytes": path.stat().st_size, "same_bytes": equal}
        if not equal:
            run.failures.append(f"the {name} file has other bytes than where the pack was made")
    for name, take, needs in _parts(run, paths, images, expected):
        run.part(name, take, needs)
    run.report["figures"] = figures(run.report)
    run.failures += measure.parity_failures(run.report["parity"])
    run.failures += measure.placement_failures(run.report["placement"])


def _read(pack: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the pack says, and its images and answers."""
    try:
        told = json.loads((pack / "pack.json").read_text(encoding="utf-8"))
        with (pack / "expected.npz").open("rb") as file, np.load(file) as stored:
            return told, dict(stored)
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"{pack} is no whole pack: {one_line(error)}") from error


def _parts(
    run: Run, paths: dict[str, Path], images: np.ndarray, expected: dict[str, np.ndarray]
) -> Iterator[tuple[str, Callable[[], Any], float]]:
    """What is measured, and seconds that it needs: the most telling first."""
    provider, quick = run.provider, run.quick
    yield "parity", lambda: measure.parity(paths, images, expected, provider), 0
    yield "placement", lambda: measure.placements(paths, images[:1], provider), 0
    yield "ceilings", lambda: measure.ceilings(provider, quick=quick), 0
    yield "variants", lambda: measure.variants(paths, images, provider, quick=quick), 30
    if not quick:
        yield "pytorch", lambda: beside.pytorch(run.pack), beside.TORCH_SECONDS
    left = partial(getattr, run, "seconds_left")
    yield "latency", lambda: measure.curves(paths, images, provider, quick=quick, left=left), 0
    if not quick:
        yield "tensorrt", lambda: beside.tensorrt(paths["float16"], images[:1]), 60


def drawn(spec: Any, record: Any) -> Weights:
    """The weights, from their seed, held in memory.

    Raises:
        CheckFailed: They have another digest.
    """
    tensors = random_tensors(spec, int(record.source.partition(":")[2]))
    weights = Weights(spec, tensors, source=record.source, layout="native").in_memory()
    if weights.sha256 != record.sha256:
        raise CheckFailed(
            f"the weights of {record.source} have the SHA-256 {weights.sha256} here (numpy "
            f"{np.__version__}), and {record.sha256} where the pack was made"
        )
    return weights


def write_files(
    pack: Path, artifacts: dict[str, Artifact], folder: Path
) -> Iterator[tuple[str, Path]]:
    """Writes each of the files, by precision."""
    first = next(iter(artifacts.values()))
    weights = drawn(first.spec, first.weights)
    ranges = ActivationRanges.load(pack / "ranges.json")
    for name, artifact in artifacts.items():
        path = folder / artifact.path
        needed = ranges if artifact.profile.needs_ranges else None
        OnnxExporter().export(ExportRequest(artifact, weights, needed), path)
        yield name, path
