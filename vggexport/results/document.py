"""What all results have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from vggexport.system.json_values import JsonValue, Seconds

SCHEMA = 1
"""Of every ``--json`` document: keys are added, never renamed or removed."""

StepSeconds = Mapping[str, Seconds]
"""Wall-clock seconds by step."""


class Judged(JsonValue):
    """What can pass or fail."""

    __slots__ = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, a clause each; empty for a pass."""
        return ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures


class Document(Judged):
    """What a command prints with ``--json``."""

    __slots__ = ()
    schema: ClassVar[int] = SCHEMA
