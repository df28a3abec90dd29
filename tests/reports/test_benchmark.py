"""What a benchmark found out as a value, and in each of its forms."""

import csv
import io
import json
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from vggexport.metrics.latency import Latency
from vggexport.metrics.latency_ratio import Ratio
from vggexport.metrics.layer_times import LayerTime
from vggexport.precision import Precision
from vggexport.reports import benchmark_files, benchmark_tables, text
from vggexport.reports.markdown.benchmark import latency as markdown
from vggexport.results.benchmark import BenchmarkComparison, Gate, GatedResult
from vggexport.results.benchmark_figures import (
    Ceiling,
    CheckedAnswers,
    ColdStart,
    Energy,
    Minute,
    Together,
)
from vggexport.system.gpu import Gpu

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


def gate(one, low=1.06, high=1.2):
    gated = GatedResult.judged(one, Ratio(1.1, low, high), 0.05, paired=True)
    return Gate("old_*.onnx", 0.05, strict=False, results=(gated,))


def rendered(shown):
    console = Console(file=io.StringIO(), width=120, highlight=False)
    console.print(text.latency(shown))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


CONTRACT = {
    *("path", "format", "precision", "runtime", "provider_requested", "provider", "threads"),
    *("batch", "runs", "latency_ms", "throughput_per_s", "load_ms", "first_ms", "peak_rss_bytes"),
    *("size_bytes", "gflop_per_s", "samples_ms"),
}


def test_the_json_has_the_keys_of_the_contract(make_result, make_benchmark):
    first, second = make_result(), make_result("b.onnx")
    document = json.loads(json.dumps(make_benchmark(first, second, gate=gate(second)).to_json()))
    assert document.keys() >= {"schema", "environment", "results", "comparisons", "gate"}
    assert document["schema"] == 1
    found = document["results"][0]
    assert found.keys() >= CONTRACT
    assert list(found["latency_ms"]) == ["min", "mean", "p50", "p90", "p95", "p99", "max"]
    assert (found["latency_ms"]["p90"], found["latency_ms"]["p95"]) == (2.0, None)
    assert (found["samples_ms"], found["rounds"]) == ([2.0] * 70, [[70]])
    (comparison,) = document["comparisons"]
    assert comparison.keys() >= {"a", "b", "ratio_p50", "ratio_ci95"}
    assert (comparison["a"], comparison["b"]) == ("out/a_b.onnx", "b.onnx")
    assert (comparison["ratio_p50"], comparison["ratio_ci95"]) == (0.5, [0.49, 0.51])
    assert document["gate"]["verdict"] == "fail"
    assert document["environment"]["cpu_model"] == "EPYC [x]"
    assert make_benchmark(first).to_json()["gate"] is None


def test_speed_is_counted_by_the_layers_of_the_spec(make_result):
    one = make_result(ms=2.0, batch=3)
    assert one.throughput_per_s == pytest.approx(1500)
    assert one.gflop_per_s == pytest.approx(2 * one.artifact.spec.macs * 3 / 0.002 / 1e9)
    assert one.ceiling_share == pytest.approx(one.gflop_per_s / 100)
    assert replace(one, ceiling=None).ceiling_share is None


def test_what_is_above_a_ceiling_has_no_share_of_it(make_result, make_benchmark):
    """It said "128%": of what the matrix product beside it did."""
    one = make_result()
    low = replace(one.ceiling, gflop_per_s={"float32": one.gflop_per_s / 1.28})
    whole = "\n".join(rendered(make_benchmark(replace(one, ceiling=low))))
    assert "above it" in whole
    assert "128%" not in whole


def test_a_ceiling_is_raised_to_what_was_reached_elsewhere():
    two, one = Ceiling(CPU, 2, {"float32": 41.0}, 20.0), Ceiling(CPU, 1, {"float32": 58.0}, None)
    assert two.raised_to(one) == Ceiling(CPU, 2, {"float32": 58.0}, 20.0)


def test_what_a_gate_says_is_not_said_once_more(make_result, make_benchmark):
    """The ratio to the baseline stood in two tables."""
    old, new = make_result("old.onnx", is_baseline=True), make_result("new.onnx")
    compared = BenchmarkComparison(old, new, Ratio(0.5, 0.49, 0.51))
    report = make_benchmark(old, new, gate=gate(new), comparisons=(compared,))
    lines = [" ".join(line.split()) for line in rendered(report)]
    assert not any(line.startswith("file against") for line in lines)
    assert not any(line.startswith("new.onnx old.onnx") for line in lines)


@pytest.mark.parametrize(
    ("provider", "precision", "expected"),
    [
        (CPU, "float32", 1.0),
        (CPU, "float16", 1.0),  # computed in float32
        (CPU, "int8", 3.0),
        (CPU, "int8-w4", 3.0),
        (CPU, "dynamic-int8", 3.0),
        (CUDA, "float32", 1.0),
        (CUDA, "float16", 2.0),
        (CUDA, "int8", 1.0),  # computed in float
    ],
)
def test_the_ceiling_is_that_of_what_is_computed_in(provider, precision, expected):
    ceiling = Ceiling(provider, 1, {"float32": 1.0, "float16": 2.0, "int8": 3.0}, None)
    assert ceiling.of(Precision(precision)) == expected
    assert Ceiling(provider, 1, {}, None).of(Precision(precision)) is None


def test_the_text(make_result, make_benchmark):
    second = make_result("out/c.onnx", "int8", ms=1.0)
    lines = rendered(make_benchmark(make_result(), second, gate=gate(second)))
    assert [" ".join(line.split()) for line in lines[:3]] == [
        "file threads batch runs p50 ms p90 ms p95 ms p99 ms images/s GFLOP/s of ceiling",
        "a_b.onnx 1 1 70 2.00 2.00 - - 500.0 0.0 0%",
        "c.onnx 1 1 70 1.00 1.00 - - 1000.0 0.0 0%",
    ]
    whole = "\n".join(lines)
    for part in (
        "123.5      5.50  1.50 GiB  9.3 MB  onnxruntime 1.32.0",
        "c.onnx  a_b.onnx        1      1       0.500  0.490 to 0.510",
        "gate: fail; up to 1.050 times old_*.onnx is allowed",
        "EPYC [x], x86_64, 4 of 8 logical cores, 2 physical",
        "vnni, avx2",
        "load average 0.10, governor performance, 2500 MHz",
        "OMP_NUM_THREADS=2",
        "float32 100 GFLOP/s, int8 400 GFLOP/s, memory 20 GB/s",
        "left out: p95 needs 130 runs",
        "note: read <this>",
    ):
        assert part in whole, part
    assert "ran on" not in whole  # of CPUs alone there is nothing to say


def test_the_text_of_what_was_asked_for_besides(make_result, make_benchmark):
    found = make_result(
        cold_start=ColdStart(100.0, 50.0, 12.5, 0.5),
        base_rss_bytes=2**29,
        energy=Energy(12.0, 0.024),
        layers=(LayerTime("block1_conv1", "Conv", 1.5, 0.75),),
        together=Together(
            2, 800.0, Latency(1, 3, 2.5, 2.8, None, None, 9), 500.0, Latency(1, 2, 2, 2, 2, 2, 2)
        ),
        is_baseline=True,
    )
    wrong = CheckedAnswers("wrong.onnx", "onnxruntime 1.32.0", ("max abs 0.7 is above 0.1",))
    report = make_benchmark(found, golden="g.npz", answers=(wrong,))
    assert report.failures == (
        "wrong.onnx answers wrongly in onnxruntime 1.32.0 (max abs 0.7 is above 0.1)",
    )
    lines = [" ".join(line.split()) for line in rendered(report)]
    for line in (
        "wrong.onnx onnxruntime 1.32.0 wrong: max abs 0.7 is above 0.1 none is given",
        "a_b.onnx (baseline) 1 1 100.0 50.0 12.5? 512 MiB 1.00 GiB",
        "a_b.onnx (baseline) 1 1 12.0 0.024",
        "a_b.onnx (baseline) 1 1 2 800.0 500.0 1.60 2.50 2.00 2.80",
        "block1_conv1 Conv 1.500 75.0%",
        "energy not measured: there is no sensor",
        "left out: a cold load with a ? is not known to be cold",
    ):
        assert line in lines, line
    document = json.loads(json.dumps(report.to_json()))
    assert (document["golden"], document["answers"][0]["passed"]) == ("g.npz", False)
    assert document["environment"]["power"] == {"source": None, "reason": "there is no sensor"}
    (result,) = document["results"]
    assert (result["model_rss_bytes"], result["is_baseline"]) == (2**30, True)
    assert result["together"]["throughput_ratio"] == 1.6


def test_the_text_of_a_device(make_result, make_benchmark):
    one = make_result(
        provider=CUDA, provider_requested=CUDA, transfer_ms=0.25, gpu_memory_bytes=2**29
    )
    whole = "\n".join(rendered(make_benchmark(one, gpu=Gpu("Orin", "550", None))))
    assert f"{CUDA}  {CUDA}" in whole
    assert "0.25     512 MiB" in whole
    assert "Orin, driver 550" in whole


def test_the_text_of_a_sustained_run(make_result, make_benchmark):
    minutes = tuple(Minute(ms, None, None) for ms in (10.0, 11.0, 12.5))
    one = make_result(minutes=minutes)
    assert one.last_to_first_minute == 1.25
    assert one.to_json()["sustained"]["ratio_last_first"] == 1.25
    line = "a_b.onnx: p50 by minute 10.0, 11.0, 12.5 ms; last to first 1.250"
    assert line in rendered(make_benchmark(one))


def test_what_there_is_none_of_is_a_dash(make_result, make_benchmark, machine):
    nothing = replace(machine, load_average=None, governor=None, frequency_mhz=None)
    few = BenchmarkComparison(make_result(), make_result(), Ratio(1.0, None, None))
    whole = "\n".join(
        rendered(
            make_benchmark(
                make_result(ceiling=None),
                machine=nothing,
                comparisons=(few,),
                ceilings=(),
                notes=(),
            )
        )
    )
    assert "load average unknown, governor unknown" in whole
    assert "1.000              -" in whole
    assert "left out: an interval needs 2 launches or 5 rounds of at least one run each" in whole


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (("x/a.onnx", "x/b.onnx"), ("a.onnx", "b.onnx")),
        (("old/a.onnx", "new/a.onnx"), ("old/a.onnx", "new/a.onnx")),
        (("/r/old/m/a.onnx", "/r/new/m/a.onnx"), ("old/m/a.onnx", "new/m/a.onnx")),
        (("a.onnx", "x/a.onnx"), ("a.onnx", "x/a.onnx")),
        (("ba.onnx", "a.onnx"), ("ba.onnx", "a.onnx")),
        (("random:0",), ("random:0",)),
    ],
)
def test_paths_are_shortened_as_far_as_they_differ(make_result, make_benchmark, paths, labels):
    found = benchmark_tables.labels(make_benchmark(*(make_result(path) for path in paths)))
    assert tuple(found[path, "onnxruntime 1.32.0"] for path in paths) == labels


def test_a_file_in_several_runtimes_is_told_apart_by_them(make_result, make_benchmark):
    first = make_result("x/a.onnx")
    shown = make_benchmark(
        first, replace(first, runtime="openvino 2026.4.1"), make_result("b.onnx")
    )
    assert [*benchmark_tables.labels(shown).values()] == [
        "a.onnx in onnxruntime",
        "a.onnx in openvino",
        "b.onnx",
    ]
    assert "a.onnx in openvino" in "\n".join(rendered(shown))


def test_the_csv_has_a_row_a_result(make_result, make_benchmark):
    shown = make_benchmark(make_result("a,b.onnx"), make_result("c.onnx", batch=8))
    first, second = csv.DictReader(io.StringIO(benchmark_files.rows(shown)))
    assert (first["path"], second["path"]) == ("a,b.onnx", "c.onnx")
    assert (second["batch"], first["p50_ms"], first["p99_ms"]) == ("8", "2.0", "")
    assert float(first["gflop_per_s"]) == pytest.approx(make_result().gflop_per_s)


def test_the_samples_are_whole(make_result, make_benchmark):
    document = json.loads(
        benchmark_files.samples(make_benchmark(make_result(), make_result("c.onnx", runs=3)))
    )
    assert document["schema"] == 1
    assert [r["samples_ms"] for r in document["results"]] == [[2.0] * 70, [2.0] * 3]
    assert [r["rounds"] for r in document["results"]] == [[[70]], [[3]]]


def test_the_markdown(make_result, make_benchmark):
    second = make_result("out/c|d.onnx", "int8", ms=1.0)
    document = markdown(make_benchmark(make_result(), second, gate=gate(second)))
    html = MarkdownIt("commonmark").enable("table").render(document)
    assert html.count("<table>") == 5
    assert "<code>c|d.onnx</code>" in html
    assert "<code>a_b.onnx</code>" in html
    assert "old_*.onnx is allowed" in html
    assert "EPYC [x]" in html
    assert "read &lt;this&gt;" in html
    assert document.startswith("## ❌")


def test_that_the_machine_is_busy_is_told_once(make_benchmark, make_result, machine):
    """At the beginning, when a person can still wait; the other notes are in the report alone."""
    busy = replace(machine, load_average=9.0)
    report = make_benchmark(make_result(), machine=busy, notes=(*busy.remarks, "another note"))
    found = rendered(report)
    assert not any("busy" in line for line in found)
    assert found[-1] == "note: another note"
