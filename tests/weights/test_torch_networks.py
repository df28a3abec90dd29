"""Networks as their owners built them in torch, computed here in float64, and what is made of them.

Each is a list of layers that stands for its ``Sequential``; a state dict holds less than that, and
what is taken from the state dict must compute the same.
"""

import numpy as np
import pytest
from safetensors.numpy import save_file

from vggexport.errors import InputError, WeightsError
from vggexport.network.head import HeadActivation, Pooling, fully_connected
from vggexport.weights import SpecRequest, open_weights

FEATURES = ("conv3-4", "relu", "conv1-6", "relu", "pool", "conv3-8", "relu", "pool")
NORMALIZED = (
    "conv3-4",
    "bn",
    "relu",
    "conv3-6",
    "bn",
    "relu",
    "pool",
    "conv3-8",
    "bn",
    "relu",
    "pool",
)
CLASSIFIER = ("linear-16", "relu", "dropout", "linear-12", "relu", "dropout", "linear-5")
CASES = {
    "torchvision": (FEATURES, "flatten", CLASSIFIER),
    "bn": (NORMALIZED, "flatten", CLASSIFIER),
    "one layer": (FEATURES, "flatten", ("linear-5",)),
    "other numbers": (FEATURES, "flatten", ("dropout", "linear-9", "relu", "linear-5")),
    "bn in the head": (FEATURES, "flatten", ("linear-9", "bn", "relu", "linear-5")),
    "average": (NORMALIZED, "average", CLASSIFIER),
    "max": (FEATURES, "max", ("linear-9", "relu", "linear-5")),
    "adaptive": (FEATURES, "adaptive", CLASSIFIER),
}


def state_of(features, pooling, classifier, size):
    random = np.random.default_rng(5)
    state, channels = {}, 3

    def add(name, **arrays):
        state.update({f"{name}.{role}": array.astype(np.float32) for role, array in arrays.items()})

    def normalization(name):
        uniform = {role: random.uniform(0.5, 1.5, channels) for role in ("weight", "running_var")}
        normal = {role: random.standard_normal(channels) for role in ("bias", "running_mean")}
        add(name, **uniform, **normal)
        state[f"{name}.num_batches_tracked"] = np.array(7)

    for number, layer in enumerate(features):
        if layer.startswith("conv"):
            side, filters = map(int, layer.removeprefix("conv").split("-"))
            kernel = random.standard_normal((filters, channels, side, side))
            channels = filters
            scale = np.sqrt(np.prod(kernel.shape[1:]))
            add(f"features.{number}", weight=kernel / scale, bias=random.standard_normal(channels))
        elif layer == "bn":
            normalization(f"features.{number}")
    positions = {"flatten": (size[0] // 4) * (size[1] // 4), "adaptive": 49, "3x3": 9}
    channels *= positions.get(pooling, 1)
    for number, layer in enumerate(classifier):
        if layer.startswith("linear"):
            units = int(layer.removeprefix("linear-"))
            kernel = random.standard_normal((units, channels)) / np.sqrt(channels)
            channels = units
            add(f"classifier.{number}", weight=kernel, bias=random.standard_normal(units))
        elif layer == "bn":
            normalization(f"classifier.{number}")
    return state


def adaptive_average(x, cells=7):
    """As ATen's ``adaptive_avg_pool2d`` does, cell by cell."""
    height, width = x.shape[2:]
    result = np.empty((*x.shape[:2], cells, cells))
    for i in range(cells):
        rows = slice(i * height // cells, int(np.ceil((i + 1) * height / cells)))
        for j in range(cells):
            columns = slice(j * width // cells, int(np.ceil((j + 1) * width / cells)))
            result[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
    return result


def convolved(x, kernel, bias):
    margin = kernel.shape[2] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, kernel) + bias[:, None, None]


def normalized(x, state, name):
    mean, variance, scale, shift = (
        state[f"{name}.{role}"].astype(np.float64).reshape(-1, *(1,) * (x.ndim - 2))
        for role in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift


def pooled(x):
    height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    parts = [x[:, :, i:height:2, j:width:2] for i in range(2) for j in range(2)]
    return np.maximum.reduce(parts)


POOLINGS = {
    "flatten": lambda x: x,
    "adaptive": adaptive_average,
    "3x3": lambda x: adaptive_average(x, cells=3),
    "average": lambda x: x.mean(axis=(2, 3)),
    "max": lambda x: x.max(axis=(2, 3)),
}


def logits_of(layers, state, images):
    features, pooling, classifier = layers
    x = images.transpose(0, 3, 1, 2) / 255
    x = (x - np.reshape((0.485, 0.456, 0.406), (3, 1, 1))) / np.reshape(
        (0.229, 0.224, 0.225), (3, 1, 1)
    )

    def applied(x, sequential, layers):
        for number, layer in enumerate(layers):
            name = f"{sequential}.{number}"
            weights = [state.get(f"{name}.{role}") for role in ("weight", "bias")]
            if layer.startswith("conv"):
                x = convolved(x, *weights)
            elif layer.startswith("linear"):
                x = x @ weights[0].T.astype(np.float64) + weights[1]
            elif layer == "bn":
                x = normalized(x, state, name)
            elif layer == "relu":
                x = np.maximum(x, 0)
            elif layer == "pool":
                x = pooled(x)
        return x

    x = POOLINGS[pooling](applied(x, "features", features))
    return applied(x.reshape(len(x), -1), "classifier", classifier)


def photos(size):
    return np.random.default_rng(3).integers(0, 256, (3, *size, 3), dtype=np.uint8)


def assert_same(weights, layers, state, size, native_logits):
    assert weights.spec.input_size == size
    images = photos(size)
    expected = logits_of(layers, state, images)
    actual = native_logits(weights, weights.spec, weights.mean_rgb, images)
    # Kernels are rounded to float32 where something is folded into them (6e-8 each).
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [(16, 16), (18, 12), (40, 40), (36, 20)])
def test_the_same_logits(tmp_path, case, size, native_logits):
    layers = CASES[case]
    state = state_of(*layers, size)
    path = tmp_path / "vgg.safetensors"
    save_file(state, path)
    asked = None if layers[1] in ("flatten", "adaptive") else layers[1]
    weights = open_weights(str(path), SpecRequest(input_size=size, pooling=asked))
    assert_same(weights, layers, state, size, native_logits)
    assert weights.spec.configuration == "own"
    assert weights.spec.pooling == (asked or Pooling.FLATTEN)


@pytest.mark.parametrize("size", [(16, 16), (18, 12), (40, 36), (8, 8)])
def test_an_average_to_another_square_is_stated(tmp_path, size, native_logits):
    layers = (FEATURES, "3x3", CLASSIFIER)
    state = state_of(*layers, size)
    save_file(state, path := tmp_path / "vgg.safetensors")
    with pytest.raises(WeightsError, match=r"say pooling adaptive if the network averages it to 3"):
        open_weights(str(path), SpecRequest(input_size=size))
    weights = open_weights(str(path), SpecRequest(input_size=size, pooling="adaptive"))
    assert_same(weights, layers, state, size, native_logits)
    assert "the average to 3x3: folded into classifier.0.weight" in weights.notes[-1]
    again = open_weights(str(path), weights.spec)
    np.testing.assert_array_equal(weights["fc1/kernel"], again["fc1/kernel"])


def test_where_a_map_may_be_averaged_the_size_is_assumed(tmp_path):
    save_file(state_of(FEATURES, "3x3", CLASSIFIER, (40, 40)), path := tmp_path / "vgg.safetensors")
    unstated, stated = (
        open_weights(str(path), SpecRequest(input_size=s)) for s in (None, (12, 12))
    )
    assert [(w.spec.input_size, w.size_assumed) for w in (unstated, stated)] == [
        ((12, 12), True),
        ((12, 12), False),
    ]


def test_what_nobody_says_is_the_square(tmp_path, native_logits):
    layers = CASES["torchvision"]
    state = state_of(*layers, (20, 20))
    save_file(state, path := tmp_path / "vgg.safetensors")
    weights = open_weights(str(path), SpecRequest())
    assert_same(weights, layers, state, (20, 20), native_logits)
    assert weights.spec.hidden == fully_connected(16, 12)
    assert weights.notes[-2].startswith("blocks: conv3-4 conv1-6 | conv3-8, by the numbers of")
    assert "given to verify" in weights.notes[-2]
    assert weights.notes[-1] == (
        "network: configuration own, 20 pixels, flatten of the features, hidden layers 16 and 12, "
        "5 outputs, then softmax"
    )
    sigmoid = open_weights(str(path), SpecRequest(head_activation=HeadActivation.SIGMOID))
    assert sigmoid.spec.head_activation == HeadActivation.SIGMOID


def test_torch_and_safetensors_are_alike(tmp_path, save_torch):
    state = state_of(*CASES["torchvision"], (16, 16))
    save_file(state, safetensors := tmp_path / "vgg.safetensors")
    save_torch(pth := tmp_path / "vgg.pth", state)
    left, right = (open_weights(str(path), SpecRequest()) for path in (safetensors, pth))
    assert left.spec == right.spec
    for name, array in left.items():
        np.testing.assert_array_equal(array, right[name])


def timm(state):
    names = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2"}
    names |= {"classifier.6": "head.fc"}
    renamed = {}
    for name, array in state.items():
        module, _, role = name.rpartition(".")
        window = {"classifier.0": (7, 7), "classifier.3": (1, 1)}.get(module)
        slides = window and role == "weight"
        kernel = array.reshape(len(array), -1, *window) if slides else array
        renamed[f"{names.get(module, module)}.{role}"] = kernel
    return renamed


@pytest.mark.parametrize("size", [(28, 28), (16, 16), (12, 28)])
def test_timm_up_to_its_window(tmp_path, size, native_logits):
    layers = CASES["adaptive"]
    state = state_of(*layers, size)
    save_file(timm(state), path := tmp_path / "vgg.safetensors")
    weights = open_weights(str(path), SpecRequest(input_size=size))
    assert_same(weights, layers, state, size, native_logits)


def test_timm_slides_over_larger_maps(tmp_path):
    save_file(timm(state_of(*CASES["adaptive"], (28, 28))), path := tmp_path / "vgg.safetensors")
    with pytest.raises(WeightsError, match=r"pre_logits\.fc1\.weight is a convolution over 7x7"):
        open_weights(str(path), SpecRequest(input_size=(16, 32)))


def test_an_average_folded_once_is_found_again(tmp_path):
    """An artifact records the folded network, and asks for it."""
    save_file(state_of(*CASES["adaptive"], (16, 16)), path := tmp_path / "vgg.safetensors")
    first = open_weights(str(path), SpecRequest(input_size=(16, 16)))
    assert "average to 7x7 of torchvision: folded into classifier.0.weight" in first.notes[-1]
    again = open_weights(str(path), first.spec)
    np.testing.assert_array_equal(first["fc1/kernel"], again["fc1/kernel"])


OPEN = {
    "one of each channel": (
        CASES["average"],
        SpecRequest(),
        "what gives them: say input_size 4 if the images are so small, or say pooling average or",
    ),
    "larger images": (CASES["average"], SpecRequest(input_size=(16, 16)), "say pooling average"),
    "average of many": (
        CASES["torchvision"],
        SpecRequest(pooling="average"),
        "takes 128 values, 16 of each of 8 channels: average pooling gives 1: leave out pooling",
    ),
    "adaptive of others": (
        CASES["torchvision"],
        SpecRequest(pooling="adaptive"),
        "takes 96 values, 12 of each of 8 channels: adaptive pooling gives a square",
    ),
    "another size": (
        CASES["torchvision"],
        SpecRequest(input_size=(32, 32)),
        "adaptive if the network averages it to 4x4 (AdaptiveAvgPool2d), or say input_size 16 if",
    ),
    "49 values asked to be flattened": (
        CASES["adaptive"],
        SpecRequest(input_size=(32, 32), pooling="flatten"),
        "input size 32 was asked for, its shapes say 28",
    ),
    "one output": (
        (FEATURES, "flatten", ("linear-9", "relu", "linear-1")),
        SpecRequest(),
        "1 class: a softmax needs at least 2",
    ),
}


@pytest.mark.parametrize("case", OPEN)
def test_what_shapes_leave_open_or_contradict_is_asked(tmp_path, case):
    layers, request, named = OPEN[case]
    size = (16, 12) if case == "adaptive of others" else (16, 16)
    save_file(state_of(*layers, size), path := tmp_path / "vgg.safetensors")
    with pytest.raises(InputError) as caught:
        open_weights(str(path), request)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_map_that_is_no_square_must_be_said(tmp_path):
    save_file(state_of(*CASES["torchvision"], (16, 12)), path := tmp_path / "vgg.safetensors")
    with pytest.raises(WeightsError, match="which is not a square: say input_size as HEIGHTxWIDTH"):
        open_weights(str(path), SpecRequest())


def test_channels_that_do_not_divide(tmp_path):
    state = state_of(*CASES["one layer"], (16, 16))
    state["classifier.0.weight"] = state["classifier.0.weight"][:, :-1].copy()
    save_file(state, path := tmp_path / "vgg.safetensors")
    with pytest.raises(WeightsError, match="takes 127 values: a multiple of 8 was expected"):
        open_weights(str(path), SpecRequest())


def test_a_convolution_of_even_size(tmp_path):
    state = state_of(*CASES["one layer"], (16, 16))
    state["features.0.weight"] = state["features.0.weight"][:, :, :2, :2].copy()
    save_file(state, path := tmp_path / "vgg.safetensors")
    with pytest.raises(InputError, match="'conv2-4' needs an odd kernel"):
        open_weights(str(path), SpecRequest())
