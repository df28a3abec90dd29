"""Pickles of tensors, interpreted as data: nothing is imported, constructed by name, or called.

A pickle is a program for a stack machine, whose opcodes ``pickletools`` of the standard library
describes. The machine here has those that ``torch.save`` writes for tensors, dicts, lists, tuples,
numbers and text under protocols 2 to 5. A global is a name and stays one: the few that a state dict
takes stand for functions of this module, any other is refused where it is named.

``pickletools.genops`` would list the opcodes too, but decodes the argument of any opcode first: it
undoes escapes in the names of globals, warns of some, and takes numbers of any length.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any

from vggexport.weights.pickle_machine import (
    Machine,
    Operation,
    counted,
    number,
    onto_top,
    recall,
    refusal,
    store,
)
from vggexport.weights.torch_tensors import DTYPES, Storage, Tensor

_LARGEST_KEY = 1 << 48
"""Longer numbers can be chosen to share a hash, and a dict of them takes for ever."""
_LONGEST_ID = 6
"""Items of a persistent id."""
_FLAGS = 3
"""Items of the state of a Parameter before torch 0.4."""
_SHOWN = 100
"""Characters of a name in a message."""


@dataclass(frozen=True, slots=True)
class Unpickled:
    """What a pickle holds.

    Attributes:
        value: Dicts, lists, tuples, ``Tensor``, ``Storage``, numbers, text, bytes and None.
        storages: Key -> type and number of values, of every storage that it mentions.
    """

    value: Any
    storages: Mapping[str, tuple[str, int]]


def unpickled(path: Path, stream: io.BytesIO) -> Unpickled:
    """Interprets one pickle, from where ``stream`` stands to the pickle's end.

    Raises:
        WeightsError: The pickle holds something that is not data, or too much.
        ValueError: It is damaged; ``IndexError``, ``TypeError`` and ``EOFError`` say so too.
    """
    machine = Machine(path, stream)
    while (opcode := machine.take(1)) != b".":
        machine.spend(1)
        if opcode in _VALUES:
            machine.stack.append(_VALUES[opcode](machine))
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](machine)
        else:
            raise _unknown(machine, opcode)
    return Unpickled(machine.stack.pop(), machine.storages)


def _unknown(machine: Machine, opcode: bytes) -> Exception:
    place = machine.stream.tell() - 1
    for known in pickletools.opcodes:
        if known.code.encode("latin-1") == opcode:
            return refusal(machine.path, f"the pickle opcode {known.name} at byte {place}")
    return ValueError(f"no pickle has 0x{opcode.hex()} where byte {place} is")


@dataclass(frozen=True, slots=True)
class _Global:
    name: str


def _set(target: Any, items: list[Any]) -> None:
    if not isinstance(target, dict):
        raise TypeError("its pickle sets items of something that is not a dict")
    if not all(map(_is_key, items[::2])):
        raise TypeError("a dict has a key that is neither text nor a number")
    target.update(zip(items[::2], items[1::2], strict=True))


def _is_key(key: object) -> bool:
    """Tuples of tuples of tuples are no keys: their hash can take for ever."""
    if isinstance(key, int):
        return abs(key) < _LARGEST_KEY
    return isinstance(key, str | float | NoneType)


def _extend(target: Any, items: list[Any]) -> None:
    if not isinstance(target, list):
        raise TypeError("its pickle appends to something that is not a list")
    target.extend(items)


def _build(target: Any, items: list[Any]) -> None:
    """State set on an object: ``_metadata`` of a state dict, or the flags of an old Parameter."""
    (state,) = items
    if isinstance(target, dict):
        return
    if not isinstance(target, Tensor) or not isinstance(state, tuple) or len(state) != _FLAGS:
        raise TypeError("its pickle sets the state of something that has none")
    if not all(isinstance(flag, bool | dict | NoneType) for flag in state):
        raise TypeError("its pickle sets a state that no parameter has")


def _known(machine: Machine, module: object, name: object) -> _Global:
    if not isinstance(module, str) or not isinstance(name, str):
        raise TypeError("its pickle has a global without a name")
    full = f"{module}.{name}"
    if full not in _CALLS and full not in DTYPES:
        raise refusal(machine.path, repr(full[:_SHOWN])[1:-1])
    return _Global(full)


def _called(machine: Machine) -> Any:
    """What the function that a global stands for makes of its arguments."""
    function, arguments = machine.pop(2)
    if not isinstance(function, _Global) or function.name not in _CALLS:
        raise TypeError("its pickle calls something that is not a function")
    if not isinstance(arguments, tuple):
        raise TypeError(f"its pickle calls {function.name} without arguments")
    machine.spend(len(arguments))
    machine.spend(sum(len(each) for each in arguments if isinstance(each, list | tuple)))
    return _CALLS[function.name](*arguments)


def _tensor(
    storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *flags: object
) -> Tensor:
    """``torch._utils._rebuild_tensor_v2``, and ``_rebuild_tensor`` of torch before 0.4.

    ``flags`` are requires_grad, hooks and, since torch 1.13, a dict of what else is to be set: that
    the values are to be negated, for one.
    """
    if any(flags[2:]):
        raise TypeError("a tensor that is not a plain view of its storage")
    return Tensor(storage, offset, shape, strides)


def _parameter(tensor: Tensor, *_: object) -> Tensor:
    """``torch._utils._rebuild_parameter``, and the class itself before torch 0.4."""
    if not isinstance(tensor, Tensor):
        raise TypeError("a parameter without a tensor")
    return tensor


def _ordered_dict(*items: list[Any]) -> dict[Any, Any]:
    """``OrderedDict``: Python 2 hands it a list of its items, Python 3 sets them afterwards."""
    result: dict[Any, Any] = {}
    for pairs in items:
        if not isinstance(pairs, list):
            raise TypeError("its pickle makes a dict of something that is not a list")
        _set(result, [each for key, value in pairs for each in (key, value)])
    return result


def _storage(machine: Machine) -> Storage:
    """What a persistent id names: ("storage", type, key, device, count[, view])."""
    (names,) = machine.pop(1)
    if not isinstance(names, tuple) or len(names) > _LONGEST_ID:
        raise TypeError("its pickle refers to something that is not a storage")
    word, kind, key, _, count, *views = names
    if word != "storage" or not isinstance(kind, _Global) or kind.name not in DTYPES:
        raise TypeError("its pickle refers to something that is not a storage")
    _, start, size = (views and views[0]) or (key, 0, count)
    storage = Storage(kind.name, key, count, start, size)
    if machine.storages.setdefault(key, (kind.name, count)) != (kind.name, count):
        raise ValueError("its pickle contradicts itself on a storage")
    return storage


_CALLS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
}
"""What globals stand for; the keys of ``DTYPES`` are known too, but are not called."""

_BYTE, _SHORT, _LONG = number("<B"), number("<H"), number("<I")
_VALUES: Mapping[bytes, Operation] = {
    b"N": lambda _: None,
    b"\x88": lambda _: True,
    b"\x89": lambda _: False,
    b"K": _BYTE,  # BININT1
    b"M": _SHORT,  # BININT2
    b"J": number("<i"),  # BININT
    b"\x8a": counted("<B", partial(int.from_bytes, byteorder="little", signed=True)),  # LONG1
    b"G": number(">d"),  # BINFLOAT
    b"X": counted("<I", bytes.decode),  # BINUNICODE
    b"\x8c": counted("<B", bytes.decode),  # SHORT_BINUNICODE
    b"T": counted("<I", partial(str, encoding="latin-1")),  # BINSTRING, text of Python 2
    b"U": counted("<B", partial(str, encoding="latin-1")),  # SHORT_BINSTRING
    b"B": counted("<I", bytes),  # BINBYTES
    b"C": counted("<B", bytes),  # SHORT_BINBYTES
    b"]": lambda _: [],
    b"}": lambda _: {},
    b")": lambda _: (),
    b"\x85": lambda machine: tuple(machine.pop(1)),
    b"\x86": lambda machine: tuple(machine.pop(2)),
    b"\x87": lambda machine: tuple(machine.pop(3)),
    b"t": lambda machine: tuple(machine.pop_to_mark()),
    b"h": recall(_BYTE),  # BINGET
    b"j": recall(_LONG),  # LONG_BINGET
    b"c": lambda machine: _known(machine, machine.line(), machine.line()),  # GLOBAL
    b"\x93": lambda machine: _known(machine, *machine.pop(2)),  # STACK_GLOBAL
    b"R": _called,  # REDUCE
    b"\x81": _called,  # NEWOBJ
    b"Q": _storage,  # BINPERSID
}
"""Opcodes that leave a value on the stack."""
_ACTIONS: Mapping[bytes, Operation] = {
    b"\x80": lambda machine: machine.take(1),  # PROTO
    b"\x95": lambda machine: machine.take(8),  # FRAME
    b"(": lambda machine: machine.marks.append(len(machine.stack)),
    b"0": lambda machine: machine.stack.pop(),
    b"q": store(_BYTE),  # BINPUT
    b"r": store(_LONG),  # LONG_BINPUT
    b"\x94": store(lambda machine: len(machine.memo)),  # MEMOIZE
    b"a": onto_top(_extend, lambda machine: machine.pop(1)),  # APPEND
    b"e": onto_top(_extend, Machine.pop_to_mark),  # APPENDS
    b"s": onto_top(_set, lambda machine: machine.pop(2)),  # SETITEM
    b"u": onto_top(_set, Machine.pop_to_mark),  # SETITEMS
    b"b": onto_top(_build, lambda machine: machine.pop(1)),  # BUILD
}
"""Opcodes that do not."""
