"""Baselines: read, refused, and held against what is measured now."""

import json
from contextlib import nullcontext

import numpy as np
import pytest

from vggexport.errors import InputError
from vggexport.metrics.verdict import Verdict
from vggexport.results.benchmark import BenchmarkReport, Gate, GatedResult
from vggexport.system.gpu import Gpu
from vggexport.system.power import PowerSource
from vggexport.workflows.benchmark.gate import read_baseline


def rounds(ms, spread=0.1, seed=0):
    """5 launches of 4 rounds of 4 runs around a number of milliseconds."""
    return np.random.default_rng(seed).normal(ms, spread, (5, 4, 4)).tolist()


@pytest.fixture
def write(tmp_path, machine):
    """Writes a former run's JSON, changed by a function."""

    def write(*results, change=lambda _document: None):
        report = BenchmarkReport(
            machine, None, results, (), (), None, (), {}, PowerSource(None, "none")
        )
        document = json.loads(json.dumps(report.to_json()))
        change(document)
        path = tmp_path / "base.json"
        path.write_text(json.dumps(document))
        return path

    return write


@pytest.mark.parametrize(
    ("now_ms", "verdict"),
    [(10.0, Verdict.PASS), (9.0, Verdict.PASS), (11.0, Verdict.FAIL), (10.5, Verdict.INCONCLUSIVE)],
)
def test_the_verdict(write, make_result, now_ms, verdict):
    baseline = read_baseline(write(make_result(launches_ms=rounds(10))))
    gated, missing = baseline.gate([make_result(launches_ms=rounds(now_ms, seed=1))], 0.05)
    assert [(g.verdict, g.paired) for g in gated] == [(verdict, False)]
    assert gated[0].ratio.value == pytest.approx(now_ms / 10, abs=0.01)
    assert missing == ()


def test_a_file_in_another_folder_is_known_by_its_name(write, make_result):
    former = make_result("old/a.onnx", rounds(10)), make_result("old/b.onnx", rounds(20))
    now = make_result("new/b.onnx", rounds(20)), make_result("new/c.onnx", rounds(5))
    gated, missing = read_baseline(write(*former)).gate(now, 0.05)
    assert [g.ratio.value for g in gated] == [pytest.approx(1.0, abs=0.01)]
    assert missing == ("c.onnx",)


def test_of_two_files_of_one_name_the_one_in_the_same_folder_is_meant(write, make_result):
    former = make_result("old/a.onnx", rounds(10)), make_result("new/a.onnx", rounds(20))
    gated, _ = read_baseline(write(*former)).gate([make_result("./new/a.onnx", rounds(20))], 0.05)
    assert [g.ratio.value for g in gated] == [pytest.approx(1.0, abs=0.01)]
    with pytest.raises(
        InputError, match=r"several a\.onnx: name one as .* old/a\.onnx or new/a\.onnx"
    ):
        read_baseline(write(*former)).gate([make_result("a.onnx")], 0.05)


def test_one_artifact_then_and_one_now_need_no_common_name(write, make_result):
    former = [make_result("old.onnx", rounds(10), batch=batch) for batch in (1, 8)]
    now = [make_result("new.onnx", rounds(12), batch=batch) for batch in (1, 8)]
    gated, _ = read_baseline(write(*former)).gate(now, 0.05)
    assert [g.verdict for g in gated] == [Verdict.FAIL] * 2


def test_artifacts_that_it_has_none_of_are_refused(write, make_result):
    former = make_result("a.onnx"), make_result("b.onnx")
    with pytest.raises(InputError, match=r"has no c\.onnx: it has a\.onnx, b\.onnx; name the file"):
        read_baseline(write(*former)).gate([make_result("c.onnx")], 0.05)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threads": 2}, "threads was 1 and is 2"),
        ({"batch": 8}, "batch was 1 and is 8"),
        ({"runtime": "onnxruntime 1.33.0"}, "runtime version was onnxruntime 1.32.0 and is onnxr"),
        ({"provider": "CUDAExecutionProvider"}, "provider was CPUExecutionProvider and is CUDA"),
    ],
)
def test_what_was_measured_otherwise_is_refused(write, make_result, changes, said):
    baseline = read_baseline(write(make_result()))
    with pytest.raises(InputError, match=said):
        baseline.gate([make_result(**changes)], 0.05)


def test_the_difference_that_is_named_is_the_only_one_of_the_nearest(write, make_result):
    former = make_result(batch=1, threads=1), make_result(batch=8, threads=2)
    with pytest.raises(InputError, match="threads was 2 and is 4"):
        read_baseline(write(*former)).gate([make_result(batch=8, threads=4)], 0.05)


def test_threads_and_batches_are_looked_at_before_anything_is_measured(write, make_result):
    baseline = read_baseline(write(make_result(threads=1), make_result(threads=4)))
    baseline.check_counts("threads", [1, 4])
    with pytest.raises(InputError, match="threads was 1 and 4 and is 2: take a new baseline"):
        baseline.check_counts("threads", [2])
    with pytest.raises(InputError, match="batch was 1 and is 8"):
        baseline.check_counts("batch", [1, 8])


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("cpu_model", "i486", "CPU model was i486 and is"),
        ("architecture", "pdp11", "architecture was pdp11 and is"),
        ("affinity", [0] * 77, "number of usable cores was 77 and is"),
    ],
)
def test_another_machine_is_refused(write, make_result, machine, key, value, said):
    path = write(make_result(), change=lambda d: d["environment"].update({key: value}))
    with pytest.raises(InputError, match=said):
        read_baseline(path).check_machine(machine, None)


@pytest.mark.parametrize(
    ("then", "now", "refused"),
    [("H100", "H200", True), ("H100", "H100", False), ("H100", None, False), (None, "H100", False)],
)
def test_another_gpu_is_refused(write, make_result, machine, then, now, refused):
    """A run on the CPU has none; that it was one is told by the providers of its results."""
    of = {name: name and Gpu(name, "550.54", None) for name in (then, now)}
    path = write(
        make_result(),
        change=lambda d: d["environment"].update(gpu=of[then] and of[then].to_json()),
    )
    expected = pytest.raises(InputError, match="GPU was H100 and is H200")
    with expected if refused else nullcontext():
        read_baseline(path).check_machine(machine, of[now])


def test_the_same_machine_is_not(write, make_result, machine):
    read_baseline(write(make_result())).check_machine(machine, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(schema=2), "has schema 2, not 1"),
        (
            lambda d: d.pop("environment"),
            "is not what vggexport benchmark writes: it has no 'environment'",
        ),
        (lambda d: d["results"].clear(), "has no results"),
        (lambda d: d["results"][0].pop("rounds"), "'rounds'"),
        (lambda d: d["results"][0].update(rounds=[[1]]), "samples_ms that are not in rounds of"),
        (lambda d: d["results"][0].update(rounds=[[9]]), "samples_ms that are not in rounds of"),
        (lambda d: d["results"][0].update(rounds=[[0, 8]]), "samples_ms that are not in rounds"),
        (lambda d: d["results"][0].update(rounds=[8]), "is not what vggexport benchmark"),
        (lambda d: d["results"][0].update(samples_ms=["fast"]), "could not convert"),
        (lambda d: d["results"][0].update(samples_ms=[0.0] * 8), "samples_ms that are not"),
        (
            lambda d: d["results"][0].update(samples_ms=[1.0] * 7 + [float("nan")]),
            "that are not times",
        ),
        (lambda d: d["results"][0].update(samples_ms=[float("inf")] * 8), "that are not times"),
        (lambda d: d["results"][0].update(samples_ms=[10**999] * 8), "is not what vggexport"),
        (lambda d: d["results"][0].update(threads=[1]), "threads or batch that are not numbers"),
        (lambda d: d["results"][0].update(samples_ms=[], rounds=[]), "samples_ms that are not"),
        (lambda d: d.update(results="none"), "is not what"),
    ],
)
def test_what_is_no_report_is_refused(write, make_result, change, said):
    with pytest.raises(InputError, match=said):
        read_baseline(write(make_result(), change=change))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff{", "is not JSON"),
        (b"[" * 10**6, "is not JSON"),
        (b"[]", "is not what"),
        (None, "base.json does not exist"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path, content, said):
    path = tmp_path / "base.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_baseline(path)


@pytest.mark.parametrize(
    ("verdicts", "verdict", "failures", "strict_failures"),
    [
        ("pass pass", "pass", 0, 0),
        ("pass inconclusive", "inconclusive", 0, 1),
        ("inconclusive fail", "fail", 1, 2),
    ],
)
def test_a_gate_is_as_bad_as_its_worst(make_result, verdicts, verdict, failures, strict_failures):
    from vggexport.metrics.latency_ratio import Ratio

    gated = tuple(
        GatedResult(make_result(), Ratio(1.0, 0.9, 1.1), Verdict(v), paired=True)
        for v in verdicts.split()
    )
    for strict, count in ((False, failures), (True, strict_failures)):
        gate = Gate("base.json", 0.05, strict, gated)
        assert gate.verdict == verdict
        assert len(gate.failures) == count
        assert gate.to_json()["verdict"] == verdict
