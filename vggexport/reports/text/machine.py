"""What works on a machine, as text."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from vggexport.reports.text.layout import Grid
from vggexport.results.doctor import DoctorReport, Room, RuntimeState
from vggexport.system.number_text import counted, gibibytes


def doctor(report: DoctorReport) -> RenderableType:
    """Runtimes, what can be done with what is installed, and the machine."""
    runtimes = {
        f"{runtime.name} {runtime.version or ''}".rstrip(): "; ".join(_state(runtime))
        for runtime in report.runtimes
    }
    abilities = {ability.name: ability.install or "works" for ability in report.abilities}
    return Group(Grid(runtimes), "", Grid(abilities), "", Grid(dict(_machine(report))))


def _state(runtime: RuntimeState) -> Iterator[str]:
    yield runtime.problem or f"runs {', '.join(runtime.formats)}"
    for name, problem in runtime.providers.items():
        yield f"{name}: {problem or 'starts'}"


def _machine(report: DoctorReport) -> Iterator[tuple[str, str]]:
    machine = report.machine
    features = [name for name, has in machine.cpu_features.items() if has]
    yield "processor", f"{machine.cpu_model}, {machine.architecture}, {' '.join(features)}"
    if machine.architecture == "x86_64" and not machine.has_int8:
        yield "int8", "no VNNI: ONNX Runtime needs the option session.x64quantprecision=1, set here"
    yield "cores", f"{counted(len(machine.affinity), 'core')} of {machine.logical_cores} to be used"
    yield "GPU", f"{report.gpu.name}, driver {report.gpu.driver}" if report.gpu else "none found"
    for room in report.rooms:
        yield room.name, _room(room)


def _room(room: Room) -> str:
    if room.free_bytes is None:
        return "unknown"
    verdict = "enough" if room.enough else "TOO LITTLE"
    needed = gibibytes(room.needed_bytes)
    return f"{gibibytes(room.free_bytes)} free, {needed} for a full-size export: {verdict}"
