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


def build(path: Path, *options: object) -> dict:
    process = run("onnx", "-o", path, "--json", *options)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("full")


@pytest.fixture(scope="module")
def float32(folder) -> dict:
    return build(folder / "float32.onnx")


@pytest.fixture(scope="module")
def int8(folder) -> dict:
    return build(folder / "int8.onnx", "--quantize", "--calibration-samples", 8)


def test_float32_is_the_whole_network_and_equals_keras(folder, float32):
    path = folder / "float32.onnx"
    # Names, operators and metadata are the rest: some kilobytes.
    assert FLOAT32_BYTES < path.stat().st_size < FLOAT32_BYTES + 20_000
    onnx.checker.check_model(path, full_check=True)
    check = float32["check"]
    assert check["passed"]
    assert check["reference"] == "Keras network"
    # Both compute in float32; the bound is the issue's own.
    assert check["metrics"]["max_abs"] <= 1e-5


def test_int8_is_a_quarter_and_all_integers(folder, float32, int8):
    path = folder / "int8.onnx"
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


def test_a_float32_file_is_no_int8(folder, float32):
    path = folder / "float32.onnx"
    assert path.stat().st_size == float32["artifact"]["size_bytes"]
    assert run("inspect", path, "--require", "int8").returncode == 1
