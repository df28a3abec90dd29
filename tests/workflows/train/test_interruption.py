"""Trainings that were broken off: what is kept, and how they go on."""

import dataclasses
import errno
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.recorded_progress import Recorded
from vggexport.errors import InputError, OutputError, Unfinished
from vggexport.network.training_recipe import Recipe
from vggexport.system.progress import Progress

RECIPE = Recipe(learning_rate=0.01, batch=8, epochs=3, patience=50, views=2)
OUTPUT = Path("w.safetensors")


class Interrupting(Progress):
    """Ctrl-C after an epoch."""

    def __init__(self, epoch):
        self._epoch = epoch

    def note(self, message, *advice):
        if message.startswith(f"epoch {self._epoch} "):
            raise KeyboardInterrupt


def test_interrupted_and_resumed_it_writes_the_same_weights(trained):
    whole = trained(output=Path("whole.safetensors"))
    with pytest.raises(KeyboardInterrupt):
        trained(Interrupting(2))
    assert not OUTPUT.exists()
    with pytest.raises(OutputError, match="go on with resume, or start again with force"):
        trained()
    resumed = trained(resume=True)
    expected = safetensors.numpy.load_file("whole.safetensors")
    for name, array in safetensors.numpy.load_file(OUTPUT).items():
        np.testing.assert_allclose(array, expected[name], atol=1e-6)  # the figure
    assert [e.loss for e in resumed.epochs] == pytest.approx([e.loss for e in whole.epochs])
    assert resumed.best == whole.best


def test_a_checkpoint_of_another_training_is_refused(trained, begin):
    with pytest.raises(KeyboardInterrupt):
        trained(Interrupting(1))
    wider = dataclasses.replace(begin.request, input_size=(18, 18))  # the poolings drop the odd row
    with pytest.raises(InputError, match=r"network input_size was 16 there and is 18 now"):
        trained(resume=True, network=dataclasses.replace(begin, request=wider))
    with pytest.raises(InputError, match=r"training images was .* there and is"):
        trained(resume=True, recipe=dataclasses.replace(RECIPE, seed=1))
    with pytest.raises(InputError, match=r"frozen was flatten there and is block1_pool now"):
        trained(resume=True, freeze="block1")
    assert trained(force=True).epochs[0].number == 1
    with pytest.raises(InputError, match="holds no checkpoint to resume"):
        trained(resume=True, force=True)


def test_a_checkpoint_is_looked_for_before_images_are_read(trained):
    progress = Recorded()
    with pytest.raises(InputError, match="holds no checkpoint to resume"):
        trained(progress, resume=True)
    Path("w.safetensors.checkpoint").write_text("no folder")
    with pytest.raises(OutputError, match="is where checkpoints go, and is not a folder"):
        trained(progress)
    assert progress.steps == []


def test_a_training_that_is_interrupted_says_how_to_go_on(trained):
    class InterruptedTelling(Recorded):
        def note(self, message, *advice):
            super().note(message, *advice)
            if message.startswith("epoch 2 "):
                raise KeyboardInterrupt

    progress = InterruptedTelling()
    with pytest.raises(KeyboardInterrupt):
        trained(progress)
    assert progress.notes[-1] == "w.safetensors.checkpoint has the last epoch: go on with resume"


def test_a_disk_that_is_full_at_the_end_loses_no_epoch(trained, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "no space")

    progress = Recorded()
    with monkeypatch.context() as patch:
        patch.setattr("vggexport.workflows.train.run._write", full)
        with pytest.raises(Unfinished, match=r"no room for w\.safetensors"):
            trained(progress)
    assert progress.notes[-1].endswith("has the last epoch: go on with resume")
    assert len(trained(resume=True).epochs) == 3
