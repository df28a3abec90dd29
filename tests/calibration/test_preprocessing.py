import io
import warnings

import numpy as np
import pytest
from PIL import Image

from calibration.decoding import FORMATS, decode, decode_bytes
from calibration.errors import CalibrationDataError, UnreadableImageError
from calibration.preprocessing import prepare

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image, image_format="PNG", **options):
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def decoded(image, image_format="PNG", **options):
    result = decode_bytes(encoded(image, image_format, **options), label="test").image
    assert result.mode == "RGB"
    return np.array(result)


def grayscale(values, dtype, image_format, **options):
    """What becomes of one row of gray values, having checked that it stays gray."""
    pixels = decoded(Image.fromarray(np.array([values], dtype)), image_format, **options)
    assert np.all(pixels == pixels[..., :1])
    return pixels[0, :, 0].tolist()


def random_rgb(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def corners():
    """2 high, 3 wide: red at the top left, green at the top right, blue at the bottom left."""
    pixels = np.full((2, 3, 3), 255, np.uint8)
    pixels[0, 0], pixels[0, 2], pixels[1, 0] = RED, GREEN, BLUE
    return pixels


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda pixels: pixels),
        (2, lambda pixels: pixels[:, ::-1]),
        (3, lambda pixels: pixels[::-1, ::-1]),
        (4, lambda pixels: pixels[::-1]),
        (5, lambda pixels: pixels.transpose(1, 0, 2)),
        (6, lambda pixels: np.rot90(pixels, -1)),
        (7, lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2)),
        (8, np.rot90),
    ],
)
def test_exif_orientation_is_applied(corners, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(decoded(Image.fromarray(corners), exif=exif), upright(corners))


def test_cmyk():
    image = Image.new("CMYK", (16, 8), (0, 255, 255, 0))
    assert decoded(image, "TIFF")[0, 0].tolist() == list(RED)
    np.testing.assert_allclose(decoded(image, "JPEG")[4, 4], RED, atol=3)


def test_eight_bit_grayscale():
    assert grayscale([0, 77, 255], np.uint8, "PNG") == [0, 77, 255]


def test_one_bit():
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 255)
    assert decoded(image)[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("dtype", "image_format"), [("<u2", "PNG"), ("<u2", "TIFF"), (">u2", "TIFF"), ("<u2", "PPM")]
)
def test_sixteen_bit_grayscale_is_scaled_not_clipped(dtype, image_format):
    values = [0, 257, 128 * 257, 128 * 257 + 129, 65535]
    assert grayscale(values, dtype, image_format) == [0, 1, 128, 129, 255]


def test_transparent_value_of_sixteen_bit_grayscale_becomes_white():
    assert grayscale([0, 257, 65535], np.uint16, "PNG", transparency=257) == [0, 255, 255]


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.int32, [0, 1, 255], [0, 1, 255]),
        (np.int32, [0, 257, 65535], [0, 1, 255]),
        (np.float32, [0, 0.2, 1], [0, 51, 255]),
        (np.float32, [0, 51, 255], [0, 51, 255]),
        (np.float32, [0, 257, 65535], [0, 1, 255]),
        (np.float32, [0, 0, 0], [0, 0, 0]),
    ],
)
def test_deep_grayscale_takes_the_least_full_scale_that_fits(dtype, values, expected):
    assert grayscale(values, dtype, "TIFF") == expected


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (np.int32, [0, 65536]),
        (np.int32, [-1, 5]),
        (np.float32, [0, np.nan]),
        (np.float32, [-0.5, 1]),
    ],
)
def test_deep_grayscale_that_is_no_image_is_refused(dtype, values):
    with pytest.raises(UnreadableImageError, match=r"are outside of 0\.\.\.65535"):
        grayscale(values, dtype, "TIFF")


def test_alpha_is_composited_on_white():
    image = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((0, 51, 255)):
        image.putpixel((x, 0), (255, 0, 0, alpha))
    assert decoded(image)[0].tolist() == [[255, 255, 255], [255, 204, 204], [255, 0, 0]]


def test_grayscale_with_alpha():
    image = Image.new("LA", (2, 1), (0, 0))
    image.putpixel((1, 0), (0, 51))
    assert decoded(image)[0, :, 0].tolist() == [255, 204]


def test_grayscale_with_a_transparent_value():
    assert grayscale([0, 9, 10], np.uint8, "PNG", transparency=9) == [0, 255, 10]


def test_rgb_with_a_transparent_colour():
    pixels = np.array([[RED, GREEN]], np.uint8)
    assert decoded(Image.fromarray(pixels), transparency=GREEN)[0].tolist() == [
        list(RED),
        list(WHITE),
    ]


@pytest.mark.parametrize("image_format", ["PNG", "GIF"])
@pytest.mark.parametrize(
    ("options", "second"), [({}, GREEN), ({"transparency": 1}, WHITE)], ids=["opaque", "index"]
)
def test_palette(image_format, options, second):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putpixel((1, 0), 1)
    assert decoded(image, image_format, **options)[0].tolist() == [list(RED), list(second)]


def test_palette_with_alpha_of_each_colour_gives_no_warning():
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    pixels = decoded(image, transparency=bytes([255, 51]))
    assert pixels[0].tolist() == [list(RED), [204, 204, 255]]


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (2, 2), colour) for colour in (RED, BLUE)]
    assert decoded(frames[0], "GIF", save_all=True, append_images=frames[1:])[0, 0].tolist() == [
        *RED
    ]


@pytest.mark.parametrize("image_format", FORMATS)
def test_formats(image_format):
    pixels = decoded(Image.new("RGB", (8, 8), (200, 100, 50)), image_format)
    np.testing.assert_allclose(pixels[4, 4], (200, 100, 50), atol=3)


def test_decode_reads_a_file(tmp_path, corners):
    path = tmp_path / "corners.png"
    Image.fromarray(corners).save(path)
    np.testing.assert_array_equal(np.array(decode(path)), corners)


def refused(data):
    with pytest.raises(UnreadableImageError) as caught:
        decode_bytes(data, label="cats/a.png")
    assert isinstance(caught.value, CalibrationDataError)
    assert str(caught.value).startswith("image 'cats/a.png' is not readable: ")
    assert "\n" not in str(caught.value)
    return caught.value.reason


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CalibrationDataError, match=r"gone\.png' is not readable: No such file"):
        decode(tmp_path / "gone.png")


@pytest.mark.parametrize(
    "data", [b"", b"not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"P6 0 4 255\n"]
)
def test_what_is_no_image_is_refused_without_addresses(data):
    assert refused(data) == "not an image in one of JPEG, PNG, BMP, GIF, TIFF, WEBP, PPM, AVIF"


def test_other_formats_are_not_tried():
    assert "not an image" in refused(encoded(Image.new("RGB", (4, 4)), "ICO"))


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_ends_in_zeros_is_refused(progressive):
    """As a download is that was broken off after its place on the disk was made."""
    whole = encoded(Image.fromarray(random_rgb(64, 64)), "JPEG", progressive=progressive)
    half = len(whole) // 2
    assert "its end was never written" in refused(whole[:half] + bytes(len(whole) - half))
    for more in (bytes(1000), b"a film \xff\xda behind it"):
        assert decode_bytes(whole + more, label="whole").image.size == (64, 64)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_a_truncated_file_is_refused(image_format):
    data = encoded(Image.fromarray(random_rgb(40, 40)), image_format)
    assert refused(data[: len(data) // 2])


def test_a_png_with_a_broken_chunk_is_refused():
    data = bytearray(encoded(Image.fromarray(random_rgb(8, 8))))
    data[data.index(b"IDAT") + 10] ^= 0xFF
    assert refused(bytes(data))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "PPM"])
def test_damage_anywhere_is_refused_or_decoded_but_never_another_error(image_format):
    random = np.random.default_rng(5)
    data = encoded(Image.fromarray(random_rgb(12, 12)), image_format)
    outcomes = set()
    for _ in range(60):
        damaged = bytearray(data)
        for position in random.integers(0, min(len(data), 120), 3):
            damaged[position] = random.integers(256)
        try:
            outcomes.add(decode_bytes(bytes(damaged), label="damaged").image.mode)
        except UnreadableImageError:
            outcomes.add("refused")
    assert "refused" in outcomes
    assert outcomes <= {"refused", "RGB"}


def test_more_pixels_than_twice_pillows_limit_are_refused(monkeypatch):
    data = encoded(Image.new("RGB", (8, 8)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 31)
    assert "64 pixels" in refused(data)


def test_pillows_warnings_are_not_shown(monkeypatch):
    data = encoded(Image.new("RGB", (8, 8)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 32)  # Pillow warns of more
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert decode_bytes(data, label="test").image.size == (8, 8)
        warnings.warn("of somebody else", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["of somebody else"]


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(256, 256, 224), (300, 400, 224), (401, 299, 224), (37, 90, 32), (20, 20, 64), (33, 47, 8)],
)
def test_prepare_is_resize_of_the_short_side_then_centre_crop(height, width, size):
    image = Image.fromarray(random_rgb(height, width))
    short = round(size * 256 / 224)
    wide = (round(width * short / min(height, width)), round(height * short / min(height, width)))
    resized = np.array(image.resize(wide, Image.Resampling.BILINEAR))
    top, left = (resized.shape[0] - size) // 2, (resized.shape[1] - size) // 2
    expected = resized[top : top + size, left : left + size]
    pixels = prepare(image, size)
    assert (pixels.shape, pixels.dtype) == ((size, size, 3), np.uint8)
    # Coordinates of the crop are float32 in Pillow, which may round a value the other way.
    np.testing.assert_allclose(pixels.astype(int), expected.astype(int), atol=1)


def test_prepare_keeps_pixels_where_nothing_is_to_be_resized():
    pixels = random_rgb(256, 300)
    np.testing.assert_array_equal(prepare(Image.fromarray(pixels), 224), pixels[16:240, 38:262])


@pytest.mark.parametrize("extent", [(1, 20000), (20000, 1), (1, 1)])
def test_prepare_of_extreme_shapes(extent):
    pixels = prepare(Image.new("RGB", extent, (10, 20, 30)), 32)
    assert pixels.shape == (32, 32, 3)
    assert np.all(pixels == (10, 20, 30))


def test_prepared_pixels_are_writable_and_contiguous():
    pixels = prepare(Image.new("RGB", (9, 9)), 8)
    assert pixels.flags.writeable
    assert pixels.flags.c_contiguous
