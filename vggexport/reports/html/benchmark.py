"""The page of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from vggexport.reports import benchmark_tables
from vggexport.reports.html import charts
from vggexport.reports.html.page import page
from vggexport.reports.html.themes import SeriesStyle, Theme, series_style
from vggexport.results.benchmark import BenchmarkReport
from vggexport.results.benchmark_figures import Ceiling
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.system.number_text import counted

CHART_PX = charts.NARROW_PX
_INTENSITIES = (0.1, 10_000.0)
"""Ends of the roofline's horizontal axis, operations a byte."""

_BAND = 0.36
"""Half of the height of a distribution; distributions are a whole one apart."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file on the page, and how it is told from the others."""

    name: str
    style: SeriesStyle
    results: tuple[BenchmarkResult, ...]


def latency(report: BenchmarkReport) -> str:
    """Everything that was found out, on one page."""
    entries, first = _entries(report), report.results[0]
    threads = dict.fromkeys(result.threads for result in report.results)
    return page(
        "benchmark.html",
        report=report,
        entries=entries,
        headline=benchmark_tables.headline(report),
        gate=benchmark_tables.gate(report, report.gate) if report.gate else "",
        judged=benchmark_tables.judged(report),
        notes=[benchmark_tables.shortened(report, note) for note in report.notes],
        sheets=list(benchmark_tables.sheets(report)),
        reasons=list(benchmark_tables.reasons(report)),
        environment=benchmark_tables.environment(report),
        sustained=_sustained(entries),
        sustained_lines=list(benchmark_tables.sustained(report)),
        distributions={t: _distributions(entries, t, first.batch) for t in threads},
        scaling=_scaling(entries),
        rooflines=[(c, _roofline(entries, c)) for c in report.ceilings if c.gbyte_per_s],
        first=first,
    )


def _entries(report: BenchmarkReport) -> list[_Entry]:
    names = benchmark_tables.labels(report)
    return [
        _Entry(
            name,
            series_style(number),
            tuple(result for result in report.results if result.model == model),
        )
        for number, (model, name) in enumerate(names.items())
    ]


def _distributions(entries: Sequence[_Entry], threads: int, batch: int) -> charts.Chart:
    """Every run of a number of threads and a batch, a row a file."""
    rows = [
        (entry.style, np.array(result.measurement.samples_ms))
        for entry in entries
        for result in entry.results
        if (result.threads, result.batch) == (threads, batch)
    ]

    def plot(axes: Axes, theme: Theme) -> None:
        for place, (style, values) in enumerate(reversed(rows)):
            colour = theme.series[style.colour]
            spread = np.random.default_rng(0).uniform(-_BAND, _BAND, len(values))
            axes.scatter(
                values,
                place + spread,
                s=7,
                color=colour,
                alpha=0.8,
                linewidths=0,
                marker=style.marker,
                rasterized=True,
            )
            middle = float(np.median(values))
            axes.plot((middle, middle), (place - 0.45, place + 0.45), color=theme.ink, linewidth=2)
        axes.set(xlim=(0, _far_end([values for _, values in rows])), xlabel="milliseconds a run")
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_yticks([])
        axes.grid(axis="x", color=theme.rule, linewidth=0.8)

    return charts.wide(
        plot,
        height_px=90 + 62 * len(rows),
        alt=f"Milliseconds of every run of {counted(len(rows), 'file')} on "
        f"{counted(threads, 'thread')} in batches of {batch}; their percentiles are in "
        "the table",
    )


def _far_end(values: Sequence[NDArray[np.float64]]) -> float:
    """After nearly all runs: one that was interrupted is not to press the others together."""
    return 1.1 * max(float(np.percentile(one, 99)) for one in values)


def _scaling(entries: Sequence[_Entry]) -> charts.Chart | None:
    """Images per second by batch; None for a single batch."""
    batches = sorted({result.batch for entry in entries for result in entry.results})
    if len(batches) < len(("one", "another")):
        return None
    threads = entries[0].results[0].threads

    def plot(axes: Axes, theme: Theme) -> None:
        for entry in entries:
            points = {r.batch: r.throughput_per_s for r in entry.results if r.threads == threads}
            heights = [points[batch] for batch in sorted(points)]
            axes.plot(sorted(points), heights, **charts.stroke(theme, entry.style))
        axes.set_xscale("log", base=2)
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.set_ylim(bottom=0)
        axes.set(xlabel="images a run", ylabel="images a second")
        axes.grid(color=theme.rule, linewidth=0.8)

    return charts.draw(
        plot,
        width_px=CHART_PX,
        height_px=340,
        alt=f"Images per second by batch on {counted(threads, 'thread')}; figures are in the table",
    )


def _roofline(entries: Sequence[_Entry], ceiling: Ceiling) -> charts.Chart:
    """What was reached beneath what the machine can do, by operations per byte of weights."""
    bandwidth = ceiling.gbyte_per_s or 0.0
    reached = [
        (entry.style, intensity(result), reached)
        for entry in entries
        for result in entry.results
        if result.ceiling == ceiling and (reached := result.gflop_per_s) is not None
    ]

    def plot(axes: Axes, theme: Theme) -> None:
        places = np.geomspace(*_INTENSITIES, 200)
        for name, peak in ceiling.gflop_per_s.items():
            heights = np.minimum(peak, bandwidth * places)
            axes.plot(places, heights, color=theme.muted, linewidth=1.4)
            axes.annotate(
                name,
                (_INTENSITIES[1], peak),
                color=theme.muted,
                ha="right",
                va="bottom",
                xytext=(0, 2),
                textcoords="offset points",
            )
        for style, x, y in reached:
            axes.plot((x,), (y,), color=theme.series[style.colour], marker=style.marker, ms=7)
        axes.set(xscale="log", yscale="log", xlim=_INTENSITIES)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set(xlabel="operations per byte of weights", ylabel="GFLOP/s")
        axes.grid(color=theme.rule, linewidth=0.8)

    return charts.draw(
        plot,
        width_px=CHART_PX,
        height_px=340,
        alt=f"Roofline of {counted(ceiling.threads, 'thread')}: what each file reached, beneath "
        "what matrix products and reads of memory reached; the figures are in the tables",
    )


def intensity(result: BenchmarkResult) -> float:
    """Operations for each byte of weights that a run reads at least once: of the whole file.

    0 where the operations are not known.
    """
    operations = 2 * (result.artifact.macs or 0) * result.batch
    return operations / max(1, result.artifact.size_bytes or 1)


def _sustained(entries: Sequence[_Entry]) -> charts.Chart | None:
    """Medians by minute; None where no run was sustained."""
    shown = [(entry.style, r.minutes) for entry in entries for r in entry.results if r.minutes]
    if not shown:
        return None
    longest = max(len(minutes) for _, minutes in shown)
    series = [
        charts.Series(
            [m.p50_ms for m in minutes] + [float("nan")] * (longest - len(minutes)), style
        )
        for style, minutes in shown
    ]
    return charts.line(
        series,
        [str(number) for number in range(1, longest + 1)],
        y_label="median of the minute, ms",
        alt=f"Medians of {longest} minutes; the figures are below",
    )
