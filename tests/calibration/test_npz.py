import io
import pickle
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy

from calibration.errors import CalibrationDataError
from calibration.npz import open_array, open_npz


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "images.npz"


def npy_bytes(array):
    file = io.BytesIO()
    npy.write_array(file, array)
    return file.getvalue()


def write_member(path, content, compression=zipfile.ZIP_STORED, name="images.npy"):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(name, content)


def refused(path):
    with pytest.raises(CalibrationDataError) as caught:
        open_npz(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"data {str(path)!r} cannot be used: ")
    assert message.endswith(
        "expected one uint8 array of shape (N, H, W, 3), as numpy.savez(file, images=...) writes it"
    )
    return message


def test_an_uncompressed_array_is_mapped(path, images):
    np.savez(path, images=images)
    opened = open_npz(path)
    assert isinstance(opened, np.memmap)
    np.testing.assert_array_equal(opened, images)


def test_a_compressed_array_is_loaded(path, images):
    np.savez_compressed(path, images=images)
    opened = open_npz(path)
    assert not isinstance(opened, np.memmap)
    np.testing.assert_array_equal(opened, images)


def test_an_array_in_fortran_order(path, images):
    np.savez(path, images=np.asfortranarray(images))
    np.testing.assert_array_equal(open_npz(path), images)


def test_a_second_member_of_an_uncompressed_archive_is_found(path, images):
    np.savez(path, labels=np.arange(5), images=images)
    np.testing.assert_array_equal(open_npz(path), images)


def test_the_only_array_may_have_any_name(path, images):
    np.savez(path, photos=images)
    np.testing.assert_array_equal(open_npz(path), images)


def test_two_arrays_without_the_name_are_refused(path, images):
    np.savez(path, a=images, b=images)
    assert "it has 2 arrays (a, b)" in refused(path)


def test_no_array_is_refused(path):
    write_member(path, b"hello", name="readme.txt")
    assert "it has 0 arrays (none)" in refused(path)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), "float32 of shape (2, 4, 4, 3)"),
        (np.zeros((2, 4, 4, 3), np.int8), "int8 of shape (2, 4, 4, 3)"),
        (np.zeros((4, 4, 3), np.uint8), "uint8 of shape (4, 4, 3)"),
        (np.zeros((2, 3, 4, 4), np.uint8), "uint8 of shape (2, 3, 4, 4)"),
        (np.zeros((0, 4, 4, 3), np.uint8), "uint8 of shape (0, 4, 4, 3)"),
        (np.zeros((2, 0, 4, 3), np.uint8), "uint8 of shape (2, 0, 4, 3)"),
        (np.zeros((), np.uint8), "uint8 of shape ()"),
    ],
)
def test_a_wrong_dtype_or_shape_is_refused(path, array, found):
    np.savez(path, images=array)
    assert f"its array is {found}" in refused(path)


def test_a_wrong_dtype_is_refused_from_the_header_alone(path, monkeypatch):
    np.savez_compressed(path, images=np.zeros((2, 4, 4, 3)))
    monkeypatch.setattr(npy, "read_array", lambda *_, **__: pytest.fail("the array was loaded"))
    assert "its array is float64" in refused(path)


class Bomb:
    exploded = False

    def __reduce__(self):
        return (setattr, (Bomb, "exploded", True))


@pytest.mark.parametrize("shape", [(1,), (1, 1, 1, 3)])
def test_pickled_objects_are_refused_and_not_run(path, shape):
    array = np.empty(shape, object)
    array[...] = Bomb()
    np.savez(path, images=array)
    assert "its array is object" in refused(path)
    assert not Bomb.exploded


def test_a_pickle_in_place_of_an_npy_is_refused(path):
    write_member(path, pickle.dumps(Bomb()))
    assert "magic string" in refused(path)
    assert not Bomb.exploded


def test_a_file_that_is_no_zip_is_refused(path):
    path.write_bytes(b"not a zip archive")
    assert "not a zip file" in refused(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kept", [0, 10, 400])
def test_a_truncated_archive_is_refused(path, images, save, kept):
    save(path, images=images)
    path.write_bytes(path.read_bytes()[:kept])
    refused(path)


@pytest.mark.parametrize("order", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("position", [0.01, 0.5, 0.99])
def test_a_flipped_bit_is_found_by_the_checksum(path, save, order, position):
    images = np.random.default_rng(1).integers(0, 256, (60, 20, 20, 3), dtype=np.uint8)
    save(path, images=order(images))
    data = bytearray(path.read_bytes())
    data[int(position * len(data))] ^= 1
    path.write_bytes(bytes(data))
    refused(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("change", [-5, 5])
def test_an_array_of_another_length_than_its_header_says_is_refused(
    path, images, compression, change
):
    content = npy_bytes(images) + b"extra"
    write_member(path, content[: len(content) - 5 + change], compression)
    assert f"has {len(content) - 5 + change} bytes instead of {len(content) - 5}" in refused(path)


def test_a_header_that_promises_far_more_than_there_is_allocates_nothing(path, images):
    content = npy_bytes(images).replace(b"(5, 6, 7, 3), }        ", b"(5000000, 6, 7000, 3), }")
    write_member(path, content, zipfile.ZIP_DEFLATED)
    assert "bytes instead of" in refused(path)


@pytest.mark.parametrize("header", [b"{'descr': '|u1'", b"open('a')", b"{}", b"\xff" * 20, b"[1,"])
def test_a_damaged_header_is_refused(path, header):
    text = header.ljust(117) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    write_member(path, content)
    refused(path)


def test_an_unknown_npy_version_is_refused(path):
    write_member(path, b"\x93NUMPY\x09\x00" + bytes(100))
    assert "version" in refused(path)


def test_a_header_of_version_2(path, images):
    file = io.BytesIO()
    npy.write_array(file, images, version=(2, 0))
    write_member(path, file.getvalue())
    np.testing.assert_array_equal(open_npz(path), images)


def test_an_encrypted_member_is_refused(path, images):
    np.savez(path, images=images)
    data = bytearray(path.read_bytes())
    data[6] |= 1  # general purpose flag: encrypted, in the local header and the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    assert "encrypted" in refused(path)


LEVELS = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)
UNIT = LEVELS / np.float32(255)


@pytest.mark.parametrize(
    ("array", "said", "line"),
    [
        (LEVELS.transpose(0, 3, 1, 2), "channels first", "images.transpose(0, 2, 3, 1)"),
        (UNIT, "with values 0...1", "np.rint(255 * images).astype(np.uint8)"),
        (
            UNIT.transpose(0, 3, 1, 2),
            "with values 0...1, channels first",
            "np.rint(255 * images.transpose(0, 2, 3, 1)).astype(np.uint8)",
        ),
        (
            UNIT * 2 - 1,
            "with values -1...1",
            "np.rint(127.5 * (images + 1)).astype(np.uint8)",
        ),
        (LEVELS.astype(np.float64), "0...255", "np.rint(images).astype(np.uint8)"),
        (LEVELS.astype(np.int64), "0...255", "np.rint(images).astype(np.uint8)"),
        (
            LEVELS * np.uint16(257),
            "0...65535",
            "np.rint(images * (255 / 65535)).astype(np.uint8), of 16 bits, if 65535 is white",
        ),
        (LEVELS - np.float32(118), "-118...137", "images as it was before a mean was subtracted"),
        (LEVELS[..., 0], "gray", "np.repeat(images[..., None], 3, axis=-1)"),
        (LEVELS[..., :1], "gray", "np.repeat(images, 3, axis=-1)"),
        (np.concatenate([LEVELS, LEVELS[..., :1]], -1), "with alpha", "images[..., :3]"),
        (LEVELS[0], "one image", "images[None]"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.shape),
)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed, np.save])
def test_what_shape_type_and_range_tell_is_said_with_the_line_that_helps(
    tmp_path, array, said, line, save
):
    if save is np.save:
        np.save(path := tmp_path / "images.npy", array)
    else:
        save(path := tmp_path / "images.npz", images=array)
    with pytest.raises(CalibrationDataError) as caught:
        open_array(path)
    assert f"{said}: save {line}" in str(caught.value)
    if not line.startswith("images as"):
        made = eval(line.partition(", of")[0], {"np": np, "images": array})
        (save if save is np.save else np.savez)(path, made)
        assert open_array(path).shape[-1] == 3


@pytest.mark.parametrize("array", [LEVELS[:0], LEVELS > 9])
def test_no_line_helps_where_there_are_no_images_or_no_levels(tmp_path, array):
    np.save(tmp_path / "images.npy", array)
    with pytest.raises(CalibrationDataError, match=r"of shape \(\d, 6, 5, 3\); expected one uint8"):
        open_array(tmp_path / "images.npy")


def test_an_npy_file_is_mapped_and_one_of_objects_refused(tmp_path):
    np.save(tmp_path / "images.npy", LEVELS)
    images = open_array(tmp_path / "images.npy")
    assert isinstance(images, np.memmap)
    np.testing.assert_array_equal(images, LEVELS)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(CalibrationDataError, match="cannot be used"):
        open_array(tmp_path / "objects.npy")
