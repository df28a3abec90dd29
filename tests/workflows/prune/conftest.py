"""Pruning of a small network that has names for its classes."""

import json

import numpy as np
import pytest

import vggexport
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.opening.network import NetworkOptions

WIDE = VGGSpec(
    "own",
    parse_blocks("conv3-16 conv3-16 | conv3-32"),
    classes=5,
    hidden=fully_connected(32),
    input_size=(16, 16),
)
LABELS = ("ant", "bee", "cat", "dog", "eel")


@pytest.fixture
def whole_spec() -> VGGSpec:
    return WIDE


@pytest.fixture
def class_names() -> tuple[str, ...]:
    return LABELS


@pytest.fixture(scope="session")
def folder(tmp_path_factory, make_weights):
    """Weights as a file of tensors alone, names of the classes, 60 images."""
    place = tmp_path_factory.mktemp("pruning")
    np.savez(place / "wide.npz", **make_weights(WIDE))
    (place / "labels.txt").write_text("\n".join(LABELS))
    random = np.random.default_rng(3)
    coarse = random.integers(0, 200, (60, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    pixels = (coarse + random.integers(0, 56, (60, 16, 16, 3))).astype(np.uint8)
    np.savez(place / "images.npz", images=pixels)
    return place


@pytest.fixture
def prune(folder, tmp_path, monkeypatch, closed_schema):
    """Options -> the report of a pruning, its document held to the schema."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    network = NetworkOptions(str(folder / "wide.npz"), labels=folder / "labels.txt")

    def run(progress=None, **options):
        defaults = {"network": network, "calibration_data": str(folder / "images.npz")}
        report = vggexport.prune(vggexport.PruneOptions(**{**defaults, **options}), progress)
        closed_schema("prune").validate(json.loads(json.dumps(report.to_json())))
        return report

    return run
