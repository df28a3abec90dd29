"""Everything that needs a CUDA GPU: ``make gpu-check``, or in two halves.

``--pack DIR`` writes a folder where TensorFlow is installed; ``--from DIR`` runs it, as ``python
DIR/run.py`` does on a machine that has Python, numpy, onnx and onnxruntime-gpu alone. Without
either both halves run here, and then ``vggexport benchmark --device cuda`` on the files. Exit
codes: 0 done, 1 out of tolerance or not all on the GPU, 3 no CUDA to be had.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vggexport
from gpu_check.pack import pack
from vggexport.errors import InputError
from vggexport.metrics.placement import CUDA_PROVIDER as CUDA

WEIGHTS = "random:0"


def main(arguments: Sequence[str]) -> int:
    """Packs, runs a pack, or both; further arguments are those of ``run.py``."""
    parser = argparse.ArgumentParser(prog="gpu_check", description=__doc__.partition("\n")[0])
    halves = parser.add_mutually_exclusive_group()
    halves.add_argument("--pack", type=Path, metavar="DIR")
    halves.add_argument("--from", dest="source", type=Path, metavar="DIR")
    options, further = parser.parse_known_args(arguments)
    if options.source:
        return run_pack(options.source, further)
    if options.pack:
        pack(options.pack, vggexport.NetworkOptions(WEIGHTS))
        return 0
    with tempfile.TemporaryDirectory(prefix="vggexport-") as name:
        folder, files = Path(name) / "pack", Path(name) / "files"
        pack(folder, vggexport.NetworkOptions(WEIGHTS))
        code = run_pack(folder, ["--files", str(files), *further])
        if code in (0, 1) and not further:
            code = max(code, int(not benchmark(sorted(files.glob("*.onnx")))))
        return code


def run_pack(folder: Path, arguments: Sequence[str]) -> int:
    """The exit code of its ``run.py``."""
    if not (folder / "run.py").is_file():
        raise InputError(f"{folder} is no pack: make one with --pack")
    command = [sys.executable, str(folder / "run.py"), *arguments]
    return subprocess.run(command, check=False).returncode


def benchmark(paths: Sequence[Path]) -> bool:
    """Whether ``vggexport benchmark`` ran all files wholly on the GPU."""
    command = [sys.executable, "-m", "vggexport", "benchmark", *map(str, paths)]
    command += ["--device", "cuda", "--batch", "1,8,32", "--json"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not answer.stdout:
        print(f"benchmark --device cuda ended with code {answer.returncode}: FAILED")
        return False
    report = json.loads(answer.stdout)
    print(f"GPU: {report['environment']['gpu']}")
    for ceiling in report["ceilings"]:
        print(f"ceiling: {ceiling}")
    for result in report["results"]:
        print(describe(result))
    for note in report["notes"]:
        print(f"note: {note}")
    return all(
        result["provider"] == CUDA and result["placement"]["node_share"] == 1.0
        for result in report["results"]
    )


def describe(result: dict[str, Any]) -> str:
    """One result in a line."""
    placement, latency = result["placement"], result["latency_ms"]
    return (
        f"{result['precision']} batch {result['batch']}: {result['provider']}, "
        f"{placement['node_share']:.0%} of nodes, MACs {placement['mac_share']}, p50 "
        f"{latency['p50']:.3f} ms, p90 {latency['p90']}, "
        f"{result['throughput_per_s']:.0f} images/s, transfer {result['transfer_ms']} ms, "
        f"GPU memory {result['gpu_memory_bytes']}, "
        f"of ceiling {result['ceiling_share']}"
    )
