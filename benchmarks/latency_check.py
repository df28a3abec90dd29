"""How far ``vggexport benchmark`` can be believed, and how soon it begins.

    python -m benchmarks.latency_check against-loop FILE.onnx     p50 beside a bare loop's
    python -m benchmarks.latency_check against-loadgen FILE.onnx  p90 beside MLPerf LoadGen's
    python -m benchmarks.latency_check same FILE                  FILE against itself, 20 times
    python -m benchmarks.latency_check slowed FILE.onnx           the gate on a file 10 % slower
    python -m benchmarks.latency_check start FILE                 time to the first counted run

Each prints one line a trial and one with the result; ``--threads`` and ``--runs`` are those of the
benchmark. What is measured beside it alternates with it, in the same process where that is said.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import calibration
from benchmarks.measure import vggexport
from vggexport.artifact import METADATA_KEY, Artifact
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.metrics.latency import Measurement, min_runs
from vggexport.metrics.timing import Scenario, Share, in_turn, take_turn
from vggexport.network.layers import INPUT_NAME

ROUNDS = 10
SLOWED_BY = 0.10
AGAIN = "/again"
_PER_MS = 10**6


def main() -> None:
    """Runs one of the checks."""
    checks: dict[str, Callable[[argparse.Namespace], None]] = {
        "against-loop": against_loop,
        "against-loadgen": against_loadgen,
        "same": same,
        "slowed": slowed,
        "start": start,
    }
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("check", choices=checks)
    parser.add_argument("file", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=200, help="in all, of each side")
    parser.add_argument("--duration", type=float, default=5.0)
    parser.add_argument("--trials", type=int, default=0, help="default: the issue's")
    options = parser.parse_args()
    checks[options.check](options)


def against_loop(options: argparse.Namespace) -> None:
    """The tool's turns and a bare loop around ``session.run`` on one session, in turn."""
    with OnnxRunner(options.file, threads=options.threads) as runner:
        pixels = one_image(runner)
        prepared = runner.prepare(pixels)
        session, name = runner._session, "probabilities"  # noqa: SLF001  the very same session
        feed = {INPUT_NAME: pixels.astype(runner._input_dtype)}  # noqa: SLF001
        prepared.run()
        turns, bare = [], []
        share = Share(options.runs // ROUNDS, 0.0)
        for _ in range(ROUNDS):
            turns.append(
                take_turn(prepared.run, share, Scenario.SINGLE_STREAM, time.perf_counter_ns)
            )
            for _ in range(share.runs):
                begin = time.perf_counter()
                session.run([name], feed)
                bare.append((time.perf_counter() - begin) * 1000)
    ours = Measurement(Scenario.SINGLE_STREAM, (tuple(turns),)).latency().p50 or 0.0
    loop = statistics.median(bare)
    print(f"p50: tool {ours:.3f} ms, bare loop {loop:.3f} ms, ratio {ours / loop:.4f} (1 %)")


def against_loadgen(options: argparse.Namespace) -> None:
    """The tool's turns and runs of MLPerf LoadGen's SingleStream on one session, in turn."""
    runs = max(min_runs(90), options.runs // ROUNDS)
    share = Share(runs, options.duration / ROUNDS)
    with OnnxRunner(options.file, threads=options.threads) as runner:
        run = runner.prepare(one_image(runner)).run
        sides: Sequence[Callable[[], float]] = (
            lambda: turn_p90_ms(run, share),
            lambda: loadgen_p90_ms(run, share),
        )
        for trial in range(options.trials or 3):
            pairs = []
            for number in range(ROUNDS):
                found = {side: sides[side]() for side in in_turn(len(sides), number)}
                pairs.append((found[0], found[1]))
            ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
            ratios = [mine / other for mine, other in pairs]
            print(
                f"trial {trial}: p90: tool {ours:.3f} ms, LoadGen {theirs:.3f} ms, ratio of "
                f"{ROUNDS} rounds: median {statistics.median(ratios):.4f}, {min(ratios):.4f} to "
                f"{max(ratios):.4f} (3 %)",
                flush=True,
            )


def turn_p90_ms(run: Callable[[], object], share: Share) -> float:
    """The tool's 90th percentile of one turn."""
    turn = take_turn(run, share, Scenario.SINGLE_STREAM, time.perf_counter_ns)
    return Measurement(Scenario.SINGLE_STREAM, ((turn,),)).latency().p90 or 0.0


def loadgen_p90_ms(run: Callable[[], object], share: Share) -> float:
    """LoadGen's own 90th percentile of a SingleStream performance run."""
    import mlperf_loadgen as lg  # noqa: PLC0415  this check alone needs it

    def issue(samples: Sequence[Any]) -> None:
        for sample in samples:
            run()
            lg.QuerySamplesComplete([lg.QuerySampleResponse(sample.id, 0, 0)])

    settings = lg.TestSettings()
    settings.scenario = lg.TestScenario.SingleStream
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_query_count, settings.min_duration_ms = share.runs, int(share.seconds * 1000)
    with tempfile.TemporaryDirectory() as folder:
        output = lg.LogOutputSettings()
        output.outdir, output.copy_summary_to_stdout = folder, False
        log = lg.LogSettings()
        log.log_output = output
        system = lg.ConstructSUT(issue, lambda: None)
        library = lg.ConstructQSL(1, 1, lambda _samples: None, lambda _samples: None)
        lg.StartTestWithLogSettings(system, library, settings, log)
        lg.DestroyQSL(library)
        lg.DestroySUT(system)
        return summary_ns(Path(folder) / "mlperf_log_summary.txt") / _PER_MS


def summary_ns(path: Path) -> float:
    """The line "90.00 percentile latency (ns) : 123" of LoadGen's summary."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("90.00 percentile latency"):
            return float(line.rpartition(":")[2])
    raise SystemExit(f"{path} has no 90th percentile:\n{path.read_text(encoding='utf-8')}")


def same(options: argparse.Namespace) -> None:
    """One file twice: 1.00 should be in the interval of 18 of 20."""
    hits, trials = 0, options.trials or 20
    for trial in range(trials):
        (found,) = benchmark(options, options.file, options.file)["comparisons"]
        low, high = found["ratio_ci95"]
        hits += low <= 1 <= high
        print(f"trial {trial}: {found['ratio_p50']:.4f}, {low:.4f} to {high:.4f}", flush=True)
    print(f"1.00 was in the interval {hits} times of {trials}")


def slowed(options: argparse.Namespace) -> None:
    """The gate on a file with more work, by a former run's JSON and by the former file."""
    trials = options.trials or 10
    with tempfile.TemporaryDirectory() as name:
        slower, base = Path(name) / "slower.onnx", Path(name) / "base.json"
        write_slowed(options.file, slower)
        base.write_text(json.dumps(benchmark(options, options.file)), encoding="utf-8")
        for baseline in (base, options.file):
            verdicts = []
            for trial in range(trials):
                gate = benchmark(options, slower, "--baseline", baseline)["gate"]
                (found,) = [r for r in gate["results"] if r["path"] == str(slower)]
                verdicts.append(gate["verdict"])
                print(
                    f"{baseline.name}, trial {trial}: {found['ratio_p50']:.4f} "
                    f"{found['ratio_ci95']} {gate['verdict']}",
                    flush=True,
                )
            print(f"{baseline.name}: failed {verdicts.count('fail')} times of {trials}")


def write_slowed(path: Path, slower: Path) -> None:
    """A copy in which the convolution whose share of the MACs is nearest to 10 % follows itself.

    It has as many channels as it reads, so that it can; what is computed is another network's.
    """
    model = onnx.load(path)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    spec = Artifact.from_embedded(properties[METADATA_KEY], path).spec
    square = [
        layer
        for layer in spec.weighted_layers
        if layer.kernel_size and layer.kernel.shape[-1] == layer.kernel.shape[-2]
    ]
    # Of equals the last: its activations are small, and so the added work is what MACs say.
    layer = min(reversed(square), key=lambda layer: abs(layer.macs / spec.macs - SLOWED_BY))
    repeat(model.graph, layer.name)
    onnx.save(model, slower)
    print(f"{layer.name} is computed twice: {layer.macs / spec.macs:.1%} more MACs")


def repeat(graph: onnx.GraphProto, layer: str) -> None:
    """Puts a layer's operators after themselves, on the same weights."""
    own = [n for n in graph.node if n.name == layer or n.name.startswith(f"{layer}/")]
    (first, *_), end = next(n.input for n in own if n.name == layer), own[-1].output[0]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in own]
    inside = {name for node in own for name in node.output} | {first}
    for node in copies:
        node.name += AGAIN
        node.input[:] = [
            _again(name, first, end) if name in inside else name for name in node.input
        ]
        node.output[:] = [f"{name}{AGAIN}" for name in node.output]
    for node in graph.node:
        if node not in own:
            node.input[:] = [f"{end}{AGAIN}" if name == end else name for name in node.input]
    place = list(graph.node).index(own[-1]) + 1
    for offset, node in enumerate(copies):
        graph.node.insert(place + offset, node)


def _again(name: str, first: str, end: str) -> str:
    """What a copy reads instead: the layer's own output, and then what the copies write."""
    return end if name == first else f"{name}{AGAIN}"


def start(options: argparse.Namespace) -> None:
    """Seconds from the start of the command to the first counted run."""
    seconds = []
    for trial in range(options.trials or 10):
        begin = time.time()
        (result,) = benchmark(options, options.file)["results"]
        seconds.append(result["measured_at"] - begin)
        print(f"trial {trial}: {seconds[-1]:.2f} s", flush=True)
    print(f"start: median {statistics.median(seconds):.2f} s, slowest {max(seconds):.2f} s (2 s)")


def benchmark(options: argparse.Namespace, *arguments: str | Path) -> dict[str, Any]:
    """The JSON of one run of the command."""
    settings = ("--threads", options.threads, "--runs", options.runs, "--json")
    command = vggexport("benchmark", *arguments, *map(str, settings))
    command += ["--duration", str(options.duration)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode not in (0, 1):
        sys.exit(answer.stderr)
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def one_image(runner: OnnxRunner) -> np.ndarray:
    """A batch of one, as the file takes it."""
    size = runner.artifact.spec.input_size if runner.artifact else 224
    return calibration.synthetic_image(0, 0, size)[np.newaxis]


if __name__ == "__main__":
    main()
