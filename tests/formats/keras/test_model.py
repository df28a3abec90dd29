"""The Keras model against the paper and the numpy network."""

import runpy
from dataclasses import replace

import keras
import numpy as np
import pytest

from vggexport.errors import Unavailable
from vggexport.formats.keras import model as model_module
from vggexport.formats.keras.model import (
    MeanSubtraction,
    build_architecture,
    build_model,
    tensor_from,
)
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks

# Keras' get_weights and save call numpy.array(variable, copy=False) the old way.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
NARROW_D = (
    "conv3-2 conv3-2 | conv3-3 conv3-3 | conv3-3 conv3-3 conv3-3"
    " | conv3-4 conv3-4 conv3-4 | conv3-4 conv3-4 conv3-4"
)


@pytest.fixture(scope="module")
def tiny_model(tiny, tiny_weights):
    return build_model(tiny, tiny_weights)


def outputs_of(model: keras.Model, name: str, images: np.ndarray, *, training: bool = False):
    part = keras.Model(model.input, model.get_layer(name).output)
    return np.array(part(images.astype(np.float32), training=training))


def test_the_mean_is_subtracted_first_and_exactly(tiny_model):
    assert tiny_model.inputs[0].name == "images"
    assert isinstance(tiny_model.layers[1], MeanSubtraction)
    assert tiny_model.layers[1].input is tiny_model.inputs[0]
    pixels = np.zeros((1, 16, 16, 3), np.uint8)
    pixels[0, 0, 0] = (255, 128, 1)
    subtracted = outputs_of(tiny_model, "mean_subtraction", pixels)
    mean = np.float32([123.68, 116.779, 103.939])
    np.testing.assert_array_equal(subtracted[0, 5, 7], -mean)
    np.testing.assert_array_equal(subtracted[0, 0, 0], np.float32([255, 128, 1]) - mean)


def test_the_specs_mean_is_the_one_subtracted(tiny):
    model = build_model(replace(tiny, mean_rgb=(1.0, 2.0, 3.0)))
    subtracted = outputs_of(model, "mean_subtraction", np.zeros((1, 16, 16, 3), np.uint8))
    np.testing.assert_array_equal(subtracted[0, 0, 0], np.float32([-1, -2, -3]))


def test_every_layer_equals_the_numpy_network(
    tiny, tiny_weights, tiny_model, numpy_network, images
):
    expected = numpy_network(tiny, tiny_weights, images)
    names = [layer.name for layer in tiny.layers]
    assert list(expected) == names
    outputs = keras.Model(tiny_model.input, [tiny_model.get_layer(n).output for n in names])
    for name, actual in zip(names, outputs(images.astype(np.float32)), strict=True):
        # float32 sums of at most 128 products against float64 ones.
        limit = 1e-6 * np.abs(expected[name]).max()
        np.testing.assert_allclose(actual, expected[name], rtol=0, atol=limit, err_msg=name)


def test_probabilities_are_neither_saturated_nor_flat(tiny, tiny_weights, numpy_network, images):
    """Otherwise every comparison of outputs would be empty."""
    probabilities = numpy_network(tiny, tiny_weights, images)["probabilities"]
    assert probabilities.max() < 0.99
    assert probabilities.max(axis=1).min() > 0.3
    assert len(set(probabilities.argmax(axis=1))) > 1


def test_an_odd_feature_map_loses_its_last_row(make_weights, numpy_network):
    spec = VGGSpec(
        "odd",
        parse_blocks("conv3-3 | conv5-4"),
        classes=3,
        hidden=fully_connected(4, 4),
        input_size=(11, 11),
    )
    weights = make_weights(spec)
    images = np.random.default_rng(3).integers(0, 256, (2, 11, 11, 3), dtype=np.uint8)
    expected = numpy_network(spec, weights, images)["probabilities"]
    actual = build_model(spec, weights)(images.astype(np.float32))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)  # float32 against float64


def test_weight_decay_is_in_the_losses_of_every_kernel_and_of_no_bias(make_weights):
    spec = VGGSpec(
        "d", parse_blocks(NARROW_D), classes=3, hidden=fully_connected(5, 5), input_size=(32, 32)
    )
    weights = make_weights(spec)
    kernels = [array for name, array in weights.items() if name.endswith("/kernel")]
    expected = [5e-4 * np.sum(kernel.astype(np.float64) ** 2) for kernel in kernels]
    losses = [float(loss) for loss in build_model(spec, weights).losses]
    assert len(losses) == 16
    # A float32 sum of at most 36 squares.
    np.testing.assert_allclose(sorted(losses), sorted(expected), rtol=1e-6)


def test_dropout_follows_both_hidden_fully_connected_layers_at_one_half(tiny_model, images):
    dropouts = [layer for layer in tiny_model.layers if isinstance(layer, keras.layers.Dropout)]
    assert [(layer.name, layer.rate) for layer in dropouts] == [
        ("fc1_dropout", 0.5),
        ("fc2_dropout", 0.5),
    ]
    for name in ("fc1", "fc2"):
        assert tiny_model.get_layer(f"{name}_dropout").input is tiny_model.get_layer(name).output


def test_dropout_works_in_training_and_not_in_inference(tiny_model, images):
    many = np.repeat(images, 20, axis=0)
    kept = outputs_of(tiny_model, "fc1", many)
    dropped = outputs_of(tiny_model, "fc1_dropout", many, training=True)
    positive = kept > 0
    share = np.mean(dropped[positive] == 0)
    # Some 1,000 draws: 0.1 is six standard deviations.
    assert share == pytest.approx(0.5, abs=0.1)
    survivors = positive & (dropped != 0)
    np.testing.assert_array_equal(dropped[survivors], 2 * kept[survivors])
    np.testing.assert_array_equal(outputs_of(tiny_model, "fc1_dropout", many), kept)


def test_weights_are_taken_as_they_are(tiny, tiny_weights, tiny_model):
    for layer in tiny.weighted_layers:
        kernel, bias = tiny_model.get_layer(layer.name).get_weights()
        np.testing.assert_array_equal(kernel, tiny_weights[layer.kernel.name])
        np.testing.assert_array_equal(bias, tiny_weights[layer.bias.name])


def test_without_weights_kernels_are_random_and_biases_zero(tiny):
    model = build_model(tiny)
    for layer in tiny.weighted_layers:
        kernel, bias = model.get_layer(layer.name).get_weights()
        assert np.count_nonzero(kernel) == kernel.size
        assert not bias.any()


def test_the_architecture_has_every_variable_and_no_value():
    spec = VGGSpec(
        "d", parse_blocks(NARROW_D), classes=3, hidden=fully_connected(5, 5), input_size=(32, 32)
    )
    variables = build_architecture(spec).trainable_variables
    assert [v.path for v in variables] == list(spec.tensors)
    assert [tuple(v.shape) for v in variables] == [t.shape for t in spec.tensors.values()]
    assert all(v._value is None for v in variables)


def test_the_model_that_is_built_does_have_values(tiny_model):
    """Unlike the architecture's, so that the test of those can fail."""
    assert not any(v._value is None for v in tiny_model.trainable_variables)


def test_the_model_can_be_saved_and_loaded_with_its_mean(tiny, tiny_weights, images, tmp_path):
    spec = replace(tiny, mean_rgb=(120.5, 110.25, 100.125))
    model = build_model(spec, tiny_weights)
    model.save(tmp_path / "vgg.keras")
    loaded = keras.models.load_model(tmp_path / "vgg.keras")
    assert loaded.get_layer("mean_subtraction").mean_rgb == (120.5, 110.25, 100.125)
    pixels = images.astype(np.float32)
    np.testing.assert_array_equal(loaded(pixels), model(pixels))


def test_another_keras_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(Unavailable, match="Keras runs on jax here: set KERAS_BACKEND=tensorflow"):
        runpy.run_path(model_module.__file__)


@pytest.mark.parametrize("shape", [(1,), (3, 3, 3, 4), (5, 7), (128, 16)])
def test_a_tensor_has_the_arrays_values_on_memory_of_its_own(shape):
    array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    source = array.copy()
    tensor = tensor_from(source)
    source[:] = 0
    assert tuple(tensor.shape) == shape
    np.testing.assert_array_equal(tensor.numpy(), array)


def test_a_tensor_outlives_the_arrays_around_it():
    arrays = [np.full(1000, number, np.float32) for number in range(50)]
    tensors = [tensor_from(array) for array in arrays]
    del arrays
    junk = [np.full(1000, -1, np.float32) for _ in range(100)]
    assert [float(tensor[999]) for tensor in tensors] == list(range(50))
    assert len(junk) == 100
