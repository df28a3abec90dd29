"""The power that a machine draws while something runs, where a counter or a sensor tells it.

Of processors the running average power limit's counters: ``/sys/class/powercap`` (Linux,
Documentation/power/powercap/powercap.rst), which root alone may read. Of boards the sensors of
Texas Instruments' INA family: ``/sys/class/hwmon`` (Documentation/hwmon/ina2xx.rst, ina3221.rst).
Nothing is guessed: where neither tells, that is what is said.
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from vggexport.system.cgroup import ROOT
from vggexport.system.json_values import JsonValue, Note
from vggexport.system.machine import text_of

Value = TypeVar("Value")

COUNTERS = "sys/class/powercap"
SENSORS = "sys/class/hwmon"
SAMPLE_S = 0.02
WHOLE_BOARD = "VDD_IN"
"""Label of the rail that feeds a whole Jetson module, beside those of its parts."""

_MICRO = 1e-6


@dataclass(frozen=True, slots=True)
class _Sensor:
    """A sensor of a board: its name, and what gives watts."""

    name: str
    read: Callable[[], float | None]


@dataclass(frozen=True, slots=True)
class PowerSource(JsonValue):
    """What tells the power.

    Attributes:
        source: Its names; None where nothing does.
        reason: Why nothing does; empty otherwise.
    """

    source: str | None
    reason: Note = ""


class PowerMeter:
    """Watts of the machine, its idle ones included, while something runs."""

    def __init__(self, root: Path = ROOT, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        packages = _packages(root)
        self._counters = [f for f in packages if _number(f / "energy_uj") is not None]
        self._sensor = None if self._counters else _sensor(root)
        self.power = _described(packages, self._counters, self._sensor)

    def over(self, call: Callable[[], Value]) -> tuple[Value, float | None]:
        """What a call returns, and the mean power in watts meanwhile; None where nothing tells."""
        if not self._counters:
            return _sampled(call, self._sensor)
        before, begin = self._microjoules(), self._clock()
        value = call()
        seconds, after = self._clock() - begin, self._microjoules()
        if None in (*before, *after) or not seconds:
            return value, None
        used = [
            _since(a or 0, b or 0, folder)
            for folder, b, a in zip(self._counters, before, after, strict=True)
        ]
        return value, sum(used) * _MICRO / seconds

    def _microjoules(self) -> list[int | None]:
        return [_number(folder / "energy_uj") for folder in self._counters]


def _packages(root: Path) -> list[Path]:
    """Counters of whole processors; those of their parts are inside."""
    found = sorted((root / COUNTERS).glob("*-rapl:*"))
    return [folder for folder in found if (text_of(folder / "name") or "").startswith("package-")]


def _since(after: int, before: int, folder: Path) -> int:
    """Microjoules between two readings of a counter, which begins anew at its end."""
    used = after - before
    return used if used >= 0 else used + (_number(folder / "max_energy_range_uj") or 0)


def _sensor(root: Path) -> _Sensor | None:
    """Of a board: one that gives its power, or the rail that feeds all of it."""
    for folder in sorted((root / SENSORS).glob("hwmon*")):
        name = text_of(folder / "name") or ""
        if not name.startswith("ina"):
            continue
        if _number(folder / "power1_input") is not None:
            return _Sensor(name, partial(_product, [folder / "power1_input"]))
        for label in sorted(folder.glob("in*_label")):
            if text_of(label) == WHOLE_BOARD:
                rail = label.name.removeprefix("in").removesuffix("_label")
                factors = [folder / f"{kind}{rail}_input" for kind in ("in", "curr")]
                return _Sensor(f"{name} {WHOLE_BOARD}", partial(_product, factors))
    return None


def _product(paths: Sequence[Path]) -> float | None:
    """Watts: microwatts, or millivolts times milliamperes."""
    numbers = [_number(path) for path in paths]
    return None if None in numbers else math.prod(n for n in numbers if n is not None) * _MICRO


def _sampled(call: Callable[[], Value], sensor: _Sensor | None) -> tuple[Value, float | None]:
    """The mean of a sensor's values while a call runs."""
    if sensor is None:
        return call(), None
    over, found = threading.Event(), [sensor.read()]

    def sample() -> None:
        while not over.wait(SAMPLE_S):
            found.append(sensor.read())

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        value = call()
    finally:
        over.set()
        thread.join()
    known = [watts for watts in found if watts is not None]
    return value, statistics.fmean(known) if known else None


def _described(
    packages: Sequence[Path], counters: Sequence[Path], sensor: _Sensor | None
) -> PowerSource:
    if counters:
        names = [f"RAPL {text_of(folder / 'name')}" for folder in counters]
        return PowerSource(", ".join(names))
    if sensor:
        return PowerSource(sensor.name)
    if packages:
        return PowerSource(None, f"root alone may read {packages[0] / 'energy_uj'}")
    return PowerSource(None, f"there is neither a counter in /{COUNTERS} nor a sensor of a board")


def _number(path: Path) -> int | None:
    text = text_of(path)
    return int(text) if text and text.lstrip("-").isdecimal() else None
