"""Files of every kind, whole and broken."""

import io
import json
import pickle
import struct
import sys
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

from vggexport.errors import Unavailable, WeightsError
from vggexport.weights import open_weights


def refused(path, spec) -> str:
    """The one line that opening or reading ``path`` ends in."""
    with pytest.raises(WeightsError) as caught:
        dict(open_weights(str(path), spec))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def saved_safetensors(tmp_path, arrays):
    path = tmp_path / "weights.safetensors"
    save_file(arrays, path)
    return path


@pytest.fixture
def saved_h5(tmp_path, arrays):
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        layers = list(dict.fromkeys(name.split("/")[0] for name in arrays))
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer in layers:
            names = [f"{layer}/kernel:0", f"{layer}/bias:0"]
            group = file.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name in names:
                group[name] = arrays[name.removesuffix(":0")]
    return path


@pytest.mark.parametrize("suffix", [".hdf5", ".H5"])
def test_other_suffixes_of_hdf5(saved_h5, arrays, tiny, suffix):
    weights = open_weights(str(saved_h5.rename(saved_h5.with_suffix(suffix))), tiny)
    assert weights.layout == "keras"
    np.testing.assert_array_equal(weights["fc1/kernel"], arrays["fc1/kernel"])


@pytest.mark.parametrize(("key", "notes"), [(None, ()), ("model", ("model",))])
def test_a_state_dict_of_torch(tmp_path, save_torch, tiny, key, notes):
    path = tmp_path / "vgg.pth"
    state = {"features.0.weight": np.ones((4, 3, 3, 3), np.float32)}
    save_torch(path, state, key)
    weights = open_weights(str(path), tiny, init_missing=True)
    assert weights.layout == "torchvision"
    assert weights["block1_conv1/kernel"].shape == (3, 3, 3, 4)
    expected = tuple(f"state dict: the one under the key {one!r}" for one in notes)
    assert weights.notes == expected


def test_safetensors(saved_safetensors, arrays, tiny):
    weights = open_weights(str(saved_safetensors), tiny)
    assert weights.layout == "native"
    for name, array in weights.items():
        np.testing.assert_array_equal(array, arrays[name])


def test_safetensors_in_float16(tmp_path, arrays, tiny):
    halves = {name: array.astype(np.float16) for name, array in arrays.items()}
    path = tmp_path / "half.safetensors"
    save_file(halves, path)
    for name, array in open_weights(str(path), tiny).items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, halves[name].astype(np.float32))


def write_safetensors(path, arrays, dtype):
    """The format written by hand, for types that numpy has not."""
    header, data = {}, b""
    for name, (shape, raw) in arrays.items():
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def test_safetensors_in_bfloat16(tmp_path, arrays, tiny):
    upper = {name: (array.view(np.uint32) >> 16).astype("<u2") for name, array in arrays.items()}
    path = tmp_path / "bf16.safetensors"
    write_safetensors(
        path, {name: (half.shape, half.tobytes()) for name, half in upper.items()}, "BF16"
    )
    for name, array in open_weights(str(path), tiny).items():
        expected = (arrays[name].view(np.uint32) & 0xFFFF0000).view(np.float32)
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("length", [0x480, 0x53C, 0x4B50, 0x8B1F])
def test_a_safetensors_header_as_long_as_another_kinds_magic(tmp_path, arrays, tiny, length):
    """The first bytes are the header's length: some look like a pickle, HTML, a zip or gzip."""
    path = tmp_path / "weights.safetensors"
    save_file(arrays, path)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert size <= length
    padded = content[8 : 8 + size].ljust(length)
    path.write_bytes(len(padded).to_bytes(8, "little") + padded + content[8 + size :])
    np.testing.assert_array_equal(open_weights(str(path), tiny)["fc1/bias"], arrays["fc1/bias"])


def test_safetensors_in_float8_are_refused(tmp_path, arrays, tiny):
    path = tmp_path / "f8.safetensors"
    write_safetensors(
        path, {name: (array.shape, bytes(array.size)) for name, array in arrays.items()}, "F8_E4M3"
    )
    assert "block1_conv1/kernel holds F8_E4M3: store weights as F32" in refused(path, tiny)


def test_a_missing_file(tmp_path, tiny):
    assert "does not exist" in refused(tmp_path / "none.npz", tiny)


def test_a_directory(tmp_path, tiny):
    (tmp_path / "model.keras").mkdir()
    assert "is a directory" in refused(tmp_path / "model.keras", tiny)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".h5", ".keras"])
def test_an_empty_file(tmp_path, tiny, suffix):
    path = tmp_path / f"empty{suffix}"
    path.touch()
    assert "is empty" in refused(path, tiny)


@pytest.mark.parametrize("suffix", [".onnx", ".txt", ""])
def test_a_suffix_of_no_weights_file(tmp_path, tiny, suffix):
    message = refused(tmp_path / f"weights{suffix}", tiny)
    assert "random[:SEED], imagenet, or a file that ends in .npz, .safetensors, .h5" in message


@pytest.mark.parametrize("suffix", [".pth", ".PT"])
def test_pickles_are_never_executed(tmp_path, tiny, suffix):
    path = tmp_path / f"vgg16{suffix}"
    path.write_bytes(pickle.dumps(Bomb()))
    assert "holds _pytest.outcomes._Fail; pickles can run code" in refused(path, tiny)


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".bin", ".ckpt"])
def test_what_torch_wrote_under_another_name(tmp_path, tiny, suffix):
    path = tmp_path / f"vgg16{suffix}"
    path.write_bytes(_torch_zip())
    assert "is a PyTorch zip with a pickle: rename it to end in .pth" in refused(path, tiny)


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def _torch_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("vgg16/data.pkl", pickle.dumps(Bomb()))
    return stream.getvalue()


def _tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("sys_info"))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (pickle.dumps(Bomb()), "is a pickle, expected"),
        (_torch_zip(), "is a PyTorch zip with a pickle, expected"),
        (b"\x1f\x8b\x08rest", "is a gzip file, expected"),
        (b"<!DOCTYPE html><title>404</title>", "is an HTML page, expected"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"\x93NUMPY\x01\x00", "is a single NumPy array"),
        (_tar(), "is a tar archive, as torch before 0.1.10 wrote (load it with torch, save its"),
        (b"nothing that anybody knows", "is of no known kind, expected"),
    ],
)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".h5", ".keras"])
def test_says_what_a_file_really_is(tmp_path, tiny, suffix, content, says):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    assert says in refused(path, tiny)


def test_a_good_file_under_a_wrong_name(saved_npz, saved_h5, saved_safetensors, tiny):
    for path, wrong, advice in (
        (saved_npz(), ".keras", "is a NumPy .npz archive, expected an HDF5 file: rename it"),
        (saved_h5, ".npz", "is an HDF5 file, expected a NumPy .npz archive: rename it to end in"),
        (saved_safetensors, ".h5", "is a safetensors file, expected an HDF5 file: rename it"),
    ):
        assert advice in refused(path.rename(path.with_suffix(wrong)), tiny)


def test_every_cut_of_a_file_is_refused(saved_npz, saved_h5, saved_safetensors, tiny):
    for path in (saved_npz(), saved_h5, saved_safetensors):
        whole = path.read_bytes()
        for part in (0.01, 0.3, 0.6, 0.95):
            path.write_bytes(whole[: int(len(whole) * part)])
            refused(path, tiny)


def test_a_flipped_byte_in_an_npz_is_noticed(saved_npz, tiny):
    path = saved_npz()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert "is damaged or cannot be read (Bad CRC-32" in refused(path, tiny)


def test_pickled_objects_in_an_npz_are_refused(saved_npz, tiny):
    path = saved_npz({"fc1/bias": np.array([Bomb()], dtype=object)})
    assert "fc1/bias holds Python objects, and pickles are never opened" in refused(path, tiny)


def test_an_encrypted_npz_is_refused(saved_npz, tiny):
    path = saved_npz()
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(signature)
        content[place + offset] |= 1  # the flag of the first member, in both of its headers
    path.write_bytes(content)
    assert "password" in refused(path, tiny)


def test_an_npz_member_that_is_no_array(saved_npz, tiny):
    path = saved_npz()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "hello")
    assert "is damaged or cannot be read" in refused(path, tiny)


def test_an_npy_version_that_nobody_writes(saved_npz, tiny):
    path = saved_npz()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("strange.npy", b"\x93NUMPY\x09\x00" + bytes(100))
    assert "is damaged or cannot be read" in refused(path, tiny)


def test_the_second_version_of_npy_is_read(saved_npz, arrays, tiny):
    path = saved_npz({"fc2/bias": None})
    stream = io.BytesIO()
    np.lib.format.write_array(stream, arrays["fc2/bias"], version=(2, 0))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("fc2/bias.npy", stream.getvalue())
    np.testing.assert_array_equal(open_weights(str(path), tiny)["fc2/bias"], arrays["fc2/bias"])


@pytest.mark.parametrize(("package", "suffix"), [("h5py", "h5"), ("safetensors", "safetensors")])
def test_a_package_that_is_not_installed(request, monkeypatch, tiny, package, suffix):
    path = request.getfixturevalue(f"saved_{suffix}")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(Unavailable, match=rf"{package}.*pip install 'vggexport\[cpu\]'"):
        open_weights(str(path), tiny)
