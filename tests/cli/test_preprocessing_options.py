"""What happens to pixels before the network: stated, read, or assumed with a mark."""

import numpy as np
import pytest

from vggexport.network.preprocessing import CHOICES, CONVENTIONS


@pytest.fixture
def weights(tiny_arrays):
    np.savez("w.npz", **tiny_arrays)
    return ("--config", "A", "--weights", "w.npz", "--no-check")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ("vgg", True)),
        (("--weights-layout", "keras"), ("caffe", False)),
        (("--weights-layout", "keras", "--preprocessing", "caffe"), ("caffe", True)),
        (("--preprocessing", "unit"), ("unit", True)),
        (("--pixel-std", "255,255,255"), ("custom", True)),
    ],
)
def test_the_artifact_records_it(run, weights, options, expected):
    outcome = run("onnx", *weights, *options, "-o", "a.onnx", "--json")
    assert outcome.code == 0
    recorded = outcome.json["artifact"]["preprocessing"]
    assert (recorded["name"], recorded["known"]) == expected
    assert ("assumed" in outcome.stderr) is not expected[1]
    assert run("inspect", "a.onnx", "--json").json["artifact"]["preprocessing"] == recorded


def test_an_assumption_is_said_with_the_way_out(run, weights):
    outcome = run("onnx", *weights, "--weights-layout", "keras", "-o", "a.onnx")
    assert "pixels: Caffe's convention assumed (BGR minus the mean)" in outcome.stderr
    assert f"use --preprocessing to state what training did: {CHOICES}" in outcome.stderr


def test_strict_assumes_nothing(run, weights, listing):
    outcome = run("onnx", *weights, "--weights-layout", "keras", "--strict", "-o", "a.onnx")
    assert outcome.code == 2
    assert "--preprocessing caffe" not in outcome.error  # it would silence this, right or wrong
    assert f"use --preprocessing to state what training did: {CHOICES}" in outcome.error
    assert "evaluate --try-preprocessing" in outcome.error
    assert "verify --answers" in outcome.error
    assert "a.onnx" not in listing()
    assert run("onnx", *weights, "--strict", "-o", "a.onnx").code == 0


def test_numbers_of_ones_own(run, weights, tiny):
    own = ("--pixel-mean", "1,2,3", "--pixel-std", "2,4,8", "--channel-order", "bgr")
    outcome = run("onnx", *weights, *own, "-o", "a.onnx", "--json")
    assert outcome.json["artifact"]["preprocessing"] == {
        "name": "custom",
        "mean_rgb": [1.0, 2.0, 3.0],
        "std_rgb": [2.0, 4.0, 8.0],
        "channel_order": "bgr",
        "known": True,
    }
    assert outcome.json["artifact"]["spec"]["mean_rgb"] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--preprocessing", "unit", "--pixel-mean", "1,2,3"), "whole by itself"),
        (("--pixel-std", "1,0,1"), "no divisor zero"),
        (("--pixel-mean", "1,2"), "three numbers"),
        (("--pixel-mean", "1,2,nan"), "not finite"),
        (("--preprocessing", "inception"), f"'inception' is none of {CHOICES}, or auto"),
    ],
)
def test_what_cannot_be_is_refused(run, weights, options, says):
    outcome = run("onnx", *weights, *options, "-o", "a.onnx")
    assert outcome.code == 2
    assert says in outcome.error


def test_a_bundle_wants_it_known(run, weights):
    run("onnx", *weights, "--weights-layout", "keras", "-o", "assumed.onnx")
    outcome = run("bundle", "assumed.onnx", "-o", "out")
    assert outcome.code == 2
    assert "--preprocessing caffe" not in outcome.error
    assert f"use export --preprocessing to state what training did: {CHOICES}" in outcome.error
    assert "evaluate --try-preprocessing" in outcome.error


def test_a_bundle_only_confirms_it(run, weights):
    run("onnx", *weights, "--preprocessing", "caffe", "-o", "stated.onnx")
    outcome = run("bundle", "stated.onnx", "--preprocessing", "unit", "-o", "out")
    assert outcome.code == 2
    assert "stated.onnx records caffe, not unit" in outcome.error
    confirmed = ("bundle", "stated.onnx", "--preprocessing", "caffe", "-o", "out")
    outcome = run(*confirmed)
    assert outcome.code == 2
    assert "pass --no-labels" in outcome.error
    outcome = run(*confirmed, "--no-labels")
    assert outcome.code == 0, outcome.stderr


def test_each_convention_is_told_by_what_it_does():
    told = [one.partition(" ")[0] for one in CHOICES.split(", ")]
    assert sorted(told) == sorted(CONVENTIONS)
