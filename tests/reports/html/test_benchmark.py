"""The page of a benchmark: what is on it, and that nothing on it is loaded or run."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from vggexport.metrics.latency import Measurement
from vggexport.metrics.latency_ratio import Ratio
from vggexport.metrics.timing import Scenario, Turn
from vggexport.reports.html import benchmark as page
from vggexport.reports.html import charts
from vggexport.reports.html.benchmark import intensity
from vggexport.results.benchmark import BenchmarkComparison, Gate, GatedResult
from vggexport.results.benchmark_figures import Minute


class Seen(HTMLParser):
    """Tags in order, and all text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.pictures, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.pictures.append(dict(attrs)["alt"])

    def handle_data(self, data):
        self.text += data.replace("\N{NO-BREAK SPACE}", " ")


def draw(report):
    return Seen(page.latency(report))


def test_a_report_of_one_file(make_benchmark, make_result):
    seen = draw(make_benchmark(make_result("a<b>.onnx")))
    assert "a<b>.onnx" in seen.text
    assert "b" not in seen.tags
    assert "script" not in seen.tags
    assert seen.tags.count("table") == 3
    assert [alt.split()[0] for alt in seen.pictures] == ["Milliseconds", "Roofline"]


def test_batches_and_a_comparison(make_benchmark, make_result):
    results = [make_result(name, batch=batch) for batch in (1, 8) for name in ("a.onnx", "b.onnx")]
    pair = BenchmarkComparison(results[0], results[1], Ratio(0.5, 0.4, 0.6))
    seen = draw(make_benchmark(*results, comparisons=(pair,)))
    assert [alt.split()[0] for alt in seen.pictures] == ["Milliseconds", "Images", "Roofline"]
    assert "0.400 to 0.600" in seen.text
    assert seen.tags.count("table") == 4


@pytest.mark.parametrize(
    ("low", "high", "said", "colour"),
    [
        (1.2, 1.3, "✗ FAILED", "verdict failed"),
        (0.9, 1.0, "✓ passed", "verdict"),
        (0.9, 1.3, "? inconclusive", "verdict warned"),
    ],
)
def test_the_gate_stands_first(monkeypatch, make_benchmark, make_result, low, high, said, colour):
    monkeypatch.setattr(charts, "_drawn", lambda *_: "data:,")
    one = make_result()
    gated = GatedResult.judged(one, Ratio(1.0, low, high), 0.05, paired=True)
    report = make_benchmark(one, gate=Gate("base.json", 0.05, strict=False, results=(gated,)))
    seen = draw(report)
    assert said in seen.text
    assert f'<div class="{colour}">' in page.latency(report)
    assert seen.text.index(said) < seen.text.index("Every run")
    assert ("Measure longer, with" in seen.text) is ("inconclusive" in said)


def test_the_head_names_the_files_that_the_verdict_is_about(make_benchmark, make_result):
    """In the words of the tables; what passes only where all do."""
    old, new = make_result("out/old.onnx", is_baseline=True), make_result("out/new.onnx")
    slow = GatedResult.judged(new, Ratio(1.1, 1.06, 1.2), 0.05, paired=True)
    fine = GatedResult.judged(make_result("out/x.onnx"), Ratio(1.0, 0.9, 1.0), 0.05, paired=True)

    def head(*gated):
        gate = Gate("out/old.onnx", 0.05, strict=False, results=gated)
        note = f"{new.artifact.path} ran elsewhere"
        return draw(make_benchmark(old, new, fine.result, gate=gate, notes=(note,))).text

    assert "Gate: fail; up to 1.050 times old.onnx is allowed" in head(slow, fine)
    told = "new.onnx, batch 1, 1 thread: 1.100 times the baseline (1.060 to 1.200): fail"
    assert told in head(slow, fine)
    assert "x.onnx, batch 1" not in head(slow, fine)
    assert "x.onnx, batch 1, 1 thread: 1.000 times the baseline" in head(fine)
    for name in ("old", "new", "x"):
        assert f"out/{name}.onnx" not in head(slow, fine)
    without = draw(make_benchmark(old, new)).text
    assert "old.onnx, the fastest of 2: 2.00 ms, batch 1, 1 thread" in without


def test_every_number_of_threads_has_its_runs_drawn(make_benchmark, make_result):
    """The verdict may be about any of them."""
    results = [make_result(f"{name}.onnx", threads=n) for name in "ab" for n in (1, 2)]
    seen = draw(make_benchmark(*results))
    drawn = [alt for alt in seen.pictures if alt.startswith("Milliseconds of every run")]
    assert [alt.partition(" on ")[2].split(" in ")[0] for alt in drawn] == ["1 thread", "2 threads"]
    assert seen.text.index("On 1 thread") < seen.text.index("On 2 threads")


def test_a_sustained_run(make_benchmark, make_result):
    minutes = (Minute(10.0, None, None), Minute(12.0, None, 60.0))
    longer = (*minutes, Minute(13.0, None, None))
    seen = draw(make_benchmark(make_result(minutes=minutes), make_result("b.onnx", minutes=longer)))
    assert "Medians" in [alt.split()[0] for alt in seen.pictures]
    assert "last to first 1.200" in seen.text


def test_an_offline_run_and_no_ceiling(make_benchmark, make_result):
    turns = tuple(Turn((2 * 10**6,), 5, 10**7) for _ in range(3))
    one = replace(make_result(ceiling=None), measurement=Measurement(Scenario.OFFLINE, (turns,)))
    seen = draw(make_benchmark(one, ceilings=()))
    assert "offline times whole turns" in seen.text
    assert "mean ms" in seen.text


@pytest.mark.usefixtures("drawn_anew")
def test_equal_reports_give_equal_pages(make_benchmark, make_result):
    assert page.latency(make_benchmark(make_result())) == page.latency(
        make_benchmark(make_result())
    )


def test_intensity_is_by_the_bytes_of_the_file(make_result):
    one = make_result()
    operations = 2 * one.artifact.spec.macs
    assert intensity(one) == operations / one.artifact.size_bytes
    assert intensity(make_result(batch=8)) == 8 * operations / one.artifact.size_bytes
