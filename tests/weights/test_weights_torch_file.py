"""State dicts as torch writes them, checkpoints around them, and what pretends to be one."""

import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vggexport.errors import WeightsError
from vggexport.weights.torch_file import read_torch, state_dict_key

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


# Opcodes written by hand.


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


@pytest.fixture
def in_zip(tmp_path):
    """Writes a zip container: opcodes, the storages' bytes, further members."""

    def save(value, storages=None, folder="archive", **members):
        path = tmp_path / "model.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{folder}/data.pkl", pickle_of(value))
            for key, content in (storages or {"0": ramp(6).tobytes()}).items():
                archive.writestr(f"{folder}/data/{key}", content)
            for member, content in members.items():
                archive.writestr(f"{folder}/{member}", content)
        return path

    return save


def legacy(value, storages=None, keys=None, magic=MAGIC, version=1001):
    storages = storages or [("0", ramp(6))]
    keys = [key for key, _ in storages] if keys is None else keys
    pickles = [magic, integer(version), b"}", value, b"](" + b"".join(map(text, keys)) + b"e"]
    contents = [struct.pack("<q", len(array)) + array.tobytes() for _, array in storages]
    return b"".join([*map(pickle_of, pickles), *contents])


@pytest.fixture
def in_a_row(tmp_path):
    """Writes the container of torch before 1.6: as :func:`legacy`."""

    def save(*arguments, **named):
        path = tmp_path / "model.pth"
        path.write_bytes(legacy(*arguments, **named))
        return path

    return save


def arrays_of(path):
    return {key: stored.read() for key, stored in read_torch(path).items()}


def refused(path):
    """The one line that reading all of ``path`` ends in."""
    with pytest.raises(WeightsError) as caught:
        arrays_of(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


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


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (name("torchvision.models.vgg.VGG") + b")\x81", "torchvision.models.vgg.VGG"),
        (name("os.system") + many(text("exit 1")) + b"R", "os.system"),
        (text("builtins") + text("exec") + b"\x93" + many(text("1/0")) + b"R", "builtins.exec"),
        (name("torch._utils._rebuild_tensor_v3"), "torch._utils._rebuild_tensor_v3"),
        (name("torch._utils\\x2e._rebuild"), r"torch._utils\\x2e._rebuild"),
        (name("numpy._core.multiarray.scalar"), "numpy._core.multiarray.scalar"),
        (b"cnumpy\xc2\x85\n" + b"a" * 200 + b"\n", r"numpy\x85." + "a" * 93),
        (b"(ios\nsystem\n", "the pickle opcode INST at byte"),
        (b"(" + text("x") + b"o", "the pickle opcode OBJ at byte"),
        (b"\x82\x01", "the pickle opcode EXT1 at byte"),
        (b"\x92", "the pickle opcode NEWOBJ_EX at byte"),
        (b"\x8f", "the pickle opcode EMPTY_SET at byte"),
        (b"S'\\q'\n", "the pickle opcode STRING at byte"),
    ],
)
@pytest.mark.parametrize("container", ["in_zip", "in_a_row"])
def test_anything_else_is_refused_by_name(request, container, value, named):
    message = refused(request.getfixturevalue(container)(items({"w": value})))
    assert f"holds {named}" in message
    assert 'torch.save(model.state_dict(), "vgg16.pth")' in message


def test_another_pickle(tmp_path):
    path = tmp_path / "labels.pth"
    path.write_bytes(pickle_of(items({"w": integer(1)})))
    assert "holds a pickle that torch.save did not write; pickles can run code" in refused(path)


# What is damaged, or made to hurt.

_DEEP = b")" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(60))
"""A tuple of tuples of tuples: few bytes, 2 ** 60 parts."""
_LONG = 1 << 48
_SAME_HASH = b"".join(integer(k * (2**61 - 1)) + b"N" for k in range(9))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (tensor(storage(), (3, 3)), "a tensor of shape (3, 3) in a storage of 6 values"),
        (tensor(storage(), (2, 3), (4, 1)), "a tensor of shape (2, 3) in a storage of 6 values"),
        (tensor(storage(), offset=1), "a tensor of shape (2, 3) in a storage of 6 values"),
        (tensor(storage(), (6, 6), (0, 0)), "a tensor of shape (6, 6) in a storage of 6 values"),
        (tensor(storage(), (2, 3), (1,)), "a tensor of 2 axes and 1 strides"),
        (tensor(storage(), (1,) * 9, (1,) * 9), "a tensor of 9 axes and 9 strides"),
        (tensor(storage(), (-2, -3)), "sizes that no tensor has"),
        (tensor(storage(), strides=(-3, 1)), "sizes that no tensor has"),
        (tensor(storage(), (_LONG, 0)), "sizes that no tensor has"),
        (tensor(storage(count=7)), "a storage of fewer bytes than its tensors say"),
        (tensor(storage("1" * 65)), "a storage without a name"),
        (tensor(storage("1")), "There is no item named 'archive/data/1' in the archive"),
        (tensor(integer(1)), "a tensor without a storage"),
        (tensor(many(storage(), storage(count=5))), "contradicts itself on a storage"),
        (tensor(many(text("module"), b"N") + b"Q"), "not enough values to unpack"),
        (tensor(many(*[text("storage")] * 5) + b"Q"), "refers to something that is no storage"),
        (tensor(_DEEP + b"Q"), "not enough values to unpack"),
        (name("torch.FloatStorage") + b")R", "calls something that is not a function"),
        (text("os.system") + b")R", "calls something that is not a function"),
        (name("torch._utils._rebuild_tensor_v2") + b")R", "missing 4 required positional"),
        (name("torch._utils._rebuild_tensor_v2") + b"}R", "without arguments"),
        (name("collections.OrderedDict") + many(_DEEP) + b"R", "a dict of something that"),
        (_DEEP + text("x") + b"\x93", "a global without a name"),
        (b"}" + _DEEP + b"Ns", "a dict has a key that is neither text nor a number"),
        (b"}(" + _SAME_HASH + b"u", "a dict has a key that is neither text nor a number"),
        (b"}(" + text("x") + b"u", "argument 2 is shorter than argument 1"),
        (b"]NNs", "sets items of something that is not a dict"),
        (b"}Na", "appends to something that is not a list"),
        (b"]Nb", "sets the state of something that has none"),
        (tensor(storage()) + many(storage(), b"K\x00", b"K\x00") + b"b", "a state that no param"),
        (b"h\x07", "recalls what it never stored"),
        (b"Nuu", "pop from empty list"),
        (b"0" * 9, "pop from empty list"),
        (b"\xff", "no pickle has 0xff where byte"),
        (b"X\xff\xff\xff\xffx", "its pickle has no end"),
        (b"T\xff\xff\xff\xffx", "its pickle has no end"),
        (b"cos\nsystem", "its pickle has no end"),
        (b"X\x01\x00\x00\x00\xff", "codec can't decode"),
        (b"N" * (1 << 18), "holds more than a state dict ever does"),
        (b"](" + b"N" * 9 + b"e" + b"q\x00" + (name("collections.OrderedDict") + b"h\x00\x85R") * 9,
         "cannot unpack non-iterable NoneType"),
    ],
)  # fmt: skip
def test_damage_is_said_in_one_line(in_zip, value, says):
    assert says in refused(in_zip(items({"w": value})))


def test_the_same_work_again_and_again_is_counted(in_zip):
    """A list of pairs in few bytes, made a dict more often than anybody waits for."""
    pairs = b"](" + (text("k") + b"N\x86") * 1000 + b"eq\x00"
    again = (name("collections.OrderedDict") + b"h\x00\x85R") * 1000
    assert "holds more than a state dict ever does" in refused(in_zip(pairs + again))


def test_one_dict_under_many_names_is_looked_at_once(in_zip):
    numbers = b"}(" + b"".join(integer(k) + b"N" for k in range(40_000)) + b"uq\x00"
    names = b"".join(text(str(k)) + b"h\x00" for k in range(40_000))
    assert "39992 more: " in refused(in_zip(numbers + b"0}(" + names + b"u"))


def test_depth_alone_does_no_harm(in_zip):
    lists = b"]" * 100_000 + b"a" * 99_999
    path = in_zip(items({"w": tensor(storage()), "deep": lists}))
    assert list(read_torch(path)) == ["w"]


def test_a_pickle_longer_than_any(in_zip):
    value = b"B" + struct.pack("<I", 1 << 24) + bytes(1 << 24) + b"0"
    message = refused(in_zip(value + items({"w": tensor(storage())})))
    assert "holds more than 16777216 bytes beside its tensors" in message


def test_a_zip_that_torch_did_not_write(in_zip):
    path = in_zip(items({"w": tensor(storage())}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", b"")
    assert "2 members are called data.pkl, not one" in refused(path)
    path = in_zip(items({"w": tensor(storage())}), byteorder="middle")
    assert "its bytes are in no known order" in refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(in_zip):
    path = in_zip(items({"w": tensor(storage())}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", bytes(24))
    assert "two members of one name" in refused(path)


@pytest.mark.parametrize("member", ["data.pkl", "data/0"])
def test_a_zip_bomb_is_not_unpacked(tmp_path, member):
    path = tmp_path / "model.pth"
    contents = {"data.pkl": pickle_of(items({"w": tensor(storage())})), "data/0": bytes(24)}
    contents[member] = bytes(1 << 22)
    with zipfile.ZipFile(path, "w") as archive:
        for key, content in contents.items():
            packing = zipfile.ZIP_DEFLATED if key == member else zipfile.ZIP_STORED
            archive.writestr(f"archive/{key}", content, packing)
    assert f"archive/{member} is compressed or encrypted" in refused(path)


def test_a_changed_value_in_a_zip_is_noticed(in_zip):
    path = in_zip(items({"w": tensor(storage())}))
    content = path.read_bytes()
    assert content.count(ramp(6).tobytes()) == 1
    path.write_bytes(content.replace(ramp(6).tobytes(), ramp(6)[::-1].tobytes()))
    assert list(read_torch(path)) == ["w"]
    assert "the checksum of archive/data/0 is not that of its values" in refused(path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"keys": ["1"]}, "the list of its storages is not that of its tensors"),
        ({"keys": ["0", "0"]}, "the list of its storages is not that of its tensors"),
        ({"storages": [("0", ramp(5))]}, "a storage of another size than its tensors say"),
        ({"storages": [("0", ramp(6)), ("1", ramp(1))]}, "is not that of its tensors"),
        ({"version": 1002}, "a version of the format that nobody writes"),
        ({"magic": integer(1)}, "holds a pickle that torch.save did not write"),
    ],
)
def test_pickles_in_a_row_that_do_not_agree(in_a_row, changes, says):
    assert says in refused(in_a_row(items({"w": tensor(storage())}), **changes))


def test_a_byte_behind_the_last_tensor(in_a_row):
    path = in_a_row(items({"w": tensor(storage())}))
    path.write_bytes(path.read_bytes() + b"\x00")
    assert "it does not end where its last tensor does" in refused(path)


@pytest.mark.parametrize("asset", ["state_dict.pth", "state_dict_legacy.pth"])
def test_every_cut_is_refused(tmp_path, asset):
    whole = (ASSETS / asset).read_bytes()
    path = tmp_path / asset
    for size in range(0, len(whole), 37):
        path.write_bytes(whole[:size])
        refused(path)


# A thousand accidents each.


def mutated(content, source):
    """Bytes flipped, overwritten, cut out, put in, or the end cut off."""
    changed = bytearray(content)
    for _ in range(source.choice((1, 1, 2, 5))):
        place = source.randrange(len(changed))
        kind = source.randrange(5)
        if kind == 0:
            changed[place] ^= 1 << source.randrange(8)
        elif kind == 1:
            changed[place] = source.choice((0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)))
        elif kind == 2:
            changed[place : place + 4] = source.choice((bytes(4), b"\xff" * 4, b"\x7f" * 4))
        elif kind == 3:
            del changed[place : place + source.randrange(1, 9)]
        else:
            changed[place:place] = source.randbytes(source.randrange(1, 9))
    if source.randrange(20) == 0:
        del changed[source.randrange(len(changed)) :]
    return bytes(changed)


def outcome(path, content):
    """The line in which a file is refused, or all its arrays."""
    path.write_bytes(content)
    try:
        archive = read_torch(path)
        arrays = {key: stored.read() for key, stored in archive.items()}
    except WeightsError as error:
        return str(error)
    shapes = {key: stored.shape for key, stored in archive.items()}
    assert shapes == {key: array.shape for key, array in arrays.items()}
    return arrays


def test_a_mutated_zip_is_refused_or_right(tmp_path):
    whole = (ASSETS / "state_dict.pth").read_bytes()
    source = random.Random(0)
    for _ in range(1000):
        found = outcome(tmp_path / "model.pth", mutated(whole, source))
        if isinstance(found, str):
            assert "\n" not in found
        else:
            assert list(found) == list(SAVED)
            for key, expected in SAVED.items():
                np.testing.assert_array_equal(found[key], expected)


def test_a_mutated_row_of_pickles_is_refused_or_read(tmp_path):
    """Nothing in it is a checksum: what a changed number says is believed where it can be."""
    whole = (ASSETS / "state_dict_legacy.pth").read_bytes()
    source = random.Random(1)
    for _ in range(1000):
        found = outcome(tmp_path / "model.pth", mutated(whole, source))
        assert found
        assert isinstance(found, dict) or "\n" not in found
