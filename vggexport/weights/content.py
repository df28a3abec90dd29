"""What a file is by its first bytes, whatever its name says. Nothing is unpacked or executed."""

from __future__ import annotations

import zipfile
from enum import StrEnum
from pathlib import Path

from vggexport.weights.stored import reading

KERAS_WEIGHTS_MEMBER = "model.weights.h5"
"""The HDF5 file inside a ``.keras`` file."""


class Content(StrEnum):
    """Kinds of file that weights, or what is taken for weights, come in; the value is a phrase."""

    NPZ = "a NumPy .npz archive"
    SAFETENSORS = "a safetensors file"
    HDF5 = "an HDF5 file"
    KERAS = "a Keras 3 .keras archive"
    PICKLE = "a pickle"
    TORCH = "a PyTorch zip with a pickle"
    ZIP = "a zip archive"
    NPY = "a single NumPy array (.npy)"
    GZIP = "a gzip file"
    HTML = "an HTML page"
    GIT_LFS = "a Git LFS pointer, not the file itself (git lfs pull)"
    TAR = "a tar archive, as torch before 0.1.10 wrote (load it with torch, save its state dict)"
    UNKNOWN = "of no known kind"


_MAGIC = {
    b"\x89HDF\r\n\x1a\n": Content.HDF5,
    b"\x93NUMPY": Content.NPY,
    b"\x1f\x8b": Content.GZIP,
    b"version https://git-lfs": Content.GIT_LFS,
    b"<": Content.HTML,
}
_TAR_MAGIC = slice(257, 262)
_PICKLE_PROTOCOLS = range(2, 6)
_LONGEST_SAFETENSORS_HEADER = 100_000_000
"""In bytes; the safetensors library refuses longer ones."""


def content_of(path: Path) -> Content:
    """Tells the kind of a file.

    Raises:
        WeightsError: It cannot be read, or is a damaged zip.
    """
    with reading(path, zipfile.BadZipFile), path.open("rb") as file:
        head = file.read(_TAR_MAGIC.stop)
        # First: the length of a safetensors header may begin like any other kind.
        if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LONGEST_SAFETENSORS_HEADER:
            return Content.SAFETENSORS
        if head.startswith(b"PK"):
            return _content_of_zip(path)
    for magic, content in _MAGIC.items():
        if head.startswith(magic):
            return content
    if head[:1] == b"\x80" and head[1:2] and head[1] in _PICKLE_PROTOCOLS:
        return Content.PICKLE
    return Content.TAR if head[_TAR_MAGIC] == b"ustar" else Content.UNKNOWN


def _content_of_zip(path: Path) -> Content:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if KERAS_WEIGHTS_MEMBER in names:
        return Content.KERAS
    if any(name.endswith("data.pkl") for name in names):
        return Content.TORCH
    return Content.NPZ if any(name.endswith(".npy") for name in names) else Content.ZIP
