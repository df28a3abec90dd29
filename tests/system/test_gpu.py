"""A made-up ``nvidia-smi``."""

import pytest

from vggexport.system import gpu


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Puts a script in its place; it sees the arguments as "$@"."""

    def install(script):
        tool = tmp_path / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return install


def test_a_gpu(smi):
    smi('echo "NVIDIA Orin, 550.54, 8192"')
    assert gpu.read_gpu() == gpu.Gpu("NVIDIA Orin", "550.54", 8 * 2**30)
    assert gpu.read_gpu().to_json()["driver"] == "550.54"


def test_memory_in_use(smi):
    smi('[ "$1 $2" = "--id=0 --query-gpu=memory.used" ] && echo 512')
    assert gpu.gpu_memory_used_bytes() == 512 * 2**20


def test_the_gpu_is_the_first_visible_one(smi, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    smi('[ "$1" = "--id=3" ] && echo 7')
    assert gpu.gpu_memory_used_bytes() == 7 * 2**20


@pytest.mark.parametrize("script", ["exit 9", "echo", "echo 'No devices were found'"])
def test_no_gpu(smi, script):
    smi(script)
    assert gpu.gpu_memory_used_bytes() is None
    assert gpu.read_gpu() is None


def test_memory_that_the_driver_does_not_tell(smi):
    smi('echo "NVIDIA GH200, 550.54, [N/A]"')
    assert gpu.read_gpu().memory_bytes is None


def test_no_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.read_gpu() is None
