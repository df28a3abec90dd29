"""The quota of containers, on made-up machines."""

import pytest

from vggexport.system import process
from vggexport.system.cgroup import cpu_quota
from vggexport.system.machine import physical_cores, read_machine


@pytest.fixture
def make(tmp_path):
    """(text by path) -> the root of a file system."""

    def make(files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path

    return make


V1 = "12:cpu,cpuacct:/docker/ab12\n3:memory:/docker/ab12\n"
GROUP = "proc/self/cgroup"
FS = "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, None),
        ({GROUP: "0::/\n", f"{FS}/cpu.max": "max 100000\n"}, None),
        ({GROUP: "0::/\n", f"{FS}/cpu.max": "150000 100000\n"}, 1.5),
        ({GROUP: "0::/pod/one\n", f"{FS}/pod/one/cpu.max": "50000 100000\n"}, 0.5),
        (
            {
                GROUP: "0::/pod/one\n",
                f"{FS}/pod/one/cpu.max": "400000 100000\n",
                f"{FS}/pod/cpu.max": "200000 100000\n",
            },
            2.0,
        ),
        ({GROUP: "0::/../host\n", f"{FS}/cpu.max": "300000 100000\n"}, 3.0),
        (
            {
                GROUP: V1,
                f"{FS}/cpu/docker/ab12/cpu.cfs_quota_us": "250000\n",
                f"{FS}/cpu/docker/ab12/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        (
            {
                GROUP: V1,
                f"{FS}/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
                f"{FS}/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            1.0,
        ),
        (
            {
                GROUP: V1,
                f"{FS}/cpu/cpu.cfs_quota_us": "-1\n",
                f"{FS}/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        ({GROUP: "0::/\n", f"{FS}/cpu.max": "what is this\n"}, None),
    ],
)
def test_the_least_quota_of_a_group_and_those_above(make, files, quota):
    assert cpu_quota(make(files)) == quota


@pytest.mark.parametrize(
    ("quota", "cores"), [("max", 4), ("250000", 2), ("50000", 1), ("900000", 4)]
)
def test_threads_follow_the_quota_and_the_cpuset(make, monkeypatch, quota, cores):
    monkeypatch.setattr(process, "affinity", lambda: (0, 1, 2, 5))
    root = make({GROUP: "0::/\n", f"{FS}/cpu.max": f"{quota} 100000\n"})
    assert process.usable_cores(root) == cores
    assert physical_cores(root) == cores
    monkeypatch.setattr(process, "cpu_quota", lambda _root: cpu_quota(root))
    assert process.limited_threads() == (cores if cores < 4 else 0)


def test_the_report_has_the_quota(make):
    found = read_machine(make({GROUP: "0::/\n", f"{FS}/cpu.max": "150000 100000\n"}))
    assert found.to_json()["cpu_quota"] == 1.5
