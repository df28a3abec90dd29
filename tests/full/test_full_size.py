"""The full network, 138,357,544 parameters, end to end as its users run it: whole processes."""

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

FLOAT32_BYTES = 4 * 138_357_544


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vggexport", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> dict:
    """The reports of one export of every format, by file name."""
    process = run(
        *("export", "--formats", "savedmodel,onnx,tflite", "--precisions", "float32,int8"),
        *("--calibration-samples", 8, "-o", tmp_path_factory.mktemp("full") / "files", "--json"),
    )
    assert process.returncode == 0, process.stderr
    files = json.loads(process.stdout)["files"]
    return {Path(file["artifact"]["path"]).name: file for file in files}


@pytest.fixture(scope="module")
def float32(exported) -> dict:
    return exported["vgg_d.onnx"]


def test_float32_is_the_whole_network_and_equals_keras(float32):
    path = Path(float32["artifact"]["path"])
    # Names, operators and metadata are the rest: some kilobytes.
    assert FLOAT32_BYTES < path.stat().st_size < FLOAT32_BYTES + 20_000
    onnx.checker.check_model(path, full_check=True)
    check = float32["check"]
    assert check["passed"]
    assert check["reference"] == "Keras network"
    # Both compute in float32; the bound is the issue's own.
    assert check["metrics"]["max_abs"] <= 1e-5


def test_int8_is_a_quarter_and_all_integers(exported, float32):
    int8 = exported["vgg_d_int8.onnx"]
    path = Path(int8["artifact"]["path"])
    onnx.checker.check_model(path, full_check=True)
    assert int8["check"]["passed"]
    # Weights are a byte instead of four; scales, zero points and int32 biases are the rest.
    assert path.stat().st_size <= 0.2505 * float32["artifact"]["size_bytes"]
    inspected = run("inspect", path, "--require", "int8", "--json")
    assert inspected.returncode == 0, inspected.stderr
    kinds = [operator["type"] for operator in json.loads(inspected.stdout)["operators"]]
    assert kinds.count("QLinearConv") == 13
    assert kinds.count("QGemm") == 3
    assert not {"Conv", "FusedConv", "Gemm", "FusedGemm", "Relu"} & set(kinds)


def test_a_float32_file_is_no_int8(float32):
    path = Path(float32["artifact"]["path"])
    assert path.stat().st_size == float32["artifact"]["size_bytes"]
    assert run("inspect", path, "--require", "int8").returncode == 1


@pytest.mark.parametrize("name", ["vgg_d.tflite", "vgg_d_saved_model"])
def test_float32_of_every_format_is_whole_and_equals_keras(exported, name):
    report = exported[name]
    # Names, graph and metadata are the rest: 24 KB in TFLite, 160 KB in a SavedModel.
    assert 0 < report["artifact"]["size_bytes"] - FLOAT32_BYTES < 200_000
    assert report["check"]["reference"] == "Keras network"
    # Both compute in float32; the bound is the issue's own.
    assert report["check"]["metrics"]["max_abs"] <= 1e-5


def test_int8_tflite_is_a_quarter_and_all_integers(exported):
    report = exported["vgg_d_int8.tflite"]
    whole = exported["vgg_d.tflite"]["artifact"]["size_bytes"]
    # As in ONNX; zero points, which are all 0, take 8 bytes a channel and are shared.
    assert report["artifact"]["size_bytes"] <= 0.2505 * whole
    inspected = run("inspect", report["artifact"]["path"], "--require", "int8", "--json")
    assert inspected.returncode == 0, inspected.stderr
    operators = json.loads(inspected.stdout)["operators"]
    weighted = [o for o in operators if o["weights_dtype"] == "int8"]
    assert [o["type"] for o in weighted] == ["CONV_2D"] * 13 + ["FULLY_CONNECTED"] * 3
    assert {o["inputs"][0] for o in weighted} == {"int8", "int16"}


def test_int8_in_both_formats_is_the_same(exported):
    """Each is as far from float32 as the other: they compute with the same integers."""
    sqnr = [
        exported[name]["check"]["metrics"]["logit_sqnr_db"]
        for name in ("vgg_d_int8.onnx", "vgg_d_int8.tflite")
    ]
    assert sqnr[0] == pytest.approx(sqnr[1], abs=0.5)
