"""Training end to end on a tiny network; what was written is read by everything else."""

import dataclasses
import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import vggexport
from tests.recorded_progress import Recorded
from vggexport.errors import CalibrationError, InputError, OutputError, Unfinished
from vggexport.network.head import HeadActivation, Pooling, fully_connected
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.network.training_recipe import Recipe
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.network import NetworkOptions
from vggexport.weights import SpecRequest, open_weights
from vggexport.weights.description import METADATA_KEY, Description
from vggexport.weights.safetensors_file import read_metadata, write_safetensors
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.evaluate.run import EvaluateOptions

RECIPE = Recipe(learning_rate=0.01, batch=8, epochs=3, patience=50, views=2)
OUTPUT = Path("w.safetensors")


def test_the_weights_are_those_of_the_best_epoch_and_say_what_they_are(trained, network):
    report = trained()
    assert len(report.epochs) == 3
    assert report.accuracy == max(epoch.validation_accuracy for epoch in report.epochs)
    assert (report.training_images, report.validation_images, report.frozen) == (20, 10, "flatten")
    assert not Path("w.safetensors.checkpoint").exists()
    weights = open_weights("w.safetensors", network.request)
    assert weights.labels == report.labels == ("ant", "bee", "cat", "dog", "eel")
    assert weights.trained is report.passed
    training = json.loads(read_metadata(OUTPUT)[METADATA_KEY])["training"]
    assert training["recipe"] == RECIPE.to_json()
    assert training["began_with"] == "conv.npz"
    before = np.load("conv.npz")
    np.testing.assert_array_equal(weights["block1_conv1/kernel"], before["block1_conv1/kernel"])
    assert np.abs(weights["fc1/kernel"] - before["fc1/kernel"]).max() > 0


def test_the_held_out_images_are_evaluated_to_the_accuracy_that_was_reported(trained, labelled):
    report = trained(recipe=dataclasses.replace(RECIPE, epochs=6))
    found = vggexport.evaluate(
        EvaluateOptions(("w.safetensors",), labelled, table=Path("w.validation.csv"))
    )
    assert found.images == 10
    assert found.results[0].accuracy.top1 == report.accuracy


def test_labels_travel_into_artifacts(trained, network, labelled):
    trained()
    options = dataclasses.replace(network, weights="w.safetensors")
    vggexport.build(
        options,
        CalibrationOptions(),
        FileOptions("onnx", Path("w.onnx")),
        BuildOptions(check=False),
    )
    result = vggexport.evaluate(EvaluateOptions(("w.onnx", "w.safetensors"), labelled)).results
    assert result[0].labels == ("ant", "bee", "cat", "dog", "eel")
    assert result[1].agreement == 1.0


def test_a_teachers_answers_are_learnt_in_place_of_the_classes(trained, begin):
    """One that answers as the network itself leaves nothing to learn, whatever the classes say."""
    assert trained(recipe=dataclasses.replace(RECIPE, epochs=12, seed=1)).passed
    still = dataclasses.replace(RECIPE, epochs=1, weight_decay=0.0, dropout=0.0)
    own = dataclasses.replace(begin, weights="w.safetensors", init_missing=False)
    options = {"network": own, "recipe": still, "freeze": "none"}
    trained(**options, output=Path("taught.safetensors"), teacher="w.safetensors")
    trained(**options, output=Path("told.safetensors"))
    before, taught, told = (
        safetensors.numpy.load_file(f"{name}.safetensors") for name in ("w", "taught", "told")
    )

    def moved(after):
        return max(np.abs(after[name] - array).max() for name, array in before.items())

    # Rounding of the answers, 1e-7, comes back times the pixels; the classes move far more.
    assert moved(taught) < moved(told) / 100
    metadata = read_metadata(Path("taught.safetensors"))
    assert json.loads(metadata[METADATA_KEY])["training"]["teacher"] == "w.safetensors"
    with pytest.raises(InputError, match="answers to images, not to layers"):
        trained(teacher="w.safetensors")
    with pytest.raises(InputError, match="is not trained"):
        trained(freeze="none", teacher="random:0", output=Path("other.safetensors"))


def test_features_are_computed_once(trained):
    trained()
    files = {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*.npy")}
    assert len(files) == 20 * 2 + 10
    trained(force=True)
    assert {path: path.stat().st_mtime_ns for path in Path("cache").rglob("*.npy")} == files


@pytest.mark.parametrize(
    ("freeze", "learnt", "frozen"),
    [
        ("none", "block1_conv1/kernel", None),
        ("block1", "block2_conv1/kernel", "block1_conv2/kernel"),
        ("block2", "fc1/kernel", "block2_conv1/kernel"),
    ],
)
def test_what_is_frozen(trained, network, freeze, learnt, frozen):
    recipe = dataclasses.replace(RECIPE, epochs=1, learning_rate=1e-5)
    trained(freeze=freeze, recipe=recipe)
    before, after = np.load("conv.npz"), open_weights("w.safetensors", network.request)
    assert not np.array_equal(before[learnt], after[learnt])
    if frozen:
        np.testing.assert_array_equal(before[frozen], after[frozen])


def test_validation_data_of_ones_own(trained, labelled, tmp_path):
    (tmp_path / "own").mkdir()
    for folder in labelled.iterdir():
        (tmp_path / "own" / folder.name).mkdir()
        (folder / "0.png").rename(tmp_path / "own" / folder.name / "0.png")
    report = trained(validation_data=tmp_path / "own")
    assert (report.training_images, report.validation_images) == (25, 5)
    assert report.validation_table is None
    assert not Path("w.validation.csv").exists()


def write_named(network, weights, labels):
    """A file of ours for the network, with labels."""
    shapes = {name: array.shape for name, array in weights.items()}
    described = Description(network.request, labels).embedded()
    write_safetensors(Path("named.safetensors"), shapes, iter(weights.values()), described)
    return dataclasses.replace(network, weights="named.safetensors")


def test_weights_with_labels_keep_their_order(trained, network, make_weights):
    labels = ("eel", "dog", "cat", "bee", "ant")
    named = write_named(network, make_weights(network.request), labels)
    assert trained(network=named).labels == labels


def test_labels_that_differ_are_refused(trained, network, make_weights):
    named = write_named(network, make_weights(network.request), ("a", "bee", "cat", "dog", "eel"))
    with pytest.raises(CalibrationError, match=r"1 of 5 classes that .* does not know: 'ant'"):
        trained(network=named)
    assert trained(network=named, reinit=("predictions",)).labels[0] == "ant"


def test_other_classes_need_another_last_layer(trained, network, make_weights):
    six = dataclasses.replace(network.request, classes=6)
    np.savez("six.npz", **make_weights(six))
    options = NetworkOptions(weights="six.npz", request=six)
    with pytest.raises(InputError, match=r"has 6 classes and 'labelled' has 5: pass reinit pred"):
        trained(network=options)
    report = trained(network=options, reinit=("predictions",))
    assert report.spec.classes == 5
    with pytest.raises(InputError, match=r"is named 'fc3': reinit takes block1_conv1"):
        trained(network=options, reinit=("fc3",), force=True)


def test_classes_are_of_the_layer_that_is_drawn(trained, network, make_weights):
    """Of the 6 of the file none is kept."""
    six = dataclasses.replace(network.request, classes=6)
    described = Description(six, tuple("abcdef")).embedded()
    weights = make_weights(six)
    shapes = {name: array.shape for name, array in weights.items()}
    write_safetensors(Path("six.safetensors"), shapes, iter(weights.values()), described)
    options = NetworkOptions(weights="six.safetensors", request=SpecRequest(classes=5))
    report = trained(network=options, reinit=("predictions",))
    assert (report.spec.classes, len(report.labels)) == (5, 5)


def test_what_learns_nothing_is_told(trained, network, make_weights):
    """A last layer of zeros gives every class the same, and at this rate goes on to."""
    weights = dict(make_weights(network.request))
    weights["predictions/kernel"] = np.zeros_like(weights["predictions/kernel"])
    weights["predictions/bias"] = np.zeros_like(weights["predictions/bias"])
    np.savez("zeros.npz", **weights)
    progress = Recorded()
    options = dataclasses.replace(network, weights="zeros.npz")
    trained(progress, network=options, recipe=dataclasses.replace(RECIPE, learning_rate=1e-12))
    assert progress.notes[-1].startswith(
        "the validation loss ends at 1.609, and ln(5) = 1.609 is what guessing gives: nothing was "
    )
    other = Recorded()
    trained(other, force=True)
    assert not any("guessing" in note for note in other.notes)


def test_a_rate_that_large_inputs_do_not_bear_is_lowered_and_told(trained):
    recipe, progress = dataclasses.replace(RECIPE, learning_rate=1e3), Recorded()
    report = trained(progress, recipe=recipe)
    assert report.recipe.learning_rate == 1e3
    assert report.epochs[0].learning_rate < 1e3
    told = [note for note in progress.notes if "inputs of the head are large" in note]
    assert len(told) == 1
    assert told[0].endswith("state another with learning_rate")
    anew = [note for note in progress.notes if "restarts at learning rate" in note]
    kept = Recorded()
    trained(kept, recipe=recipe, stated={"learning_rate"}, force=True)
    assert sum("restarts" in note for note in kept.notes) > len(anew)


def test_patience_is_in_steps_unless_it_is_stated(trained):
    """A batch of 40 makes an epoch of 22 images a step: one epoch of patience is 30, or 1."""
    recipe = dataclasses.replace(RECIPE, batch=40, patience=1, learning_rate=1e-12)
    rates = [epoch.learning_rate for epoch in trained(recipe=recipe).epochs]
    assert len(set(rates)) == 1
    stated = trained(recipe=recipe, stated={"patience", "learning_rate"}, force=True)
    assert len({epoch.learning_rate for epoch in stated.epochs}) > 1


def test_random_layers_are_not_frozen(trained, begin):
    with pytest.raises(InputError, match=r"block1_conv1/kernel is random and would be frozen"):
        trained(network=dataclasses.replace(begin, weights="random:0", init_missing=False))


def test_a_class_with_one_image_is_refused(trained, labelled):
    for number in range(1, 6):
        (labelled / "cat" / f"{number}.png").unlink()
    with pytest.raises(CalibrationError, match="class 'cat' has 1 image"):
        trained()


def test_a_class_without_images_is_refused(trained, labelled):
    (labelled / "fox").mkdir()
    with pytest.raises(CalibrationError, match="classes without an image: 'fox'"):
        trained()


def test_a_class_of_which_nothing_judges_is_refused(trained, labelled, tmp_path):
    shutil.copytree(labelled, tmp_path / "own")
    shutil.rmtree(tmp_path / "own" / "cat")
    with pytest.raises(
        CalibrationError, match="class 'cat': add some, or leave out validation_data"
    ):
        trained(validation_data=tmp_path / "own")


def test_unreadable_images_are_left_out_and_too_many_refused(trained, labelled):
    (labelled / "ant" / "0.png").write_text("no image")
    report = trained()
    assert report.training_images + report.validation_images == 29
    for number in (1, 2):
        (labelled / "ant" / f"{number}.png").write_text("no image")
    with pytest.raises(CalibrationError, match="3 unreadable images of 30 where 1 are tolerated"):
        trained(force=True)


def test_a_training_that_diverges_leaves_no_weights(trained):
    recipe = dataclasses.replace(RECIPE, learning_rate=1e30, restarts=0)
    with pytest.raises(Unfinished, match="the training diverged"):
        trained(recipe=recipe, stated={"learning_rate"})
    assert not OUTPUT.exists()


def test_outputs_are_safetensors_and_not_replaced(trained):
    with pytest.raises(OutputError, match=r"weights are written as \.safetensors"):
        trained(output=Path("w.npz"))
    Path("w.validation.csv").write_text("")
    with pytest.raises(OutputError, match=r"w\.validation\.csv exists"):
        trained()


def test_what_is_stated_of_pixels_is_what_is_trained_with(trained, begin):
    stated = dataclasses.replace(begin, layout="keras", preprocessing=CONVENTIONS["unit"])
    trained(network=stated)
    weights, before = open_weights("w.safetensors", SpecRequest()), np.load("conv.npz")
    assert weights.mean_rgb == (0, 0, 0)
    kernel = before["block1_conv1/kernel"] / 255
    np.testing.assert_allclose(weights["block1_conv1/kernel"], kernel, rtol=1e-6)


def test_what_is_assumed_of_pixels_is_said_and_refused_by_strict(trained, begin):
    progress = Recorded()
    trained(progress, network=dataclasses.replace(begin, layout="keras"))
    assert any(note.startswith("pixels: Caffe's convention assumed") for note in progress.notes)
    strict = dataclasses.replace(begin, layout="keras", strict=True)
    with pytest.raises(InputError, match="does not say what happens to pixels"):
        trained(network=strict, output=Path("other.safetensors"))


def test_other_blocks_are_named(trained):
    with pytest.raises(InputError, match=r"freeze takes conv, none, block1, block2"):
        trained(freeze="block7")


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.ENOSPC, Unfinished), (errno.EACCES, OutputError)]
)
def test_features_that_cannot_be_kept(trained, monkeypatch, number, kind):
    def refuse(_self, _content):
        raise OSError(number, "no")

    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    with pytest.raises(kind, match=r"kept in cache: no: make room there, or .* cache_dir$"):
        trained()


def test_images_on_both_sides_are_told(trained, labelled):
    progress = Recorded()
    trained(progress, validation_data=labelled)
    assert any(
        note.startswith("30 of the validation images are trained on too") for note in progress.notes
    )
    other = Recorded()
    trained(other, force=True)
    assert not any("trained on too" in note for note in other.notes)


def test_an_image_that_goes_while_it_is_learnt_from_is_named(trained, labelled, capfd):
    class Removing(Recorded):
        def note(self, message, *advice):
            if message.startswith("epoch 1 "):
                (labelled / "bee" / "1.png").unlink()
                (labelled / "bee" / "2.png").unlink()

    with pytest.raises(CalibrationError, match=r"image 'bee/[12]\.png' is not readable"):
        trained(Removing(), freeze="none", recipe=dataclasses.replace(RECIPE, learning_rate=1e-5))
    assert "Traceback" not in capfd.readouterr().err


HEADS = {
    "one sigmoid": {"classes": 1, "hidden": (), "head_activation": HeadActivation.SIGMOID},
    "several sigmoids": {"head_activation": HeadActivation.SIGMOID},
    "average": {"pooling": Pooling.AVERAGE, "hidden": ()},
    "max": {"pooling": Pooling.MAX, "hidden": fully_connected(32), "last_pooling": False},
}


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns(head, trained, begin, make_weights, labelled):
    """Two colours, or five; what is evaluated afterwards is what was reported."""
    spec = dataclasses.replace(begin.request, **HEADS[head])
    weights = make_weights(spec)
    np.savez("conv.npz", **{n: a for n, a in weights.items() if not n.startswith("predictions")})
    folders = ("ant", "cat") if spec.classes == 1 else ("ant", "bee", "cat", "dog", "eel")
    for folder in {"ant", "bee", "cat", "dog", "eel"} - set(folders):
        shutil.rmtree(labelled / folder)
    report = trained(
        network=dataclasses.replace(begin, request=spec),
        recipe=dataclasses.replace(RECIPE, epochs=80, learning_rate=0.03, dropout=0.0),
    )
    assert report.spec == spec
    assert report.labels == folders
    assert report.epochs[-1].loss < 0.6 * report.epochs[0].loss
    assert report.accuracy >= 0.8
    held_out = EvaluateOptions(("w.safetensors",), labelled, table=Path("w.validation.csv"))
    (found,) = vggexport.evaluate(held_out).results
    assert found.labels == folders
    assert found.accuracy.top1 == report.accuracy


def test_two_folders_are_one_sigmoid(trained, begin, labelled):
    for folder in ("bee", "dog", "eel"):
        shutil.rmtree(labelled / folder)
    sigmoid = {"head_activation": HeadActivation.SIGMOID}
    recipe = dataclasses.replace(RECIPE, epochs=1)
    for classes, outputs in ((5, 1), (2, 2)):
        spec = dataclasses.replace(begin.request, classes=classes, **sigmoid)
        network = dataclasses.replace(begin, request=spec)
        report = trained(network=network, recipe=recipe, force=True)
        assert (report.spec.classes, report.labels) == (outputs, ("ant", "cat"))


def test_five_folders_are_no_two_classes(trained, begin, make_weights):
    spec = dataclasses.replace(begin.request, classes=1, head_activation=HeadActivation.SIGMOID)
    np.savez("whole.npz", **make_weights(spec))
    one = dataclasses.replace(begin, request=spec, weights="whole.npz")
    with pytest.raises(InputError, match="has 2 classes and 'labelled' has 5"):
        trained(network=one)
