"""What ``doctor`` finds: what works on this machine, and what installs the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vggexport.results.document import Document, StepSeconds
from vggexport.system.gpu import Gpu
from vggexport.system.json_values import JsonValue, Note
from vggexport.system.machine import Machine


@dataclass(frozen=True, slots=True)
class RuntimeState(JsonValue):
    """One runtime of model files.

    Attributes:
        name: As ``--runtime`` has it.
        formats: What it runs.
        version: Of its package; None where it is not installed.
        problem: Why it does not run here; empty where it was imported.
        providers: Execution providers by name, with why one does not start; empty where it does.
    """

    json_keys = "name formats version works problem providers"

    name: str
    formats: tuple[str, ...]
    version: str | None
    problem: Note
    providers: Mapping[str, str]

    @property
    def works(self) -> bool:
        """Whether it was imported."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class Ability(JsonValue):
    """Something that a user can do here, or not.

    Attributes:
        name: A command, an option, or a kind of file.
        missing: Packages that it needs and that are not here.
        install: The line that installs them; empty where none is missing.
    """

    json_keys = "name works missing install"

    name: str
    missing: tuple[str, ...]
    install: Note

    @property
    def works(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True, slots=True)
class Room(JsonValue):
    """Memory or disk, and what a full-size export takes of it.

    Attributes:
        name: Of what.
        free_bytes: What is free; None where the system does not tell.
        needed_bytes: What an int8 export of VGG-D with 1000 classes takes.
    """

    json_keys = "name free_bytes needed_bytes enough"

    name: str
    free_bytes: int | None
    needed_bytes: int

    @property
    def enough(self) -> bool:
        """Whether it is known not to be too little."""
        return self.free_bytes is None or self.free_bytes >= self.needed_bytes


@dataclass(frozen=True, slots=True)
class DoctorReport(Document):
    """What works here.

    Attributes:
        machine: Processor, memory and packages.
        gpu: The first GPU; None without one.
        runtimes: What runs model files.
        abilities: What can be done.
        rooms: Memory and disk.
        required: Abilities that were asked for by name.
        seconds: By step.
    """

    json_keys = """
        schema environment=machine gpu runtimes abilities rooms required passed seconds
    """

    machine: Machine
    gpu: Gpu | None
    runtimes: tuple[RuntimeState, ...]
    abilities: tuple[Ability, ...]
    rooms: tuple[Room, ...]
    required: tuple[str, ...]
    seconds: StepSeconds

    @property
    def failures(self) -> tuple[str, ...]:
        """What was asked for by name and does not work."""
        return tuple(
            f"{ability.name} needs {', '.join(ability.missing)}: {ability.install}"
            for ability in self.abilities
            if ability.name in self.required and not ability.works
        )
