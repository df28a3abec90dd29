"""Machines that are made up from the files that describe them."""

import pytest

from vggexport.system import machine
from vggexport.system.machine import processor, read_machine, sums_in_half

X86 = """\
processor\t: 0
model name\t: AMD EPYC 9004
cpu MHz\t\t: 2500.000
flags\t\t: fpu avx2 avx512f avx512_vnni avx512_bf16

processor\t: 1
model name\t: AMD EPYC 9004
cpu MHz\t\t: 3500.000
flags\t\t: fpu avx2 avx512f avx512_vnni
"""
OLD_X86 = "processor: 0\nmodel name: Intel(R) Core(TM) i5-3320M\nflags: fpu sse4_2 avx\n"
PI_5 = """\
processor\t: 0
Features\t: fp asimd asimddp asimdhp
CPU implementer\t: 0x41
CPU part\t: 0xd0b

Revision\t: c04170
Model\t\t: Raspberry Pi 5 Model B
"""
BIG_LITTLE = """\
processor: 0
Features: fp asimd
CPU implementer: 0x41
CPU part: 0xd03

processor: 1
Features: fp asimd asimddp
CPU implementer: 0x41
CPU part: 0xd09

processor: 2
Features: fp asimd asimddp
CPU implementer: 0x51
CPU part: 0x801
"""


@pytest.fixture
def make(tmp_path):
    """A root of a file system with these files."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_an_x86_server(make):
    found = read_machine(make(proc__cpuinfo=X86, proc__meminfo="MemTotal:   2048 kB\n"))
    assert found.cpu_model == "AMD EPYC 9004"
    assert found.cpu_features["vnni"]
    assert not found.cpu_features["bf16"]  # the second core has none
    assert not found.cpu_features["dotprod"]
    assert found.has_int8
    assert found.frequency_mhz == 3000
    assert found.memory_bytes == 2 * 2**20
    assert (found.governor, found.temperature_c, found.load_average) == (None, None, None)


def test_a_cpu_without_int8_instructions(make):
    found = read_machine(make(proc__cpuinfo=OLD_X86))
    assert not found.has_int8
    assert not any(found.cpu_features.values())


@pytest.mark.parametrize(
    ("architecture", "cpuinfo", "told"),
    [
        ("x86_64", X86, "x86_64 (vnni, avx2, avx512)"),
        ("x86_64", OLD_X86, "x86_64"),
        ("aarch64", PI_5, "aarch64 (dotprod)"),
        ("aarch64", BIG_LITTLE, "aarch64"),  # a program may be moved to the core without
    ],
)
def test_what_the_last_digits_of_answers_depend_on(make, monkeypatch, architecture, cpuinfo, told):
    monkeypatch.setattr(machine.platform, "machine", lambda: architecture)
    assert processor(make(proc__cpuinfo=cpuinfo)) == told


def test_an_arm_board(make):
    root = make(
        proc__cpuinfo=PI_5,
        **{
            "proc__device-tree__model": "Raspberry Pi 5 Model B Rev 1.0\x00",
            "sys__devices__system__cpu__cpu0__cpufreq__scaling_governor": "ondemand\n",
            "sys__devices__system__cpu__cpu0__cpufreq__scaling_cur_freq": "1500000\n",
            "sys__devices__system__cpu__cpu1__cpufreq__scaling_cur_freq": "2400000\n",
            "sys__class__thermal__thermal_zone0__temp": "48500\n",
            "sys__class__thermal__thermal_zone1__temp": "-273200\n",
        },
    )
    found = read_machine(root)
    assert found.cpu_model == "Cortex-A76 (Raspberry Pi 5 Model B Rev 1.0)"
    assert found.cpu_features["dotprod"]
    assert found.has_int8
    assert (found.governor, found.frequency_mhz, found.temperature_c) == ("ondemand", 1950, 48.5)


def test_cores_of_several_kinds(make):
    found = read_machine(make(proc__cpuinfo=BIG_LITTLE))
    assert found.cpu_model == "Cortex-A53 + Cortex-A73 + 0x51 part 0x801"
    assert not found.cpu_features["dotprod"]  # not all have it


def test_a_system_that_tells_nothing(tmp_path):
    found = read_machine(tmp_path)
    assert found.cpu_model
    assert not found.busy
    assert found.frequency_mhz is None


@pytest.mark.parametrize(("load", "busy"), [("0.49", False), ("0.51", True)])
def test_from_a_quarter_of_the_cores_on_a_machine_is_busy(make, monkeypatch, load, busy):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _pid: {0, 1})
    found = read_machine(make(proc__loadavg=f"{load} 0.4 0.3 1/99 1234\n"))
    assert (found.load_average, found.busy) == (float(load), busy)
    assert found.to_json()["busy"] is busy


@pytest.mark.parametrize(
    ("siblings", "cores"),
    [(["0,2", "1,3", "0,2", "1,3"], 2), (["0", "1", "2", "3"], 4), (["0", "1", "2"], 4)],
)
def test_threads_of_one_core_are_counted_once(make, monkeypatch, siblings, cores):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3})
    place = "sys__devices__system__cpu__cpu{}__topology__thread_siblings_list"
    root = make(**{place.format(number): text for number, text in enumerate(siblings)})
    assert machine.physical_cores(root) == cores


def test_the_users_settings_and_the_versions(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = read_machine().to_json()
    assert found["thread_settings"]["OMP_NUM_THREADS"] == "3"
    assert {"vggexport", "numpy"} <= found["packages"].keys()
    assert found["affinity"]


@pytest.mark.parametrize(
    ("system", "architecture", "cpuinfo", "expected"),
    [
        ("Linux", "aarch64", PI_5, True),
        ("Linux", "aarch64", BIG_LITTLE, False),
        ("Darwin", "arm64", "", True),
        ("Darwin", "x86_64", "", False),
        ("Linux", "x86_64", "processor: 0\nflags: fpu avx512_fp16\n", False),
    ],
)
def test_arm_sums_float16_in_16_bits(make, monkeypatch, system, architecture, cpuinfo, expected):
    """ONNX Runtime has no such kernels for x86-64."""
    monkeypatch.setattr(machine.platform, "system", lambda: system)
    monkeypatch.setattr(machine.platform, "machine", lambda: architecture)
    assert sums_in_half(make(proc__cpuinfo=cpuinfo)) is expected
