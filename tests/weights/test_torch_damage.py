"""What pretends to be a state dict: refused in one line, and never run."""

import random
import struct
import zipfile

import numpy as np
import pytest

from tests.weights.torch_opcodes import (
    ASSETS,
    SAVED,
    integer,
    items,
    many,
    name,
    pickle_of,
    ramp,
    refused,
    storage,
    tensor,
    text,
)
from tests.written_anew import write_anew
from vggexport.errors import WeightsError
from vggexport.weights.torch_file import read_torch


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
        (tensor(many(*[text("storage")] * 5) + b"Q"), "refers to something that is not a storage"),
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
        write_anew(path, whole[:size])
        refused(path)


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
    write_anew(path, content)
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
