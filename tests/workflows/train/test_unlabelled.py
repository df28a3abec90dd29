"""A teacher's answers to images without classes: what is learnt, measured and said."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import vggexport
from tests.recorded_progress import Recorded
from vggexport.errors import CalibrationError, InputError
from vggexport.network.training_recipe import Recipe
from vggexport.results.train import Beginning, Epoch
from vggexport.system.progress import Steps
from vggexport.training.checkpoint import Course
from vggexport.weights import SpecRequest, open_weights
from vggexport.weights.description import METADATA_KEY
from vggexport.weights.safetensors_file import read_metadata
from vggexport.workflows.evaluate.run import EvaluateOptions
from vggexport.workflows.train.notes import note_gain

TAUGHT = Path("taught.safetensors")
CALM = Recipe(learning_rate=1e-3, batch=8, epochs=6, dropout=0.0, weight_decay=0.0, patience=50)


def near(path, arrays):
    """Weights near some others, and all of them known."""
    random = np.random.default_rng(0)
    moved = {n: a + random.normal(0, 0.2 * a.std(), a.shape) for n, a in arrays.items()}
    np.savez(path, **{name: array.astype(np.float32) for name, array in moved.items()})


def agreement(weights, images):
    """With the teacher, as ``evaluate`` counts it."""
    options = EvaluateOptions(("w.safetensors", str(weights)), images)
    return vggexport.evaluate(options).results[1].agreement


def test_a_teacher_is_followed_on_images_without_classes(trained, begin, labelled, closed_schema):
    assert trained(recipe=dataclasses.replace(CALM, learning_rate=0.01, epochs=12, seed=1)).passed
    near("student.npz", safetensors.numpy.load_file("w.safetensors"))
    student = dataclasses.replace(begin, weights="student.npz", init_missing=False)
    shutil.copytree(labelled, "photos")
    for number, path in enumerate(sorted(Path("photos").rglob("*.png"))):
        path.rename(Path("photos", f"{number}.png"))
    taught = {"network": student, "recipe": CALM, "freeze": "none", "teacher": "w.safetensors"}
    notes = Recorded()
    report = trained(
        **taught, data=Path("photos"), validation_data=labelled, unlabelled=True, output=TAUGHT,
        progress=notes,
    )  # fmt: skip
    assert (report.training_images, report.validation_images) == (30, 30)
    assert report.before.validation_accuracy is report.accuracy is report.interval is None
    assert report.before.validation_agreement == agreement("student.npz", labelled)
    assert report.agreement == agreement(TAUGHT, labelled) >= report.before.validation_agreement
    assert report.kept.validation_loss < report.before.validation_loss
    assert report.teacher == "w.safetensors"
    assert (report.failures, report.validation_table) == ((), None)
    assert any("agreement with the teacher" in fact for fact in notes.facts)
    assert any(
        fact.startswith("30 of the validation images are trained on") for fact in notes.facts
    )
    document = json.loads(json.dumps(report.to_json()))
    closed_schema("train").validate(document)
    assert (document["validation_accuracy"], document["validation_accuracy_ci95"]) == (None, None)
    assert document["validation_agreement"] == report.agreement
    low, high = document["validation_agreement_ci95"]
    assert low <= report.agreement <= high
    training = json.loads(read_metadata(TAUGHT)[METADATA_KEY])["training"]
    assert training["before"] == report.before.to_json()
    assert Course.from_json(training).before == report.before
    weights = open_weights(str(TAUGHT), SpecRequest())
    assert (weights.trained, weights.labels) == (True, ("ant", "bee", "cat", "dog", "eel"))


def test_a_part_of_the_images_is_held_out(trained, begin, labelled, make_weights):
    """Whatever their folders are called; with one image there is none to hold out."""
    np.savez("teacher.npz", **make_weights(begin.request))
    near("student.npz", make_weights(begin.request))
    student = dataclasses.replace(begin, weights="student.npz", init_missing=False)
    once = dataclasses.replace(CALM, epochs=1)
    taught = {"network": student, "recipe": once, "freeze": "none", "teacher": "teacher.npz"}
    report = trained(**taught, unlabelled=True, output=TAUGHT)
    assert (report.training_images, report.validation_images) == (22, 8)
    assert report.labels == open_weights(str(TAUGHT), SpecRequest()).labels == ()
    Path("one").mkdir()
    shutil.copy(next(labelled.rglob("*.png")), "one")
    with pytest.raises(CalibrationError, match="'one' has 1 image, and a split needs 2"):
        trained(**taught, unlabelled=True, data=Path("one"), output=Path("other.safetensors"))
    with pytest.raises(CalibrationError, match=r"in no class folder.*say unlabelled if images"):
        trained(**taught, data=Path("one"), output=Path("other.safetensors"))
    with pytest.raises(CalibrationError, match="data 'none' is not a folder"):
        trained(**taught, unlabelled=True, data=Path("none"), output=Path("other.safetensors"))


def test_without_a_teacher_nobody_tells_what_to_learn(trained):
    with pytest.raises(
        InputError, match="are learnt from a teacher's answers: name its weights with"
    ):
        trained(unlabelled=True, freeze="none")


@pytest.mark.parametrize(("loss", "said"), [(0.5, False), (0.6, True), (0.7, True)])
def test_what_gains_nothing_is_said(loss, said):
    notes = Recorded()
    course = dataclasses.replace(Course.begin(CALM), before=Beginning(0.6, None, 0.9))
    note_gain(course.after(Epoch(1, 0.01, 1.0, loss, None, 1.0, 0.9)), Steps(notes))
    assert bool(notes.facts) is said
    if said:
        assert (
            "agreement with the teacher was 90.0% (loss 0.600) with the weights" in notes.facts[0]
        )
        assert notes.notes[0].endswith("try learning_rate 0.001")
