"""State dicts as torch writes them, checkpoints around them, and what pretends to be one."""

import numpy as np
import pytest

from tests.weights.torch_opcodes import (
    ASSETS,
    SAVED,
    arrays_of,
    integer,
    items,
    many,
    name,
    ramp,
    refused,
    storage,
    tensor,
    text,
)
from vggexport.weights.torch_file import read_torch, state_dict_key

# Opcodes written by hand.


# What torch wrote, and what it used to write.


@pytest.mark.parametrize("asset", ["state_dict.pth", "state_dict_legacy.pth"])
def test_what_torch_wrote(asset):
    archive = read_torch(ASSETS / asset)
    assert list(archive) == list(SAVED)
    for key, expected in SAVED.items():
        array = archive[key].read()
        assert archive[key].shape == array.shape == expected.shape
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)
    assert state_dict_key(ASSETS / asset) is None


@pytest.mark.parametrize("asset", ["state_dict.pth", "state_dict_legacy.pth"])
def test_only_what_is_asked_for_is_read(monkeypatch, asset):
    counts = []

    def fromfile(path, dtype, count, **place):
        counts.append(count)
        return original(path, dtype, count, **place)

    original = np.fromfile
    monkeypatch.setattr(np, "fromfile", fromfile)
    archive = read_torch(ASSETS / asset)
    assert not counts
    archive["slice"].read()
    assert counts == [9]  # of 24: from row 1, column 2 to row 2, column 4


def test_big_endian(in_zip):
    path = in_zip(items({"w": tensor(storage())}), {"0": ramp(6).astype(">f4").tobytes()},
                  byteorder="big")  # fmt: skip
    array = arrays_of(path)["w"]
    np.testing.assert_array_equal(array, ramp(2, 3))
    assert array.dtype.isnative


def test_big_endian_bfloat16(in_zip):
    halves = (ramp(6).view(np.uint32) >> 16).astype(">u2")
    source = storage(kind="torch.BFloat16Storage")
    path = in_zip(items({"w": tensor(source)}), {"0": halves.tobytes()}, byteorder="big")
    np.testing.assert_array_equal(arrays_of(path)["w"], ramp(2, 3))


def test_no_byte_order_is_little_endian(in_zip):
    np.testing.assert_array_equal(
        arrays_of(in_zip(items({"w": tensor(storage())})))["w"], ramp(2, 3)
    )


def test_a_view_of_a_storage(in_a_row):
    """Before torch 1.0 storages had views of their own: (key, first value, number)."""
    view = (many(text("view"), integer(2), integer(4)),)
    path = in_a_row(items({"w": tensor(storage(view=view), (3,), (1,), offset=1)}))
    np.testing.assert_array_equal(arrays_of(path)["w"], [4, 5, 6])


def test_a_view_of_a_storage_has_an_end(in_a_row):
    view = (many(text("view"), integer(2), integer(3)),)
    path = in_a_row(items({"w": tensor(storage(view=view), (3,), (1,), offset=1)}))
    assert "a tensor of shape (3,) in a storage of 3 values" in refused(path)


def test_the_first_torch_under_python_2(in_a_row):
    """Items as a list, text as bytes, long integers, Parameters of ``_rebuild_tensor``."""
    two, three = b"\x8a\x01\x02", b"\x8a\x01\x03"
    data = many(storage(view=(b"N",)), b"K\x00", many(two, three), many(three, b"K\x01"))
    data = name("torch._utils._rebuild_tensor") + data + b"R"
    flags = many(b"\x88", b"\x89", b"}")
    parameter = name("torch.nn.parameter.Parameter") + many(data) + b"R" + flags + b"b"
    pairs = b"](" + b"](U\x01w" + parameter + b"e" + b"e"
    path = in_a_row(name("collections.OrderedDict") + many(pairs) + b"R")
    np.testing.assert_array_equal(arrays_of(path)["w"], ramp(2, 3))


def test_protocol_4(in_zip):
    """Frames, short text, globals from the stack, and a memo that counts by itself."""

    def short(value):
        return b"\x8c" + bytes([len(value)]) + value.encode()

    kind = short("torch") + b"\x94" + short("FloatStorage") + b"\x93\x94"
    source = many(short("storage"), kind, short("0"), short("cpu"), integer(6)) + b"Q"
    rebuild = short("torch._utils") + short("_rebuild_tensor_v2") + b"\x93"
    hooks = short("collections") + short("OrderedDict") + b"\x93)R"
    sizes = b"K\x02K\x03\x86" + b"K\x03K\x01\x86"
    value = rebuild + many(source, b"K\x00", sizes, b"\x89", hooks) + b"R"
    path = in_zip(b"\x95" + bytes(8) + b"}" + short("w") + value + b"s")
    np.testing.assert_array_equal(arrays_of(path)["w"], ramp(2, 3))


def test_a_rebuilt_parameter_and_metadata(in_zip):
    parameter = name("torch._utils._rebuild_parameter") + many(
        tensor(storage()), b"\x88", name("collections.OrderedDict") + b")R"
    )
    state = items({"_metadata": items({"": items({"version": integer(1)})})})
    path = in_zip(items({"w": parameter + b"R"}) + state + b"b")
    assert list(read_torch(path)) == ["w"]


# Checkpoints.


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_a_checkpoint_around_one_state_dict(in_zip, key):
    scalar = tensor(storage(), (), ())
    adam = items({"state": b"}K\x00" + items({"exp_avg": tensor(storage())}) + b"s"})
    path = in_zip(
        items({
            "epoch": integer(3), "best": scalar, "loss": b"](G" + bytes(8) + b"e",
            key: items({"w": tensor(storage())}), "optimizer": adam,
        })
    )  # fmt: skip
    assert list(read_torch(path)) == ["w"]
    assert state_dict_key(path) == key


def test_two_state_dicts(in_zip):
    inner = items({"w": tensor(storage())})
    message = refused(in_zip(items({"state_dict": inner, "ema\n": inner, "epoch": integer(3)})))
    assert (
        r"holds several state dicts, 'state_dict', 'ema\n': save the one that is meant" in message
    )
    assert 'torch.save(checkpoint[KEY], "vgg16.pth")' in message


def test_a_state_dict_beside_tensors(in_zip):
    weights = tensor(storage())
    message = refused(in_zip(items({"model": items({"w": weights}), "w": weights})))
    assert "holds several state dicts, its top level, 'model': save the one" in message


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (items({"epoch": integer(3)}), "no state dict, at its top or under its keys 'epoch': "),
        (tensor(storage()), "holds no state dict (Tensor); pickles can run code"),
        (b"](" + tensor(storage()) + b"e", "holds no state dict (list); "),
        (integer(3), "holds no state dict (int); "),
        (items({"w\n": tensor(storage())}), "the name of a tensor is not printable text"),
        (b"}K\x01" + tensor(storage()) + b"s", "the name of a tensor is not printable text"),
    ],
)
def test_no_state_dict(in_zip, value, says):
    assert says in refused(in_zip(value))


# What could run code, if it were run.


# What is damaged, or made to hurt.


# A thousand accidents each.
