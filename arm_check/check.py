"""Model files on emulated ARM processors, against this one: ``make arm-check``.

Files are written and answer here, and are then checked under qemu: a small network in every
precision by ``check-bundle``, the bundle's self-test and layer by layer, and the full one by
``verify --golden``. No latency is taken from it. Exit codes: 0 all within tolerance, 1 not, 3 a
package is not to be had, which is named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from arm_check import layers
from arm_check.machine import CPUS, ROOT, ArmMachine, fetch
from vggexport.errors import CheckFailed
from vggexport.system.machine import read_machine
from vggexport.system.markdown import table
from vggexport.system.process import usable_cores

SMALL = ("--config", "A", "--input-size", "32", "--fc-units", "64", "--classes", "3")
EVERY_PRECISION = "float32,float16,dynamic-int8,int8,int8-w4"
BUNDLE = (
    "--allow-untrained",
    "--no-labels",
    "--licence",
    "none: drawn",
    "--force",
    "--images",
    "4",
)


@dataclass(frozen=True, slots=True)
class Row:
    """A file's answers on an emulated processor, against those here.

    Attributes:
        cpu: qemu's name of it.
        network: "small" or "full".
        file: Its name.
        precision: Of the file.
        logit_sqnr_db: Of the logits; None where all answers are equal.
        max_abs: Largest difference of one probability.
        top1_agreement: Share of images with the same best class.
        images: How many.
        passed: Whether the command's own tolerance was met.
    """

    cpu: str
    network: str
    file: str
    precision: str
    logit_sqnr_db: float | None
    max_abs: float
    top1_agreement: float
    images: int
    passed: bool


class Check:
    """One run: files, and what they answered.

    Args:
        folder: Where files and reports go.
        machine: The emulated one.
    """

    def __init__(self, folder: Path, machine: ArmMachine) -> None:
        self.folder = folder
        self._machine = machine
        self.rows: list[Row] = []
        self.layers: dict[str, dict[str, float]] = {}
        self.failures: list[str] = []

    def on_arm(self, cpu: str, *arguments: str | Path) -> tuple[int, str]:
        """Exit code and output of Python with arguments, on the emulated processor."""
        command = self._machine.command(cpu, *arguments)
        environment = self._machine.environment()
        done = subprocess.run(
            command,
            env=environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            told = " ".join(map(str, arguments[:3]))
            self.failures.append(f"{cpu}: {told} ended with code {done.returncode}")
        return done.returncode, done.stdout

    def check_bundle(self, cpu: str, bundle: Path) -> None:
        """``check-bundle``."""
        _, printed = self.on_arm(cpu, "-m", "vggexport", "check-bundle", bundle, "--json")
        report = _document(printed)
        for answers in report.get("answers", ()):
            self._add(cpu, "small", answers, report["images"])

    def test_bundle(self, cpu: str, bundle: Path) -> None:
        """The self-test that lies in a bundle."""
        self.on_arm(cpu, bundle / "self_test.py")

    def verify(self, cpu: str, path: Path, golden: Path) -> None:
        """``verify --golden``."""
        options = ("--golden", golden, "--threads", "1", "--no-diagnose", "--json")
        _, printed = self.on_arm(cpu, "-m", "vggexport", "verify", path, *options)
        report = _document(printed)
        for answers in report.get("candidates", ()):
            self._add(cpu, "full", answers, report["images"])

    def here(self, paths: Sequence[Path], bundle: Path) -> None:
        """Each layer's integers on this processor, for :meth:`compare_layers`."""
        images, found = bundle / "golden" / "inputs", self.folder / "layers_here.npz"
        layers.main([str(images), str(found), *map(str, paths)])

    def compare_layers(self, cpu: str, paths: Sequence[Path], bundle: Path) -> None:
        """Which share of each layer's integers differs, on the bundle's golden images."""
        images = bundle / "golden" / "inputs"
        here, there = (self.folder / f"layers_{name}.npz" for name in ("here", cpu))
        if self.on_arm(cpu, "-m", "arm_check.layers", images, there, *paths)[0] == 0:
            with np.load(here) as first, np.load(there) as second:
                self.layers[cpu] = layers.shares(first, second)

    def _add(self, cpu: str, network: str, answers: Mapping[str, Any], images: int) -> None:
        name, metrics = Path(answers["path"]).name, answers["metrics"]
        figures = (metrics[key] for key in ("logit_sqnr_db", "max_abs", "top1_agreement"))
        row = Row(cpu, network, name, answers["precision"], *figures, images, answers["passed"])
        print(*_cells(row), sep="  ", flush=True)
        self.rows.append(row)


def _document(printed: str) -> dict[str, Any]:
    """What a command printed as JSON; empty where it ended with an error instead."""
    found: dict[str, Any] = json.loads(printed) if printed.startswith("{") else {}
    return found


def _cells(row: Row) -> list[str]:
    same = f"{round(row.top1_agreement * row.images)} of {row.images}"
    decibels = "equal" if row.logit_sqnr_db is None else f"{row.logit_sqnr_db:.1f} dB"
    figures = (decibels, f"{row.max_abs:.2g}", same)
    return [row.cpu, row.network, row.file, row.precision, *figures]


def models(folder: Path) -> list[Path]:
    """The model files of a folder."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".onnx", ".tflite"))


def small_network(folder: Path) -> Path:
    """A bundle, unpacked, of a small network in every precision."""
    files, bundle = folder / "small", folder / "bundle"
    formats = ("--formats", "onnx,tflite", "--precisions", EVERY_PRECISION)
    samples = ("--calibration-samples", "8", "--no-check")
    _here("export", *SMALL, *formats, *samples, "-o", files, "--force")
    _here("bundle", *models(files), *BUNDLE, "-o", bundle)
    return bundle


def full_network(folder: Path, options: argparse.Namespace) -> dict[Path, Path]:
    """Golden files by the file of the full network that answered, for each format and precision."""
    files = folder / "full"
    data = ("--calibration-data", options.data) if options.data else ()
    formats = ("--formats", "onnx,tflite", "--precisions", options.precisions)
    chosen = (*formats, "--weights", options.weights, *data, "--calibration-samples", "8")
    _here("export", *chosen, "--no-check", "-o", files, "--force")
    golden = {path: path.with_suffix(f"{path.suffix}.npz") for path in models(files)}
    images = ("--images", str(options.images), *(("--data", options.data) if options.data else ()))
    for path, written in golden.items():
        other = next(another for another in golden if another != path)
        # What the other differs by is no matter here.
        saved = ("--save-golden", written, "--force", "--min-logit-sqnr", "-100", "--no-diagnose")
        _here("verify", path, other, *images, *saved, codes=(0, 1))
    return golden


def _here(*arguments: str | Path, codes: Sequence[int] = (0,)) -> None:
    """Runs a command of this installation.

    Raises:
        CheckFailed: It ended with another code.
    """
    command = [sys.executable, "-m", "vggexport", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in codes:
        raise CheckFailed(f"vggexport {arguments[0]} ended with code {done.returncode} here")


def report(check: Check, machine: ArmMachine) -> dict[str, Any]:
    """Everything that was found, as values of JSON."""
    here = read_machine()
    return {
        "qemu": machine.qemu,
        "here": {"cpu": here.cpu_model, "features": dict(here.cpu_features)},
        "packages": dict(here.packages),
        "rows": [
            asdict(row) for row in sorted(check.rows, key=lambda r: (r.cpu, r.network, r.file))
        ],
        "differing_integers": check.layers,
        "failures": check.failures,
    }


def markdown(found: Mapping[str, Any]) -> str:
    """The report as a person reads it."""
    return "\n".join(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    features = [name for name, present in found["here"]["features"].items() if present]
    yield f"qemu {found['qemu']} against {found['here']['cpu']} ({', '.join(features)})\n"
    columns = ["processor", "network", "file", "precision", "logits", "largest", "same class"]
    yield table(columns, [_cells(Row(**row)) for row in found["rows"]])
    yield from (f"- {failure}" for failure in found["failures"])
    for cpu, shares in found["differing_integers"].items():
        told = {name: share for name, share in shares.items() if share}
        yield f"\nLayers of int8 files whose values differ on {cpu}: {len(told)} of {len(shares)}\n"
        yield from (f"- {name}: {share:.4%}" for name, share in told.items())


def main(arguments: Sequence[str]) -> int:
    """Fetches, builds here, runs there; the report goes to FOLDER."""
    parser = argparse.ArgumentParser(prog="arm_check", description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "arm")
    parser.add_argument("--cpu", action="append", choices=CPUS, help="may be given several times")
    parser.add_argument("--weights", default="random:0", help="of the full network")
    parser.add_argument("--data", help="photographs; synthetic images without")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--precisions", default="int8", help="of the full network")
    options = parser.parse_args(arguments)
    machine = fetch(options.folder / "machine")
    check = Check(options.folder.resolve(), machine)
    bundle = small_network(check.folder)
    integers = [path for path in models(check.folder / "small") if "_int8." in path.name]
    golden = full_network(check.folder, options)
    check.here(integers, bundle)
    with ThreadPoolExecutor(usable_cores()) as pool:  # emulators, of one thread each
        jobs = []
        for cpu in options.cpu or CPUS[:1]:
            jobs += [
                pool.submit(one, cpu, bundle) for one in (check.check_bundle, check.test_bundle)
            ]
            jobs += [pool.submit(check.verify, cpu, *pair) for pair in golden.items()]
            jobs.append(pool.submit(check.compare_layers, cpu, integers, bundle))
    for job in jobs:
        job.result()
    found = report(check, machine)
    (check.folder / "report.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    (check.folder / "report.md").write_text(markdown(found), encoding="utf-8")
    print(markdown(found))
    return int(bool(check.failures))
