"""What a pruning plans, makes and measures."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vggexport
from tests.recorded_progress import Recorded
from vggexport.errors import InputError
from vggexport.weights import SpecRequest, open_weights


def test_the_narrower_network_is_what_was_planned(prune, folder, whole_spec, class_names):
    report = prune(speedup=1.5)
    made, chosen = report.narrowed, report.chosen
    assert made.spec.macs == chosen.macs <= whole_spec.macs / 1.5
    assert report.images == 48
    assert made.images == 12
    assert made.pruning.predicted_logit_sqnr_db == round(chosen.logit_sqnr_db, 2)
    assert made.pruning.promised_logit_sqnr_db == round(chosen.logit_sqnr_db - 1.5, 2)
    assert sorted(Path().iterdir()) == [Path("narrow.safetensors")]
    narrow = open_weights("narrow.safetensors", SpecRequest())
    whole = open_weights(str(folder / "wide.npz"), SpecRequest())
    assert (narrow.spec, narrow.labels, narrow.trained) == (made.spec, class_names, True)
    assert narrow.pruning == made.pruning
    assert narrow.pruning.sha256 == whole.sha256
    assert narrow.pruning.blocks == (("conv3-16", "conv3-16"), ("conv3-32",))
    assert narrow.pruning.calibration.samples == 48 == len(narrow.pruning.calibration.image_digests)


def test_what_is_measured_is_what_the_networks_answer(prune, folder):
    report = prune(target_sqnr=12.0)
    assert report.chosen.logit_sqnr_db >= 12
    kept = report.narrowed
    seen = kept.pruning.calibration.image_digests
    with np.load(folder / "images.npz") as file:
        images = [one for one in file["images"] if calibration_digest(one) not in seen]
    Path("unseen.npz").touch()
    np.savez("unseen.npz", images=np.stack(images))
    parity = vggexport.verify(
        ["narrow.safetensors"],
        answers=answers_of(folder / "wide.npz", np.stack(images)),
    )
    (candidate,) = parity.candidates
    assert candidate.metrics.logit_sqnr_db == pytest.approx(kept.metrics.logit_sqnr_db, abs=0.05)


def calibration_digest(pixels):
    import calibration

    return calibration.array_digest(pixels)


def answers_of(weights, images):
    from vggexport.metrics.parity import probabilities_of
    from vggexport.network.forward import NumpyNetwork

    opened = open_weights(str(weights), SpecRequest())
    network = NumpyNetwork(opened.spec, opened)
    answers = probabilities_of(network.logits(network.enter(images)), opened.spec.head_activation)
    np.savez("answers.npz", images=images, probabilities=answers)
    return Path("answers.npz")


def test_a_plan_writes_nothing_but_what_the_next_budget_needs(prune, monkeypatch):
    report = prune(plan=True, cache_dir=Path("kept"))
    assert (report.chosen, report.narrowed, report.passed) == (None, None, True)
    shares = [point.macs_share for point in report.curve]
    planned = [point.logit_sqnr_db for point in report.curve]
    assert shares == sorted(shares, reverse=True)
    assert planned == sorted(planned, reverse=True)
    assert all(point.size_bytes == 4 * point.parameters for point in report.curve)
    monkeypatch.setattr("vggexport.pruning.survey.Survey.run", None)
    monkeypatch.setattr("vggexport.pruning.survey.eliminate", None)
    monkeypatch.setattr("vggexport.workflows.prune.forecasting.measure", None)
    again = prune(speedup=2.0, cache_dir=Path("kept"))
    assert [*again.curve] == [*report.curve]
    assert again.chosen in report.curve
    assert Path("kept").is_dir()


def test_a_size_is_kept_with_or_without_a_speedup(prune, whole_spec):
    size = 4 * whole_spec.parameters // 2
    alone = prune(plan=True, max_size=size, cache_dir=Path("kept"))
    both = prune(plan=True, max_size=size, speedup=3.0, cache_dir=Path("kept"))
    assert alone.chosen.size_bytes <= size < 4 * whole_spec.parameters
    assert both.chosen.size_bytes <= size
    assert both.chosen.macs_share <= 1 / 3 < alone.chosen.macs_share
    assert all(point.size_bytes <= size for point in both.curve)


@pytest.mark.usefixtures("latencies_by_operations")
def test_a_share_of_the_latency_is_measured_and_recorded(prune, whole_spec):
    notes, size = Recorded(), 2 * whole_spec.parameters
    report = prune(progress=notes, latency=0.6, max_size=size, cache_dir=Path("kept"))
    latency = report.chosen.latency
    assert latency.ratio_p50 == report.chosen.macs_share <= 0.6
    assert report.chosen.size_bytes <= size
    assert (latency.cpu_model, latency.busy) == ("A CPU", True)
    assert report.narrowed.spec.macs == report.chosen.macs
    assert open_weights("narrow.safetensors", SpecRequest()).pruning.latency == latency
    assert "load average 9.00 on 2 cores" in notes.facts[0]
    assert f"takes {latency.ratio_p50:.3f} of the latency" in " ".join(notes.facts)
    assert not list(Path("kept").rglob("*.onnx"))
    with pytest.raises(InputError, match=r"0\.001 of the latency is out of reach"):
        prune(plan=True, latency=0.001, cache_dir=Path("kept"))


@pytest.mark.usefixtures("latencies_by_operations")
def test_a_front_measures_the_files_of_several_networks(prune, monkeypatch):
    monkeypatch.setattr("vggexport.workflows.prune.budgets.FRONT_SPEEDUPS", (2.0, 400.0))
    notes = Recorded()
    report = prune(progress=notes, front=True, speedup=1.5, cache_dir=Path("kept"))
    front, made = report.front, report.narrowed
    assert front.images == 12
    assert [file.precision.value for file in front.files] == ["float32", "int8"] * 3
    floats, integers = front.files[::2], front.files[1::2]
    shares = [file.macs_share for file in floats]
    assert shares == [1.0, report.chosen.macs_share, min(shares)]
    assert min(shares) <= 0.5
    assert shares == [file.macs_share for file in integers]
    assert shares == [file.latency.ratio_p50 for file in floats]
    original, chosen, _ = floats
    assert (original.logit_sqnr_db, original.top1_agreement) == (math.inf, 1.0)
    assert original.planned_logit_sqnr_db == math.inf
    assert chosen.planned_logit_sqnr_db == report.chosen.logit_sqnr_db
    assert chosen.logit_sqnr_db == pytest.approx(made.metrics.logit_sqnr_db, abs=0.05)
    assert chosen.top1_agreement == made.metrics.top1_agreement
    assert 20 < integers[0].logit_sqnr_db < 60
    for one, other in zip(floats, integers, strict=True):
        assert other.logit_sqnr_db < one.logit_sqnr_db + 0.5  # rounding adds errors to it
        assert other.size_bytes < one.size_bytes
    assert "400x is out of reach: left out" in notes.facts
    assert "3 of 3 networks measured, the last" in notes.facts
    assert not list(Path("kept").rglob("*.onnx"))
    assert sorted(Path().iterdir()) == [Path("kept"), Path("narrow.safetensors")]
    monkeypatch.setattr("vggexport.workflows.prune.budgets.FRONT_SPEEDUPS", (400.0,))
    with pytest.raises(InputError, match="400x is out of reach: narrower convolutions give"):
        prune(front=True, cache_dir=Path("kept"))


def test_a_network_that_breaks_its_promise_fails(prune):
    report = prune(speedup=1.5)
    record = replace(report.narrowed.pruning, promised_logit_sqnr_db=99.0)
    broken = replace(report, narrowed=replace(report.narrowed, pruning=record))
    (failure,) = broken.failures
    assert failure.endswith("dB where 99.0 dB were promised")
