"""Parity of files in every format, and of files that are broken in known ways."""

import dataclasses
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

import vggexport
from vggexport.errors import ArtifactError, CalibrationError, InputError
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.metrics.parity import ParityMetrics, compare
from vggexport.metrics.tolerance import Tolerance
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.precision import Precision
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.verify.options import VerifyOptions

FEW = CalibrationOptions(samples=4)
FILES = ("out/vgg_tiny.onnx", "out/vgg_tiny.tflite", "out/vgg_tiny_saved_model")


def verified(*artifacts, **options):
    return vggexport.verify(VerifyOptions(artifacts, **{"images": 10} | options))


@pytest.mark.usefixtures("files")
def test_every_format_agrees_with_every_other():
    report = verified(*FILES)
    assert report.failures == ()
    assert (report.images, report.source) == (10, "synthetic")
    assert report.reference.path == FILES[0]
    assert [c.runner.path for c in report.candidates] == list(FILES[1:])
    for candidate in report.candidates:
        assert candidate.metrics.top1_agreement == 1.0
        assert candidate.metrics.logit_sqnr_db > 80


@pytest.mark.usefixtures("files")
def test_int8_of_both_formats_is_nearer_to_each_other_than_to_float32():
    int8 = ("out/vgg_tiny_int8.onnx", "out/vgg_tiny_int8.tflite")
    between = verified(*int8).candidates[0]
    assert between.tolerance == Precision.INT8.profile.same_integers
    assert between.failures == ()
    from_float = verified(FILES[0], *int8).candidates
    assert from_float[0].tolerance == Precision.INT8.profile.tolerance
    assert max(c.metrics.logit_sqnr_db for c in from_float) < between.metrics.logit_sqnr_db


@pytest.mark.usefixtures("files")
def test_the_metrics_are_those_of_all_images_together(pixels):
    """Ten images in batches of eight and two, against one comparison of them all."""
    np.savez("images.npz", images=pixels)
    report = verified(*FILES[:1], "out/vgg_tiny_int8.onnx", data="images.npz")
    outputs = []
    for path in (FILES[0], "out/vgg_tiny_int8.onnx"):
        with OnnxRunner(Path(path)) as runner:
            outputs.append(np.concatenate([runner.predict(image[None]) for image in pixels]))
    expected = compare(*outputs)
    metrics = report.candidates[0].metrics
    for name in (*ParityMetrics.json_keys.split(), "finite", "logit_rms_error"):
        # The order of the images differs, and with it that of the sums.
        assert getattr(metrics, name) == pytest.approx(getattr(expected, name), rel=1e-9), name
    assert metrics.choices == expected.choices
    errors = [compare(a[None], b[None]).logit_sqnr_db for a, b in zip(*outputs, strict=True)]
    assert report.candidates[0].worst_image == f"#{int(np.argmin(errors))}"


@pytest.mark.usefixtures("files")
def test_the_reference_may_be_named():
    report = verified(FILES[1], reference=FILES[2])
    assert report.reference.path == FILES[2]
    assert [candidate.runner.path for candidate in report.candidates] == [FILES[1]]


def swap_channels(array):
    return array[:, ::-1]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("block1_conv1/kernel", swap_channels),
        ("mean_subtraction/mean_rgb", lambda mean: 2 * mean),
        ("mean_subtraction/mean_rgb", lambda mean: 0 * mean),
        ("fc2/kernel", lambda kernel: np.roll(kernel, 1, axis=1)),
        ("predictions/bias", lambda bias: bias + np.arange(len(bias), dtype=np.float32)),
        ("block2_conv1/kernel", lambda kernel: np.full_like(kernel, np.nan)),
    ],
)
def test_a_broken_file_fails(changed, name, change):
    report = verified(FILES[0], changed(name, change), FILES[1])
    broken, whole = report.candidates
    assert broken.failures != ()
    assert whole.failures == ()
    assert report.failures == (broken.verdict,)
    assert broken.verdict.startswith(f"broken.onnx: {', '.join(broken.failures)}")
    assert report.to_json()["passed"] is False


@pytest.mark.usefixtures("files")
def test_layers_show_where_a_file_is_broken(network, changed):
    path = changed("fc1/kernel", lambda kernel: np.roll(kernel, 1, axis=1))
    (candidate,) = verified(FILES[1], path, layers=True).candidates
    sqnr = {layer.name: layer.sqnr_db for layer in candidate.layers}
    assert list(sqnr) == [layer.name for layer in network.request.layers]
    assert min(sqnr[name] for name in ("block1_conv1", "block2_conv1", "flatten")) > 100
    assert max(sqnr[name] for name in ("fc1", "fc2", "predictions")) < 20
    (sampled,) = verified(FILES[1], path, layers=True, layer_images=2, diagnose=False).candidates
    assert (sampled.layer_images, sampled.metrics) == (2, candidate.metrics)
    assert candidate.layer_images == candidate.to_json()["layer_images"] > 2
    assert {layer.name: layer.sqnr_db for layer in sampled.layers}["fc1"] != sqnr["fc1"]


@pytest.mark.usefixtures("files")
def test_a_layer_that_is_not_finite_fails_whatever_comes_out_behind_it(changed):
    """A class whose logit is -inf has the probability 0, as one whose logit is -200."""
    first = np.array([1, 0, 0, 0, 0], bool)
    path = changed("predictions/bias", lambda bias: np.where(first, bias - 200, bias))
    reference = shutil.move(path, "reference.onnx")
    path = changed("predictions/bias", lambda bias: np.where(first, -np.float32(np.inf), bias))
    options = {"limits": Tolerance("", max_abs=1e-4), "diagnose": False}
    (unseen,) = verified(reference, path, **options).candidates
    assert (unseen.failures, unseen.metrics.finite) == ((), True)
    (candidate,) = verified(reference, path, layers=True, **options).candidates
    assert candidate.failures == ("NaN or infinity in predictions",)


@pytest.mark.usefixtures("files")
def test_equal_layers_are_null_in_json():
    (candidate,) = verified(FILES[0], FILES[0].replace("out/", "./out/"), layers=True).candidates
    assert {layer.sqnr_db for layer in candidate.layers} == {math.inf}
    assert {layer["sqnr_db"] for layer in candidate.to_json()["layers"]} == {None}


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("limits", "failure"),
    [
        ({"max_abs": 1e-12}, "max abs"),
        ({"min_logit_sqnr_db": 1e6}, "SQNR of the logits"),
        ({"min_sqnr_db": 1e6}, "SQNR of the probabilities"),
    ],
)
def test_limits_replace_those_of_the_precision(limits, failure):
    report = verified(*FILES[:2], limits=Tolerance("as asked for", **limits))
    assert failure in report.failures[0]
    assert report.candidates[0].tolerance.reason == "as asked for"


@pytest.mark.usefixtures("files")
def test_agreement_can_be_demanded(changed):
    path = changed("predictions/bias", lambda bias: 100.0 * np.arange(len(bias), dtype=np.float32))
    limits = Tolerance("", max_abs=2.0, min_logit_sqnr_db=-99.0, min_top1_agreement=1.0)
    report = verified(FILES[0], path, limits=limits)
    assert "top-1 agreement" in report.failures[0]


@pytest.mark.usefixtures("files")
def test_images_that_were_calibrated_on_are_counted_and_refused(network, make_npz):
    data = CalibrationOptions(data=make_npz(10), samples=4)
    file = FileOptions("onnx", Path("own.onnx"), Precision.INT8)
    assert vggexport.build(network, data, file, BuildOptions(check=False)).failures == ()
    report = verified(FILES[0], "own.onnx", data=data.data)
    assert report.candidates[0].seen == 4
    with pytest.raises(CalibrationError, match="was calibrated on"):
        verified(FILES[0], "own.onnx", data=data.data, strict=True)
    assert verified(FILES[0], "own.onnx", strict=True).candidates[0].seen == 0
    of_reference = verified("own.onnx", FILES[0], data=data.data)
    assert (of_reference.reference_seen, of_reference.candidates[0].seen) == (4, 0)
    assert of_reference.to_json()["reference"]["calibration_images"] == 4
    with pytest.raises(CalibrationError, match=r"own\.onnx was calibrated on"):
        verified("own.onnx", FILES[0], data=data.data, strict=True)


@pytest.mark.usefixtures("files")
def test_other_networks_are_refused_in_one_line(network):
    other = dataclasses.replace(network, request=dataclasses.replace(network.request, classes=6))
    vggexport.build(other, FEW, FileOptions("onnx", Path("six.onnx")))
    with pytest.raises(
        ArtifactError, match="different networks: classes is 5 and 6: count what each"
    ):
        verified(FILES[0], "six.onnx")


@pytest.mark.usefixtures("files")
def test_other_labels_are_refused_in_one_line(network, tmp_path):
    for name, labels in (("a", "a b c d e"), ("b", "a b x d e")):
        Path(f"{name}.txt").write_text("\n".join(labels.split()))
        named = dataclasses.replace(network, labels=Path(f"{name}.txt"))
        vggexport.build(named, FEW, FileOptions("onnx", Path(f"{name}.onnx")))
    with pytest.raises(ArtifactError, match="different labels: 'c' is 'x' there: run them"):
        verified("a.onnx", "b.onnx")
    assert verified(FILES[0], "a.onnx").failures == ()


@pytest.mark.usefixtures("files")
def test_no_layer_of_a_healthy_file_stands_out():
    """Every format and precision against float32, and the same integers against each other."""
    int8 = [name.replace("tiny", "tiny_int8") for name in FILES[:2]]
    for sources in ((*FILES, *int8), int8):
        for candidate in verified(*sources, layers=True).candidates:
            assert (candidate.failures, candidate.suspicious) == ((), None), candidate.runner.path
            assert candidate.diagnosis is None


@pytest.mark.usefixtures("files")
def test_the_layer_that_stands_out_is_named(changed):
    path = changed("fc1/kernel", lambda kernel: np.roll(kernel, 1, axis=1))
    (candidate,) = verified(FILES[1], path, layers=True, diagnose=False).candidates
    assert candidate.suspicious.name == "fc1"
    assert candidate.suspicious.sqnr_db < 20 < candidate.suspicious.expected_db


@pytest.mark.usefixtures("files")
def test_keras_is_the_network_that_a_file_was_made_of():
    report = verified(*FILES[:2], reference="keras", images=4)
    assert report.reference.runtime.startswith("keras")
    assert [c.runner.path for c in report.candidates] == list(FILES[:2])
    assert report.failures == ()


@pytest.mark.usefixtures("files")
def test_keras_is_the_network_of_weights_that_are_given():
    report = verified(FILES[0], "random:1", reference="keras", images=4, diagnose=False)
    assert report.reference.path == "random:1"
    assert [c.runner.path for c in report.candidates] == [FILES[0]]
    assert report.failures != ()  # it was made of random:0


def test_keras_alone_is_not_enough():
    with pytest.raises(InputError, match="name two artifacts"):
        verified("random:1", reference="keras")


@pytest.mark.usefixtures("files")
def test_the_reference_is_not_held_to_itself():
    report = verified(*FILES[:2], reference=FILES[1])
    assert [candidate.runner.path for candidate in report.candidates] == [FILES[0]]


@pytest.mark.usefixtures("files")
def test_seconds_of_inference_are_a_part_of_those_of_the_step():
    report = verified(*FILES[:2])
    runners = [report.reference, report.candidates[0].runner]
    assert all(runner.seconds > 0 for runner in runners)
    assert report.inference_seconds == sum(runner.seconds for runner in runners)
    assert report.inference_seconds < report.seconds["verify"]


@pytest.mark.usefixtures("files")
def test_a_fixed_batch_is_filled_up(network):
    file = FileOptions("onnx", Path("three.onnx"), batch=3)
    vggexport.build(network, FEW, file)
    report = verified(FILES[1], "three.onnx")
    assert (report.failures, report.images) == ((), 10)


@pytest.mark.usefixtures("files")
def test_one_artifact_is_not_enough():
    with pytest.raises(InputError, match="name two artifacts"):
        verified(FILES[0])


def test_the_docs_have_every_limit():
    text = (Path(__file__).parents[3] / "docs/verify.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:4] for line in text.splitlines() if " dB" in line and "| " in line]
    said = {row[0].strip().partition(" ")[0]: row[1] for row in rows if "against" not in row[0]}
    for precision in Precision:
        assert f"logits {precision.profile.tolerance.min_logit_sqnr_db:g} dB" in said[precision]
    assert "max abs 1e-4" in said["float32"]
    pairs = {row[0].strip().partition(" ")[0]: row[1] for row in rows if "of one cal" in row[0]}
    assert set(pairs) == {p for p in Precision if p.profile.same_integers}
    for precision in map(Precision, pairs):
        limit = precision.profile.same_integers.min_logit_sqnr_db
        assert f"logits {limit:g} dB" in pairs[precision]
