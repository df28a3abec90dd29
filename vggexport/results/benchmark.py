"""What ``vggexport benchmark`` found out of all artifacts, and its verdict, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from vggexport.metrics.latency_ratio import Ratio, judge
from vggexport.metrics.verdict import Verdict, refused, worst
from vggexport.results.benchmark_figures import Ceiling, CheckedAnswers
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.results.document import Document, StepSeconds
from vggexport.system.gpu import Gpu
from vggexport.system.json_values import JsonValue
from vggexport.system.machine import Machine
from vggexport.system.number_text import counted
from vggexport.system.power import PowerSource


@dataclass(frozen=True, slots=True)
class BenchmarkComparison(JsonValue):
    """Two artifacts that took turns: how the median of ``b`` compares with that of ``a``."""

    json_keys = "a=a.artifact.path b=b.artifact.path threads=b.threads batch=b.batch ...ratio"

    a: BenchmarkResult
    b: BenchmarkResult
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class GatedResult(JsonValue):
    """One result held to its baseline.

    Attributes:
        result: What was measured now.
        ratio: Of its median to the baseline's.
        verdict: Of the ratio.
        paired: Whether the baseline took turns with it, or ran at another time.
    """

    json_keys = """
        path=result.artifact.path threads=result.threads batch=result.batch ...ratio paired verdict
    """

    result: BenchmarkResult
    ratio: Ratio
    verdict: Verdict
    paired: bool

    @classmethod
    def judged(
        cls, result: BenchmarkResult, ratio: Ratio, max_regression: float, *, paired: bool
    ) -> GatedResult:
        """With the verdict that the ratio gives."""
        return cls(result, ratio, judge(ratio, max_regression), paired)

    def __str__(self) -> str:
        low, high = self.ratio.low, self.ratio.high
        interval = "too few runs for an interval" if low is None else f"{low:.3f} to {high:.3f}"
        return (
            f"{self.result.path}, batch {self.result.batch}, "
            f"{counted(self.result.threads, 'thread')}: "
            f"{self.ratio.value:.3f} times the baseline ({interval})"
        )


@dataclass(frozen=True, slots=True)
class Gate(JsonValue):
    """Whether anything became slower than allowed.

    Attributes:
        baseline: What it was held to.
        max_regression: 0.05 allows 5 % more time.
        strict: Whether an inconclusive gate is a failure.
        results: What was held to it; at least one.
    """

    json_keys = "verdict baseline max_regression strict results"

    baseline: str
    max_regression: float
    strict: bool
    results: tuple[GatedResult, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the results'."""
        return worst(gated.verdict for gated in self.results)

    @property
    def refused(self) -> tuple[GatedResult, ...]:
        """What is too slow; with ``strict`` what may be, too."""
        bad = refused(strict=self.strict)
        return tuple(gated for gated in self.results if gated.verdict in bad)

    @property
    def failures(self) -> tuple[str, ...]:
        """The same, a clause each."""
        return tuple(f"{gated} ({gated.verdict})" for gated in self.refused)


@dataclass(frozen=True, slots=True)
class BenchmarkReport(Document):
    """Everything that one run of ``vggexport benchmark`` found out.

    Attributes:
        machine: What it ran on.
        gpu: The same, of a run on a GPU.
        results: In the order of artifacts, within threads and batches.
        comparisons: Of every further artifact with the first.
        ceilings: What the machine can do.
        gate: None without a baseline.
        notes: What a reader must know, a sentence each.
        seconds: Wall-clock seconds by step.
        power: What tells the energy.
        golden: The file of recorded answers; None where nobody asked.
        answers: Of every model, where there is one; those that are wrong have no result.
    """

    json_keys = """
        schema environment={...machine gpu power} results comparisons ceilings gate golden answers
        notes seconds passed
    """

    machine: Machine
    gpu: Gpu | None
    results: tuple[BenchmarkResult, ...]
    comparisons: tuple[BenchmarkComparison, ...]
    ceilings: tuple[Ceiling, ...]
    gate: Gate | None
    notes: tuple[str, ...]
    seconds: StepSeconds
    power: PowerSource
    golden: str | None = None
    answers: tuple[CheckedAnswers, ...] = ()

    @property
    def wrong(self) -> tuple[str, ...]:
        """What answers wrongly, a clause each."""
        return tuple(str(answers) for answers in self.answers if not answers.passed)

    @property
    def failures(self) -> tuple[str, ...]:
        """What answers wrongly, and what the gate does not let pass, a clause each."""
        return (*self.wrong, *(self.gate.failures if self.gate else ()))
