"""Files whose axes are native, under the names of the walk, of Keras, and of a well-known file."""

import numpy as np
import pytest

from vggexport.errors import WeightsError
from vggexport.network.spec import MEAN_RGB, VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.weights import SpecRequest, open_weights
from vggexport.weights.native_names import native_network
from vggexport.weights.stored import StoredTensor

OWN = parse_blocks("conv3-4 conv1-6 | conv3-8")


def archive_of(spec, names):
    """Shapes of a network under other names of its layers."""
    return {
        f"{names.get(layer.name, layer.name)}/{role}": StoredTensor(tensor.shape, np.empty)
        for layer in spec.weighted_layers
        for role, tensor in zip(("kernel", "bias"), layer.tensors, strict=True)
    }


def automatic(spec):
    """As Keras names layers that were given no name."""
    kinds = {False: "conv2d", True: "dense"}
    count = {"conv2d": 0, "dense": 0}
    for layer in spec.weighted_layers:
        kind = kinds[layer.is_matrix]
        yield layer.name, f"{kind}_{count[kind]}" if count[kind] else kind
        count[kind] += 1


@pytest.mark.parametrize("configuration", list("ABCDE"))
@pytest.mark.parametrize("units", [(), (16,), (16, 8, 4)])
def test_layers_that_keras_named_are_told_by_their_order(configuration, units):
    spec = VGGSpec.named(configuration, fc_units=units)
    network = native_network(archive_of(spec, dict(automatic(spec))), "vgg.h5", None)
    assert list(network.tensors) == list(spec.tensors)
    assert network.blocks == spec.blocks
    assert network.name("block1_conv2/kernel") in ("conv2d_1/kernel", "block1_conv2/kernel")


def test_a_head_that_keras_named_on_named_convolutions():
    spec = VGGSpec.named("D", fc_units=(16,))
    names = {"fc1": "dense_4", "predictions": "dense_5"}
    network = native_network(archive_of(spec, names), "vgg.h5", None)
    assert list(network.tensors) == list(spec.tensors)
    assert network.name("predictions/bias") == "dense_5/bias"


def test_blocks_that_were_asked_for_name_convolutions():
    spec = VGGSpec("own", OWN)
    archive = archive_of(spec, dict(automatic(spec)))
    assert native_network(archive, "vgg.h5", OWN).blocks == OWN
    with pytest.raises(WeightsError, match=r"vgg\.h5: its 3 convolutions conv2d to conv2d_2 are"):
        native_network(archive, "vgg.h5", None)


def test_own_blocks_are_told_by_their_names(saved_npz, tiny):
    weights = open_weights(str(saved_npz()), SpecRequest())
    assert weights.spec.blocks == tiny.blocks
    assert (weights.spec.configuration, weights.spec.input_size) == ("own", (16, 16))
    assert weights.spec.fc_units == (16, 16)


def test_a_hidden_layer_more_or_less(saved_npz):
    more = {"fc3/kernel": np.ones((16, 7), np.float32), "fc3/bias": np.ones(7, np.float32)}
    more["predictions/kernel"] = np.ones((7, 5), np.float32)
    assert open_weights(str(saved_npz(more)), SpecRequest()).spec.fc_units == (16, 16, 7)
    less = {"fc2/kernel": None, "fc2/bias": None}
    assert open_weights(str(saved_npz(less)), SpecRequest()).spec.fc_units == (16,)


def test_a_hidden_layer_of_any_number_is_surplus(saved_npz):
    path = saved_npz({"fc99999999/bias": np.ones(7, np.float32)})
    with pytest.raises(WeightsError, match="surplus fc99999999/bias"):
        open_weights(str(path), SpecRequest())


def test_frossards_vgg16(saved_npz, arrays, tiny, tmp_path):
    """RGB minus the mean, HWIO, flattened HWC: https://www.cs.toronto.edu/~frossard/post/vgg16/"""
    names = {
        "block1_conv1": "conv1_1",
        "block1_conv2": "conv1_2",
        "block2_conv1": "conv2_1",
        "fc1": "fc6",
        "fc2": "fc7",
        "predictions": "fc8",
    }
    renamed = {}
    for name, array in arrays.items():
        layer, role = name.split("/")
        renamed[f"{names[layer]}_{'W' if role == 'kernel' else 'b'}"] = array
    np.savez(tmp_path / "vgg16_weights.npz", **renamed)
    weights = open_weights(str(tmp_path / "vgg16_weights.npz"), SpecRequest())
    assert weights.spec.blocks == tiny.blocks
    assert weights.mean_rgb == MEAN_RGB
    assert weights.preprocessing.known
    for name, array in weights.items():
        np.testing.assert_array_equal(array, arrays[name])


def test_theanos_order_is_named(saved_npz):
    path = saved_npz({"block1_conv1/kernel": np.ones((4, 3, 3, 3), np.float32)})
    with pytest.raises(WeightsError, match=r"block1_conv1/kernel has shape \(4, 3, 3, 3\).*Theano"):
        open_weights(str(path), SpecRequest())
