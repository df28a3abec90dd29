"""Ranges tell whether the images were of one class to the network."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.recorded_progress import Recorded
from vggexport.network.head import HeadActivation
from vggexport.network.pictures import UNSTATED
from vggexport.opening.activation_ranges import take_snapshots
from vggexport.opening.calibration_images import note_doubtful
from vggexport.system.progress import Steps

ONE, OTHER = (3.0, -1.0, -1.0, -1.0, -1.0), (-1.0, 2.0, -1.0, -1.0, -1.0)
TWO = (3.0, 1.0, -1.0, -1.0, -1.0)
"""As best class the first; of a sigmoid two."""


@pytest.fixture
def take(tiny, weights_record, calibration_record):
    """Logits of each image -> what is recorded of the calibration, and notes."""

    def take(*logits, trained=True, source="photos", activation=HeadActivation.SOFTMAX):
        left = [np.array([row], np.float32) for row in logits]
        network = SimpleNamespace(
            spec=replace(tiny, head_activation=activation),
            record=replace(weights_record, trained=trained),
            pictures=UNSTATED,
        )
        plan = SimpleNamespace(
            calibration_images=lambda: iter(np.zeros((len(logits), *tiny.image_shape), np.uint8)),
            calibrated=len(logits),
            method="minmax",
            source=SimpleNamespace(name=source),
            record=lambda: replace(calibration_record, source=source, samples=len(logits)),
        )
        runner = SimpleNamespace(activations=lambda _, names: dict.fromkeys(names, left.pop(0)))
        said = Recorded()
        found = take_snapshots(network, runner, plan, Steps(said), [])[len(logits)]
        note_doubtful(found, Steps(said))
        return found.calibration.one_class, [note for note in said.notes if "one class" in note]

    return take


def test_images_of_one_class_are_marked_and_told(take):
    assert take(*[ONE] * 10)[0] is True
    is_one, (note,) = take(*[ONE] * 9, OTHER)
    assert is_one
    assert note == (
        "photos: nearly all images are of one class to this network; what others need is not known "
        "from them, and bundle refuses the file: pass images of all classes with calibration_data"
    )


def test_images_of_several_classes_are_not(take):
    assert take(*[ONE] * 8, OTHER, OTHER) == (None, [])


def test_of_a_sigmoid_all_outputs_above_the_middle_are_its_classes(take):
    sigmoid = HeadActivation.SIGMOID
    assert take(*[ONE, TWO] * 5)[0] is True
    assert take(*[ONE, TWO] * 5, activation=sigmoid) == (None, [])
    assert take(*[TWO] * 10, activation=sigmoid)[0] is True


def test_random_weights_and_images_of_the_tool_have_marks_of_their_own(take):
    assert take(*[ONE] * 10, trained=False) == (None, [])
    assert take(*[ONE] * 10, source="synthetic") == (None, [])
