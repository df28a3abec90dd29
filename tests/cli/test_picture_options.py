"""Pictures become the same pixels everywhere: stated once, recorded, agreed on, or refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import calibration.pictures
from calibration.decoding import decode
from calibration.preprocessing import prepare
from vggexport.cli import picture_options

STRETCHED = ("--resize", "stretch", "--interpolation", "nearest")


@pytest.fixture
def weights(tiny_arrays):
    np.savez("w.npz", **tiny_arrays)
    return ("--config", "A", "--weights", "w.npz", "--no-check")


@pytest.fixture
def wide(workplace):
    """A folder of pictures that are wider than high, of five classes."""
    random = np.random.default_rng(1)
    for number in range(10):
        place = workplace / "wide" / "abcde"[number % 5] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 40, 3), dtype=np.uint8)).save(place)
    return "wide"


@pytest.fixture
def stretched(run, weights):
    """A file that records how pictures become pixels."""
    assert run("onnx", *weights, *STRETCHED, "-o", "stretched.onnx").code == 0
    return "stretched.onnx"


def test_choices_are_those_of_calibration():
    assert picture_options.RESIZES == calibration.pictures.RESIZES
    assert tuple(calibration.pictures.INTERPOLATIONS) == picture_options.INTERPOLATIONS
    depths = calibration.pictures.BIT_DEPTHS
    assert (depths[0], depths[-1]) == picture_options.BIT_DEPTHS


def test_a_resize_that_nothing_says_is_told(run, weights, tiny):
    said = "cut out, bilinear, turned as EXIF says, on white, as nothing says how training made"
    outcome = run("onnx", *weights, "-o", "a.onnx")
    assert said in outcome.stderr
    assert "state it with --resize" in outcome.stderr
    taken = ("--calibration-samples", 4)
    assert said in run("calibrate", *weights[:-1], *taken, "-o", "r.json").stderr
    for options in ((*weights, *STRETCHED), (*tiny, "--no-check")):  # stated; not trained
        outcome = run("onnx", *options, "-o", "b.onnx", "--force")
        assert (outcome.code, "as nothing says" in outcome.stderr) == (0, False)


def test_an_artifact_records_what_was_stated_and_inspect_shows_it(run, weights):
    options = ("--resize", "pad", "--background", "1,2,3", "--ignore-exif", "--bit-depth", "12")
    recorded = run("onnx", *weights, *options, "-o", "a.onnx", "--json").json["artifact"]
    assert recorded["pictures"] == {
        "resize": "pad",
        "resize_to": None,
        "interpolation": "bilinear",
        "ignore_exif": True,
        "background": [1, 2, 3],
        "bit_depth": 12,
        "known": True,
    }
    assert run("inspect", "a.onnx", "--json").json["artifact"] == recorded | {"path": "a.onnx"}
    shown = run("inspect", "a.onnx").stdout
    assert "scaled into 16x16, padded with the background" in " ".join(shown.split())


def test_nothing_stated_is_the_default_and_says_so(run, weights):
    recorded = run("onnx", *weights, "-o", "a.onnx", "--json").json["artifact"]["pictures"]
    assert (recorded["resize"], recorded["resize_to"], recorded["known"]) == ("crop", None, False)
    assert "assumed, as the file does not say" in " ".join(run("inspect", "a.onnx").stdout.split())


def test_evaluate_takes_what_is_recorded_and_says_what_it_does(run, stretched, wide):
    outcome = run("evaluate", stretched, "--data", wide, "--json")
    assert outcome.json["pictures"]["resize"] == "stretch"
    text = " ".join(run("evaluate", stretched, "--data", wide).stdout.split())
    assert "stretched to 16x16, nearest" in text
    assert "as stretched.onnx records" in text


def test_evaluate_refuses_what_contradicts_the_record(run, stretched, wide):
    outcome = run("evaluate", stretched, "--data", wide, "--resize", "crop")
    assert outcome.code == 2
    assert "stretched.onnx records pictures with resize stretch" in outcome.error
    assert "leave out --resize" in outcome.error


def test_a_file_that_records_nothing_follows_and_that_is_said(run, weights, stretched, wide):
    run("onnx", *weights, "-o", "silent.onnx")
    text = " ".join(run("evaluate", "silent.onnx", stretched, "--data", wide).stdout.split())
    assert "as stretched.onnx records; silent.onnx records nothing" in text
    stated = run("evaluate", "silent.onnx", "--data", wide, "--resize", "pad", "--json")
    assert stated.json["pictures"]["resize"] == "pad"


@pytest.mark.parametrize("command", ["evaluate", "verify"])
def test_two_that_differ_are_not_mixed(run, weights, stretched, wide, command):
    run("onnx", *weights, "--resize", "pad", "-o", "padded.onnx")
    outcome = run(command, stretched, "padded.onnx", "--data", wide)
    assert outcome.code == 2
    assert "stretched.onnx records pictures with resize stretch" in outcome.error
    assert "resize pad is recorded in padded.onnx: run them one by one" in outcome.error


def test_golden_images_are_of_the_recorded_pixels(run, stretched, wide):
    found = run(
        *("verify", stretched, "w.npz", "--data", wide, "--images", 10),
        *("--save-golden", "golden.npz", "--json"),
    )
    assert found.code == 0, found.stderr
    with np.load("golden.npz") as golden:
        manifest = json.loads(golden["manifest"].tobytes())
        images = golden["images"]
    assert manifest["artifact"]["pictures"]["resize"] == "stretch"
    pictures = calibration.PictureOptions("stretch", interpolation="nearest")
    for (label, _, _), pixels in zip(manifest["images"], images, strict=True):
        np.testing.assert_array_equal(pixels, prepare(decode(Path(wide, label)), 16, pictures))
    run(
        "onnx",
        "--config",
        "A",
        "--weights",
        "w.npz",
        "--no-check",
        "--resize",
        "pad",
        "-o",
        "p.onnx",
    )
    refused = run("verify", "p.onnx", "--golden", "golden.npz")
    assert refused.code == 2
    assert "golden.npz was made of pictures with resize stretch" in refused.error
    assert (
        "resize pad is recorded in p.onnx: make it again with verify --save-golden" in refused.error
    )


def test_ranges_carry_it_to_the_files_that_are_made_of_them(run, weights, wide):
    *network, no_check = weights
    data = ("--calibration-data", wide, "--calibration-samples", 8)
    ranges = ("calibrate", *network, *data, *STRETCHED, "-o", "ranges.json")
    assert run(*ranges).code == 0
    made = ("onnx", *network, no_check, "--ranges", "ranges.json", "--quantize")
    artifact = run(*made, "-o", "a.onnx", "--json").json["artifact"]
    assert artifact["pictures"]["resize"] == "stretch"
    outcome = run(*made, "--resize", "pad", "-o", "b.onnx")
    assert outcome.code == 2
    assert "the ranges were taken of pictures with resize stretch" in outcome.error
    assert run(*made, *STRETCHED, "-o", "c.onnx").code == 0


def test_ranges_of_other_pixels_are_other_ranges(run, weights, wide):
    *network, _ = weights
    data = ("--calibration-data", wide, "--calibration-samples", 8)
    found = []
    for name, options in (("default", ()), ("stated", ("--resize-to", "18")), ("other", STRETCHED)):
        run("calibrate", *network, *data, *options, "-o", f"{name}.json")
        found.append(json.loads(Path(f"{name}.json").read_text())["ranges"])
    assert found[0] == found[1] != found[2]


def test_unreadable_pictures_are_tolerated_up_to_a_share(run, stretched, wide):
    for name in ("a", "b"):
        Path(wide, name, "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n, and no more")
    refused = run("evaluate", stretched, "--data", wide)
    assert refused.code == 2
    assert "2 unreadable images of 12 where 1 are tolerated" in refused.error
    assert run("evaluate", stretched, "--data", wide, "--max-unreadable", "20%").code == 0
    verified = ("verify", stretched, "w.npz", "--data", wide, "--max-unreadable")
    assert run(*verified, "0").code == 2
    outcome = run(*verified, "20%", "--json")
    assert (outcome.code, outcome.json["images"], outcome.json["image_files"]["files"]) == (
        0,
        10,
        12,
    )
    assert [line.split(":")[0] for line in outcome.json["unreadable"]] == [
        "a/broken.png",
        "b/broken.png",
    ]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--background", "red"), "neither white, black nor three levels"),
        (("--background", "1,2,256"), "neither white, black nor three levels"),
        (("--resize-to", "8"), "8 pixels is less than the 16 that the network takes"),
        (("--resize", "pad", "--resize-to", "20"), "for crop alone"),
        (("--bit-depth", "7"), "7 is not in the range 8<=x<=16"),
    ],
)
def test_what_is_not_possible_is_refused(run, weights, options, says):
    outcome = run("onnx", *weights, *options, "-o", "a.onnx")
    assert outcome.code == 2
    assert says in outcome.error


def test_depth_is_asked_for_by_the_option_and_frames_left_out_are_said(run, stretched, wide):
    """12 bits in files of 16, and an animation."""
    ramp = (np.arange(800).reshape(20, 40) * 5).astype(np.uint16)
    for name in "ab":
        Image.fromarray(ramp).save(f"{wide}/{name}/deep.png")
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    first.save(f"{wide}/c/moving.gif", save_all=True, append_images=[second])
    refused = run("evaluate", stretched, "--data", wide)
    assert refused.code == 2
    assert "its values go up to 3995, 12 of 16 bits" in refused.error
    assert "state it with --bit-depth, 16 if it is that dark" in refused.error
    read = run("evaluate", stretched, "--data", wide, "--bit-depth", "12")
    assert read.code == 0
    assert "1 with more than one frame, the first is used, such as c/moving.gif" in (read.stderr)


def test_an_array_that_looks_wrong_is_noted(run, stretched):
    images = np.stack([calibration.synthetic_image(3, index, 16) for index in range(8)])
    np.save("right.npy", images)
    np.save("wrong.npy", images.transpose(0, 3, 1, 2).copy().reshape(images.shape))
    for name, is_noted in (("right.npy", False), ("wrong.npy", True)):
        outcome = run("verify", stretched, "w.npz", "--data", name, "--images", 8)
        assert outcome.code == 0
        assert ("memory in another order" in outcome.stderr) is is_noted
