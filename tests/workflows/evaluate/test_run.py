"""Accuracy of files on labelled images, counted against numpy; labels and images that are wrong."""

import dataclasses
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import calibration
import vggexport
from tests.recorded_progress import Recorded
from tests.workflows.evaluate.answers import by_hand, evaluated
from vggexport.errors import ArtifactError, CalibrationError, InputError
from vggexport.metrics import accuracy
from vggexport.metrics.verdict import Verdict
from vggexport.network.head import HeadActivation, fully_connected
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.precision import Precision
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.evaluate.run import EvaluateOptions

UNCHECKED = BuildOptions(check=False)
LABELS = ("eel", "dog", "cat", "bee", "ant")
"""Another order than that of the folders."""


@pytest.fixture
def named(network, tmp_path, monkeypatch):
    """The network with labels, in a folder to work in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("labels.txt").write_text("\n".join(LABELS))
    return dataclasses.replace(network, labels=Path("labels.txt"))


@pytest.fixture(scope="module")
def built(network, photographs, tmp_path_factory) -> Path:
    """float32 with two kinds of weights, and int8 that was calibrated on four of the images."""
    folder = tmp_path_factory.mktemp("built")
    (folder / "labels.txt").write_text("\n".join(LABELS))
    named = dataclasses.replace(network, labels=folder / "labels.txt")
    data = CalibrationOptions(data=str(photographs), samples=4)
    for name, weights, precision in (
        ("0.onnx", "random:0", Precision.FLOAT32),
        ("1.onnx", "random:1", Precision.FLOAT32),
        ("int8.onnx", "random:0", Precision.INT8),
    ):
        options = dataclasses.replace(named, weights=weights)
        vggexport.build(options, data, FileOptions("onnx", folder / name, precision), UNCHECKED)
    return folder


@pytest.fixture
def files(built, named):
    """Copies of them in the working directory."""
    shutil.copytree(built, ".", dirs_exist_ok=True)
    return "0.onnx", "1.onnx", "int8.onnx"


def test_counts_are_those_of_numpy_written_out(files, labelled):
    report = evaluated(*files, data=labelled)
    images = calibration.open_labelled(labelled, size=16)
    targets = np.array([LABELS.index(images.classes[i]) for i in images.targets])
    first = by_hand(files[0], images).argmax(1)
    for path, result in zip(files, report.results, strict=True):
        best = by_hand(path, images).argmax(1)
        assert result.accuracy.top1 == np.mean(best == targets)
        assert result.agreement == np.mean(best == first)
        assert result.accuracy.images == report.images == 30
        assert result.labels == LABELS
    only = first == targets, by_hand(files[1], images).argmax(1) == targets
    counts = report.results[1].comparison.counts
    assert counts.only_first == np.sum(only[0] & ~only[1])
    assert counts.only_second == np.sum(only[1] & ~only[0])
    assert [result.seen for result in report.results] == [0, 0, 4]


def test_mistakes_are_the_surest_and_show_the_image(files, labelled):
    (result,) = evaluated(files[0], data=labelled).results
    assert result.mistakes
    sure = [mistake.actual.probability for mistake in result.mistakes]
    assert sure == sorted(sure, reverse=True)
    for mistake in result.mistakes:
        assert mistake.expected == Path(mistake.label).parts[0] != mistake.actual.label
        assert mistake.pixels.shape == (16, 16, 3)


def test_swapped_labels_are_seen(files, labelled, tmp_path):
    """Images of one class in the folder of another: what was right there is wrong now."""
    whole = evaluated(files[0], data=labelled).results[0]
    hit = next(name for name in LABELS if whole.accuracy.class_hits(LABELS.index(name)))
    other = next(name for name in LABELS if name != hit)
    for old, new in ((hit, "x"), (other, hit), ("x", other)):
        (labelled / old).rename(labelled / new)
    swapped = evaluated(files[0], data=labelled).results[0]
    assert swapped.accuracy.top1_hits != whole.accuracy.top1_hits
    assert swapped.accuracy.confusion[LABELS.index(other), LABELS.index(hit)] > 0


def test_a_table_stands_for_folders(files, labelled):
    images = calibration.open_labelled(labelled, size=16)
    Path("t.csv").write_text("image,label\nant/0.png,bee\ncat/1.png,eel\n")
    report = evaluated(files[0], data=labelled, table=Path("t.csv"))
    assert report.images == 2
    assert [score.label for score in report.results[0].classes] == ["eel", "bee"]
    calibration.write_table(Path("all.csv"), images)
    same = evaluated(files[0], data=labelled, table=Path("all.csv"))
    np.testing.assert_array_equal(
        same.results[0].accuracy.confusion,
        evaluated(files[0], data=labelled).results[0].accuracy.confusion,
    )


def test_some_of_the_images_are_the_same_each_time(files, labelled):
    options = {"data": labelled, "images": 7}
    assert evaluated(files[0], **options).images == 7
    first, second = (evaluated(files[0], **options, seed=s).results[0] for s in (0, 1))
    again = evaluated(files[0], **options).results[0]
    np.testing.assert_array_equal(first.accuracy.confusion, again.accuracy.confusion)
    assert not np.array_equal(first.accuracy.confusion, second.accuracy.confusion)


def test_calibration_images_are_refused_where_that_is_asked_for(files, labelled):
    with pytest.raises(CalibrationError, match=r"images that int8\.onnx was calibrated on"):
        evaluated(*files, data=labelled, strict=True)
    assert evaluated(files[0], data=labelled, strict=True).images == 30


def test_gates(files, labelled):
    def verdict(*artifacts, **limits):
        report = evaluated(*artifacts, data=labelled, **limits)
        return report.verdict, bool(report.failures)

    assert verdict(files[0]) == (None, False)
    assert verdict(files[0], min_top1=0.0) == (Verdict.PASS, False)
    assert verdict(files[0], min_top1=1.0) == (Verdict.FAIL, True)
    top1 = evaluated(files[0], data=labelled).results[0].accuracy.top1
    assert verdict(files[0], min_top1=top1) == (Verdict.INCONCLUSIVE, False)
    assert verdict(files[0], min_top1=top1, strict=True) == (Verdict.INCONCLUSIVE, True)
    assert verdict(files[0], files[1], max_drop=1.0) == (Verdict.PASS, False)
    assert verdict(files[0], files[2], max_drop=0.0)[0] is Verdict.INCONCLUSIVE
    with pytest.raises(
        InputError, match=r"a limit of 0\.50% on the drop needs a network to drop from"
    ):
        evaluated(files[0], data=labelled, max_drop=0.005)


def test_a_drop_is_seen(files, labelled, monkeypatch):
    """Labels that are what the first network answers: the other, of other weights, falls off."""
    images = calibration.open_labelled(labelled, size=16)
    rows = zip(images.source.paths, by_hand(files[0], images).argmax(1), strict=True)
    text = "".join(f"{path},{LABELS[answer]}\n" for path, answer in rows)
    Path("t.csv").write_text(f"image,label\n{text}")
    monkeypatch.setattr(accuracy, "CLASS_IMAGES", 1)
    told = Recorded()
    options = EvaluateOptions(files[:2], labelled, table=Path("t.csv"), max_drop=0.1)
    report = vggexport.evaluate(options, told)
    given = [{LABELS[a] for a in by_hand(path, images).argmax(1)} for path in files[:2]]
    lost = [name for name in LABELS if name in given[0] - given[1]]
    said = f"1.onnx: it never gives class {', '.join(map(repr, lost))}, which 0.onnx does"
    assert report.to_json()["results"][1]["lost_classes"] == lost != []
    assert said in told.facts
    assert said not in report.failures
    assert said in dataclasses.replace(report, strict=True).failures
    assert report.results[0].accuracy.top1 == 1.0
    assert report.verdict is Verdict.FAIL
    assert report.results[1].comparison.counts.p_value < 0.05
    assert report.to_json()["passed"] is False
    assert "1.onnx: top-1 drop" in report.failures[0]


def test_unreadable_images_are_left_out_and_too_many_refused(files, labelled):
    (labelled / "ant" / "0.png").write_bytes(b"no image")
    report = evaluated(files[0], data=labelled)
    assert report.images == 29
    assert report.unreadable[0].startswith("ant/0.png: not an image")
    (labelled / "ant" / "1.png").write_bytes(b"no image")
    with pytest.raises(CalibrationError, match="2 unreadable images of 30 where 1 are tolerated"):
        evaluated(files[0], data=labelled)


def test_no_image_at_all_is_no_evaluation(files, labelled):
    (labelled / "ant" / "0.png").write_bytes(b"no image")
    Path("t.csv").write_text("image,label\nant/0.png,ant\n")
    with pytest.raises(CalibrationError, match="1 unreadable images of 1 where 0 are tolerated"):
        evaluated(files[0], data=labelled, table=Path("t.csv"))


def test_classes_that_a_file_does_not_know_are_refused(files, labelled):
    (labelled / "ant").rename(labelled / "ants")
    with pytest.raises(
        CalibrationError, match=r"1 of 5 classes that 0\.onnx does not know: 'ants'"
    ):
        evaluated(files[0], data=labelled)
    Path("other.txt").write_text("ants\nbee\ncat\ndog\neel\n")
    assert evaluated(files[0], data=labelled, labels=Path("other.txt")).images == 30


def test_without_labels_folders_stand_for_classes(network, labelled, files):
    vggexport.build(
        network, CalibrationOptions(), FileOptions("onnx", Path("bare.onnx")), UNCHECKED
    )
    assert evaluated("bare.onnx", data=labelled).results[0].labels == tuple(sorted(LABELS))
    (labelled / "ant").rename(labelled / "4")
    with_numbers = labelled.parent / "numbered"
    with_numbers.mkdir()
    (labelled / "4").rename(with_numbers / "4")
    report = evaluated("bare.onnx", data=with_numbers, class_order="index")
    assert [score.label for score in report.results[0].classes] == ["4"]
    with pytest.raises(InputError, match="has 4 classes where it has 5: name them with labels"):
        evaluated("bare.onnx", data=labelled)


def test_other_classes_are_refused_and_another_architecture_is_not(named, files, labelled):
    wider = dataclasses.replace(
        named, request=dataclasses.replace(named.request, hidden=fully_connected(32, 32))
    )
    vggexport.build(wider, CalibrationOptions(), FileOptions("onnx", Path("32.onnx")), UNCHECKED)
    assert evaluated(files[0], "32.onnx", data=labelled).images == 30
    six = dataclasses.replace(
        named, request=dataclasses.replace(named.request, classes=6), labels=None
    )
    vggexport.build(six, CalibrationOptions(), FileOptions("onnx", Path("six.onnx")), UNCHECKED)
    with pytest.raises(ArtifactError, match="are different networks: classes is 5 and 6"):
        evaluated(files[0], "six.onnx", data=labelled)


def test_a_file_of_a_fixed_batch(named, labelled):
    file = FileOptions("onnx", Path("four.onnx"), batch=4)
    vggexport.build(named, CalibrationOptions(), file, UNCHECKED)
    vggexport.build(named, CalibrationOptions(), FileOptions("tflite", Path("a.tflite")), UNCHECKED)
    report = evaluated("four.onnx", "a.tflite", data=labelled)
    assert (report.images, report.results[1].agreement) == (30, 1.0)


@pytest.fixture
def one_output(network, make_weights, labelled, tmp_path, monkeypatch):
    """Files of two networks of one sigmoid output; of two folders half is above 0.5 for each."""
    monkeypatch.chdir(tmp_path)
    for name in ("bee", "dog", "eel"):
        shutil.rmtree(labelled / name)
    spec = dataclasses.replace(network.request, classes=1, head_activation=HeadActivation.SIGMOID)
    images = calibration.open_labelled(labelled, size=16)
    for name, sign in (("a", 1), ("b", -1)):
        weights = dict(make_weights(spec))
        weights["predictions/bias"] = np.zeros(1, np.float32)
        weights["predictions/kernel"] = np.roll(weights["predictions/kernel"], sign) * sign
        np.savez(f"{name}.npz", **weights)
        options = dataclasses.replace(network, weights=f"{name}.npz", request=spec)
        file = FileOptions("onnx", Path(f"{name}.onnx"))
        vggexport.build(options, CalibrationOptions(), file, UNCHECKED)
        answers = by_hand(file.output, images)
        weights["predictions/bias"] -= np.median(np.log(answers / (1 - answers)))
        np.savez(f"{name}.npz", **weights)
        again = BuildOptions(check=False, force=True)
        vggexport.build(options, CalibrationOptions(), file, again)
    return images


def test_one_output_tells_two_folders_apart(one_output, labelled):
    """Counted by hand: 0 below 0.5, 1 from 0.5 on, folders in the order of their names."""
    results = evaluated("a.onnx", "b.onnx", data=labelled).results
    assert one_output.classes == results[0].labels == ("ant", "cat")
    answers = [by_hand(path, one_output)[:, 0] >= 0.5 for path in ("a.onnx", "b.onnx")]
    assert len({answer.tobytes() for answer in answers}) == 2
    targets = one_output.targets == 1
    for answer, result in zip(answers, results, strict=True):
        assert 0 < answer.sum() < len(answer)
        assert result.accuracy.top1 == np.mean(answer == targets)
        expected = [[np.sum((targets == i) & (answer == j)) for j in (0, 1)] for i in (0, 1)]
        np.testing.assert_array_equal(result.accuracy.confusion[:, :2], expected)
        for mistake in result.mistakes:
            assert mistake.actual.probability >= 0.5
    counts = results[1].comparison.counts
    assert counts.agreement == np.mean(answers[0] == answers[1])
    assert counts.only_first == np.sum((answers[0] == targets) & (answers[1] != targets))
    assert counts.only_second == np.sum((answers[0] != targets) & (answers[1] == targets))


def test_labels_of_one_output_are_two(one_output, labelled):
    """The other way round, all that was right is wrong."""
    there = evaluated("a.onnx", data=labelled).results[0].accuracy
    Path("swapped.txt").write_text("cat\nant\n")
    swapped = evaluated("a.onnx", data=labelled, labels=Path("swapped.txt")).results[0].accuracy
    assert swapped.top1_hits == there.images - there.top1_hits
    Path("one.txt").write_text("cat\n")
    with pytest.raises(InputError, match="1 name on 1 line: 2 classes need one name per line"):
        evaluated("a.onnx", data=labelled, labels=Path("one.txt"))


def test_labels_of_one_output_travel(one_output, network, labelled):
    Path("two.txt").write_text("cat\nant\n")
    spec = dataclasses.replace(network.request, classes=1, head_activation=HeadActivation.SIGMOID)
    options = dataclasses.replace(network, weights="a.npz", request=spec, labels=Path("two.txt"))
    for format_ in ("onnx", "tflite"):
        file = FileOptions(format_, Path(f"named.{format_}"))
        vggexport.build(options, CalibrationOptions(), file, UNCHECKED)
    there = evaluated("a.onnx", data=labelled).results[0].accuracy
    for result in evaluated("named.onnx", "named.tflite", data=labelled).results:
        assert result.labels == ("cat", "ant")
        assert result.accuracy.top1_hits == there.images - there.top1_hits
    assert not zipfile.is_zipfile("named.tflite")  # task libraries want a label an output


def test_several_sigmoids_are_judged_by_the_highest(network, labelled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = dataclasses.replace(network.request, head_activation=HeadActivation.SIGMOID)
    options = dataclasses.replace(network, request=spec)
    file = FileOptions("onnx", Path("several.onnx"))
    vggexport.build(options, CalibrationOptions(), file, UNCHECKED)
    noted = Recorded()

    (result,) = vggexport.evaluate(EvaluateOptions(("several.onnx",), labelled), noted).results
    images = calibration.open_labelled(labelled, size=16)
    best = by_hand("several.onnx", images).argmax(1)
    assert result.accuracy.top1 == np.mean(best == images.targets)
    assert any("highest is that of its folder" in message for message in noted.facts)
