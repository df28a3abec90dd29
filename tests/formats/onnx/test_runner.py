"""ONNX Runtime behind the runner interface."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from vggexport.errors import ArtifactError, InputError
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.formats.registry import load_exporter
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks

ROUNDING = 1e-6
"""float32 sums of at most 128 products against float64 ones, relative to the largest value."""

TAPS = ("block1_conv2", "block1_pool", "fc1")


@pytest.fixture
def runner(export):
    with OnnxRunner(export("float32", "uint8", taps=TAPS), threads=1) as runner:
        yield runner


@pytest.mark.parametrize("input_dtype", ["float32", "uint8"])
@pytest.mark.parametrize("given", ["float32", "uint8"])
def test_pixels_of_either_type_give_the_same_probabilities(
    export, images, expected, input_dtype, given
):
    with OnnxRunner(export("float32", input_dtype)) as runner:
        probabilities = runner.predict(images.astype(given))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected["probabilities"], rtol=0, atol=ROUNDING)


def test_layers_that_the_file_has_are_given_by_name_and_nhwc(runner, images, expected, monkeypatch):
    monkeypatch.setattr(shutil, "copyfile", None)  # no copy is made for them
    found = runner.activations(images, TAPS)
    assert list(found) == list(TAPS)
    for name, values in found.items():
        assert values.dtype == np.float32
        limit = ROUNDING * np.abs(expected[name]).max()
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=limit)


def test_activations_come_in_the_order_asked_for_and_from_any_iterable(runner, images, tiny):
    backwards = [*TAPS[::-1], "probabilities"]
    found = runner.activations(images, iter(backwards))
    assert list(found) == backwards
    assert found["fc1"].shape == (6, tiny.fc_units[0])
    assert found["block1_pool"].shape == (6, 8, 8, 6)
    np.testing.assert_array_equal(found["probabilities"], runner.predict(images))


def test_what_is_returned_belongs_to_the_caller(export, images):
    pixels = images.astype(np.float32)
    with OnnxRunner(export(taps=TAPS)) as runner:
        first = runner.predict(pixels)
        activations = runner.activations(pixels, TAPS)
        kept = first.copy()
        kept_activations = {name: values.copy() for name, values in activations.items()}
        pixels[:] = 255 - pixels
        other = runner.predict(pixels)
        first_again = first.copy()
        other[:] = -1
    assert first.flags.writeable
    assert not np.array_equal(kept, other)
    np.testing.assert_array_equal(first_again, kept)
    np.testing.assert_array_equal(first, kept)  # the session is closed
    for name, values in activations.items():
        np.testing.assert_array_equal(values, kept_activations[name])
    first[:] = 0


def test_the_images_are_left_as_they_are(runner, images):
    before = images.copy()
    runner.predict(images)
    np.testing.assert_array_equal(images, before)


def test_images_that_are_not_contiguous_are_taken_as_they_look(runner, images):
    turned = images[::-1, :, ::-1]
    np.testing.assert_array_equal(
        runner.predict(turned), runner.predict(np.ascontiguousarray(turned))
    )


@pytest.mark.parametrize(
    "shape", [(2, 8, 16, 3), (2, 16, 16, 1), (16, 16, 3), (2, 3, 16, 16)], ids=str
)
def test_images_of_another_shape_are_refused_in_one_line(runner, shape):
    with pytest.raises(InputError, match="images") as raised:
        runner.predict(np.zeros(shape, np.uint8))
    assert "\n" not in str(raised.value)


def test_another_batch_than_the_files_is_refused_in_one_line(export, images):
    with OnnxRunner(export("float32", "uint8", 2)) as runner:
        assert runner.predict(images[:2]).shape == (2, 5)
        with pytest.raises(InputError, match="images") as raised:
            runner.predict(images[:3])
    assert "\n" not in str(raised.value)


def test_a_layer_that_is_not_there_is_refused_with_those_that_are(runner, images, tiny):
    with pytest.raises(ArtifactError, match="has no layer fc8, fc9 that can be read") as raised:
        runner.activations(images, ["fc1", "fc8", "fc9"])
    assert str(raised.value).endswith(", ".join(layer.name for layer in tiny.layers))
    assert "\n" not in str(raised.value)


def test_no_layers_asked_for_give_none(runner, images):
    assert runner.activations(images, []) == {}


def test_a_flattening_of_one_position_and_odd_maps(
    make_request, make_weights, numpy_network, tmp_path
):
    blocks = parse_blocks("conv5-3 | conv1-4 conv3-5")
    spec = VGGSpec("odd", blocks, classes=3, hidden=fully_connected(4, 4), input_size=(7, 7))
    request, weights, path = make_request(), make_weights(spec), tmp_path / "odd.onnx"
    load_exporter("onnx").export(
        replace(request, artifact=replace(request.artifact, spec=spec), weights=weights), path
    )
    images = np.random.default_rng(5).integers(0, 256, (3, 7, 7, 3), dtype=np.uint8)
    with OnnxRunner(path) as runner:
        found = runner.activations(images, [layer.name for layer in spec.layers])
    assert found["block2_pool"].shape == (3, 1, 1, 5)
    assert not np.shares_memory(found["flatten"], found["block2_pool"])
    for name, expected in numpy_network(spec, weights, images).items():
        limit = ROUNDING * np.abs(expected).max()
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=limit, err_msg=name)
