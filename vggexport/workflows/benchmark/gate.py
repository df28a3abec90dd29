"""The baseline of a latency gate: a former run's JSON, and what may be compared with it.

A file of a former run was measured at another time, and the machine may have been in another state
then, which no interval from within the two runs knows of. Where the former *artifact* is at hand,
it is the better baseline: it then takes turns with the new one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from calibration.errors import not_read
from vggexport.errors import Advice, InputError
from vggexport.metrics.latency_ratio import Launches, unpaired_ratio
from vggexport.results.benchmark import GatedResult
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.results.document import SCHEMA
from vggexport.system.differences import differences
from vggexport.system.gpu import Gpu
from vggexport.system.machine import Machine


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """One result of the former run.

    Attributes:
        path: The artifact's, as it was given.
        settings: What must be the same for a comparison, by its name.
        launches_ms: The timings by launch and round.
    """

    path: Path
    settings: Mapping[str, Any]
    launches_ms: Launches

    @property
    def name(self) -> str:
        """The artifact's, without its folder."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class Baseline:
    """A former run: results, what must be the same of the machine, by name, and if it was busy."""

    path: Path
    machine: Mapping[str, Any]
    results: tuple[BaselineResult, ...]
    busy: bool = False

    def check_machine(self, machine: Machine, gpu: Gpu | None) -> None:
        """Refuses to compare machines.

        Raises:
            InputError: It ran on another; the message names the difference.
        """
        environment = machine.to_json() | {"gpu": gpu and gpu.to_json()}
        self._check(self.machine, machine_settings(environment))

    def check_counts(self, name: str, numbers: Iterable[int]) -> None:
        """Refuses "threads" or "batch" that the former run has not, before anything is measured.

        Raises:
            InputError: There is one.
        """
        known = sorted({result.settings[name] for result in self.results})
        for number in numbers:
            if number not in known:
                raise self._differs(name, " and ".join(map(str, known)), number)

    def gate(
        self, results: Sequence[BenchmarkResult], max_regression: float
    ) -> tuple[tuple[GatedResult, ...], tuple[str, ...]]:
        """Holds results to those of the former run.

        Returns:
            What was held to it, and names of the artifacts that it has not.

        Raises:
            InputError: It has none of them, has one twice, or measured them otherwise.
        """
        gated, missing = [], []
        for result in results:
            if known := self._of_artifact(result, results):
                former = self._matching(result, known).launches_ms
                ratio = unpaired_ratio(former, result.measurement.launches_ms)
                gated.append(GatedResult.judged(result, ratio, max_regression, paired=False))
            else:
                missing.append(result.name)
        if not gated:
            names = ", ".join(dict.fromkeys(result.name for result in self.results))
            raise InputError(
                f"baseline {self.path} has no {', '.join(dict.fromkeys(missing))}: it has {names}; "
                "name the file as it was then, or take a new baseline"
            )
        return tuple(gated), tuple(dict.fromkeys(missing))

    def _of_artifact(
        self, result: BenchmarkResult, results: Sequence[BenchmarkResult]
    ) -> list[BaselineResult]:
        """Results of the artifact of that path, or else name; of the only one where it is one."""
        path = Path(result.artifact.path)
        if known := [former for former in self.results if former.path == path]:
            return known
        known = [former for former in self.results if former.name == result.name]
        if len(paths := dict.fromkeys(former.path for former in known)) > 1:
            raise InputError(
                f"baseline {self.path} has several {result.name}: name one as it was then, "
                f"{' or '.join(map(str, paths))}"
            )
        only = {former.name for former in self.results}, {one.name for one in results}
        return list(self.results) if not known and max(map(len, only)) == 1 else known

    def _matching(self, result: BenchmarkResult, known: list[BaselineResult]) -> BaselineResult:
        """The one that was measured in the same way."""
        settings = result_settings(result.to_json())
        for former in known:
            if former.settings == settings:
                return former
        # The nearest differs in the fewest settings: what it says is what the user changed.
        nearest = min(known, key=lambda former: len([*differences(former.settings, settings)]))
        self._check(nearest.settings, settings)
        raise AssertionError("results that do not match differ")  # pragma: no cover

    def _check(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        known = {name: value for name, value in now.items() if name in then}  # on the CPU no GPU
        for found in differences({name: then[name] for name in known}, known):
            raise self._differs(found.name, found.first, found.second)

    def _differs(self, name: str, then: object, now: object) -> InputError:
        return InputError(
            f"baseline {self.path} was measured in another environment: {name} was {then} and is "
            f"{now}",
            "take a new baseline here",
            Advice("give the former artifact as {}", "baseline"),
        )


def machine_settings(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same of the machine, from a report's ``environment``."""
    gpu = environment.get("gpu")
    return {
        "CPU model": environment["cpu_model"],
        "architecture": environment["architecture"],
        "number of usable cores": len(environment["affinity"]),
        **({"GPU": gpu["name"]} if gpu else {}),
    }


def result_settings(result: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same of the measurement, from one of a report's ``results``."""
    names = ("threads", "batch", "scenario", "provider", "runtime")
    return {**{"runtime version" if name == "runtime" else name: result[name] for name in names}}


def read_baseline(path: Path) -> Baseline:
    """Reads the JSON of a former run.

    Raises:
        InputError: It cannot be read, or is not such a document.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"baseline {path} {not_read(error)}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"baseline {path} is not JSON: {error}") from error
    try:
        if document["schema"] != SCHEMA:
            raise InputError(f"baseline {path} has schema {document['schema']}, not {SCHEMA}")
        results = tuple(_result(result) for result in document["results"])
        machine = machine_settings(document["environment"])
        busy = bool(document["environment"].get("busy"))
    except KeyError as error:
        raise InputError(
            f"baseline {path} is not what vggexport benchmark writes: it has no {error}"
        ) from error
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(
            f"baseline {path} is not what vggexport benchmark writes: {error!r}"
        ) from error
    if not results:
        raise InputError(f"baseline {path} has no results")
    return Baseline(path, machine, results, busy)


def _result(result: Mapping[str, Any]) -> BaselineResult:
    samples, counts = iter([float(ms) for ms in result["samples_ms"]]), result["rounds"]
    launches = tuple(tuple(tuple(islice(samples, n)) for n in launch) for launch in counts)
    found = [ms for launch in launches for r in launch for ms in r]
    whole = len(found) == sum(map(sum, counts)) and not any(True for _ in samples)
    if not (whole and found and all(all(launch) for launch in counts)):
        raise ValueError(f"samples_ms that are not in rounds of {counts}")
    if not all(0 < ms < math.inf for ms in found):  # a NaN is not, either
        raise ValueError("samples_ms that are not times")
    settings = result_settings(result)
    if not all(isinstance(settings[name], int) for name in ("threads", "batch")):
        raise ValueError("threads or batch that are not numbers")
    return BaselineResult(Path(result["path"]), settings, launches)
