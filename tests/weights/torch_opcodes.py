"""Pickles written by hand, opcode by opcode, in the containers that torch writes."""

import struct
from pathlib import Path

import numpy as np
import pytest

from vggexport.errors import WeightsError
from vggexport.weights.torch_file import read_torch

ASSETS = Path(__file__).parent / "assets"


MAGIC = b"\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little")


def ramp(*shape, dtype=np.float32):
    return np.arange(1, 1 + np.prod(shape), dtype=dtype).reshape(shape)


SAVED = {
    "0.weight": ramp(2, 1, 3, 3),
    "0.bias": ramp(2),
    "1.weight": ramp(2),
    "1.bias": ramp(2),
    "1.running_mean": ramp(2),
    "1.running_var": ramp(2),
    "1.num_batches_tracked": np.array(7),
    "transposed": ramp(4, 6).T,
    "slice": ramp(4, 6)[1:3, 2:5],
    "every_other": ramp(4, 6)[:, ::2],
    "last": ramp(4, 6)[3, 5],
    "empty": np.zeros((0, 4), np.float32),
    "half": ramp(3, dtype=np.float16) / 4,
    "bfloat16": ramp(3) / 4,
    "double": ramp(2, 2, dtype=np.float64) / 3,
    "flags": np.array([True, False]),
    "parameter": ramp(2),
    "channels_last": ramp(1, 2, 2, 3),
}
"""What lies in both assets."""


def text(value):
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def integer(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    return b"\x8a\x0a" + value.to_bytes(10, "little", signed=True)


def many(*items):
    return b"(" + b"".join(items) + b"t"


def integers(values):
    return many(*map(integer, values))


def name(full):
    module, _, attribute = full.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def storage(key="0", count=6, kind="torch.FloatStorage", view=()):
    return many(text("storage"), name(kind), text(key), text("cpu"), integer(count), *view) + b"Q"


def tensor(source, shape=(2, 3), strides=(3, 1), offset=0, rebuild="_rebuild_tensor_v2"):
    more = (b"\x89", name("collections.OrderedDict") + b")R") if rebuild.endswith("v2") else ()
    arguments = many(source, integer(offset), integers(shape), integers(strides), *more)
    return name(f"torch._utils.{rebuild}") + arguments + b"R"


def items(entries):
    return b"}(" + b"".join(text(key) + value for key, value in entries.items()) + b"u"


def pickle_of(value):
    return b"\x80\x02" + value + b"."


def legacy(value, storages=None, keys=None, magic=MAGIC, version=1001):
    storages = storages or [("0", ramp(6))]
    keys = [key for key, _ in storages] if keys is None else keys
    pickles = [magic, integer(version), b"}", value, b"](" + b"".join(map(text, keys)) + b"e"]
    contents = [struct.pack("<q", len(array)) + array.tobytes() for _, array in storages]
    return b"".join([*map(pickle_of, pickles), *contents])


def arrays_of(path):
    return {key: stored.read() for key, stored in read_torch(path).items()}


def refused(path):
    """The one line that reading all of ``path`` ends in."""
    with pytest.raises(WeightsError) as caught:
        arrays_of(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)
