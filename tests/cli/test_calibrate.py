"""``vggexport calibrate``, and int8 files from its ranges."""

import json
from pathlib import Path

import pytest

LAYERS = ["block1_conv1", "block1_conv2", "block2_conv1", "fc1", "fc2", "predictions"]


pytestmark = pytest.mark.usefixtures("any_int8_will_do")


@pytest.fixture
def photos(workplace, make_images):
    make_images(workplace / "photos", 16)
    options = ("--calibration-data", "photos", "--calibration-samples", 8)
    return (*options, "--calibration-method", "minmax")


def quantize(run, tiny, folder, *options):
    """The bytes of an int8 file. It always has the same name, which is part of its metadata."""
    Path(folder).mkdir()
    output = f"{folder}/int8.onnx"
    outcome = run("onnx", *tiny, "--quantize", "-o", output, "--json", *options)
    assert outcome.code == 0, outcome.stderr
    return Path(output).read_bytes()


def test_a_ranges_file(run, tiny, photos, workplace):
    outcome = run("calibrate", *tiny, *photos, "--json")
    document = outcome.json
    assert outcome.code == 0
    assert document["schema"] == 1
    assert document["path"] == "vgg_a_ranges.json"
    calibration = document["calibration"]
    assert (calibration["source"], calibration["samples"]) == ("photos", 8)
    assert calibration["method"] == "minmax"
    assert len(calibration["image_digests"]) == 8
    assert list(document["ranges"]) == LAYERS
    assert json.loads((workplace / "vgg_a_ranges.json").read_text())["ranges"] == document["ranges"]
    logits = document["ranges"].pop("predictions")
    assert logits[0] <= 0 <= logits[1]
    assert all(low == 0 < high for low, high in document["ranges"].values())
    saved = json.loads((workplace / "vgg_a_ranges.json").read_text())
    assert saved["calibration"] == calibration
    assert document["seconds"].keys() == {"weights", "float32", "calibrate", "int8 trial"}
    assert document["peak_rss_bytes"] > 0


def test_the_text(run, tiny, photos):
    outcome = run("calibrate", *tiny, *photos)
    lines = [line.split() for line in outcome.stdout.splitlines()]
    assert [line[0] for line in lines[1 : 1 + len(LAYERS)]] == LAYERS
    assert ["images", "8", "of", "photos,", "minmax"] in lines


def test_the_default_output_is_refused_when_it_exists(run, tiny, photos, workplace):
    (workplace / "vgg_a_ranges.json").write_text("old")
    outcome = run("calibrate", *tiny, *photos)
    assert outcome.code == 2
    assert "--force" in outcome.error
    assert (workplace / "vgg_a_ranges.json").read_text() == "old"
    assert run("calibrate", *tiny, *photos, "--force").code == 0
    assert json.loads((workplace / "vgg_a_ranges.json").read_text())["ranges"].keys() == {*LAYERS}


def test_calibrating_first_gives_the_same_file(run, tiny, photos):
    run("calibrate", *tiny, *photos, "-o", "ranges.json")
    direct = quantize(run, tiny, "direct", *photos)
    assert quantize(run, tiny, "first", "--ranges", "ranges.json") == direct


def test_calibrating_first_on_synthetic_images_gives_the_same_file(run, tiny):
    samples = ("--calibration-samples", 8)
    run("calibrate", *tiny, *samples, "-o", "ranges.json")
    direct = quantize(run, tiny, "direct", *samples)
    assert quantize(run, tiny, "first", "--ranges", "ranges.json") == direct


@pytest.mark.parametrize("data", ["photos", "synthetic"])
def test_checking_does_not_change_the_file(run, tiny, photos, data):
    options = (*photos, "--calibration-data", data)
    checked = quantize(run, tiny, "checked", *options)
    assert quantize(run, tiny, "unchecked", *options, "--no-check") == checked


@pytest.mark.parametrize("data", ["photos", "synthetic"])
def test_the_same_seed_gives_the_same_bytes(run, tiny, photos, data):
    options = (*photos, "--calibration-data", data)
    first = quantize(run, tiny, "first", *options)
    assert quantize(run, tiny, "second", *options, "--seed", 0) == first


@pytest.mark.parametrize("data", ["photos", "synthetic"])
def test_another_seed_picks_other_images(run, tiny, photos, data):
    def fingerprint(seed):
        options = (*photos, "--calibration-data", data, "--seed", seed, "--force")
        return run("calibrate", *tiny, *options, "--json").json["calibration"]["fingerprint"]

    assert fingerprint(0) == fingerprint(0) != fingerprint(1)


def test_methods_differ(run, tiny, photos):
    def ranges(method):
        options = (*photos, "--calibration-method", method, "--force")
        document = run("calibrate", *tiny, *options, "--json").json
        assert document["calibration"]["method"] == method
        return tuple(high for _, high in document["ranges"].values())

    found = {method: ranges(method) for method in ("minmax", "percentile", "entropy", "mse")}
    # So few values that 99.999 % of them may be all.
    assert len({found[method] for method in ("minmax", "entropy", "mse")}) == 3
    assert all(found["minmax"][i] >= found["percentile"][i] for i in range(len(LAYERS)))


def test_synthetic_ranges_are_said_when_they_are_used(run, tiny):
    run("calibrate", *tiny, "--calibration-samples", 4, "-o", "ranges.json")
    outcome = run("onnx", *tiny, "--quantize", "--ranges", "ranges.json", "--json")
    assert outcome.json["artifact"]["calibration"]["source"] == "synthetic"
    assert "synthetic images" in outcome.stderr


def test_few_images_are_said_wherever_their_ranges_are(run, tiny, photos, workplace, make_images):
    said = "calibrated on 15 images only: ranges are better from a few hundred"
    few = (*photos, "--calibration-samples", 15)
    for command in ("calibrate -o r.json", "onnx --quantize -o q.onnx"):
        assert f"note: {said}" in run(*command.split(), *tiny, *few).stderr
    assert run("onnx", *tiny, "-o", "f.onnx", "--no-check").code == 0
    outcome = run("verify", "f.onnx", "q.onnx", "--images", 2, "--no-diagnose")
    assert f"note: q.onnx was {said}" in outcome.stderr
    assert outcome.stderr.count("calibrated on") == 1
    make_images(workplace / "enough", 17)
    data = ("--calibration-data", "enough", "--calibration-samples", 16)
    enough = run("calibrate", *tiny, *data, "-o", "enough.json")
    assert "calibrated on" not in enough.stderr


def test_a_corrupt_image_is_skipped_and_named(run, tiny, photos, workplace):
    for path in sorted((workplace / "photos").glob("*.png"))[:1]:
        path.write_bytes(path.read_bytes()[:60])
    options = (*photos, "--calibration-samples", 15)
    outcome = run("calibrate", *tiny, *options, "--json")
    assert outcome.code == 0, outcome.stderr
    assert [line.split(":")[0] for line in outcome.json["unreadable"]] == ["image00.png"]
    assert "skipped unreadable image image00.png" in outcome.stderr
    assert outcome.json["calibration"]["samples"] == 15


def test_a_corrupt_image_of_few_is_one_fewer(run, tiny, workplace, make_images):
    """None is held out of so few, and no other takes its place."""
    make_images(workplace / "few", 4)
    next((workplace / "few").glob("*.png")).write_bytes(b"no image")
    outcome = run("calibrate", *tiny, "--calibration-data", "few", "--curve", "--json")
    assert outcome.code == 0, outcome.stderr
    assert (outcome.json["calibration"]["samples"], len(outcome.json["unreadable"])) == (3, 1)


@pytest.mark.parametrize(
    ("options", "checked"),
    [(["--quantize"], (9, 8)), ([], (3, 0))],
    ids=["int8", "float32"],
)
def test_a_corrupt_image_costs_a_check_image_and_no_more(
    run, tiny, workplace, make_images, options, checked
):
    """Ten images, one of them corrupt: enough for the eight asked for, and for some checks."""
    make_images(workplace / "few", 10 if options else 4)
    next((workplace / "few").glob("*.png")).write_bytes(b"no image")
    outcome = run(
        *("onnx", *tiny, *options, "--calibration-data", "few", "--calibration-samples", 8),
        "--json",
    )
    assert outcome.code == 0, outcome.stderr
    assert "skipped unreadable image" in outcome.stderr
    assert len(outcome.json["unreadable"]) == 1
    check = outcome.json["check"]
    assert (check["images"], check["synthetic_images"]) == checked
    assert check["passed"]
