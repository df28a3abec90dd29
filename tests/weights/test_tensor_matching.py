from dataclasses import replace

import numpy as np
import pytest

from vggexport.errors import InputError, WeightsError
from vggexport.network.layers import LayerKind
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.network.spec import MEAN_RGB, VGGSpec
from vggexport.weights import SpecRequest, open_weights
from vggexport.weights.layouts import LAYOUTS
from vggexport.weights.stored import StoredTensor
from vggexport.weights.tensor_matching import require_fit


def torch_names(spec):
    """Names of torchvision's VGG: a convolution and its ReLU take two numbers, a pooling one."""
    number = 0
    for layer in spec.layers:
        if layer.kind is LayerKind.CONVOLUTION:
            yield layer.name, f"features.{number}"
        number += {LayerKind.CONVOLUTION: 2, LayerKind.MAX_POOLING: 1}.get(layer.kind, 0)
    yield from {"fc1": "classifier.0", "fc2": "classifier.3", "predictions": "classifier.6"}.items()


def shapes_of(spec, layout="native"):
    """An archive with the names and shapes of ``spec`` that nobody may read."""

    def read():
        raise AssertionError("only shapes are needed")

    if layout != "torchvision":
        return {name: StoredTensor(one.shape, read) for name, one in spec.tensors.items()}
    names = dict(torch_names(spec))
    archive = {}
    for layer in spec.weighted_layers:
        shape, module = layer.kernel.shape, names[layer.name]
        axes = (3, 2, 0, 1) if len(shape) == 4 else (1, 0)
        archive[f"{module}.weight"] = StoredTensor(tuple(shape[axis] for axis in axes), read)
        archive[f"{module}.bias"] = StoredTensor(layer.bias.shape, read)
    return archive


def fitted(archive, request, layout="native", *, init_missing=False):
    return require_fit(
        archive,
        request,
        LAYOUTS[layout],
        CONVENTIONS[LAYOUTS[layout].convention],
        "file.npz",
        init_missing=init_missing,
    ).spec


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize("configuration", list("ABCDE"))
def test_sizes_come_from_the_shapes(configuration, layout):
    spec = VGGSpec.named(configuration, classes=12, fc_units=(256, 256), input_size=(96, 96))
    for request in (SpecRequest(), SpecRequest(configuration)):
        fitting = fitted(shapes_of(spec, layout), request, layout)
        assert replace(fitting, mean_rgb=MEAN_RGB) == spec


@pytest.mark.parametrize(
    ("configuration", "numbers"),
    [
        ("A", "0 3 6 8 11 13 16 18"),
        ("B", "0 2 5 7 10 12 15 17 20 22"),
        ("D", "0 2 5 7 10 12 14 17 19 21 24 26 28"),
        ("E", "0 2 5 7 10 12 14 16 19 21 23 25 28 30 32 34"),
    ],
)
def test_the_numbers_of_torchvisions_published_files(configuration, numbers):
    """Of vgg11, vgg13, vgg16 and vgg19."""
    archive = shapes_of(VGGSpec.named(configuration), "torchvision")
    found = [name for name in archive if name.startswith("features") and name.endswith("weight")]
    assert found == [f"features.{number}.weight" for number in numbers.split()]
    assert fitted(archive, SpecRequest(), "torchvision").configuration == configuration


def test_what_the_shapes_do_not_tell_is_asked_or_default():
    convolutions = {
        name: tensor
        for name, tensor in shapes_of(VGGSpec.named("D")).items()
        if name.startswith("block")
    }
    spec = fitted(convolutions, SpecRequest(classes=7, input_size=(64, 64)), init_missing=True)
    assert spec == VGGSpec.named("D", classes=7, input_size=(64, 64))


def test_an_input_size_of_the_same_side_is_kept():
    archive = shapes_of(VGGSpec.named("D"))
    assert fitted(archive, SpecRequest(input_size=(230, 230))).input_size == (230, 230)


def test_other_sizes_than_the_shapes_are_named_together():
    archive = shapes_of(VGGSpec.named("D", fc_units=(256, 256)))
    request = SpecRequest(classes=12, fc_units=(4096, 4096), input_size=(128, 128))
    with pytest.raises(WeightsError) as caught:
        fitted(archive, request)
    message = str(caught.value)
    assert "classes 12 was asked for, its shapes say 1000" in message
    assert "fc units 4096 was asked for, its shapes say 256" in message
    assert "input size 128 was asked for, its shapes say 224" in message
    assert "leave out input_size if training's images had that size" in message


@pytest.mark.parametrize(("held", "asked"), [("E", "D"), ("C", "D"), ("A", "B"), ("D", "C")])
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_tells_which_configuration_a_file_fits(held, asked, layout):
    archive = shapes_of(VGGSpec.named(held), layout)
    with pytest.raises(WeightsError, match=f"not fit configuration {asked}.*take config {held}"):
        fitted(archive, SpecRequest(asked), layout)


def test_long_lists_are_cut():
    with pytest.raises(WeightsError, match=r"block1_conv1/kernel, .* and 24 more"):
        fitted({}, SpecRequest("D"))


def test_everything_wrong_is_in_one_line(saved_npz, tiny):
    path = saved_npz(
        {
            "fc1/bias": None,
            "extra/kernel": np.zeros(3, np.float32),
            "block1_conv1/kernel": np.zeros((3, 3, 1, 4), np.float32),
        }
    )
    with pytest.raises(WeightsError) as caught:
        open_weights(str(path), tiny)
    message = str(caught.value)
    assert "missing fc1/bias" in message
    assert "surplus extra/kernel" in message
    assert "block1_conv1/kernel has shape (3, 3, 1, 4), expected (3, 3, 3, 4)" in message
    assert "\n" not in message


def test_torchvision_names_and_axes_are_those_of_the_file():
    archive = shapes_of(VGGSpec.named("D"), "torchvision")
    del archive["features.0.bias"]
    archive["classifier.6.bias"] = StoredTensor((9,), archive["features.2.bias"].read)
    with pytest.raises(WeightsError) as caught:
        fitted(archive, SpecRequest(), "torchvision")
    assert "missing features.0.bias" in str(caught.value)
    assert "classifier.6.bias has shape (9,), expected (1000,)" in str(caught.value)


def test_a_vector_where_a_kernel_should_be_is_misshapen():
    archive = shapes_of(VGGSpec.named("D"))
    archive["fc1/kernel"] = StoredTensor((4096,), archive["fc1/kernel"].read)
    with pytest.raises(WeightsError, match=r"fc1/kernel has shape \(4096,\), expected \(25088"):
        fitted(archive, SpecRequest())


def test_a_single_class_is_no_network():
    archive = shapes_of(VGGSpec.named("D"))
    archive["predictions/kernel"] = StoredTensor((4096, 1), archive["fc1/kernel"].read)
    with pytest.raises(InputError, match="1 class: a"):
        fitted(archive, SpecRequest())


def test_init_missing_fills_with_seeded_weights(saved_npz, arrays, tiny):
    path = saved_npz({"fc1/kernel": None, "fc1/bias": None})
    weights = open_weights(str(path), tiny, init_missing=True, seed=3)

    assert weights.initialized == ("fc1/kernel", "fc1/bias")
    assert not weights.trained
    expected = open_weights("random:3", tiny)
    np.testing.assert_array_equal(weights["fc1/kernel"], expected["fc1/kernel"])
    np.testing.assert_array_equal(weights["fc2/kernel"], arrays["fc2/kernel"])


def test_init_missing_with_nothing_missing_stays_trained(saved_npz, tiny):
    weights = open_weights(str(saved_npz()), tiny, init_missing=True)
    assert weights.trained
    assert weights.initialized == ()


def test_init_missing_does_not_excuse_surplus(saved_npz, tiny):
    path = saved_npz({"extra/kernel": np.zeros(3, np.float32)})
    with pytest.raises(WeightsError, match="surplus extra/kernel"):
        open_weights(str(path), tiny, init_missing=True)
