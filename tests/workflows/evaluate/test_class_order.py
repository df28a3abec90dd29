"""Folders of classes for files without labels: which class is which."""

import shutil
from pathlib import Path

import pytest

import calibration
import vggexport
from tests.recorded_progress import Recorded
from tests.workflows.evaluate.answers import by_hand, evaluated
from vggexport.errors import CalibrationError, InputError
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.evaluate.run import EvaluateOptions

UNCHECKED = BuildOptions(check=False)


@pytest.fixture
def bare(network, labelled, tmp_path, monkeypatch):
    """A network without labels, and a folder a class by its own answers: all are right."""
    monkeypatch.chdir(tmp_path)
    file = FileOptions("onnx", Path("bare.onnx"))
    vggexport.build(network, CalibrationOptions(), file, UNCHECKED)
    images = calibration.open_labelled(labelled, size=16)
    best = by_hand(file.output, images).argmax(1)

    def sorted_into(*names):
        root = tmp_path / "-".join(names)
        for name in names:
            (root / name).mkdir(parents=True)
            shutil.copy(labelled / "ant" / "0.png", root / name / "x.png")  # no class is empty
        for path, answer in zip(images.source.paths, best, strict=True):
            shutil.copy(labelled / path, root / names[answer] / path.replace("/", ""))
        return root

    return sorted_into


@pytest.mark.parametrize(
    ("names", "order", "right"),
    [
        ("01234", "auto", True),
        ("01234", "index", True),
        ("12345", "index-from-1", True),
        ("12345", "alphabetical", True),
        (("00", "01", "02", "03", "04"), "auto", True),
        ("abcde", "auto", True),
        ("12340", "index", False),
        ("badce", "auto", False),
    ],
)
def test_folders_stand_for_classes(bare, names, order, right):
    (result,) = evaluated("bare.onnx", data=bare(*names), class_order=order).results
    assert (result.accuracy.top1_hits >= 30) == right
    assert (result.other_order is None) == right


@pytest.mark.parametrize("names", ["12345", "13579", ("1", "2", "3", "4", "10")])
def test_numbers_that_may_be_indices_or_not_are_asked_for(bare, names):
    data = bare(*names)
    with pytest.raises(
        InputError, match="may be indices of its 5 classes from 0 or from 1"
    ) as said:
        evaluated("bare.onnx", data=data)
    assert "say class_order index, index-from-1 or alphabetical" in str(said.value)
    with pytest.raises(InputError, match="not numbers from 0 to 4"):
        evaluated("bare.onnx", data=data, class_order="index")


def test_numbers_that_labels_name_are_names(bare):
    Path("labels.txt").write_text("5\n4\n3\n2\n1\n")
    report = evaluated("bare.onnx", data=bare(*"54321"), labels=Path("labels.txt"))
    assert report.results[0].accuracy.top1_hits >= 30


def test_labels_that_do_not_name_numbers_are_passed_over_if_told(bare):
    Path("labels.txt").write_text("a\nb\nc\nd\ne\n")
    data, labels = bare(*"01234"), Path("labels.txt")
    with pytest.raises(CalibrationError, match=r"labels\.txt does not know.*say class_order"):
        evaluated("bare.onnx", data=data, labels=labels)
    (result,) = evaluated("bare.onnx", data=data, labels=labels, class_order="index").results
    assert (result.accuracy.top1_hits >= 30, result.labels) == (True, tuple("abcde"))


@pytest.mark.parametrize(("names", "are_numbers"), [("12340", True), ("bcdea", False)])
def test_another_order_of_classes_is_told_and_fails_if_strict(bare, names, are_numbers):
    """Every folder has the name of the next one; of names no order by number is suggested."""
    data, said = bare(*names), Recorded()
    report = vggexport.evaluate(EvaluateOptions(("bare.onnx",), data), said)
    assert report.passed
    other = report.results[0].other_order
    assert other.hits <= 5
    assert other.other_hits >= 20
    assert report.to_json()["results"][0]["other_class_order"]["answers"] == list(other.answers)
    (note,) = (note for note in said.facts if "another order" in note)
    assert note.startswith("bare.onnx: classes seem to be in another order: top-1 ")
    (told,) = (line for line in said.notes if "another order" in line)
    assert told.endswith("alphabetical" if are_numbers else "see that labels has their order")
    strict = vggexport.evaluate(EvaluateOptions(("bare.onnx",), data, strict=True))
    assert strict.failures == (report.results[0].suspicion,)


def test_classes_without_an_image_are_told(bare):
    root = bare(*"abcde")
    Path("labels.txt").write_text("\n".join("abcde"))
    shutil.rmtree(root / "b")
    told = Recorded()
    options = EvaluateOptions(("bare.onnx",), root, labels=Path("labels.txt"))
    vggexport.evaluate(options, told)
    assert f"{root.name!r} has no image of 1 of 5 classes: 'b'" in told.facts


def test_a_picture_in_two_classes_is_told(bare, labelled):
    """In the folders one picture is in all classes; in those that they were made from, in one."""
    found = {}
    for data in (bare(*"abcde"), labelled):
        told = Recorded()
        options = EvaluateOptions(("bare.onnx",), data, class_order="alphabetical")
        vggexport.evaluate(options, told)
        found[data.name] = [fact for fact in told.facts if "more than one class" in fact]
    (told,) = found["a-b-c-d-e"]
    assert told.startswith("1 picture of 'a-b-c-d-e' is in more than one class: a/x.png is b/x.png")
    assert found["labelled"] == []
