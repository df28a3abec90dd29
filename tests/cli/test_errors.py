"""Wrong usage and unreadable input: exit 2, one line that names it, and nothing left behind."""

import io
import json
import pickle
import shutil

import numpy as np
import pytest

QUANTIZE = ("--quantize", "--calibration-samples", 4)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["onxn"], ["'onxn'", "'onnx'"]),
        (["xyz"], ["'xyz'", "summary", "onnx", "calibrate", "inspect"]),
        (["onnx", "--wieghts", "x"], ["--wieghts", "--weights", "vggexport onnx --help"]),
        (["onnx", "--quantise"], ["Did you mean '--quantize'?"]),
        (["onnx", "mine.keras"], ["argument (mine.keras): weights go after --weights"]),
        (["export", "a.h5", "b"], ["arguments (a.h5 b): weights go after --weights"]),
        (["verify", "a.onnx", "--weights", "w.h5"], ["name weights as an argument"]),
        (["evaluate", "--weights", "w.h5"], ["name weights as an argument"]),
        (["verify", "a.onnx", "--preprocessing", "unit"], ["--preprocessing-of FILE=CONVENTION"]),
        (["evaluate", "--channel-order", "bgr"], ["--channel-order", "--preprocessing-of FILE="]),
        (["verify", "a.onnx", "--markdown", "-"], ["'-' names no file", "--markdown"]),
        (["evaluate", "a.onnx", "--data", "x", "--html", "-"], ["'-' names no file", "--html"]),
        (["onnx", "-o", "-"], ["'-' names no file"]),
        (["evaluate", "a.onnx", "--data", ""], ["'' names nothing", "--data"]),
        (["train", "--data", ""], ["'' names nothing", "--data"]),
        (["onnx", "--labels", ""], ["'' names nothing", "--labels"]),
        (["onnx", "--config", "Z"], ["'Z'", "--config"]),
        (["onnx", "--batch", "0"], ["'0'", "dynamic"]),
        (["onnx", "--batch", "-1"], ["-1"]),
        (["onnx", "--classes", "ten"], ["'ten'", "--classes"]),
        (["onnx", "--classes", "1"], ["1", "--classes"]),
        (["onnx", "--input-size", "31"], ["31", "32"]),
        (["onnx", "--precision", "int4"], ["'int4'", "'int8'"]),
        (["onnx", "--input-dtype", "int8"], ["'int8'", "'uint8'"]),
        (["onnx", "--seed", "-1"], ["-1", "--seed"]),
        (["onnx", "--calibration-samples", "0"], ["0", "--calibration-samples"]),
        (["onnx", "--calibration-method", "best"], ["'best'", "'entropy'"]),
        (["onnx", "--weights-layout", "caffe"], ["'caffe'", "'torchvision'"]),
        (["onnx", "--quantize", "--precision", "float16"], ["--quantize", "float16"]),
        (["inspect"], ["ARTIFACT"]),
        (["inspect", "x.onnx", "--require", "float8"], ["'float8'", "'int8'"]),
        (["onnx", "--weights", "random:x"], ["random:x"]),
        (["onnx", "--weights", "vgg.txt"], ["'vgg.txt'", ".npz", ".safetensors"]),
        (["onnx", "--weights-sha256", "abc"], ["'abc'", "64 hexadecimal digits"]),
    ],
    ids=" ".join,
)
def test_wrong_usage(run, listing, arguments, named):
    outcome = run(*arguments)
    assert outcome.code == 2
    for text in named:
        assert text in outcome.error
    assert outcome.stdout == ""
    assert listing() == []


@pytest.mark.parametrize("opset", [-1, 0, 9, 12, 19, 40])
def test_an_opset_out_of_range(run, tiny, listing, opset):
    outcome = run("onnx", *tiny, "--opset", opset)
    assert outcome.code == 2
    assert f"opset {opset} is not one of 13 to 18" in outcome.error
    assert listing() == []


def test_a_traceback_only_when_it_is_asked_for(run):
    for arguments in (("-v", "onnx"), ("onnx", "--verbose")):
        outcome = run(*arguments, "--weights", "none.npz")
        assert outcome.code == 2
        assert "Traceback (most recent call last)" in outcome.stderr
        assert outcome.stderr.splitlines()[-1].startswith("Error: none.npz does not exist")
    assert "Traceback" not in run("onnx", "--weights", "none.npz").stderr


def test_json_of_a_run_that_could_not_begin_is_empty(run):
    assert run("onnx", "--weights", "none.npz", "--json").stdout == ""


# Weights.


def npz(arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def without(arrays, name):
    return {key: value for key, value in arrays.items() if key != name}


def poisoned(arrays, value):
    fc1 = arrays["fc1/kernel"].copy()
    fc1[3, 3] = value
    return arrays | {"fc1/kernel": fc1}


WRONG_WEIGHTS = {
    "truncated": (lambda a: npz(a)[:-2000], "damaged or cannot be read"),
    "empty": (lambda _: b"", "is empty"),
    "text": (lambda _: b"Not Found", "expected a NumPy .npz archive"),
    "html": (lambda _: b"<!DOCTYPE html><html></html>", "is an HTML page"),
    "pickle": (pickle.dumps, "is a pickle, expected a NumPy .npz archive"),
    "objects": (
        lambda a: npz(a | {"fc1/bias": np.array([{}] * 16, dtype=object)}),
        "fc1/bias holds Python objects",
    ),
    "shape": (
        lambda a: npz(a | {"block1_conv2/kernel": np.zeros((3, 3, 4, 6), np.float32)}),
        "block1_conv2/kernel has shape (3, 3, 4, 6), expected (1, 1, 4, 6)",
    ),
    "missing": (
        lambda a: npz(without(a, "fc2/bias")),
        "with random weights by --init-missing",
    ),
    "surplus": (lambda a: npz(a | {"fc3/bias": np.zeros(4, np.float32)}), "surplus fc3/bias"),
    "nan": (lambda a: npz(poisoned(a, np.nan)), "fc1/kernel has 1 of 2048 values that are NaN"),
    "infinity": (lambda a: npz(poisoned(a, np.inf)), "fc1/kernel has 1 of 2048 values"),
    "integers": (
        lambda a: npz(a | {"fc2/bias": np.zeros(16, np.int32)}),
        "fc2/bias holds int32: store weights as float32",
    ),
}


@pytest.mark.parametrize("options", [(), QUANTIZE], ids=["float32", "int8"])
@pytest.mark.parametrize("case", WRONG_WEIGHTS)
def test_wrong_weights(run, tiny, tiny_arrays, workplace, listing, case, options):
    content, named = WRONG_WEIGHTS[case]
    (workplace / "weights.npz").write_bytes(content(tiny_arrays))
    outcome = run("onnx", *tiny, "--weights", "weights.npz", *options)
    assert outcome.code == 2
    assert "weights.npz" in outcome.error
    assert named in outcome.error
    assert listing() == ["weights.npz"]


def test_several_problems_are_named_together(run, tiny, tiny_arrays, workplace):
    arrays = without(tiny_arrays, "fc2/bias") | {"fc3/bias": np.zeros(4, np.float32)}
    (workplace / "weights.npz").write_bytes(npz(arrays))
    error = run("onnx", *tiny, "--weights", "weights.npz").error
    assert "missing fc2/bias" in error
    assert "surplus fc3/bias" in error


def test_missing_weights(run, listing):
    outcome = run("onnx", "--weights", "none.npz")
    assert outcome.code == 2
    assert "none.npz does not exist" in outcome.error
    assert listing() == []


def test_another_pickle_is_no_pytorch_file(run, workplace):
    (workplace / "vgg16.pth").write_bytes(pickle.dumps({}))
    outcome = run("onnx", "--weights", "vgg16.pth")
    assert outcome.code == 2
    assert "a pickle that torch.save did not write" in outcome.error


def test_another_digest_than_the_pinned(run, tiny, tiny_arrays, workplace, listing):
    (workplace / "weights.npz").write_bytes(npz(tiny_arrays))
    outcome = run("onnx", *tiny, "--weights", "weights.npz", "--weights-sha256", "0" * 64)
    assert outcome.code == 2
    assert f"the pin is {'0' * 64}" in outcome.error
    assert listing() == ["weights.npz"]


def test_missing_tensors_can_be_filled(run, tiny, tiny_arrays, workplace):
    (workplace / "weights.npz").write_bytes(npz(without(tiny_arrays, "fc2/bias")))
    outcome = run("onnx", *tiny, "--weights", "weights.npz", "--init-missing", "--json")
    weights = outcome.json["artifact"]["weights"]
    assert (weights["trained"], weights["initialized"]) == (False, ["fc2/bias"])
    assert "filled with random weights, seed 0: fc2/bias" in outcome.stderr


def test_weights_from_a_file_are_trained_and_the_layout_is_said(run, tiny, tiny_arrays, workplace):
    (workplace / "weights.npz").write_bytes(npz(tiny_arrays))
    outcome = run("onnx", *tiny, "--weights", "weights.npz", "--json")
    weights = outcome.json["artifact"]["weights"]
    assert (weights["source"], weights["trained"]) == ("weights.npz", True)
    assert "weights layout: native (auto)" in outcome.stderr
    assert "random" not in outcome.stderr


def test_sizes_come_from_the_weights(run, tiny_arrays, workplace):
    (workplace / "weights.npz").write_bytes(npz(tiny_arrays))
    outcome = run("onnx", "--config", "A", "--weights", "weights.npz", "--json")
    spec = outcome.json["artifact"]["spec"]
    assert (spec["classes"], spec["fc_units"], spec["input_size"]) == (5, 16, 16)


def test_weights_beyond_float16_fail_without_a_warning(run, tiny, tiny_arrays, workplace):
    """Warnings are errors here, as a line of Python's on stderr would be for a user."""
    (workplace / "weights.npz").write_bytes(npz(poisoned(tiny_arrays, 1e6)))
    outcome = run("onnx", *tiny, "--weights", "weights.npz", "--precision", "float16")
    assert outcome.code == 1
    assert "NaN or infinity in the output" in outcome.error


# Labels.


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"a\nb\nc\nd\n", "4 names on 4 lines: 5 classes"),
        (b"a\nb\nc\nd\ne\nf\n", "6 names on 6 lines: 5 classes"),
        (b"a\nb\n\nd\ne\n", "4 names on 5 lines: 5 classes"),
        (b"a\nb\nc\nd\n\xff\n", "cannot be read as UTF-8"),
        (b"", "0 names on 0 lines: 5 classes"),
    ],
)
def test_wrong_labels(run, tiny, workplace, listing, content, named):
    (workplace / "labels.txt").write_bytes(content)
    outcome = run("onnx", *tiny, "--labels", "labels.txt")
    assert outcome.code == 2
    assert "labels.txt" in outcome.error
    assert named in outcome.error
    assert listing() == ["labels.txt"]


@pytest.mark.parametrize("name", ["none.txt", "."])
def test_labels_that_are_no_file(run, tiny, name):
    outcome = run("onnx", *tiny, "--labels", name)
    assert outcome.code == 2
    said = "File '.' is a directory" if name == "." else f"labels file {name} does not exist"
    assert said in outcome.error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("verify", "random:0", "a.onnx", "--data", "none"), "data 'none' does not exist: pass a"),
        (("verify", "a.onnx", "--answers", "none"), "none does not exist"),
        (
            ("evaluate", "a.onnx", "--data", "photos", "--csv", "none"),
            "labels 'none' does not exist",
        ),
        (("benchmark", "a.onnx", "--baseline", "none"), "baseline none does not exist"),
        (("bundle", "a.onnx", "-o", "b", "--report", "none"), "report none does not exist"),
        (
            ("bundle", "a.onnx", "-o", "b", "--sign", "none"),
            "key none does not exist: make one with openssl genpkey -algorithm ed25519 -out none",
        ),
    ],
)
def test_what_is_missing_is_said_to_be_missing(run, built, make_images, workplace, arguments, said):
    shutil.copy(built["float32"].output, "a.onnx")
    make_images(workplace / "photos", 2)
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.error.startswith(f"Error: {said}")


# Calibration images.


@pytest.mark.parametrize("command", ["onnx", "calibrate"])
class TestCalibrationData:
    def refused(self, run, tiny, command, data, samples=4):
        quantize = ["--quantize"] if command == "onnx" else []
        outcome = run(
            *(command, *tiny, *quantize, "-o", "out.onnx"),
            *("--calibration-data", data, "--calibration-samples", samples),
        )
        assert outcome.code == 2
        return outcome.error

    def test_missing(self, run, tiny, command, listing):
        assert "'none' does not exist" in self.refused(run, tiny, command, "none")
        assert listing() == []

    def test_empty_folder(self, run, tiny, command, workplace, listing):
        (workplace / "empty").mkdir()
        error = self.refused(run, tiny, command, "empty")
        assert "'empty' has no image (0 files: 0 pictures)" in error
        assert listing() == ["empty"]

    def test_folder_without_images(self, run, tiny, command, workplace):
        (workplace / "texts").mkdir()
        (workplace / "texts" / "a.txt").write_text("a")
        error = self.refused(run, tiny, command, "texts")
        assert "'texts' has no image (1 file: 0 pictures, 1 skipped (1 .txt))" in error

    def test_one_image_again_and_again(self, run, tiny, command, workplace, make_images):
        first, *others = sorted(make_images(workplace / "photos", 3).rglob("*.png"))
        for path in others:
            path.write_bytes(first.read_bytes())
        error = self.refused(run, tiny, command, "photos")
        assert "'photos' has one image only" in error
        assert "pass photographs" in error

    def test_corrupt_images_only(self, run, tiny, command, workplace, make_images):
        for path in make_images(workplace / "photos", 20).rglob("*.png"):
            path.write_bytes(b"no image")
        error = self.refused(run, tiny, command, "photos")
        assert "unreadable" in error
        assert "image" in error

    def test_npz_of_float(self, run, tiny, command, workplace):
        np.savez(workplace / "images.npz", images=np.zeros((4, 16, 16, 3), np.float32))
        error = self.refused(run, tiny, command, "images.npz")
        assert "its array is float32" in error
        assert "uint8" in error

    def test_a_file_of_another_kind(self, run, tiny, command, workplace):
        (workplace / "image.png").write_bytes(b"")
        assert "neither a folder nor" in self.refused(run, tiny, command, "image.png")


# Ranges.


@pytest.fixture
def ranges(run, tiny):
    assert run("calibrate", *tiny, "--calibration-samples", 4, "-o", "ranges.json").code == 0
    return ("--ranges", "ranges.json")


def refused_ranges(run, *arguments):
    outcome = run("onnx", *arguments)
    assert outcome.code == 2
    return outcome.error


def test_ranges_without_quantize(run, tiny, ranges, listing):
    error = refused_ranges(run, *tiny, *ranges)
    assert "ranges.json" in error
    assert "--quantize" in error
    assert listing() == ["ranges.json"]


def test_ranges_of_other_weights(run, tiny, ranges, listing):
    error = refused_ranges(run, *tiny, *ranges, "--quantize", "--weights", "random:1")
    assert "belong to other weights: random:0" in error
    assert listing() == ["ranges.json"]


def test_ranges_of_another_network(run, tiny, ranges):
    error = refused_ranges(run, *tiny, *ranges, "--quantize", "--classes", 6)
    assert "belong to another network: classes is 5 there and 6 here" in error


def test_missing_ranges(run, tiny):
    error = refused_ranges(run, *tiny, "--quantize", "--ranges", "none.json")
    assert "ranges file none.json does not exist" in error


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[]", b"3", b"{}", b'{"kind": 1}'])
def test_ranges_that_are_something_else(run, tiny, workplace, content):
    (workplace / "ranges.json").write_bytes(content)
    error = refused_ranges(run, *tiny, "--quantize", "--ranges", "ranges.json")
    assert "ranges.json" in error
    assert "vggexport calibrate" in error


@pytest.mark.parametrize("bounds", [[0.0, "Infinity"], [1.0, 0.0], [0.0], None, [0.5, 1.0]])
def test_ranges_that_are_damaged(run, tiny, ranges, workplace, bounds):
    path = workplace / "ranges.json"
    document = json.loads(path.read_text())
    document["ranges"]["fc1"] = bounds
    path.write_text(json.dumps(document))
    error = refused_ranges(run, *tiny, "--quantize", *ranges)
    assert "ranges.json" in error


# Outputs.
