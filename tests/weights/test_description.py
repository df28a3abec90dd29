"""What weights of our own say of themselves, and the file that says it."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy

from vggexport.errors import WeightsError
from vggexport.network.spec import VGGSpec
from vggexport.weights import SpecRequest, open_weights
from vggexport.weights.description import METADATA_KEY, Description
from vggexport.weights.safetensors_file import read_metadata, write_safetensors

LABELS = ("ant", "bee", "cat", "dog", "eel")  # as many as the network has classes


@pytest.fixture
def tiny_weights(tiny, make_weights):
    return make_weights(tiny)


@pytest.fixture
def write(tiny, tiny_weights, tmp_path):
    """Writes the tiny network's weights with a description."""

    def make(description):
        path = tmp_path / "w.safetensors"
        shapes = {name: array.shape for name, array in tiny_weights.items()}
        metadata = description if isinstance(description, dict) else description.embedded()
        write_safetensors(path, shapes, iter(tiny_weights.values()), metadata)
        return path

    return make


@pytest.mark.parametrize("failures", [[], ["the loss grew from 2 to 2e+03"]])
def test_weights_of_a_training_that_failed_are_not_trained(write, tiny, failures):
    weights = open_weights(str(write(Description(tiny, LABELS, {"failures": failures}))), tiny)
    assert weights.trained is not bool(failures)
    assert [note for note in weights.notes if note.startswith("not trained: the loss grew")] == [
        f"not trained: {failure}" for failure in failures
    ]


def test_the_library_reads_what_is_written(write, tiny, tiny_weights):
    path = write(Description(tiny, LABELS, {"epochs": 3}))
    for name, array in safetensors.numpy.load_file(path).items():
        np.testing.assert_array_equal(array, tiny_weights[name])
    assert json.loads(read_metadata(path)[METADATA_KEY])["training"] == {"epochs": 3}


def test_a_tensor_of_another_shape_is_refused(tmp_path):
    with pytest.raises(ValueError, match="where"):
        write_safetensors(tmp_path / "x", {"a": (2,)}, iter([np.zeros(3, np.float32)]), {})


def test_labels_mean_and_sizes_come_with_the_file(write, tiny, tiny_weights):
    spec = dataclasses.replace(tiny, mean_rgb=(1.0, 2.0, 3.0))
    weights = open_weights(str(write(Description(spec, LABELS))), tiny)
    assert (weights.labels, weights.spec.mean_rgb) == (LABELS, (1.0, 2.0, 3.0))
    assert weights.in_memory().labels == LABELS
    for name, array in weights.items():
        np.testing.assert_array_equal(array, tiny_weights[name])


def test_the_files_own_network_is_taken_unless_another_is_asked_for():
    spec = VGGSpec.named("A", classes=5, fc_units=(64, 64), input_size=(40, 40))
    told = Description(spec)
    assert told.narrowed(SpecRequest("A")) is spec
    assert told.narrowed(SpecRequest("A", classes=5, input_size=(40, 40))) is spec
    for other in (
        SpecRequest("D"),
        SpecRequest("A", classes=6),
        SpecRequest("A", input_size=(32, 32)),
    ):
        assert told.narrowed(other) is other


def test_a_file_without_a_description_is_read_by_its_shapes(write, tiny):
    weights = open_weights(str(write({"format": "pt"})), tiny)
    assert weights.labels == ()
    assert weights.spec == tiny


@pytest.mark.parametrize("text", ["no json", "{}", '{"spec": 3, "labels": null, "training": null}'])
def test_a_damaged_description_is_refused(write, tiny, text):
    path = write({METADATA_KEY: text})
    with pytest.raises(WeightsError, match="its vggexport metadata is damaged"):
        open_weights(str(path), tiny)
