"""Frames of a camera: whoever reads one otherwise than it states is far off its golden pixels."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from vggexport.bundles.golden_frames import (
    FRAME_LEVELS,
    FULL,
    LIMITED,
    Plane,
    frame_pixels,
    golden_frames,
    samples,
    upright_rgb,
)

FRAMES = {frame.file: (frame, data) for frame, data in golden_frames()}

MISTAKES = {
    "range": lambda f: replace(f, range=LIMITED if f.range == FULL else FULL),
    "matrix": lambda f: replace(f, matrix="bt709" if f.matrix == "bt601" else "bt601"),
    "U and V swapped": lambda f: replace(f, u=f.v, v=f.u),
    "not turned": lambda f: replace(f, rotation_degrees=0),
    "turned to the other side": lambda f: replace(f, rotation_degrees=f.rotation_degrees + 180),
    "planes without padding": lambda f: replace(
        f, **{name: replace(getattr(f, name), row_stride=f.width) for name in "yuv"}
    ),
    "planar chroma": lambda f: replace(
        f, **{name: replace(getattr(f, name), pixel_stride=1) for name in "uv"}
    ),
}


@pytest.mark.parametrize("file", FRAMES)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(file, mistake):
    frame, data = FRAMES[file]
    expected = frame_pixels(data, frame).astype(int)
    actual = frame_pixels(data, MISTAKES[mistake](frame))
    same_size = actual.shape == expected.shape
    assert same_size != (mistake == "not turned")
    assert not same_size or np.abs(actual - expected).max() > 4 * FRAME_LEVELS


def test_each_range_each_matrix_and_each_layout_is_there():
    frames = [frame for frame, _ in FRAMES.values()]
    assert {(f.range, f.matrix, f.rotation_degrees) for f in frames} == {
        (FULL, "bt601", 90), (LIMITED, "bt709", 270),
    }  # fmt: skip
    assert {f.u.offset < f.v.offset for f in frames} == {True, False}
    assert all(f.y.row_stride > f.width for f in frames)


def one_pixel(y, u, v, **told):
    """What a frame of 2x2 of one colour becomes, as 0xRRGGBB."""
    frame, _ = next(golden_frames())
    planes = {"y": Plane(0, 2, 1), "u": Plane(4, 1, 1), "v": Plane(5, 1, 1)}
    frame = replace(frame, width=2, height=2, **planes, **told)
    found = frame_pixels(bytes([y] * 4 + [u, v]), frame)
    assert (found == found[0, 0]).all()
    return bytes(found[0, 0]).hex()


@pytest.mark.parametrize(
    ("yuv", "told", "expected"),
    [
        ((76, 85, 255), {"range": FULL, "matrix": "bt601"}, "fe0000"),  # red, as JFIF has it
        ((81, 90, 240), {"range": LIMITED, "matrix": "bt601"}, "fe0000"),
        ((63, 102, 240), {"range": LIMITED, "matrix": "bt709"}, "ff0100"),
        ((32, 240, 118), {"range": LIMITED, "matrix": "bt709"}, "0100ff"),  # blue
        ((235, 128, 128), {"range": LIMITED, "matrix": "bt709"}, "ffffff"),
        ((16, 128, 128), {"range": LIMITED, "matrix": "bt601"}, "000000"),
        ((16, 128, 128), {"range": FULL, "matrix": "bt601"}, "101010"),
    ],
)
def test_pure_colours_come_back(yuv, told, expected):
    """Levels of the standards' colour bars, which are rounded to whole ones."""
    assert one_pixel(*yuv, **told) == expected


def test_a_full_range_frame_is_as_pillow_has_it():
    """Its YCbCr is JFIF's: full range, BT.601."""
    frame, data = FRAMES["golden/frames/android.yuv"]
    stored = np.frombuffer(data, np.uint8)
    half = frame.height // 2, frame.width // 2
    fine = [samples(stored, plane, *half).repeat(2, 0).repeat(2, 1) for plane in (frame.u, frame.v)]
    luma = samples(stored, frame.y, frame.height, frame.width)
    image = Image.fromarray(np.dstack([luma, *fine]), "YCbCr").convert("RGB")
    turned = np.asarray(image.transpose(Image.Transpose.ROTATE_270))  # 90 degrees clockwise
    assert np.abs(turned.astype(int) - frame_pixels(data, frame)).max() <= 1


def interpolated(coarse, shift):
    """Chroma between its samples, which lie in the middle of two columns, or on the first."""
    rows, columns = coarse.shape
    down = np.clip((np.arange(2 * rows) - 0.5) / 2, 0, rows - 1)
    across = np.clip((np.arange(2 * columns) - shift) / 2, 0, columns - 1)
    image = np.stack([np.interp(down, np.arange(rows), column) for column in coarse.T], axis=1)
    return np.stack([np.interp(across, np.arange(columns), row) for row in image])


@pytest.mark.parametrize("file", FRAMES)
@pytest.mark.parametrize("shift", [0.5, 0.0])
def test_interpolated_chroma_is_within_the_tolerance(file, shift):
    """With a level to spare for integer arithmetic."""
    frame, data = FRAMES[file]
    stored = np.frombuffer(data, np.uint8)
    half = frame.height // 2, frame.width // 2
    fine = [interpolated(samples(stored, plane, *half), shift) for plane in (frame.u, frame.v)]
    luma = samples(stored, frame.y, frame.height, frame.width)
    difference = upright_rgb(luma, *fine, frame).astype(int) - frame_pixels(data, frame)
    assert np.abs(difference).max() < FRAME_LEVELS


def test_a_bundle_has_them(unpacked):
    stated = json.loads((unpacked / "golden/golden.json").read_text())["frames"]
    assert stated == [frame.to_json() for frame, _ in FRAMES.values()]
    for frame, data in FRAMES.values():
        assert (unpacked / frame.file).read_bytes() == data
        with Image.open(unpacked / frame.rgb) as image:
            np.testing.assert_array_equal(np.array(image), frame_pixels(data, frame))
