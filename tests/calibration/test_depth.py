"""More than 8 bits a channel: scaled by what is known of them, or refused with the way out."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from calibration.decoding import decode_bytes
from calibration.errors import UnreadableImageError
from calibration.pictures import PictureOptions

RAMP = np.array([[0, 1023, 2047, 4095]], np.uint16)


def encoded(values, image_format="PNG"):
    file = io.BytesIO()
    Image.fromarray(values).save(file, image_format)
    return file.getvalue()


def tiff(values, bits, photometric=1, planes=1):
    """A TIFF of rows that are packed already: uint8 (height, bytes a row), or uint16 gray, RGB.

    With ``planes`` 2 each colour has a strip of its own.
    """
    channels = values.shape[2] if values.ndim == 3 else 1
    width = values.shape[1] * 8 // bits if values.itemsize * 8 != bits else values.shape[1]
    rows = (values.transpose(2, 0, 1) if planes == 2 else values).tobytes()
    strips = channels if planes == 2 else 1
    step = len(rows) // strips
    signed = values.dtype == np.int16
    fields = [
        (256, "I", [width]), (257, "I", [values.shape[0]]), (258, "H", [bits] * channels),
        (259, "H", [1]), (262, "H", [photometric]), (273, "I", range(8, 8 + len(rows), step)),
        (277, "H", [channels]), (278, "I", [values.shape[0]]), (279, "I", [step] * strips),
        (284, "H", [planes]), (339, "H", [1 + signed] * channels),
    ]  # fmt: skip
    directory = 8 + len(rows)
    entries, more = b"", b""
    for tag, kind, numbers in fields:
        packed = struct.pack(f"<{len(numbers)}{kind}", *numbers)
        if len(packed) > 4:
            place = directory + 2 + 12 * len(fields) + 4 + len(more)
            packed, more = struct.pack("<I", place), more + packed
        entries += struct.pack("<HHI", tag, {"H": 3, "I": 4}[kind], len(numbers))
        entries += packed.ljust(4, b"\0")
    listed = struct.pack("<H", len(fields)) + entries + struct.pack("<I", 0)
    return b"II*\0" + struct.pack("<I", directory) + rows + listed + more


def png_colour(values):
    """An RGB file of 16 bits a channel, of uint16 (height, width, 3)."""

    def chunk(kind, data):
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">2I5B", values.shape[1], values.shape[0], 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def gray(data, **options):
    pixels = np.array(decode_bytes(data, label="deep", pictures=PictureOptions(**options)).image)
    assert np.all(pixels == pixels[..., :1])
    return pixels[0, :, 0].tolist()


def reason(data, **options):
    with pytest.raises(UnreadableImageError) as caught:
        decode_bytes(data, label="deep", pictures=PictureOptions(**options))
    return caught.value.reason


@pytest.mark.parametrize(
    "data",
    [
        encoded(RAMP),
        encoded(RAMP, "TIFF"),
        encoded(RAMP.astype(np.int32), "TIFF"),
        encoded(RAMP.astype(np.float32), "TIFF"),
    ],
    ids=["png", "tiff", "32-bit", "float"],
)
def test_twelve_of_sixteen_bits_are_asked_for_and_never_black(data):
    asked = "its values go up to 4095, 12 of 16 bits, and nothing states its bit depth: convert it"
    assert f"{asked} to 8 bits" in reason(data)
    assert gray(data, bit_depth=12) == [0, 64, 127, 255]
    assert gray(data, bit_depth=16) == [0, 4, 8, 16]
    assert reason(data, bit_depth=10) == "its values go up to 4095, beyond a bit depth of 10"


def test_sixteen_bits_and_black_need_no_statement():
    assert gray(encoded(RAMP * 16)) == [0, 64, 127, 255]
    assert gray(encoded(RAMP * 0)) == [0, 0, 0, 0]


def test_a_tiff_of_twelve_bits_says_so():
    """0x000 and 0xFFF, packed."""
    assert gray(tiff(np.array([[0x00, 0x0F, 0xFF]], np.uint8), 12)) == [0, 255]
    dark = tiff(np.array([[0x00, 0x01, 0x00]], np.uint8), 12)
    assert gray(dark) == [0, 16]


def test_a_pgm_says_its_largest_value():
    rows = b"".join(struct.pack(">H", value) for value in RAMP[0])
    assert gray(b"P5 4 1 4095\n" + rows) == [0, 64, 127, 255]
    assert "nothing states its bit depth" in reason(b"P5 4 1 65535\n" + rows)


def test_white_may_be_zero():
    assert gray(tiff(RAMP * 16, 16, photometric=0)) == [255, 191, 128, 0]


@pytest.mark.parametrize(
    "write", [png_colour, lambda values: tiff(values, 16, photometric=2)], ids=["png", "tiff"]
)
def test_colour_of_sixteen_bits_keeps_its_upper_eight_or_is_refused(write):
    colour = np.full((1, 4, 3), RAMP[..., None])
    assert gray(write(colour * 16)) == [0, 63, 127, 255]
    assert "uses at most 12 of them, and nothing states its bit depth:" in reason(write(colour))
    told = "it has 16 bits a channel and uses at most 12 of them: convert it to 8 bits a channel"
    assert reason(write(colour * 16), bit_depth=12) == told
    assert gray(write(colour), bit_depth=16) == [0, 3, 7, 15]


def test_signed_values_are_white_at_their_largest():
    assert gray(tiff(np.array([[0, 8192, 16384, 32767]], np.int16), 16)) == [0, 64, 128, 255]
    assert "12 of 16 bits, and nothing states" in reason(tiff(RAMP.astype(np.int16), 16))


def test_planes_of_sixteen_bits_that_pillow_would_take_for_eight_are_refused():
    colour = np.full((1, 4, 3), RAMP[..., None])
    said = "it has 16 bits a channel and a plane for each, uncompressed: save it with the colours"
    assert said in reason(tiff(colour * 16, 16, photometric=2, planes=2))
    assert gray(tiff((colour >> 4).astype(np.uint8), 8, photometric=2, planes=2)) == [
        0,
        63,
        127,
        255,
    ]


def test_colour_of_a_ppm_is_scaled_by_what_it_says():
    rows = np.repeat(RAMP[..., None], 3, axis=2).astype(">u2").tobytes()
    assert gray(b"P6 4 1 4095\n" + rows) == [0, 64, 127, 255]
    assert "uses at most 13 of them" in reason(b"P6 4 1 65535\n" + rows)


@pytest.mark.parametrize("high", [1.5, 20.0, 300.0])
def test_floats_that_are_neither_of_one_nor_of_255(high):
    """Up to a quarter of 255 they may as well be of another scale."""
    values = np.array([[0, high]], np.float32)
    assert "nothing states its bit depth" in reason(encoded(values, "TIFF"))


def test_bands_are_put_together(monkeypatch):
    values = np.random.default_rng(4).integers(0, 65536, (7, 5), dtype=np.uint16)
    data = encoded(values)
    whole = np.array(decode_bytes(data, label="deep").image)
    monkeypatch.setattr("calibration.decoding._BAND_PIXELS", 10)
    np.testing.assert_array_equal(np.array(decode_bytes(data, label="deep").image), whole)


@pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_of_several_frames_the_first_is_taken_and_that_is_said(image_format):
    colours = ((200, 0, 0), (0, 0, 200))
    first, second = (Image.new("RGB", (16, 16), colour) for colour in colours)
    file = io.BytesIO()
    first.save(file, image_format, save_all=True, append_images=[second])
    decoded = decode_bytes(file.getvalue(), label="several")
    np.testing.assert_allclose(decoded.image.getpixel((8, 8)), (200, 0, 0), atol=6)
    says = "" if image_format == "MPO" else "more than one frame, the first is used"
    assert decoded.remark == says
