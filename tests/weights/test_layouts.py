"""Torchvision's own network, written out in its own convention, against the native one."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from vggexport.errors import WeightsError
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.network.spec import MEAN_RGB
from vggexport.weights import open_weights, published
from vggexport.weights.description import Description

NAMES = {
    "block1_conv1": "features.0",
    "block1_conv2": "features.2",
    "block2_conv1": "features.5",
    "fc1": "classifier.0",
    "fc2": "classifier.3",
    "predictions": "classifier.6",
}
"""Of ``tiny``: convolution and ReLU, convolution and ReLU, pooling, convolution, ReLU, pooling."""


@pytest.fixture
def state_dict(tiny) -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    state = {}
    for layer in tiny.weighted_layers:
        shape = layer.kernel.shape
        shape = (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape[::-1]
        kernel = random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        bias = random.standard_normal(shape[0])
        state[f"{NAMES[layer.name]}.weight"] = kernel.astype(np.float32)
        state[f"{NAMES[layer.name]}.bias"] = bias.astype(np.float32)
    return state


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)


def _torch_conv(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    outs, _, rows, columns = kernel.shape
    top, left = rows // 2, columns // 2
    padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
    result = np.empty((len(x), outs, *x.shape[2:]))
    for y in range(x.shape[2]):
        for z in range(x.shape[3]):
            patch = padded[:, :, y : y + rows, z : z + columns]
            result[:, :, y, z] = np.einsum("nchw,ochw->no", patch, kernel) + bias
    return np.maximum(result, 0)


def _torch_pool(x: np.ndarray) -> np.ndarray:
    return np.maximum.reduce(
        [x[:, :, row::2, column::2] for row in range(2) for column in range(2)]
    )


def torchvision_logits(state: dict[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    state = {name: array.astype(np.float64) for name, array in state.items()}
    x = images.transpose(0, 3, 1, 2) / 255
    x = (x - np.reshape((0.485, 0.456, 0.406), (3, 1, 1))) / np.reshape(
        (0.229, 0.224, 0.225), (3, 1, 1)
    )
    x = _torch_conv(x, state["features.0.weight"], state["features.0.bias"])
    x = _torch_conv(x, state["features.2.weight"], state["features.2.bias"])
    x = _torch_pool(x)
    x = _torch_conv(x, state["features.5.weight"], state["features.5.bias"])
    x = _torch_pool(x).reshape(len(x), -1)
    for name in ("classifier.0", "classifier.3", "classifier.6"):
        x = x @ state[f"{name}.weight"].T + state[f"{name}.bias"]
        x = x if name == "classifier.6" else np.maximum(x, 0)
    return x


def test_torchvision_weights_compute_what_torchvision_does(
    tmp_path, state_dict, images, tiny, native_logits
):
    path = tmp_path / "vgg.safetensors"
    save_file(state_dict, path)
    weights = open_weights(str(path), tiny)
    expected = torchvision_logits(state_dict, images)

    assert weights.layout == "torchvision"
    assert weights.spec.mean_rgb == weights.mean_rgb
    assert weights.mean_rgb == pytest.approx((123.675, 116.28, 103.53), abs=1e-12)
    assert all(array.flags.c_contiguous for array in weights.values())
    actual = native_logits(weights, tiny, weights.mean_rgb, images)
    # Both sums are in float64; the first kernel alone was rounded to float32 once more (6e-8).
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_the_mean_matters_and_the_bias_cannot_carry_it(
    tmp_path, state_dict, images, tiny, native_logits
):
    """The published mean instead of torchvision's own is an error a hundred times the tolerance."""
    path = tmp_path / "vgg.safetensors"
    save_file(state_dict, path)
    weights = open_weights(str(path), tiny)
    expected = torchvision_logits(state_dict, images)
    actual = native_logits(weights, tiny, MEAN_RGB, images)
    assert np.abs(actual - expected).max() > 1e-4 * np.abs(expected).max()


def test_torchvision_can_be_named_and_forced(tmp_path, state_dict, tiny):
    path = tmp_path / "vgg.npz"
    np.savez(path, **state_dict)
    assert open_weights(str(path), tiny).layout == "torchvision"
    assert open_weights(str(path), tiny, layout="torchvision").layout == "torchvision"
    with pytest.raises(WeightsError, match=r"surplus features\.0\.weight"):
        open_weights(str(path), tiny, layout="native")


def test_keras_layout_reverses_the_first_kernels_inputs_only(saved_npz, arrays, tiny):
    weights = open_weights(str(saved_npz()), tiny, layout="keras")
    assert weights.layout == "keras"
    assert weights.mean_rgb == MEAN_RGB
    for name, array in weights.items():
        expected = arrays[name]
        expected = expected[:, :, [2, 1, 0]] if name == "block1_conv1/kernel" else expected
        np.testing.assert_array_equal(array, expected)


def test_native_weights_leave_the_mean_to_the_network(saved_npz, tiny):
    other = replace(tiny, mean_rgb=(1.0, 2.0, 3.0))
    assert open_weights(str(saved_npz()), other).mean_rgb == (1.0, 2.0, 3.0)
    assert open_weights(str(saved_npz()), other, layout="keras").mean_rgb == MEAN_RGB


STATED = {
    "raw": lambda x: x,
    "unit": lambda x: x / 255,
    "tf": lambda x: x / 127.5 - 1,
    "caffe": lambda x: (x - [123.68, 116.779, 103.939])[..., ::-1],
    "torch": lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
}
"""What the owner of the weights does to RGB 0...255."""


@pytest.mark.parametrize("name", STATED)
@pytest.mark.parametrize("layout", ["native", "keras"])
def test_a_stated_preprocessing_is_folded_exactly(
    saved_npz, arrays, tiny, images, native_logits, name, layout
):
    weights = open_weights(str(saved_npz()), tiny, layout=layout, preprocessing=CONVENTIONS[name])
    assert weights.preprocessing == CONVENTIONS[name]
    pixels = STATED[name](images.astype(np.float64))
    expected = native_logits(arrays, tiny, (0, 0, 0), pixels)
    actual = native_logits(weights, tiny, weights.mean_rgb, images)
    # The divided first kernel is rounded to float32 once (6e-8).
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_a_convention_that_nobody_stated_is_marked(saved_npz, tiny):
    assert open_weights(str(saved_npz()), tiny).preprocessing == CONVENTIONS["vgg"]
    keras = open_weights(str(saved_npz()), tiny, layout="keras").preprocessing
    assert (keras.name, keras.known) == ("caffe", False)


def test_published_files_are_known_by_their_digests(saved_npz, tiny, monkeypatch):
    path = saved_npz()
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setattr(published, "KERAS_MD5", frozenset({digest}))
    assert open_weights(str(path), tiny, layout="keras").preprocessing == CONVENTIONS["caffe"]


def test_torchvisions_files_are_known_by_the_digits_in_their_names(tmp_path):
    path = tmp_path / "renamed.pth"
    assert published.is_published(path, "torchvision", "397923af" + 56 * "0")
    assert not published.is_published(path, "torchvision", "397923ae" + 56 * "0")


def test_what_a_file_of_ours_says_is_not_contradicted(tmp_path, arrays, tiny):
    path = tmp_path / "ours.safetensors"
    save_file(arrays, path, metadata=Description(tiny).embedded())
    stated = replace(CONVENTIONS["vgg"], name="custom")
    assert open_weights(str(path), tiny, preprocessing=stated).preprocessing == CONVENTIONS["vgg"]
    with pytest.raises(WeightsError, match="leave the preprocessing to the file"):
        open_weights(str(path), tiny, preprocessing=CONVENTIONS["unit"])
