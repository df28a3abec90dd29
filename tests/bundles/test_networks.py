"""Bundles of networks that are no squares, or end in sigmoid."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vggexport
from vggexport.bundles.checksums import measure_path
from vggexport.network.head import HeadActivation
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.network import NetworkOptions
from vggexport.precision import Precision
from vggexport.system.digests import render_checksums
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.bundle.options import BundleOptions
from vggexport.workflows.check_bundle import BundleCheckOptions

NAMES = ("m.onnx", "m_int8.onnx", "m_int8.tflite")


@pytest.fixture
def packed(tiny, make_weights, tmp_path, monkeypatch):
    """Outputs of a sigmoid, labels -> the folder of a bundle of a 16x24 network of them."""
    monkeypatch.chdir(tmp_path)

    def pack(classes, labels):
        spec = replace(
            tiny, classes=classes, input_size=(16, 24), head_activation=HeadActivation.SIGMOID
        )
        np.savez("w.npz", **make_weights(spec))
        Path("labels.txt").write_text("\n".join(labels))
        network = NetworkOptions("w.npz", request=spec, labels=Path("labels.txt"))
        for name in NAMES:
            precision = Precision.INT8 if "int8" in name else Precision.FLOAT32
            file = FileOptions(Path(name).suffix[1:], Path(name), precision)
            options = CalibrationOptions(samples=8)
            vggexport.build(network, options, file, BuildOptions(check=False))
        paths = tuple(map(Path, NAMES))
        options = BundleOptions(paths, Path("out"), images=3, allow_untrained=True)
        assert vggexport.bundle(options).failures == ()
        return Path("out")

    return pack


def self_test(folder):
    command = [sys.executable, "-I", str(folder / "self_test.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_one_sigmoid_output_of_a_rectangle(packed):
    folder = packed(1, ("cat", "dog"))
    assert (folder / "labels.txt").read_text() == "cat\ndog\n"
    assert "that of the second class of `labels.txt`" in (folder / "README.md").read_text()
    assert "\n2 classes, " in (folder / "MODEL_CARD.md").read_text()
    assert vggexport.check_bundle(BundleCheckOptions(folder)).failures == ()
    ran = self_test(folder)
    assert ran.stdout.splitlines()[-1] == "passed: 3 models, 3 golden images", ran.stdout

    golden = folder / "golden/golden.json"  # of one output a softmax's logits are always 0
    data = json.loads(golden.read_text())
    for given in data["artifacts"]:
        given["probabilities"] = [[0.9 * p] for (p,) in given["probabilities"]]
    golden.write_text(json.dumps(data))
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    digests = {n: measure_path(folder / n).sha256 for n in names if n != "SHA256SUMS"}
    (folder / "SHA256SUMS").write_text(render_checksums(digests))
    assert "m_int8.tflite: min_logit_sqnr_db is 18, found" in self_test(folder).stdout


def test_several_sigmoid_outputs_do_not_sum_to_1(packed):
    folder = packed(3, ("cat", "dog", "eel"))
    assert "they do not sum to 1" in (folder / "README.md").read_text()
    golden = json.loads((folder / "golden/golden.json").read_text())
    sums = np.sum(golden["reference"]["probabilities"], axis=1)
    assert np.abs(sums - 1).max() > 0.01
    assert vggexport.check_bundle(BundleCheckOptions(folder)).failures == ()
    assert self_test(folder).returncode == 0
