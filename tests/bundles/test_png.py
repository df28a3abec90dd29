"""Images of a bundle: pixels as they are, and files of other kinds."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vggexport.bundles.png import encode_png, read_png
from vggexport.errors import ArtifactError


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 5, 3), (160, 150, 3)])
def test_a_png_holds_the_pixels(tmp_path, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path / "image.png"
    path.write_bytes(encode_png(pixels))
    assert np.array_equal(read_png(path), pixels)
    assert np.array_equal(read_png(path, shape[1::-1]), pixels)
    with pytest.raises(ArtifactError, match="is not an RGB image of 9x9"):
        read_png(path, (9, 9))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ArtifactError, match="is not an RGB image"):
        read_png(path)


def test_images_of_other_kinds_are_refused(tmp_path):
    for mode in ("L", "RGBA", "P"):
        Image.new(mode, (4, 4)).save(tmp_path / "image.png")
        with pytest.raises(ArtifactError, match=f"{mode} of 4x4"):
            read_png(tmp_path / "image.png")
    with pytest.raises(ArtifactError):
        read_png(tmp_path / "missing.png")


def test_an_image_that_would_grow_as_it_is_read_is_refused(tmp_path):
    """Compressed, or said to be larger than Pillow warns of, or reads."""
    path = tmp_path / "image.png"
    Image.new("RGB", (3000, 3000)).save(path)
    with pytest.raises(ArtifactError, match=r"3000x3000 pixels in [\d,]+ bytes"):
        read_png(path)
    small = encode_png(np.zeros((4, 4, 3), np.uint8))
    for side in (10_000, 100_000):
        header = b"IHDR" + struct.pack(">2I", side, side) + small[24:29]
        path.write_bytes(small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:])
        with pytest.raises(ArtifactError, match="is not an RGB image, uncompressed"):
            read_png(path)
    animation = b"acTL" + bytes(8)  # of no frames, of which Pillow warns
    path.write_bytes(
        small[:33] + struct.pack(">I", 8) + animation + struct.pack(">I", zlib.crc32(animation))
        + small[33:]
    )  # fmt: skip
    with pytest.raises(ArtifactError, match="Invalid APNG"):
        read_png(path)


def test_png_bytes_are_not_compressed():
    """Compressed bytes would differ from one zlib to the next."""
    data = encode_png(np.zeros((100, 100, 3), np.uint8))
    assert len(data) > 30_000
    assert Image.open(io.BytesIO(data)).size == (100, 100)
