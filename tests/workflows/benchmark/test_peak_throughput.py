"""Ceilings that cannot be measured: a missing figure, and no reason to lose all others."""

import pytest

from vggexport.errors import Unavailable, Unfinished
from vggexport.workflows.benchmark import peak_throughput as ceilings

CPU = "CPUExecutionProvider"


class Broken:
    """In the place of a child process: every call fails in one way."""

    def __init__(self, error):
        self.error = error

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def call(self, _method, *_arguments):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("onnx is not installed"),
        Unfinished("the process of the ceiling was ended by SIGKILL: out of memory?"),
        MemoryError("Unable to allocate 256 MiB"),
    ],
)
def test_what_cannot_be_measured_is_left_out(monkeypatch, error):
    monkeypatch.setattr(ceilings, "ChildProcess", lambda *_places, **_options: Broken(error))
    ceiling = ceilings.measure_peak_throughput(CPU, 1)
    assert (ceiling.gflop_per_s, ceiling.gbyte_per_s) == ({}, None)


class Reached:
    """In the same place: says what a library reached, by the order in which they are started."""

    def __init__(self, speed):
        self.speed = speed

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def call(self, _method, *_arguments):
        return self.speed


def test_the_best_of_all_libraries_is_the_ceiling(monkeypatch):
    """The first one's was taken, and files ran at 128 % of it."""
    speeds = iter((41.0, 58.0))
    monkeypatch.setattr(ceilings, "ChildProcess", lambda *_p, **_o: Reached(next(speeds)))
    ceiling = ceilings.measure_peak_throughput(CPU, 2)
    assert (ceiling.gflop_per_s["float32"], ceiling.gbyte_per_s) == (58.0, 58.0)
