"""The stack machine that a pickle is a program for: its state, and the operands of its opcodes."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from vggexport.errors import WeightsError

LONGEST_PICKLE = 1 << 24
"""In bytes."""
_MOST_WORK = 1 << 18
"""Opcodes, and items of the arguments of calls: less than a second."""


def refusal(path: Path, holding: str) -> WeightsError:
    """The error for a file that holds something else than a state dict."""
    return WeightsError(
        f"{path} holds {holding}; pickles can run code, so only tensors, dicts, lists, numbers and "
        "text are read from them. Where you trust the file, load it with torch and save the "
        'weights alone: torch.save(model.state_dict(), "vgg16.pth")'
    )


@dataclass(slots=True)
class Machine:
    """Its state.

    Attributes:
        path: The file, for messages.
        stream: The pickle.
        storages: Key -> type and number of values, of every storage that was mentioned.
        stack: The values at hand.
        marks: Sizes of the stack that opcodes go back to.
        memo: Values that were stored to be used again.
        work: What may still be done.
    """

    path: Path
    stream: io.BytesIO
    storages: dict[str, tuple[str, int]] = field(default_factory=dict)
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    work: int = _MOST_WORK

    def take(self, count: int) -> bytes:
        """The next bytes of the pickle."""
        data = self.stream.read(count)
        if len(data) < count:
            raise EOFError("its pickle has no end")
        return data

    def line(self) -> str:
        """Text up to the next line break."""
        line = self.stream.readline()
        if not line.endswith(b"\n"):
            raise EOFError("its pickle has no end")
        return line[:-1].decode()

    def spend(self, work: int) -> None:
        """Counts work that was done.

        Raises:
            WeightsError: It was too much.
        """
        self.work -= work
        if self.work < 0:
            raise refusal(self.path, "more than a state dict ever does")

    def pop(self, count: int) -> list[Any]:
        """The topmost items, the deepest first."""
        items = [self.stack.pop() for _ in range(count)]
        return items[::-1]

    def pop_to_mark(self) -> list[Any]:
        """The items above the last mark."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items


Operation: TypeAlias = Callable[[Machine], Any]
"""What one opcode does, or how its operand is read."""


def number(form: str) -> Operation:
    """Reads a number in ``struct``'s notation."""
    size = struct.calcsize(form)
    return lambda machine: struct.unpack(form, machine.take(size))[0]


def counted(length: str, decode: Callable[[bytes], Any]) -> Operation:
    """Reads bytes after their number."""
    count = number(length)
    return lambda machine: decode(machine.take(count(machine)))


def recall(index: Operation) -> Operation:
    """Gives the value that was stored."""

    def get(machine: Machine) -> Any:
        place = index(machine)
        if place not in machine.memo:
            raise ValueError("its pickle recalls what it never stored")
        return machine.memo[place]

    return get


def store(index: Operation) -> Operation:
    """Stores the value on top of the stack."""

    def put(machine: Machine) -> None:
        machine.memo[index(machine)] = machine.stack[-1]

    return put


def onto_top(put: Callable[[Any, list[Any]], None], items: Operation) -> Operation:
    """Takes ``items`` off the stack and puts them into the value that is then on top."""

    def action(machine: Machine) -> None:
        taken = items(machine)
        put(machine.stack[-1], taken)

    return action
