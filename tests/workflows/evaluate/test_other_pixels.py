"""Wrong pixels that look like classes in another order: told apart by the file's own weights."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vggexport
from tests.recorded_progress import Recorded
from tests.workflows.evaluate.answers import evaluated
from vggexport.cli.group import main
from vggexport.cli.wording import worded
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.metrics.assignment import OtherOrder
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.precision import Precision
from vggexport.reports.evaluation_words import headline, pixels_line
from vggexport.results.other_pixels import OtherPixels
from vggexport.weights.layouts import FIRST_KERNEL
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.evaluate import other_pixels, run
from vggexport.workflows.evaluate.other_pixels import other_export
from vggexport.workflows.evaluate.run import EvaluateOptions

SWAPPED = (1, 0, 2, 3, 4)


@pytest.fixture(scope="module")
def folder(tiny, tiny_weights, network, tmp_path_factory) -> Path:
    """Images by class as ``right.onnx`` tells them, and files of the same weights for other
    pixels."""
    place: Path = tmp_path_factory.mktemp("pixels")
    kernel = 255 * tiny_weights[FIRST_KERNEL]
    np.savez(place / "weights.npz", **(tiny_weights | {FIRST_KERNEL: kernel}))
    caffe = CONVENTIONS["caffe"]
    for name, convention, precision in (
        ("right", CONVENTIONS["unit"], Precision.FLOAT32),
        ("caffe", caffe, Precision.FLOAT32),
        ("assumed", caffe.assumed, Precision.FLOAT32),
        ("caffe_int8", caffe, Precision.INT8),
    ):
        options = dataclasses.replace(
            network, weights=str(place / "weights.npz"), preprocessing=convention
        )
        file = FileOptions("onnx", place / f"{name}.onnx", precision)
        vggexport.build(options, CalibrationOptions(samples=8), file, BuildOptions(check=False))
    random = np.random.default_rng(4)
    colours = random.integers(0, 256, (60, 1, 1, 3), np.uint8)
    images = np.broadcast_to(colours, (60, 16, 16, 3))  # of which a resize leaves all as it is
    with OnnxRunner(place / "right.onnx") as runner:
        answers = runner.predict(images).argmax(1)
    for name in "abcde":
        (place / "held" / name).mkdir(parents=True)
        Image.fromarray(images[0]).save(place / "held" / name / "any.png")  # no class is empty
    for index, (image, answer) in enumerate(zip(images, answers, strict=True)):
        Image.fromarray(image).save(place / "held" / "abcde"[answer] / f"{index}.png")
    return place


@pytest.fixture(autouse=True)
def in_another_order(folder, monkeypatch):
    """Every network's answers seem to be."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(run, "find_other_order", lambda *_: OtherOrder(10, 20, 65, SWAPPED))


@pytest.mark.parametrize("name", ["caffe.onnx", "caffe_int8.onnx"])
def test_a_file_for_other_pixels_is_told_from_one_with_other_classes(name):
    told = Recorded()
    report = vggexport.evaluate(EvaluateOptions((name,), Path("held"), strict=True), told)
    (result,) = report.results
    assert (result.pixels, result.other_pixels.made_for) == (CONVENTIONS["caffe"],) * 2
    right = {result.other_pixels.preprocessing.words, *result.other_pixels.rivals}
    assert "unit, RGB" in right
    other = result.other_pixels
    assert (other.hits, other.images) == (61, 65)  # all but "any" of four classes
    assert other.own_hits < 40
    assert "made for caffe, BGR; run in float32, its weights are" in pixels_line(report)
    assert any("export it again with onnx preprocessing" in note for note in told.notes)
    assert not any("another order" in note for note in told.facts)
    assert report.failures == (result.suspicion,)
    assert headline(report) == "A network was made for other pixels."
    assert report.to_json()["results"][0]["other_pixels"]["hits"] == result.other_pixels.hits


def test_the_right_pixels_leave_the_order_of_the_classes():
    report = evaluated("right.onnx", data=Path("held"), strict=True)
    assert report.results[0].other_pixels is None
    assert pixels_line(report) == "unit, RGB"
    assert report.failures == (report.results[0].suspicion,)
    assert "another order" in report.failures[0]


def test_networks_of_different_pixels_are_named():
    report = evaluated("right.onnx", "caffe.onnx", data=Path("held"))
    assert pixels_line(report).startswith("right.onnx: unit, RGB; caffe.onnx: made for caffe")


@pytest.mark.parametrize(
    ("name", "cheap_macs", "is_told"),
    [("caffe", 10**8, True), ("caffe", 0, False), ("assumed", 0, True), ("right", 10**8, False)],
)
def test_without_another_order_it_is_told_where_nobody_stated_it_or_trying_is_cheap(
    name, cheap_macs, is_told, monkeypatch
):
    monkeypatch.setattr(run, "find_other_order", lambda *_: None)
    monkeypatch.setattr(other_pixels, "CHEAP_MACS", cheap_macs)
    report = evaluated(f"{name}.onnx", data=Path("held"))
    assert bool(report.results[0].other_pixels) == is_told
    assert ("conventions" in report.seconds) == is_told  # nothing is tried where all is well


TIED = (
    "export it again with {}--preprocessing and the one of them that its training used, or compare "
    "with answers of the training's own program by verify --answers"
)


@pytest.mark.parametrize(
    ("best", "rivals", "file_format", "found", "note", "line"),
    [
        (CONVENTIONS["unit"], (), "tflite", "26 with unit, RGB",
         "export it again with tflite --preprocessing unit",
         "export it again with --preprocessing unit"),
        (CONVENTIONS["unit"], ("raw, RGB", "unit, BGR"), "keras",
         ("up to 26 with raw in RGB, unit in BGR or unit in RGB, which these images cannot tell "
         "apart"),
         TIED.format("export "), TIED.format("")),
        (dataclasses.replace(CONVENTIONS["unit"], channel_order="bgr"), (), "onnx",
         "26 with unit, BGR",
         ("export it again with onnx --pixel-mean 0,0,0 --pixel-std 255,255,255 --channel-order "
         "bgr"),
         "export it again with --pixel-mean 0,0,0 --pixel-std 255,255,255 --channel-order bgr"),
    ],
)  # fmt: skip
def test_what_is_told_can_be_typed(best, rivals, file_format, found, note, line):
    report = evaluated("right.onnx", data=Path("held"))
    other = OtherPixels(CONVENTIONS["caffe"], best, 26, 40, 7, rivals)
    said = worded("x", other_export(other, file_format), main.get_command(None, "evaluate"))
    assert said == f"x: {note}"
    result = dataclasses.replace(report.results[0], other_pixels=other)
    told = pixels_line(dataclasses.replace(report, results=(result,)))
    clause = "run in float32, its weights are right on 7 of 40 images with that, and on"
    assert told == f"made for caffe, BGR; {clause} {found}: {line}"
