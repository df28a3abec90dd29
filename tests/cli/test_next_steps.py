"""What reports say to run next, run."""

import shlex

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("any_int8_will_do")

QUICK = (
    *("--freeze", "none", "--initializer", "he", "--learning-rate", "1e-4"),
    *("--dropout", "0", "--batch", "8", "--epochs", "1", "--force"),
)


@pytest.fixture
def photos(workplace, make_labelled):
    """Ten pictures in five folders, whose name a shell would take apart."""
    make_labelled(workplace / "my photos", 2)
    return "my photos"


@pytest.fixture
def follow(run, parse, next_commands):
    """(arguments) -> every command that follows from them, each run, but benchmarks."""

    def followed(*arguments):
        outcome = run(*arguments)
        assert outcome.code in {0, 1}, (arguments, outcome.stderr)
        told = next_commands(outcome.stdout)
        for line in told:
            parse(line)
            words = shlex.split(line)[1:]
            if words[0] != "benchmark":
                quick = ("--force",) if words[0] in {"onnx", "tflite"} else ()
                told = [*told, *followed(*words, *quick)]
        return told

    return followed


def test_from_training_to_a_file_that_is_verified(follow, tiny, photos):
    told = follow("train", "--data", photos, *tiny, *QUICK, "-o", "w.safetensors")
    assert told == [
        "vggexport evaluate w.safetensors --data 'my photos' --csv w.validation.csv",
        "vggexport onnx --quantize --weights w.safetensors --calibration-data 'my photos'",
        "vggexport inspect vgg_a_int8.onnx --require int8",
    ]  # and no verify: on the images that it was calibrated on it says too much


def test_ranges_are_followed_by_exports_of_the_same_network(follow, tiny, tiny_arrays, photos):
    np.savez("w.npz", **tiny_arrays)
    given = ("--weights", "w.npz", "--calibration-data", photos, "--preprocessing", "unit")
    told = follow("calibrate", *tiny[:2], *given, "--seed", 3, "-o", "r.json")
    options = f"--ranges r.json --config A --weights w.npz --calibration-data '{photos}'"
    options += " --preprocessing unit --seed 3"
    assert told[:2] == [f"vggexport {x} --quantize {options}" for x in ("onnx", "tflite")]
    assert not any("verify" in line for line in told)


def test_a_float_file_is_verified_on_images_that_were_named_or_made(follow, tiny, tiny_arrays):
    np.savez("w.npz", **tiny_arrays)
    assert "vggexport verify w.npz a.onnx" in follow(
        "onnx", *tiny[:2], "--weights", "w.npz", "-o", "a.onnx"
    )


def test_one_exported_file_is_verified_against_its_weights(follow, tiny):
    several = ("--formats", "onnx", "--precisions", "float32", "-o", "one")
    told = follow("export", *tiny, *several)
    assert told == [
        "vggexport verify random:0 one/vgg_a.onnx",
        "vggexport benchmark one/vgg_a.onnx",
    ]
