"""``vggexport benchmark``, as CI jobs run it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from vggexport.results.benchmark_figures import Ceiling
from vggexport.workflows.benchmark import run as workflow

pytestmark = pytest.mark.usefixtures("any_int8_will_do", "no_ceiling")

QUICK = ("--runs", 8, "--duration", 0, "--warmup", 0, "--threads", 1, "--launches", 1)

RESULT = {
    *("path", "format", "precision", "runtime", "provider_requested", "provider", "threads"),
    *("batch", "runs", "latency_ms", "throughput_per_s", "load_ms", "first_ms", "peak_rss_bytes"),
    *("size_bytes", "gflop_per_s", "samples_ms"),
}


@pytest.fixture
def no_ceiling(monkeypatch):
    """They take a second."""
    monkeypatch.setattr(
        workflow,
        "measure_peak_throughput",
        lambda provider, threads: Ceiling(provider, threads, {}, None),
    )


@pytest.fixture
def file(run, tiny):
    assert run("onnx", *tiny, "-o", "vgg.onnx").code == 0
    return "vgg.onnx"


def test_the_json_has_the_keys_of_the_contract(run, file):
    outcome = run("benchmark", file, file, *QUICK, "--batch", "1,2", "--json")
    assert outcome.code == 0, outcome.stderr
    document = outcome.json
    assert document.keys() >= {"schema", "environment", "results", "comparisons", "gate"}
    assert (document["schema"], document["gate"]) == (1, None)
    assert [result["batch"] for result in document["results"]] == [1, 1, 2, 2]
    for result in document["results"]:
        assert result.keys() >= RESULT
        assert (result["path"], result["threads"], result["runs"]) == (file, 1, 8)
        assert list(result["latency_ms"]) == ["min", "mean", "p50", "p90", "p95", "p99", "max"]
        assert result["latency_ms"]["p90"] is None
        assert len(result["samples_ms"]) == 8
    assert len(document["comparisons"]) == 2
    assert document["comparisons"][0]["ratio_ci95"][0] > 0


def test_files_beside_the_table(run, file, listing):
    files = ("--csv", "r.csv", "--markdown", "r.md", "--save-samples", "r.json")
    outcome = run("benchmark", file, *QUICK, *files)
    assert outcome.code == 0, outcome.stderr
    assert file in outcome.stdout
    assert {"r.csv", "r.md", "r.json"} <= set(listing())
    assert json.loads(Path("r.json").read_text())["results"][0]["rounds"] == [[1] * 8]
    again = run("benchmark", file, *QUICK, "--csv", "r.csv")
    assert (again.code, "r.csv exists: pass --force" in again.error) == (2, True)
    same = run("benchmark", file, "--csv", "x", "--save-samples", "x")
    assert "--save-samples and --csv both name x" in same.error


def test_the_gate(run, file):
    former = run("benchmark", file, *QUICK, "--json")
    document = former.json
    Path("base.json").write_text(former.stdout)
    for factor, verdict, code in ((100, "pass", 0), (0.01, "fail", 1)):
        document["results"][0]["samples_ms"] = [
            ms * factor for ms in former.json["results"][0]["samples_ms"]
        ]
        Path("base.json").write_text(json.dumps(document))
        outcome = run("benchmark", file, *QUICK, "--baseline", "base.json", "--json")
        assert (outcome.code, outcome.json["gate"]["verdict"]) == (code, verdict)
    assert "slower than --max-regression allows" in outcome.error


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 1)])
def test_an_inconclusive_gate(run, file, strict, code):
    few = (
        "--runs",
        2,
        "--duration",
        0,
        "--threads",
        1,
        "--launches",
        1,
    )  # too few rounds for an interval
    outcome = run("benchmark", file, *few, "--baseline", file, *strict, "--json")
    assert (outcome.code, outcome.json["gate"]["verdict"]) == (code, "inconclusive")
    assert "note: the gate is inconclusive" in outcome.stderr


def test_a_baseline_of_another_environment_is_refused(run, file):
    Path("base.json").write_text(run("benchmark", file, *QUICK, "--json").stdout)
    document = json.loads(Path("base.json").read_text())
    document["environment"]["cpu_model"] = "i486"
    Path("other.json").write_text(json.dumps(document))
    outcome = run("benchmark", file, *QUICK, "--baseline", "other.json")
    assert (outcome.code, "CPU model was i486 and is" in outcome.error) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none.onnx"], 2, "none.onnx does not exist"),
        (["text.onnx"], 2, "text.onnx"),
        (["vgg.onnx", "--batch", "0"], 2, "--batch"),
        (["vgg.onnx", "--batch", "1,x"], 2, "'1,x' is not a list of numbers from 1"),
        (["vgg.onnx", "--threads", ""], 2, "--threads"),
        (["vgg.onnx", "--threads", "5000"], 2, "numbers from 1 to 1024"),
        (["vgg.onnx", "--batch", "9" * 5000], 2, "numbers from 1 to 4096"),
        (["vgg.onnx", "--baseline", "text.txt"], 2, "baseline text.txt is not JSON"),
        (["vgg.onnx", "--max-regression", "high"], 2, "'high' is not a share"),
        (["vgg.onnx", "--max-regression", "100%"], 2, "--max-regression"),
        (["vgg.onnx", "--max-regression", "nan"], 2, "--max-regression"),
        (["vgg.onnx", "--device", "cuda"], 3, "CUDAExecutionProvider"),
        (["vgg.onnx", "--provider", "Fast"], 3, "execution provider Fast is not in this"),
        (["vgg.onnx", "--baseline", "none.json"], 2, "baseline none.json does not exist"),
        (["vgg.onnx", "--baseline", "text.json"], 2, "baseline text.json is not JSON"),
        (["vgg.onnx", "--baseline", "none.onnx"], 2, "none.onnx does not exist"),
        (["nothing.txt"], 2, "nothing.txt"),
        (["vgg.onnx", "--processes", "0"], 2, "--processes"),
        (["vgg.onnx", "--golden", "text.txt"], 2, "text.txt is not a golden file"),
    ],
)
@pytest.mark.usefixtures("file")
def test_bad_input(run, workplace, arguments, code, said):
    (workplace / "text.onnx").write_text("not a model")
    (workplace / "text.json").write_text("not JSON")
    (workplace / "text.txt").write_text("not JSON")
    outcome = run("benchmark", *arguments, "--runs", 1, "--duration", 0)
    assert (outcome.code, said in outcome.error) == (code, True), outcome.stderr


@pytest.mark.parametrize("option", ["--duration", "--sustained"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_time_that_is_none_is_refused(run, option, value):
    outcome = run("benchmark", "vgg.onnx", option, value)
    assert (outcome.code, f"{value} is not a finite number" in outcome.error) == (2, True)


def test_a_fallback_that_is_allowed_is_told(run, file):
    outcome = run("benchmark", file, *QUICK, "--device", "cuda", "--allow-fallback", "--json")
    assert outcome.code == 0, outcome.stderr
    (result,) = outcome.json["results"]
    assert result["provider_requested"] == "CUDAExecutionProvider"
    assert result["provider"] == "CPUExecutionProvider"
    assert "not on CUDAExecutionProvider" in outcome.json["notes"][-1]


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), ("0.1", 0.1), ("0", 0), ("100%", 1), (0.25, 0.25)]
)
def test_shares(text, share):
    from vggexport.cli.value_types import Share

    assert Share().convert(text, None, None) == pytest.approx(share)


@pytest.mark.parametrize(
    ("value", "whole", "said"),
    [
        ("1", True, "'1' is not a share below 1: write 1% or 100%"),
        (1, True, "1 is not a share below 1: write 1% or 100%"),
        ("1.0", False, "'1.0' is not a share below 1: write 1%"),
        ("2.5", True, "'2.5' is not a share below 1: write 2.5%"),
        ("100%", False, "'100%' is not a share from 0 to below 100%, as 0.82 or 82%"),
        ("101%", True, "'101%' is not a share from 0 to 100%, as 0.82 or 82%"),
        ("nan", True, "'nan' is not a share from 0 to 100%, as 0.82 or 82%"),
    ],
)
def test_what_is_no_share_or_may_be_one_percent_or_all(value, whole, said):
    from vggexport.cli.value_types import Share

    with pytest.raises(click.BadParameter) as raised:
        Share(whole=whole).convert(value, None, None)
    assert raised.value.message == said


@pytest.mark.parametrize("option", [("--max-regression", "5%"), ("--strict",)])
def test_a_gate_without_a_baseline_is_refused(run, workplace, option):
    outcome = run("benchmark", "vgg.onnx", *option)
    assert outcome.code == 2
    assert f"{option[0]} has nothing to compare with" in outcome.error
    assert "with --baseline" in outcome.error
    (workplace / "vggexport.toml").write_text("[benchmark]\nmax_regression = '5%'\nstrict = true\n")
    assert "vgg.onnx does not exist" in run("benchmark", "vgg.onnx").error  # no gate is asked for


def test_defaults_are_those_of_the_workflow():
    from vggexport.cli.benchmark import benchmark
    from vggexport.workflows.benchmark import options

    defaults = {p.name: p.default for p in benchmark.params}
    assert defaults["runs"] == options.DEFAULT_RUNS
    assert defaults["duration"] == options.DEFAULT_DURATION_S
    assert defaults["launches"] == options.MIN_LAUNCHES
    assert defaults["warmup"] == options.DEFAULT_WARM_UP
    assert defaults["max_regression"] == f"{options.DEFAULT_MAX_REGRESSION:.0%}"
    kinds = {p.name: p.type for p in benchmark.params}
    assert tuple(kinds["device"].choices) == options.DEVICES
    assert list(kinds["scenario"].choices) == [scenario.value for scenario in options.Scenario]


def descendants(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


def is_alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 4), (signal.SIGTERM, 4)])
def test_an_interrupted_run_leaves_no_process_and_no_file(file, workplace, listing, sent, code):
    before = listing()
    command = [sys.executable, "-m", "vggexport", "benchmark", file, "--duration", "60"]
    with subprocess.Popen(
        [*command, "--csv", "r.csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=workplace,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 20
        while not (children := descendants(process.pid)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)  # anywhere in its start or its load
        os.killpg(process.pid, sent)  # as a terminal does
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == code, stderr
    lines = [line for line in stderr.splitlines() if not line.startswith("note: the machine was")]
    assert len(lines) == 1
    assert lines[0].startswith("Error: interrupted")
    assert children
    deadline = time.monotonic() + 10
    while any(map(is_alive, children)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert listing() == before
