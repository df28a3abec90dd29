"""The whole of it on tiny files: real processes, real runtimes, no figure that is looked at."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import vggexport
from calibration import SourceImage, synthetic_image
from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError, CheckFailed, InputError, Unavailable
from vggexport.formats.golden.golden_file import GoldenWriter
from vggexport.metrics.timing import Scenario
from vggexport.network.provenance import WeightsRecord
from vggexport.precision import Precision
from vggexport.results.benchmark_figures import Ceiling
from vggexport.workflows.benchmark import run
from vggexport.workflows.benchmark.entry import Entry
from vggexport.workflows.benchmark.measured_model import MeasuredModel
from vggexport.workflows.benchmark.options import BenchmarkOptions


@pytest.fixture
def no_ceilings(monkeypatch):
    """None is measured; they take a second."""
    asked = []

    def made_up(provider, threads):
        asked.append((provider, threads))
        return Ceiling(provider, threads, {"float32": 100.0, "int8": 400.0}, 20.0)

    monkeypatch.setattr(run, "measure_peak_throughput", made_up)
    return asked


def benchmark(*artifacts, **options):
    few = {"runs": 8, "duration_s": 0.0, "warm_up": 1, "threads": (1,), "launches": 1}
    return vggexport.benchmark(BenchmarkOptions(tuple(map(str, artifacts)), **few | options))


def test_files_of_all_runtimes_without_tensorflow(export, no_ceilings, tmp_path, monkeypatch):
    """Modules in the models' way show that none of them is imported."""
    paths = [export(), export("int8"), export(format="tflite")]
    for name in ("tensorflow", "keras", "tf2onnx"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('imported')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    report = benchmark(*paths, batches=(1, 2))
    assert [(r.artifact.path, r.batch) for r in report.results] == [
        (str(path), batch) for batch in (1, 2) for path in paths
    ]
    for result in report.results:
        assert (result.measurement.runs, result.threads) == (8, 1)
        assert result.load_ms > 0
        assert result.first_ms > 0
        assert result.peak_rss_bytes > 10 * 2**20
        assert result.ceiling is report.ceilings[0]
    int8 = report.results[1]
    assert int8.ceiling_gflop_per_s == 400.0
    assert int8.placement.mac_share == 1.0
    assert len(report.comparisons) == 4
    assert {(c.a.batch, c.a.artifact.path) for c in report.comparisons} == {
        (1, str(paths[0])), (2, str(paths[0]))
    }  # fmt: skip
    assert no_ceilings == [("CPUExecutionProvider", 1)]
    assert report.gate is None
    assert os.environ.get("PYTHONPATH", "").find(str(tmp_path)) == -1


def test_golden_answers_are_those_of_the_file_or_it_is_said(export, tmp_path, monkeypatch):
    """The same images under another network's answers: the classes of another order."""
    monkeypatch.setattr("gc.disable", lambda: None)
    model = MeasuredModel(Entry(str(export()), threads=1, batch=2))
    artifact = model.load().artifact
    pixels = [synthetic_image(0, n, artifact.spec.input_size) for n in range(4)]
    images = [SourceImage(f"#{n}", "0" * 64, image) for n, image in enumerate(pixels)]
    answers = model._model.runner.predict(np.stack(pixels))
    for name, given in (("right", answers), ("wrong", answers[:, ::-1])):
        runs = {"runtime": "x", "provider": "y", "count": 4}
        with GoldenWriter(tmp_path / name, artifact, **runs) as writer:
            writer.add(images, given)
    assert model.wrong_answers(tmp_path / "right") == ()
    assert "max abs" in model.wrong_answers(tmp_path / "wrong")[0]
    assert {"Conv"} <= {layer.type for layer in model.layers(2)}


@pytest.mark.usefixtures("no_ceilings")
def test_what_answers_wrongly_has_no_latency(stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).touch()
    stage.wrong = {"b.onnx": ("max abs 0.7",)}
    report = benchmark("a.onnx", "b.onnx", golden=tmp_path / "g.npz")
    assert [result.artifact.path for result in report.results] == ["a.onnx"]
    assert ("b.onnx", "take_turn") not in stage.calls
    assert report.failures == ("b.onnx answers wrongly in onnxruntime 1.32.0 (max abs 0.7)",)
    for options, said in (
        ({}, "no latency is given"),
        ({"baseline": Path("b.onnx")}, "nothing to compare with"),
    ):
        with pytest.raises(CheckFailed, match=said):
            benchmark(*(["a.onnx"] if options else ["b.onnx"]), golden=tmp_path / "g", **options)


@pytest.mark.usefixtures("no_ceilings")
def test_a_baseline_that_was_busy_is_told_and_with_strict_refused(stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.onnx").touch()
    document = json.loads(json.dumps(benchmark("a.onnx").to_json()))
    document["environment"]["busy"] = True
    (tmp_path / "base.json").write_text(json.dumps(document))
    base = {"baseline": Path("base.json"), "max_regression": 0.9}
    assert "was busy when the baseline base.json" in "".join(benchmark("a.onnx", **base).notes)
    with pytest.raises(InputError, match=r"busy when the baseline base\.json was measured"):
        benchmark("a.onnx", strict=True, **base)
    row, _ = benchmark("a.onnx", baseline=Path("a.onnx"), max_regression=0.9).results
    assert row.is_baseline


def test_a_former_run_and_a_former_artifact(export, no_ceilings, tmp_path):
    path = export()
    former = tmp_path / "former.json"
    former.write_text(json.dumps(benchmark(path).to_json()))
    stored = benchmark(path, baseline=former, max_regression=0.9).gate
    paired = benchmark(path, baseline=path, max_regression=0.9).gate
    assert [g.paired for g in (*stored.results, *paired.results)] == [False, True]
    with pytest.raises(InputError, match="threads was 1 and is 2"):
        benchmark(path, baseline=former, threads=(2,))
    with pytest.raises(InputError, match="batch was 1 and is 2"):
        benchmark(path, baseline=former, batches=(1, 2))
    assert len(no_ceilings) == 3  # nothing was measured for the last


def test_offline_and_sustained(export, no_ceilings):
    (result,) = benchmark(export(), scenario=Scenario.OFFLINE, batches=(3,)).results
    assert result.latency.p50 is None
    assert result.throughput_per_s == pytest.approx(3000 / result.latency.mean)
    (result,) = benchmark(export(), sustained_minutes=0.01).results
    assert len(result.minutes) == 1
    assert result.last_to_first_minute is None
    assert len(no_ceilings) == 2


@pytest.mark.usefixtures("no_ceilings")
@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"device": "cuda"}, Unavailable, "CUDAExecutionProvider"),
        ({"provider": "NoExecutionProvider"}, Unavailable, "NoExecutionProvider is not in this"),
    ],
)
def test_what_is_not_to_be_had(export, options, error, said):
    with pytest.raises(error, match=said):
        benchmark(export(), **options)


@pytest.mark.usefixtures("no_ceilings")
def test_a_batch_that_the_file_does_not_take(export):
    with pytest.raises(InputError, match="takes 2 images at a time and not 1:"):
        benchmark(export(batch=2))


@pytest.mark.usefixtures("no_ceilings")
def test_the_batch_that_the_file_takes_alone(export):
    (result,) = benchmark(export(batch=2), batches=(2,)).results
    assert (result.batch, result.placement.mac_share) == (2, 1.0)


@pytest.mark.usefixtures("no_ceilings")
def test_a_file_that_is_not_ours(tmp_path):
    path = tmp_path / "text.onnx"
    path.write_text("not a model")
    with pytest.raises(ArtifactError, match=r"text\.onnx"):
        benchmark(path)


@pytest.mark.parametrize("kind", ["savedmodel", "keras"])
def test_models_on_tensorflow(export, kind, tmp_path, tiny, tiny_weights, monkeypatch):
    """In this process: TensorFlow starts slowly."""
    monkeypatch.setattr("gc.disable", lambda: None)
    if kind == "keras":
        source = tmp_path / "weights.npz"
        np.savez(source, **tiny_weights)
    else:
        source = export(format="savedmodel")
    model = MeasuredModel(Entry(str(source), threads=0, batch=2))
    record = WeightsRecord("random:0", "0" * 64, trained=False, layout="native")
    loaded = model.load(Artifact("tiny.onnx", "onnx", Precision.FLOAT32, tiny, record))
    assert (loaded.artifact.format, loaded.artifact.spec) == (kind, tiny)
    assert loaded.artifact.size_bytes > 0
    assert model.run_once() > 0
    model.warm_up(2, 0.0)
    assert model.placement() is None
    assert model.cost().transfer_ms is None
