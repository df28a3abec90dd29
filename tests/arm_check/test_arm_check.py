"""The decisions of ``make arm-check``, with stand-ins for apt and for the emulated processor."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from arm_check import check as arm_check
from arm_check import machine as arm_machine
from arm_check.layers import shares
from vggexport.errors import Unavailable

METRICS = {"logit_sqnr_db": 159.24, "max_abs": 1e-7, "top1_agreement": 1.0}
VERIFIED = {
    "images": 8,
    "candidates": [
        {"path": "full/a_int8.onnx", "precision": "int8", "metrics": METRICS, "passed": True}
    ],
}


class FakeMachine:
    """Gives a shell's answer for each command, in turn."""

    qemu = "1:10.0.2+ds-2"

    def __init__(self, *answers: tuple[int, object]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[object, ...]] = []

    def command(self, cpu, *arguments):
        self.asked.append((cpu, *arguments))
        code, document = self.answers.pop(0)
        return ["sh", "-c", f"echo '{json.dumps(document)}'; exit {code}"]

    def environment(self):
        return {"PATH": "/usr/bin:/bin"}


def apt(monkeypatch, versions: dict[str, str] | None = None, failing: str = "") -> list[list[str]]:
    """Stands for apt, dpkg-deb and pip; the commands that were run."""
    run = []

    def answer(command, **_options):
        run.append([str(part) for part in command])
        if failing and failing in command:
            raise subprocess.CalledProcessError(100, command, "", f"\nE: no {failing}\n")
        printed = ""
        if "indextargets" in command:
            printed = "mirror/debian/ bookworm main\nmirror/security/ bookworm-security main\n"
        elif command[0] == "sh":
            printed = "bookworm\n"
        elif "install" in command and command[0] == "apt-get":
            settings = dict(part.split("=", 1) for part in command if "=" in part)
            for name in command[command.index("--no-install-recommends") + 1 :]:
                (Path(settings["Dir::Cache"]) / "archives" / f"{name}.deb").touch()
        elif "-x" in command:
            place = Path(command[3]) / "usr" / "bin"
            place.mkdir(parents=True, exist_ok=True)
            (place / "python3.11").touch()
        elif "-W" in command:
            name = Path(command[-1]).stem
            printed = f"{name} {(versions or {}).get(name, '1')}\n"
        elif "pip" in command:
            Path(command[command.index("--target") + 1]).mkdir()
        return subprocess.CompletedProcess(command, 0, printed, "")

    monkeypatch.setattr(arm_machine.subprocess, "run", answer)
    return run


def test_what_it_needs_is_fetched_once_and_nothing_is_installed(monkeypatch, tmp_path):
    run = apt(monkeypatch, {"qemu-user": "1:10.0.2+ds-2~bpo12+1"})
    machine = arm_machine.fetch(tmp_path)
    assert machine.qemu == "1:10.0.2+ds-2~bpo12+1"
    assert machine.command("cortex-a53", "-V")[3:] == [
        str(tmp_path / "amd64/usr/bin/qemu-aarch64"), "-cpu", "cortex-a53",
        "-L", str(tmp_path / "arm64"), str(tmp_path / "arm64/usr/bin/python3.11"), "-V",
    ]  # fmt: skip
    lists = (tmp_path / "apt-amd64" / "sources.list").read_text().splitlines()
    assert lists == [
        "deb [arch=amd64] mirror/debian/ bookworm main",
        "deb [arch=amd64] mirror/debian/ bookworm-backports main",
    ]
    assert "bookworm-backports" not in (tmp_path / "apt-arm64" / "sources.list").read_text()
    installs = [command for command in run if command[0] == "apt-get" and "install" in command]
    assert all("--download-only" in command for command in installs)
    wheels = next(command for command in run if "pip" in command)
    assert {"manylinux_2_28_aarch64", "3.11", "--only-binary=:all:"} <= {*wheels}
    run.clear()
    arm_machine.fetch(tmp_path)
    assert not [command for command in run if command[0] == "apt-get" or "pip" in command]


@pytest.mark.parametrize(
    ("versions", "failing", "message"),
    [
        ({"qemu-user": "1:7.2+dfsg-7+deb12u18"}, "", "qemu-user is 1:7.2.* from 10 on"),
        ({"qemu-user": "1:10.0"}, "python3", "python3 is not to be had: E: no python3"),
        ({"qemu-user": "1:10.0"}, ".[runtime]", r"aarch64 wheels of \.\[runtime\] is not"),
        ({}, "indextargets", "qemu-user is not to be had"),
    ],
)
def test_a_package_that_is_not_to_be_had_is_named(
    versions, failing, message, monkeypatch, tmp_path
):
    apt(monkeypatch, versions, failing)
    with pytest.raises(Unavailable, match=message):
        arm_machine.fetch(tmp_path)


def test_without_apt_the_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="apt-get is not here, which would bring qemu-user"):
        arm_machine.fetch(tmp_path)


def test_answers_are_told_by_processor_and_file(tmp_path):
    check = arm_check.Check(tmp_path, FakeMachine((0, VERIFIED)))
    check.verify("cortex-a53", tmp_path / "a_int8.onnx", tmp_path / "golden.npz")
    check.layers["cortex-a53"] = {"a_int8.onnx/fc1": 0.25, "a_int8.onnx/fc2": 0.0}
    assert check.failures == []
    told = arm_check.markdown(arm_check.report(check, FakeMachine()))
    assert "| cortex-a53 | full | a_int8.onnx | int8 | 159.2 dB | 1e-07 | 8 of 8 |" in told
    assert "differ on cortex-a53: 1 of 2\n\n- a_int8.onnx/fc1: 25.0000%" in told


def test_equal_answers_have_no_decibels(tmp_path):
    equal = {**VERIFIED["candidates"][0], "metrics": {**METRICS, "logit_sqnr_db": None}}
    machine = FakeMachine((0, {"images": 8, "candidates": [equal]}))
    check = arm_check.Check(tmp_path, machine)
    check.verify("max", tmp_path / "a_int8.onnx", tmp_path / "golden.npz")
    assert "| equal |" in arm_check.markdown(arm_check.report(check, machine))


def test_a_command_that_fails_there_is_a_failure(tmp_path):
    check = arm_check.Check(tmp_path, FakeMachine((1, VERIFIED), (3, "no document")))
    check.check_bundle("max", tmp_path)
    check.test_bundle("max", tmp_path)
    assert check.failures == [
        "max: -m vggexport check-bundle ended with code 1",
        f"max: {tmp_path / 'self_test.py'} ended with code 3",
    ]


def test_the_share_of_integers_that_differ_is_a_layers():
    here = {"fc1": np.array([0.0, 1, 2, 3]), "fc2": np.array([5.0])}
    assert shares(here, {"fc1": np.array([0.0, 1, 2, 4]), "fc2": np.array([5.0])}) == {
        "fc1": 0.25,
        "fc2": 0.0,
    }
