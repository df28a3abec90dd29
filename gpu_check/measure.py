"""What is measured of ONNX Runtime on a provider: answers, placement, ceilings, latency."""

from __future__ import annotations

import math
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vggexport.errors import Unavailable, VggExportError, one_line
from vggexport.formats.onnx import peak_throughput
from vggexport.formats.onnx.providers import try_providers
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.formats.onnx.sessions import CUDA_GRAPH, RUNTIME_ERRORS
from vggexport.metrics.parity import ParityMetrics, compare
from vggexport.metrics.placement import CUDA_PROVIDER, place
from vggexport.system.gpu import gpu_memory_used_bytes, read_gpu

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MAX_RUN_S = 5.0
"""Where one run takes longer, no larger batch is tried."""

SETTLED = 0.02
"""Between the medians of two times five runs, where the warm-up ends."""

EXACT = {"use_tf32": "0"}
VARIANTS: Mapping[str, Mapping[str, str]] = {
    "defaults": {},
    "CUDA graph": {CUDA_GRAPH: "1"},
    "NHWC": {"prefer_nhwc": "1"},
    "heuristic search": {"cudnn_conv_algo_search": "HEURISTIC"},
    "NHWC and CUDA graph": {"prefer_nhwc": "1", CUDA_GRAPH: "1"},
}
"""CUDA's options. The search for a convolution's kernel is exhaustive where none is named."""

MIN_LOGIT_SQNR_DB = {
    "float32": 80.0,
    "float32 without TF32": 80.0,  # the same arithmetic in another order
    "float32 with TF32": 50.0,  # 11-bit significands of the factors, sums in float32
    "float16": 45.0,  # 11-bit significands, and the CPU computes float16 files in float32
    "int8": 35.0,  # the same integers, rounded in the runtime's way: the profile's own limit
}
_QUERY = ("clocks.sm", "clocks.mem", "clocks.max.sm", "power.limit", "compute_cap", "pstate")


def machine() -> dict[str, Any]:
    """Card, driver and clocks as they were found, and the processor."""
    gpu = read_gpu()
    return {
        "gpu": gpu.to_json() if gpu else None,
        "found": _asked(_QUERY),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _asked(names: tuple[str, ...]) -> dict[str, str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return {}
    command = [tool, f"--query-gpu={','.join(names)}", "--format=csv,noheader", "--id=0"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    values = [value.strip() for value in answer.stdout.strip().split(",")]
    return dict(zip(names, values, strict=True)) if len(values) == len(names) else {}


def check_starts(provider: str) -> None:
    """Refuses to go on where the provider falls back to the CPU, before weights are drawn.

    Raises:
        Unavailable: It does not start, with the reason that it printed.
    """
    if problem := try_providers()[provider]:
        raise Unavailable(problem)


def _options(provider: str, options: Mapping[str, str]) -> Mapping[str, str]:
    """CUDA's options, where the provider is CUDA's."""
    return options if provider == CUDA_PROVIDER else {}


def parity(
    paths: Mapping[str, Path],
    images: np.ndarray,
    expected: Mapping[str, np.ndarray],
    provider: str,
) -> dict[str, Any]:
    """SQNR of the logits against the CPU where the pack was made, also bound to the device."""
    on_cuda = provider == CUDA_PROVIDER
    cases = {"float32 without TF32": EXACT, "float32 with TF32": {}} if on_cuda else {"float32": {}}
    cases |= {"float16": {}, "int8": {}}
    found = {}
    for name, options in cases.items():
        precision = name.partition(" ")[0]
        with OnnxRunner(paths[precision], provider=provider, provider_options=options) as runner:
            plain = compare(expected[precision], runner.predict(images))
            bound = compare(expected[precision], runner.prepare(images).probabilities())
        found[name] = {
            "logit_sqnr_db": _decibels(plain),
            "bound_logit_sqnr_db": _decibels(bound),
            "needed_db": MIN_LOGIT_SQNR_DB[name],
            "passed": all(
                m.finite and m.logit_sqnr_db >= MIN_LOGIT_SQNR_DB[name] for m in (plain, bound)
            ),
        }
    return found


def _decibels(metrics: ParityMetrics) -> float | str:
    """JSON has no infinity."""
    ratio = metrics.logit_sqnr_db
    return round(ratio, 2) if math.isfinite(ratio) else "equal" if ratio > 0 else "not finite"


def parity_failures(found: Mapping[str, Any]) -> list[str]:
    """What is out of tolerance."""
    return [
        f"{name}: SQNR of the logits {case['logit_sqnr_db']} dB, bound to the device "
        f"{case['bound_logit_sqnr_db']} dB, {case['needed_db']:g} dB needed"
        for name, case in found.items()
        if isinstance(case, dict) and not case["passed"]
    ]


def placements(paths: Mapping[str, Path], image: np.ndarray, provider: str) -> dict[str, Any]:
    """Where the nodes of each file ran."""
    found = {}
    for name, path in paths.items():
        with OnnxRunner(path, provider=provider) as runner:
            artifact = runner.artifact
            assert artifact is not None  # noqa: S101  for the type: our own file
            found[name] = place(runner.placed_nodes(image), artifact.spec, provider).to_json()
    return found


def placement_failures(found: Mapping[str, Any]) -> list[str]:
    """Files that other providers had a part in."""
    return [
        f"{name}: {case['node_share']:.1%} of the nodes on the provider, others on "
        f"{case['elsewhere']}"
        for name, case in found.items()
        if isinstance(case, dict) and case["node_share"] != 1.0
    ]


def ceilings(provider: str, *, quick: bool) -> dict[str, float | None]:
    """GFLOP/s of a matrix product by type, and GB/s of reading."""
    throughput = peak_throughput.OnnxThroughput(provider, 0)
    if quick:
        return {"float32": throughput.compute("float32")}
    found = {name: throughput.compute(name) for name in ("float32", "float16")}
    return found | {"GB/s": throughput.read()}


def variants(
    paths: Mapping[str, Path], images: np.ndarray, provider: str, *, quick: bool
) -> dict[str, Any]:
    """Milliseconds of a run by file, batch and options of the provider."""
    on_cuda = provider == CUDA_PROVIDER
    tried = {
        "float16": VARIANTS if on_cuda else {"defaults": {}},
        "float32": {"defaults": {}} | ({"without TF32": EXACT} if on_cuda else {}),
    }
    return {
        f"{precision}, batch {batch}, {name}": measured(
            paths[precision], _batch_of(images, batch), provider, options, quick=quick
        )
        for precision, variants in tried.items()
        for batch in ((1,) if quick else (1, 64))
        for name, options in variants.items()
    }


def curves(
    paths: Mapping[str, Path],
    images: np.ndarray,
    provider: str,
    *,
    quick: bool,
    left: Callable[[], float],
) -> dict[str, list[dict[str, Any]]]:
    """Latency and throughput of each file by batch."""
    return {
        precision: list(_curve(path, images, provider, quick=quick, left=left))
        for precision, path in sorted(paths.items())
    }


def _curve(
    path: Path, images: np.ndarray, provider: str, *, quick: bool, left: Callable[[], float]
) -> Iterator[dict[str, Any]]:
    """One session for all batches: memory is what it has taken up to each of them."""
    before = gpu_memory_used_bytes()
    with OnnxRunner(path, provider=provider) as runner:
        for batch in (1,) if quick else BATCHES:
            if left() < 0:
                yield {"batch": batch, "skipped": "no time was left"}
                return
            found = _runs(runner, _batch_of(images, batch), before, quick=quick)
            yield {"batch": batch, **found}
            if "error" in found or found["p50_ms"] > MAX_RUN_S * 1000:
                return


def _batch_of(images: np.ndarray, batch: int) -> np.ndarray:
    return np.resize(images, (batch, *images.shape[1:]))


def measured(
    path: Path, images: np.ndarray, provider: str, options: Mapping[str, str], *, quick: bool
) -> dict[str, Any]:
    """Milliseconds of runs bound to the device, of a transfer, and memory taken; or why not."""
    before = gpu_memory_used_bytes()
    asked = _options(provider, options)
    try:
        with OnnxRunner(path, provider=provider, provider_options=asked) as runner:
            told = runner.provider_options() if asked else {}
            found = _runs(runner, images, before, quick=quick)
    except VggExportError as error:
        return {"error": one_line(error)}
    return found | {"options": {name: told.get(name) for name in asked}}


def _runs(
    runner: OnnxRunner, images: np.ndarray, before: int | None, *, quick: bool
) -> dict[str, Any]:
    try:
        prepared = runner.prepare(images)
        found = timed(prepared.run, quick=quick)
        transfer = _transfer_ms(prepared.transfer)
    except (VggExportError, *RUNTIME_ERRORS, RuntimeError) as error:
        return {"error": one_line(error)}
    after, artifact = gpu_memory_used_bytes(), runner.artifact
    macs = artifact.macs if artifact else None
    seconds = found["p50_ms"] / 1000
    return {
        **found,
        "images_per_s": round(len(images) / seconds, 2),
        "gflop_per_s": round(2 * len(images) * macs / seconds / 1e9, 1) if macs else None,
        "transfer_ms": transfer,
        "gpu_memory_bytes": None if after is None or before is None else after - before,
    }


def _transfer_ms(transfer: Callable[[], object] | None) -> float | None:
    if transfer is None:
        return None
    return timed(transfer, quick=True)["p50_ms"]


def timed(run: Callable[[], object], *, quick: bool, seconds: float = 1.0) -> dict[str, Any]:
    """Median and least milliseconds, after a warm-up until two medians of five are alike."""
    first = _milliseconds(run)
    if quick or first > MAX_RUN_S * 1000:
        samples = [_milliseconds(run) for _ in range(3)]
        return {"p50_ms": statistics.median(samples), "min_ms": min(samples), "runs": 3}
    begin, last = time.monotonic(), 0.0
    while time.monotonic() - begin < 2 * seconds:
        median = statistics.median(_milliseconds(run) for _ in range(5))
        if abs(median - last) <= SETTLED * median:
            break
        last = median
    begin, samples = time.monotonic(), []
    while len(samples) < 10 or time.monotonic() - begin < seconds:
        samples.append(_milliseconds(run))
    p90 = statistics.quantiles(samples, n=10)[-1]
    return {
        "p50_ms": statistics.median(samples),
        "p90_ms": p90,
        "min_ms": min(samples),
        "runs": len(samples),
    }


def _milliseconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000
