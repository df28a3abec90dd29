"""The course of a training, and the checkpoint that it goes on from."""

import dataclasses
import json

import numpy as np
import pytest

from vggexport.errors import InputError, WeightsError
from vggexport.network.spec import UNSAID_IN_0_1_0
from vggexport.network.training_recipe import PAPER
from vggexport.results.train import Epoch
from vggexport.training.checkpoint import VELOCITY, Checkpoint, Course

RECIPE = dataclasses.replace(PAPER, patience=2, decreases=1, epochs=20)


def run(accuracies, recipe=RECIPE):
    """The course after epochs of these validation accuracies."""
    course = Course.begin(recipe)
    for number, accuracy in enumerate(accuracies, start=1):
        assert not course.is_over
        course = course.after(Epoch(number, course.learning_rate, 1.0, 1 / number, accuracy, 1.0))
    return course


def test_the_rate_is_divided_when_accuracy_stops_rising():
    assert run([0.1, 0.2, 0.3]).learning_rate == 0.01
    assert run([0.1, 0.2, 0.2]).learning_rate == 0.01
    assert run([0.1, 0.2, 0.2, 0.15]).learning_rate == pytest.approx(0.001)
    assert run([0.1, 0.2, 0.2, 0.3, 0.3]).learning_rate == 0.01


def test_it_ends_after_the_last_decrease_or_the_last_epoch():
    assert run([0.2] * 4).decreases == 1
    assert not run([0.2] * 4).is_over
    assert run([0.2] * 5).is_over
    assert run([0.1, 0.2], dataclasses.replace(RECIPE, epochs=2)).is_over


def test_patience_of_its_own_comes_before_the_recipes():
    patient = dataclasses.replace(Course.begin(RECIPE), patience=4)
    flat = [Epoch(number, 0.01, 1.0, 1.0, 0.2, 1.0) for number in range(1, 6)]
    for epoch in flat[:-1]:
        patient = patient.after(epoch)
    assert patient.decreases == 0
    assert patient.after(flat[-1]).decreases == 1
    assert patient.begun_anew().patience == 4


def test_the_best_epoch_is_the_most_accurate_then_the_one_of_least_loss():
    assert run([0.3, 0.5, 0.4]).best.number == 2
    assert run([0.3, 0.5, 0.5]).best.number == 3  # the loss falls
    nan = Epoch(2, 0.01, 1.0, float("nan"), 0.5, 1.0)
    assert not nan.better_than(Epoch(1, 0.01, 1.0, 0.1, 0.5, 1.0))


def test_it_survives_json():
    course = run([0.1, 0.4, 0.4])
    assert Course.from_json(json.loads(json.dumps(course.to_json()))) == course


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(
        tmp_path / "w.checkpoint",
        {"frozen": "flatten", "network": UNSAID_IN_0_1_0 | {"classes": 5}},
    )


WEIGHTS = {"fc1/kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}
VELOCITIES = {"fc1/kernel": np.full((2, 3), 0.5, np.float32)}


def test_what_was_saved_is_loaded(checkpoint):
    course = run([0.1, 0.4])
    checkpoint.save(course, WEIGHTS, VELOCITIES)
    found, tensors = checkpoint.load(RECIPE)
    assert found == course
    np.testing.assert_array_equal(tensors["fc1/kernel"], WEIGHTS["fc1/kernel"])
    np.testing.assert_array_equal(tensors[VELOCITY + "fc1/kernel"], VELOCITIES["fc1/kernel"])


def test_the_best_weights_are_kept_beside_the_last(checkpoint):
    checkpoint.save(run([0.4]), WEIGHTS, VELOCITIES)
    worse = {name: array + 1 for name, array in WEIGHTS.items()}
    course = run([0.4, 0.3])
    checkpoint.save(course, worse, VELOCITIES)
    np.testing.assert_array_equal(checkpoint.best(course)["fc1/kernel"], WEIGHTS["fc1/kernel"])
    np.testing.assert_array_equal(checkpoint.load(RECIPE)[1]["fc1/kernel"], worse["fc1/kernel"])
    better = run([0.4, 0.3, 0.5])
    checkpoint.save(better, worse, VELOCITIES)
    np.testing.assert_array_equal(checkpoint.best(better)["fc1/kernel"], worse["fc1/kernel"])
    names = sorted(path.name for path in checkpoint.folder.iterdir())
    assert names == ["best_0003.safetensors", "state.safetensors"]
    checkpoint.remove()
    assert not checkpoint.folder.exists()


def test_a_process_killed_while_it_writes_leaves_the_epoch_before(checkpoint):
    course = run([0.4])
    checkpoint.save(course, WEIGHTS, VELOCITIES)
    broken = {"fc1/kernel": np.zeros((9, 9), np.float32)}

    class Killed(Exception):
        pass

    class Dying:
        shape = (2, 3)

        def __array__(self, *_arguments, **_options):
            raise Killed

    with pytest.raises(Killed):
        checkpoint.save(run([0.4, 0.5]), {"fc1/kernel": Dying()}, broken)
    assert checkpoint.load(RECIPE)[0] == course
    np.testing.assert_array_equal(checkpoint.best(course)["fc1/kernel"], WEIGHTS["fc1/kernel"])
    names = sorted(path.name for path in checkpoint.folder.iterdir())
    assert names == ["best_0001.safetensors", "state.safetensors"]  # a full disk gets its room back


def test_what_a_killed_process_was_writing_goes_with_the_rest(checkpoint):
    checkpoint.save(run([0.4]), WEIGHTS, VELOCITIES)
    for name in (".best_0007.safetensors", ".state.safetensors"):
        (checkpoint.folder / name).write_bytes(b"half")
    checkpoint.remove()
    assert not checkpoint.folder.exists()


def test_what_others_put_there_stays(checkpoint):
    checkpoint.save(run([0.4]), WEIGHTS, VELOCITIES)
    (checkpoint.folder / "notes.txt").write_text("mine")
    checkpoint.remove()
    assert [path.name for path in checkpoint.folder.iterdir()] == ["notes.txt"]


def test_a_checkpoint_without_the_best_weights_is_refused(checkpoint):
    """Now, rather than when the training is over."""
    course = run([0.4])
    checkpoint.save(course, WEIGHTS, VELOCITIES)
    checkpoint.best_path(course).unlink()
    with pytest.raises(InputError, match=r"best_0001\.safetensors is gone: start again"):
        checkpoint.load(RECIPE)


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        (
            {"frozen": None, "network": UNSAID_IN_0_1_0 | {"classes": 5}},
            "frozen was flatten there and is None now",
        ),
        (
            {"frozen": "flatten", "network": UNSAID_IN_0_1_0 | {"classes": 6}},
            "network classes was 5 there and is 6 now",
        ),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(checkpoint, identity, said):
    checkpoint.save(run([0.4]), WEIGHTS, VELOCITIES)
    other = dataclasses.replace(checkpoint, identity=identity)
    with pytest.raises(InputError, match=said):
        other.load(RECIPE)


def test_another_recipe_is_refused_and_more_epochs_are_not(checkpoint):
    checkpoint.save(run([0.4]), WEIGHTS, VELOCITIES)
    with pytest.raises(InputError, match=r"recipe batch was 256 there and is 8 now"):
        checkpoint.load(dataclasses.replace(RECIPE, batch=8))
    course, _ = checkpoint.load(dataclasses.replace(RECIPE, epochs=50))
    assert course.recipe.epochs == 50


def test_no_checkpoint_and_a_damaged_one(checkpoint):
    with pytest.raises(InputError, match="holds no checkpoint to resume"):
        checkpoint.load(RECIPE)
    checkpoint.save(run([0.4]), WEIGHTS, VELOCITIES)
    content = checkpoint.state_path.read_bytes()
    checkpoint.state_path.write_bytes(content[:-3])
    with pytest.raises(WeightsError, match="is damaged"):
        checkpoint.load(RECIPE)
