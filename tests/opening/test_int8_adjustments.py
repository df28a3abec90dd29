"""Ranges are widened and biases corrected where a trial shows a gain, and nowhere else."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from vggexport.metrics.parity import compare
from vggexport.opening import int8_trial
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.int8_adjustments import adjusted
from vggexport.opening.int8_trial import Int8Trial
from vggexport.opening.network import NetworkOptions
from vggexport.precision import Precision
from vggexport.quantization.ranges import ActivationRanges
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.build.run import build
from vggexport.workflows.calibrate.run import calibrate


class Notes(Progress):
    def __init__(self):
        self.notes = []

    def note(self, fact, *advice):
        self.notes.append(fact)


def metrics(logit_sqnr_db):
    """Metrics of a file with that SQNR of the logits, and no other fault."""
    return replace(compare(np.eye(4), np.eye(4)), logit_sqnr_db=logit_sqnr_db, logit_rms_error=1.0)


@pytest.fixture
def tried(monkeypatch, tiny, tiny_weights, ranges, tmp_path):
    """((own dB, others' dB) of the trials, …) -> the ranges, notes, trials left."""

    def try_them(*measured, images=24, source="photos", is_open=False):
        left = list(measured)
        parities = lambda *_: map(metrics, left.pop(0))  # noqa: E731
        monkeypatch.setattr(Int8Trial, "parities", parities)
        monkeypatch.setattr(int8_trial, "_answers", lambda *_: None)
        pixels = np.random.default_rng(1).integers(0, 256, (images, *tiny.image_shape), np.uint8)
        plan = SimpleNamespace(
            first=list(pixels),
            source=SimpleNamespace(name=source),
            other_images=lambda count: pixels[:count],
            calibration_images_again=lambda: iter(pixels),
            calibrated=images,
            is_open=is_open,
        )
        runner = SimpleNamespace(
            activations=lambda _, names: dict.fromkeys(names, np.array([-1.0, 1e6]))
        )
        network = SimpleNamespace(spec=tiny, weights=tiny_weights)
        said = Notes()
        found = adjusted(network, runner, plan, ranges, tmp_path, Steps(said))
        return found, said.notes, left

    return try_them


def test_a_clear_gain_of_bias_correction_is_kept_recorded_and_said(tried, ranges):
    found, notes, _ = tried((12.0, 30.0), (15.0, 30.0))
    assert found.calibration == replace(ranges.calibration, bias_correction=True)
    assert (found.ranges, set(found.bias_corrections)) == (ranges.ranges, set(ranges.ranges))
    (note,) = notes
    assert "15.0 dB instead of 12.0 dB on 8 calibration images" in note


@pytest.mark.parametrize(
    "gained", [14.9, 12.0, 3.0, -np.inf, np.nan], ids=["little", "nothing", "loss", "none", "nan"]
)
def test_less_than_that_changes_nothing(tried, ranges, gained):
    found, notes, _ = tried((12.0, 30.0), (gained, 30.0))
    assert found is ranges
    assert notes == []


def test_what_is_good_is_left_alone(tried, ranges):
    assert tried((20.0, 12.0), (40.0, 40.0)) == (ranges, [], [(40.0, 40.0)])


def test_no_bias_is_corrected_by_too_few_images(tried, ranges):
    assert tried((12.0, 30.0), (15.0, 30.0), images=11) == (ranges, [], [(15.0, 30.0)])


def test_nothing_is_tried_on_synthetic_calibration_images(tried, ranges):
    assert tried((12.0, 3.0), source="synthetic") == (ranges, [], [(12.0, 3.0)])


def test_another_method_is_taken_where_nobody_chose_one_and_it_clearly_gains(tried, ranges):
    found, notes, _ = tried((12.0, 30.0), (15.0, 12.0), images=3, is_open=True)
    assert found.calibration == replace(ranges.calibration, method="mse")
    assert found.ranges.keys() == ranges.ranges.keys()
    assert found.ranges != ranges.ranges
    (note,) = notes
    assert note == (
        "ranges by mse: the logits of int8 have 15.0 dB instead of 12.0 dB on 1 calibration image"
    )


def test_another_method_is_judged_with_all_that_mends_it(tried, ranges):
    first = (3.0, 5.0), (3.0, 5.0), (5.9, 5.0)  # neither widened nor corrected
    other = (3.5, 5.0), (3.5, 12.0), (6.5, 12.0)
    found, notes, _ = tried(*first, *other, is_open=True)
    all_three = {"method": "mse", "widened": True, "bias_correction": True}
    assert found.calibration == replace(ranges.calibration, **all_three)
    assert ["mse" in note for note in notes] == [False, False, True]
    assert "have 6.5 dB instead of 3.0 dB on 8 calibration images" in notes[-1]


def test_nothing_is_said_of_what_was_not_kept(tried, ranges):
    found, notes, _ = tried((3.0, 12.0), (6.0, 12.0), (2.0, 12.0), (8.9, 12.0), is_open=True)
    assert found.calibration == replace(ranges.calibration, bias_correction=True)
    assert [note.split()[0] for note in notes] == ["biases"]


@pytest.mark.parametrize(
    "other",
    [[(14.9, 30.0)], [(np.nan, 30.0)], [(30.0, 11.9)] * 2],
    ids=["little", "nan", "fails others"],
)
def test_the_method_stays_where_another_gains_little_or_fails_the_check(tried, ranges, other):
    assert tried((12.0, 12.0), *other, images=3, is_open=True) == (ranges, [], [])


def test_the_method_stays_where_it_was_chosen_or_int8_is_good(tried, ranges):
    assert tried((12.0, 30.0), (30.0, 30.0), images=3)[0] is ranges
    assert tried((20.0, 30.0), (30.0, 30.0), images=3, is_open=True)[0] is ranges


def test_ranges_that_fail_on_synthetic_images_are_widened_by_what_these_reach(tried, ranges):
    found, notes, _ = tried((22.0, 11.9), (20.0, 12.0), images=3)
    assert found.calibration == replace(ranges.calibration, widened=True)
    for name, (low, high) in ranges.ranges.items():
        assert found.ranges[name] == (min(low, -1.0), max(high, 1e6))
    (note,) = notes
    assert "had 11.9 dB on the logits and has 12.0 dB now" in note
    assert "on calibration images 22.0 dB became 20.0 dB" in note


@pytest.mark.parametrize("wider", [(25.0, 11.9), (20.9, 30.0), (np.nan, 30.0)], ids=str)
def test_ranges_stay_where_wider_ones_do_not_help_or_cost_too_much(tried, ranges, wider):
    assert tried((24.0, 5.0), wider) == (ranges, [], [])


def test_biases_of_widened_ranges_are_corrected_where_that_gains(tried, ranges):
    found, notes, _ = tried((14.0, 5.0), (13.0, 15.0), (16.0, 15.0))
    both = replace(ranges.calibration, widened=True, bias_correction=True)
    assert found.calibration == both
    assert "16.0 dB instead of 13.0 dB" in notes[1]


@pytest.fixture(scope="module")
def large_means(tiny, numpy_network, tmp_path_factory):
    """Weights and images of a network with small differences between large values."""
    random = np.random.default_rng(1)
    weights = {}
    for layer in tiny.weighted_layers:
        shape = layer.kernel.shape
        kernel = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
        weights[layer.kernel.name] = kernel.astype(np.float32)
        weights[layer.bias.name] = (random.standard_normal(shape[-1]) / 20).astype(np.float32)
    colours = random.normal(220, 8, (40, 2, 2, 3)).repeat(8, 1).repeat(8, 2)
    colours += random.normal(0, 3, colours.shape)
    pixels = np.clip(colours, 0, 255).astype(np.uint8)
    features = numpy_network(tiny, weights, pixels)["fc2"]
    kernel = random.standard_normal(weights["predictions/kernel"].shape)
    kernel *= 2 / ((features - features.mean(0)) @ kernel).std()
    weights["predictions/kernel"] = kernel.astype(np.float32)
    weights["predictions/bias"] = -(features.mean(0) @ kernel).astype(np.float32)
    folder = tmp_path_factory.mktemp("large_means")
    np.savez(folder / "weights.npz", **weights)
    np.savez(folder / "images.npz", images=pixels)
    network = NetworkOptions(weights=str(folder / "weights.npz"), request=tiny)
    return network, CalibrationOptions(str(folder / "images.npz"), samples=32), folder


def biases(path):
    graph = onnx.load(path).graph
    return {
        tensor.name: onnx.numpy_helper.to_array(tensor).tolist()
        for tensor in graph.initializer
        if tensor.name.endswith("/bias")
    }


def test_all_files_of_one_calibration_carry_the_same_choice(large_means, tmp_path, monkeypatch):
    network, options, _ = large_means
    ranges = tmp_path / "ranges.json"
    report = calibrate(network, options, ranges)
    assert report.calibration.bias_correction is True
    assert ActivationRanges.load(ranges).bias_corrections
    direct = FileOptions("onnx", tmp_path / "direct.onnx", Precision.INT8)
    unchecked = BuildOptions(check=False)
    built = build(network, options, direct, unchecked)
    assert json.loads((tmp_path / "direct.onnx.json").read_text())["calibration"]["bias_correction"]
    by_ranges = replace(direct, output=tmp_path / "ranges.onnx")
    build(network, options, by_ranges, replace(unchecked, ranges=ranges))
    assert biases(direct.output) == biases(by_ranges.output)
    monkeypatch.setattr("vggexport.opening.int8_adjustments.GOOD_LOGIT_SQNR_DB", 0.0)
    plain = replace(direct, output=tmp_path / "plain.onnx")
    without = build(network, options, plain, unchecked).artifact
    assert without == replace(
        built.artifact,
        path=without.path,
        sha256=without.sha256,
        size_bytes=without.size_bytes,
        calibration=without.calibration,
    )
    assert without.calibration == replace(built.artifact.calibration, bias_correction=None)
    assert "bias_correction" not in (tmp_path / "plain.onnx.json").read_text()
    assert biases(plain.output) != biases(direct.output)
