"""A colleague's converter: held to our file of the same weights, its convention found or stated."""

from pathlib import Path

import numpy as np
import onnx
import pytest

import vggexport
from tests.foreign_onnx import Style, torch_like
from tests.recorded_progress import Recorded
from vggexport.errors import ArtifactError, InputError
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.opening.run_options import RunOptions
from vggexport.workflows.benchmark.measured_model import Entry, MeasuredModel
from vggexport.workflows.evaluate.run import EvaluateOptions
from vggexport.workflows.verify.options import VerifyOptions

LABELS = ("ant", "bee", "cat", "dog", "eel")
FIRST = "block1_conv1/kernel"
REVERSED = {FIRST: lambda kernel: kernel[:, :, ::-1]}


@pytest.fixture
def theirs(tiny, tiny_weights, tmp_path, monkeypatch, export):
    """(name, changes of weights, style) -> its name; ours is ``ours.onnx``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.onnx").write_bytes(export().read_bytes())

    def write(name="old.onnx", changes=None, *, mean=CONVENTIONS["vgg"], **style):
        changed = {key: change(tiny_weights[key]) for key, change in (changes or {}).items()}
        model = torch_like(tiny, dict(tiny_weights) | changed, mean, Style(**style))
        onnx.save(model, name)
        return name

    return write


def verified(*artifacts, stated=None, **options):
    run = RunOptions(preprocessing_of=stated or {})
    return vggexport.verify(VerifyOptions(artifacts, run=run, **{"images": 12} | options))


@pytest.mark.parametrize(
    ("changes", "style", "convention"),
    [
        ({}, {}, ("vgg", "rgb")),
        (REVERSED, {"softmax": False}, ("caffe", "bgr")),
        ({}, {"uint8": True}, ("raw", "rgb")),
        ({FIRST: lambda kernel: kernel[:, :, ::-1]}, {"uint8": True}, None),
    ],
)
def test_the_convention_is_found_or_none_fits(theirs, changes, style, convention):
    report = verified("ours.onnx", theirs(changes=changes, **style))
    (candidate,) = report.candidates
    found = candidate.runner.found
    assert candidate.runner.foreign
    assert not report.reference.foreign
    assert found.fits is report.passed is (convention is not None)
    assert found.sqnr_db > found.next_sqnr_db
    if convention:
        assert (found.name, found.channel_order) == convention
        assert found.sqnr_db > 80 > found.next_sqnr_db
    told = candidate.to_json()
    assert told["preprocessing_found"]["fits"] is found.fits
    assert told["preprocessing"]["name"] == found.name


@pytest.mark.parametrize(
    ("changes", "style", "stated", "fault"),
    [
        ({}, {}, "vgg", None),
        (REVERSED, {}, "vgg", "kernel-channels-swapped"),
        ({}, {}, "raw", "mean-missing"),
        (REVERSED, {"uint8": True}, "raw", "kernel-channels-swapped"),
        ({"predictions/kernel": lambda kernel: kernel[:, ::-1]}, {}, "vgg", None),
    ],
)
def test_a_mistake_of_a_converter_is_named_once_its_convention_is_stated(
    theirs, changes, style, stated, fault
):
    report = verified(
        "ours.onnx", theirs(changes=changes, **style), stated={"old.onnx": CONVENTIONS[stated]}
    )
    (candidate,) = report.candidates
    assert candidate.runner.found is None
    assert report.passed is (fault is None and not changes)
    named = candidate.diagnosis and candidate.diagnosis.named
    assert (named.fault if named else None) == fault


@pytest.mark.parametrize(("stated", "fault"), [("tf", None), ("raw", "mean-missing")])
def test_a_convention_that_was_misstated_is_told(theirs, stated, fault):
    """Beside a mistake that explains the same: which of the two it is nobody here knows."""
    told = Recorded()
    run = RunOptions(preprocessing_of={theirs(): CONVENTIONS[stated]})
    report = vggexport.verify(VerifyOptions(("ours.onnx", "old.onnx"), run=run, images=8), told)
    named = report.candidates[0].diagnosis.named
    assert (named.fault if named else None) == fault
    (note,) = (fact for fact in told.facts if fact.startswith("old.onnx"))
    assert "its preprocessing was misstated: preprocessing found: vgg, RGB fits with" in note


def test_the_layers_of_both_are_compared_by_ours_names(theirs, tiny):
    report = verified("ours.onnx", theirs(batch_norm=True), layers=True)
    (candidate,) = report.candidates
    assert [layer.name for layer in candidate.layers] == [layer.name for layer in tiny.layers[1:]]
    assert min(layer.sqnr_db for layer in candidate.layers) > 90


def test_the_reference_may_be_the_old_file_where_another_is_known(theirs):
    report = verified(theirs(), "ours.onnx")
    assert report.passed
    assert (report.reference.foreign, report.reference.found.name) == (True, "vgg")


def test_every_row_has_the_labels_that_one_file_carries(theirs, export):
    changes = {"predictions/kernel": lambda kernel: kernel[:, ::-1]}
    new = theirs("new.onnx", changes)
    report = verified(theirs(), "ours.onnx", new, stated={new: CONVENTIONS["vgg"]}, diagnose=False)
    guesses = [
        guess
        for candidate in report.candidates
        for image in candidate.worst
        for guess in (image.expected, image.actual)
    ]
    assert [guess.label for guess in guesses] == [LABELS[guess.index] for guess in guesses]


def test_files_of_other_labels_are_refused_whatever_is_first(theirs, photographs):
    """Beside a file that names no classes, which went with either."""
    model = onnx.load("ours.onnx")
    for entry in model.metadata_props:
        entry.value = entry.value.replace('"bee", "cat"', '"cat", "bee"')
    onnx.save(model, "other.onnx")
    names, said = (theirs(), "ours.onnx", "other.onnx"), "different labels: 'bee' is 'cat' there"
    with pytest.raises(ArtifactError, match=said):
        verified(*names)
    with pytest.raises(ArtifactError, match=said):
        vggexport.evaluate(EvaluateOptions(names, photographs))


def test_what_nothing_tells_is_refused(theirs):
    with pytest.raises(InputError, match="there is no known network here to compare it with"):
        verified(theirs(), theirs("new.onnx"))
    vgg = CONVENTIONS["vgg"]
    assert verified("old.onnx", "new.onnx", stated={"old.onnx": vgg}).passed
    with pytest.raises(InputError, match=r"ours\.onnx was made by vggexport and has its prep"):
        verified("ours.onnx", "old.onnx", stated={"ours.onnx": vgg})
    with pytest.raises(InputError, match=r"pixels\.onnx takes whole pixels \(uint8\)"):
        verified("ours.onnx", theirs("pixels.onnx", uint8=True), stated={"pixels.onnx": vgg})
    with pytest.raises(InputError, match=r"preprocessing is stated for else\.onnx"):
        verified("ours.onnx", "old.onnx", stated={"else.onnx": vgg})


def test_another_number_of_classes_is_another_network(theirs, tiny_weights):
    def wider(name):
        array = tiny_weights[name]
        return {name: lambda _: np.concatenate([array, array], axis=-1)}

    theirs(changes=wider("predictions/kernel") | wider("predictions/bias"))
    model = onnx.load("old.onnx")
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 10
    onnx.save(model, "old.onnx")
    with pytest.raises(ArtifactError, match="different networks: classes is 5 and 10"):
        verified("ours.onnx", "old.onnx")


def test_evaluate_needs_it_stated_or_a_network_that_is_known(theirs, photographs):
    theirs()
    labels = photographs.parent / "labels.txt"
    labels.write_text("ant\nbee\ncat\ndog\neel\n")
    with pytest.raises(InputError, match="no known network here"):
        vggexport.evaluate(EvaluateOptions(("old.onnx",), photographs, labels=labels))
    ours = vggexport.evaluate(EvaluateOptions(("ours.onnx", "old.onnx"), photographs))
    assert ours.results[1].agreement == 1
    run = RunOptions(preprocessing_of={"old.onnx": CONVENTIONS["vgg"]})
    alone = vggexport.evaluate(EvaluateOptions(("old.onnx",), photographs, labels=labels, run=run))
    assert alone.results[0].accuracy.top1 == ours.results[0].accuracy.top1
    assert alone.to_json()["results"][0]["foreign"] is True


def test_it_is_measured_by_nothing_but_its_shape(theirs, tiny):
    model = MeasuredModel(Entry(theirs(), threads=1, batch=2))
    loaded = model.load()
    assert model.run_once() > 0
    assert (loaded.artifact.foreign, loaded.artifact.macs) == (True, tiny.macs)


def test_diff_tells_what_is_known_of_it(theirs):
    (model,) = vggexport.diff(Path("ours.onnx"), Path(theirs())).models
    assert model.note == "weights of old.onnx are not read: another converter wrote it"
    facts = {change.name: change.new for change in model.facts}
    assert (facts["made by another converter"], facts["weights SHA-256"]) == (True, None)
