"""A tiny network with weights, images, ranges and files, and once more in plain numpy."""

import gc
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

import vggexport
from vggexport.artifact import Artifact
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import FORMATS, load_exporter
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.head import fully_connected
from vggexport.network.provenance import CalibrationRecord, LatencyRecord, WeightsRecord
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.opening.network import NetworkOptions
from vggexport.precision import PROFILES, Precision, Profile
from vggexport.quantization.ranges import ActivationRanges
from vggexport.results.schemas import json_schema
from vggexport.system.machine import read_machine

gc.disable()
"""Until all modules of tests are there: a quarter of TensorFlow's import looks for garbage."""

TINY = VGGSpec(
    "tiny",
    parse_blocks("conv3-4 conv1-6 | conv3-8"),
    classes=5,
    hidden=fully_connected(64, 64),
    input_size=(16, 16),
)
PIXEL_SCALE = 60.0
"""About the standard deviation of pixels: dividing by it leaves the softmax unsaturated."""


def _closed(schema: object) -> object:
    """The same schema where objects have no keys but those that it names; a spec may have more."""
    if isinstance(schema, dict):
        names = {"additionalProperties": False} if "properties" in schema else {}
        return names | {key: _closed(value) for key, value in schema.items()}
    return [_closed(part) for part in schema] if isinstance(schema, list) else schema


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The full network's come first: begun last, they would keep one worker running alone."""
    items.sort(key=lambda item: "tests/full/" not in item.nodeid)


def pytest_collection_finish() -> None:
    """Modules stay to the end: the garbage collector need not look at TensorFlow's again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory) -> Iterator[None]:
    """Nothing is read from the user's cache, or left there; child processes know it too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VGGEXPORT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """What a shell runs in the background ignores Ctrl-C, and so would all processes of tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def closed_schema() -> Callable[[str], Draft202012Validator]:
    """(command) -> what its JSON documents are, without the further keys that others may have."""
    return cache(lambda command: Draft202012Validator(_closed(json_schema(command))))


@pytest.fixture(scope="session")
def tiny() -> VGGSpec:
    return TINY


@pytest.fixture(scope="session")
def make_weights() -> Callable[[VGGSpec], dict[str, np.ndarray]]:
    """Seeded weights of any network, read-only; no two values are equal, biases included."""

    def make(spec: VGGSpec) -> dict[str, np.ndarray]:
        random = np.random.default_rng(36)  # the best class is not the same for all images
        weights = {}
        for layer in spec.weighted_layers:
            kernel = random.standard_normal(layer.kernel.shape)
            kernel *= np.sqrt(2 / np.prod(layer.kernel.shape[:-1]))
            if layer is spec.weighted_layers[0]:
                kernel /= PIXEL_SCALE
            bias = random.standard_normal(layer.bias.shape) / 4
            weights[layer.kernel.name] = kernel.astype(np.float32)
            weights[layer.bias.name] = bias.astype(np.float32)
        for array in weights.values():
            array.flags.writeable = False
        return weights

    return make


@pytest.fixture(scope="session")
def tiny_weights(tiny, make_weights) -> dict[str, np.ndarray]:
    return make_weights(tiny)


@pytest.fixture(scope="session")
def images(tiny) -> np.ndarray:
    pixels = np.random.default_rng(1).integers(0, 256, (6, *tiny.image_shape), dtype=np.uint8)
    pixels.flags.writeable = False
    return pixels


def _convolve(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    side = kernel.shape[0]
    margin = side // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return np.einsum("nyxchw,hwco->nyxo", windows, kernel.astype(np.float64)) + bias


def _pool(x: np.ndarray) -> np.ndarray:
    even_rows, even_columns = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    corners = [x[:, row:even_rows:2, column:even_columns:2] for row in (0, 1) for column in (0, 1)]
    return np.maximum.reduce(corners)


def _numpy_network(
    spec: VGGSpec,
    weights: Mapping[str, np.ndarray],
    images: np.ndarray,
    after: Callable[[str, np.ndarray], np.ndarray] = lambda _name, values: values,
) -> dict[str, np.ndarray]:
    x = after("mean_subtraction", images.astype(np.float64) - np.array(spec.mean_rgb))
    outputs = {"mean_subtraction": x}
    pooled = len(spec.blocks) if spec.last_pooling else len(spec.blocks) - 1
    for block, convolutions in enumerate(spec.blocks, start=1):
        for number in range(1, len(convolutions) + 1):
            name = f"block{block}_conv{number}"
            x = _convolve(x, weights[f"{name}/kernel"], weights[f"{name}/bias"])
            outputs[name] = x = after(name, np.maximum(x, 0))
        if block <= pooled:
            outputs[f"block{block}_pool"] = x = _pool(x)
    if spec.pooling == "flatten":
        outputs["flatten"] = x = x.reshape(len(x), -1)
    elif spec.pooling == "average":
        outputs["global_average_pool"] = x = after("global_average_pool", x.mean(axis=(1, 2)))
    else:
        outputs["global_max_pool"] = x = x.max(axis=(1, 2))
    for number, hidden in enumerate(spec.hidden, start=1):
        name = f"fc{number}"
        x = x @ weights[f"{name}/kernel"].astype(np.float64) + weights[f"{name}/bias"]
        outputs[name] = x = after(name, np.maximum(x, 0) if hidden.relu else x)
    x = x @ weights["predictions/kernel"].astype(np.float64) + weights["predictions/bias"]
    outputs["predictions"] = x
    if spec.head_activation == "sigmoid":
        outputs["probabilities"] = 1 / (1 + np.exp(-x))
        return outputs
    exponentials = np.exp(x - x.max(axis=1, keepdims=True))
    outputs["probabilities"] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return outputs


@pytest.fixture(scope="session")
def numpy_network():
    """(spec, weights, images, after=identity) -> every layer's output by name, NHWC, float64.

    ``after(name, values)`` may change the mean subtraction's and each hidden layer's that computes.
    """
    return _numpy_network


@pytest.fixture(scope="session")
def weights_record() -> WeightsRecord:
    return WeightsRecord("tiny.npz", "ab" * 32, trained=True, layout="native")


@pytest.fixture(scope="session")
def calibration_record() -> CalibrationRecord:
    return CalibrationRecord("photos", 2, "minmax", "cd" * 32, ("01" * 32, "02" * 32))


@pytest.fixture(scope="session")
def ranges(tiny, tiny_weights, images, weights_record, calibration_record) -> ActivationRanges:
    """Min-max over the images, by the numpy network."""
    outputs = _numpy_network(tiny, tiny_weights, images)
    names = ("block1_conv1", "block1_conv2", "block2_conv1", "fc1", "fc2", "predictions")
    bounds = {
        name: (min(0.0, float(outputs[name].min())), float(outputs[name].max())) for name in names
    }
    return ActivationRanges(tiny, weights_record, calibration_record, bounds)


@pytest.fixture(scope="session")
def make_request(tiny, tiny_weights, ranges, weights_record):
    """(precision, input_dtype, batch, opset, taps, ...) -> the request for a file of ``tiny``."""

    def make(
        precision: str = "float32",
        input_dtype: str = "float32",
        batch: int | None = None,
        opset: int | None = None,
        taps: tuple[str, ...] = (),
        format: str = "onnx",  # noqa: A002  the artifact's own name for it
        **of_artifact: Any,
    ) -> ExportRequest:
        needs_ranges = Precision(precision).profile.needs_ranges
        artifact = Artifact(
            f"tiny{FORMATS[format].suffix}",
            format,
            Precision(precision),
            tiny,
            weights_record,
            ranges.calibration if needs_ranges else None,
            input_dtype=input_dtype,
            batch=batch,
            **of_artifact,
            labels=("ant", "bee", "cat", "dog", "eel"),
            tools={"vggexport": "1.2.3"},
        )
        return ExportRequest(artifact, tiny_weights, ranges if needs_ranges else None, taps, opset)

    return make


@pytest.fixture
def tolerate(monkeypatch) -> Callable[..., None]:
    """Gives precisions another tolerance, for one test; ``--help`` tells their own."""
    import_module("vggexport.cli.options")

    def give(tolerance: Tolerance, *profiles: Profile) -> None:
        for profile in profiles:
            key = profile.precision, profile.full_integer, profile.activation_bits
            monkeypatch.setitem(PROFILES, key, replace(profile, tolerance=tolerance))

    return give


@pytest.fixture
def any_int8_will_do(tolerate) -> None:
    """Lets every file that computes in integers pass its check, float islands excepted.

    A random network of some thousand weights, calibrated on a few images, is no better than 13 to
    30 dB; for tests of something else than how good the ranges are.
    """
    integer = [profile for profile in PROFILES.values() if not profile.is_float]
    tolerate(Tolerance("not looked at here"), *integer)


@pytest.fixture(scope="session")
def export(make_request, tmp_path_factory) -> Callable[..., Path]:
    """The file of a request by :func:`make_request`'s arguments; made once, not to be changed."""
    folder, numbers = tmp_path_factory.mktemp("exported"), count()

    @cache
    def write(*arguments, **options) -> Path:
        request = make_request(*arguments, **options)
        name = request.artifact.format
        path = folder / f"{next(numbers)}{FORMATS[name].suffix}"
        load_exporter(name).export(request, path)
        return path

    return write


COLOURS = {
    "ant": (200, 50, 50),
    "bee": (50, 200, 50),
    "cat": (50, 50, 200),
    "dog": (210, 210, 60),
    "eel": (60, 60, 60),
}


@pytest.fixture(scope="session")
def network() -> NetworkOptions:
    blocks = parse_blocks("conv3-4 conv1-6 | conv3-8")
    return NetworkOptions(
        request=VGGSpec(
            "tiny", blocks, classes=5, hidden=fully_connected(64, 64), input_size=(16, 16)
        )
    )


@pytest.fixture
def pixels() -> np.ndarray:
    """Ten images of noise, all different."""
    return np.random.default_rng(1).integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def make_npz(tmp_path, pixels) -> Callable[[int], str]:
    """An .npz of the first ``count`` of them."""

    def make(count: int) -> str:
        path: Path = tmp_path / f"images{count}.npz"
        np.savez(path, images=pixels[:count])
        return str(path)

    return make


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """Five classes of six images each, which a network can learn to tell apart by colour."""
    root, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(2)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for number in range(6):
            noise = random.integers(-40, 41, (20, 20, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def labelled(photographs, tmp_path) -> Path:
    """The same in a folder that may be changed."""
    return Path(shutil.copytree(photographs, tmp_path / "labelled"))


@pytest.fixture
def latencies_by_operations(monkeypatch):
    """Files that ``prune`` compares take the time of their operations, on a busy machine."""

    def latencies(paths, _size, machine, _steps):
        macs = [vggexport.inspect(path).artifact.macs for path in paths]
        where = ("onnxruntime 1", 1, machine.cpu_model, machine.busy)
        return tuple(LatencyRecord(m / macs[0], None, float(m), *where) for m in macs)

    machine = replace(read_machine(), cpu_model="A CPU", load_average=9.0, affinity=(0, 1))
    for module in ("latency_budget", "front"):
        monkeypatch.setattr(f"vggexport.workflows.prune.{module}.latencies", latencies)
    monkeypatch.setattr("vggexport.workflows.prune.run.read_machine", lambda: machine)
