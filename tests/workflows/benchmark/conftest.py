"""Results made up from timings, and models that play a part on the machine of a test."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from vggexport.artifact import Artifact
from vggexport.errors import Unavailable
from vggexport.metrics.latency import Measurement
from vggexport.metrics.layer_times import LayerTime
from vggexport.metrics.placement import PlacedNode, place
from vggexport.metrics.timing import Scenario, Turn
from vggexport.network.head import fully_connected
from vggexport.network.provenance import WeightsRecord
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.precision import Precision
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.system.machine import read_machine
from vggexport.workflows.benchmark import further
from vggexport.workflows.benchmark.entry import Cost, Loaded

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
SPEC = VGGSpec(
    "tiny",
    parse_blocks("conv3-4 | conv1-8"),
    classes=5,
    hidden=fully_connected(16, 16),
    input_size=(8, 8),
)
MS = 10**6


@pytest.fixture
def artifact() -> Artifact:
    record = WeightsRecord("random:0", "ab" * 32, trained=False, layout="native")
    return Artifact("vgg.onnx", "onnx", Precision.FLOAT32, SPEC, record, size_bytes=1000)


@pytest.fixture
def make_result(artifact) -> Callable[..., BenchmarkResult]:
    """``make_result("vgg.onnx", [[[1.0, 2.0], [1.5]]], threads=2)``: ms by launch and round."""

    def make(path="vgg.onnx", launches_ms=(((1.0,),) * 8,), precision="float32", **changes):
        turns = tuple(
            tuple(Turn(tuple(round(ms * MS) for ms in r), len(r), round(sum(r) * MS)) for r in one)
            for one in launches_ms
        )
        result = BenchmarkResult(
            replace(artifact, path=path, precision=Precision(precision)),
            "onnxruntime 1.32.0",
            CPU,
            CPU,
            threads=1,
            batch=1,
            measurement=Measurement(Scenario.SINGLE_STREAM, turns),
            load_ms=20.0,
            first_ms=5.0,
            peak_rss_bytes=2**20,
        )
        return replace(result, **changes)

    return make


@pytest.fixture
def machine():
    return replace(read_machine(), load_average=0.0)


@dataclass
class Stage:
    """What the models of a test do, and what was asked of them.

    Attributes:
        run_ms: Milliseconds of a run by source.
        offered: Providers that start.
        elsewhere: Types of nodes that the CPU runs, whatever the provider.
        batch: Of the artifacts; None for any.
        calls: (source, method) in order.
        wrong: What is wrong with golden answers, by source.
        machine_ms: What the machine adds to a run; changes as a test likes.
    """

    run_ms: dict[str, float] = field(default_factory=dict)
    offered: tuple[str, ...] = (CPU,)
    elsewhere: tuple[str, ...] = ()
    batch: int | None = None
    wrong: dict[str, tuple[str, ...]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    machine_ms: Callable[[], float] = lambda: 0.0


class ActedProcess:
    """In the place of ``vggexport.system.child_process.ChildProcess``."""

    def __init__(self, stage, artifact, entry):
        self.stage, self.artifact, self.entry, self.provider = stage, artifact, entry, CPU

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.stage.calls.append((self.entry.source, "close"))

    def wait_until_made(self):
        self.stage.calls.append((self.entry.source, "made"))

    def call(self, method, *arguments):
        self.stage.calls.append((self.entry.source, method))
        return getattr(self, method)(*arguments)

    def load(self, known=None, cold=False):
        self.stage.calls += [(self.entry.source, "forget")] if cold else []
        fallback = ""
        if provider := self.entry.device_provider:
            if provider in self.stage.offered:
                self.provider = provider
            elif not self.entry.allow_fallback:
                raise Unavailable(
                    f"execution provider {provider} did not start: there is no device"
                )
            else:
                fallback = "there is no device"
        artifact = replace(
            self.artifact,
            path=self.entry.source,
            spec=known.spec if known else SPEC,
            batch=self.stage.batch,
        )
        ms = 30.0 if cold else 20.0
        extra = (0, 7.0, 2**19, 0.25 if cold else None)
        return Loaded(artifact, "onnxruntime 1.32.0", self.provider, ms, {}, fallback, *extra)

    def run_once(self):
        return 5.0

    def warm_up(self, runs, seconds=0.0):
        self.stage.calls.append((self.entry.source, f"{runs} runs, {seconds} s"))

    def take_turn(self, share):
        ms = self.stage.run_ms.get(self.entry.source, 1.0) + self.stage.machine_ms()
        return Turn((round(ms * MS),) * share.runs, share.runs, round(ms * MS) * share.runs)

    def cost(self):
        return Cost(2**20, None, 0.5 if self.provider == CUDA else None)

    def wrong_answers(self, golden):
        return self.stage.wrong.get(self.entry.source, ())

    def layers(self, runs):
        return (LayerTime("fc1", "Gemm", 1.0, 1.0),)

    def placement(self):
        kinds = {layer.name: "Conv" for layer in SPEC.weighted_layers} | {
            "probabilities": "Softmax"
        }
        nodes = [
            PlacedNode(name, kind, CPU if kind in self.stage.elsewhere else self.provider)
            for name, kind in kinds.items()
        ]
        return place(nodes, SPEC, self.provider)


@pytest.fixture
def stage(monkeypatch, artifact) -> Stage:
    stage = Stage()
    monkeypatch.setattr(
        further,
        "ChildProcess",
        lambda _place, entry, **_options: ActedProcess(stage, artifact, entry),
    )
    return stage
