"""``vggexport verify``, as CI jobs run it."""

import json
import subprocess
import sys

import onnx
import pytest
from onnx import numpy_helper

METRICS = {
    *("max_abs", "rel_l2", "sqnr_db", "logit_sqnr_db", "cosine", "top1_agreement"),
    "top5_agreement",
}

pytestmark = pytest.mark.usefixtures("any_int8_will_do")


@pytest.fixture
def files(run, tiny):
    for command in ("onnx", "tflite"):
        assert run(command, *tiny).code == 0
    return "vgg_a.onnx", "vgg_a.tflite"


@pytest.fixture
def broken(files):
    """The ONNX file with the first kernel's input channels swapped."""
    model = onnx.load(files[0])
    kernel = next(t for t in model.graph.initializer if t.name == "block1_conv1/kernel")
    swapped = numpy_helper.to_array(kernel)[:, ::-1].copy()
    kernel.CopyFrom(numpy_helper.from_array(swapped, kernel.name))
    onnx.save(model, "broken.onnx")
    return "broken.onnx"


def test_the_json_has_the_keys_of_the_contract(run, files):
    outcome = run("verify", *files, "--images", 5, "--layers", "--json")
    assert outcome.code == 0, outcome.stderr
    document = outcome.json
    assert document.keys() >= {"schema", "reference", "images", "candidates", "passed"}
    assert (document["schema"], document["images"], document["passed"]) == (1, 5, True)
    assert document["reference"].keys() >= {"path", "runtime", "provider"}
    assert document["reference"]["path"] == "vgg_a.onnx"
    (candidate,) = document["candidates"]
    assert candidate.keys() >= {"path", "runtime", "provider", "precision", "metrics", "tolerance"}
    assert candidate["metrics"].keys() == METRICS
    assert candidate["passed"] is True
    assert candidate["layers"][0].keys() == {"name", "sqnr_db", "max_abs"}
    assert candidate["runtime"].startswith("ai-edge-litert")


def test_a_broken_file_is_exit_1_and_named(run, files, broken):
    outcome = run("verify", *files, broken, "--images", 5, "--json")
    assert outcome.code == 1
    assert outcome.error.startswith("Error: broken.onnx: max abs")
    assert [c["passed"] for c in outcome.json["candidates"]] == [True, False]
    text = run("verify", *files, broken, "--images", 5)
    assert text.code == 1
    verdicts = [line.split() for line in text.stdout.splitlines() if ".onnx" in line]
    assert "FAILED" in verdicts[0]


def test_a_sigmoid_file_with_the_sign_of_one_output_turned_is_exit_1(run, tiny):
    """The other outputs are right, and one sigmoid in five says 1 - p for p."""
    sigmoid = ("--head-activation", "sigmoid")
    assert run("onnx", *tiny, *sigmoid).code == 0
    model = onnx.load("vgg_a.onnx")
    for tensor in model.graph.initializer:
        if tensor.name in {"predictions/kernel", "predictions/bias"}:
            turned = numpy_helper.to_array(tensor).copy()
            turned[..., 3] *= -1
            tensor.CopyFrom(numpy_helper.from_array(turned, tensor.name))
    onnx.save(model, "turned.onnx")
    assert run("tflite", *tiny, *sigmoid).code == 0
    outcome = run("verify", "vgg_a.onnx", "vgg_a.tflite", "turned.onnx", "--images", 5, "--json")
    assert outcome.code == 1
    assert [c["passed"] for c in outcome.json["candidates"]] == [True, False]
    assert outcome.error.startswith("Error: turned.onnx: max abs")
    assert outcome.json["candidates"][1]["metrics"]["top1_agreement"] == 0.8


def test_weights_stand_for_the_keras_network(run, tiny, files, tiny_arrays, workplace):
    import numpy as np

    np.savez(workplace / "weights.npz", **tiny_arrays)
    assert run("onnx", *tiny, "--weights", "weights.npz", "-o", "own.onnx").code == 0
    outcome = run("verify", "weights.npz", "own.onnx", "--images", 4, "--json")
    assert outcome.code == 0, outcome.stderr
    own = "say little about trained weights: compare on your own with --data DIR"
    assert f"note: synthetic images {own}\n" in outcome.stderr
    np.savez("images.npz", images=np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), "u1"))
    photographs = run("verify", "weights.npz", "own.onnx", "--data", "images.npz")
    assert (photographs.code, own in photographs.stderr) == (0, False), photographs.stderr
    assert outcome.json["reference"]["runtime"].startswith("keras")
    other = run("verify", "weights.npz", files[0], "--images", 4)
    assert other.code == 1  # the network of other, random weights


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["vgg_a.onnx"], 2, "name two artifacts"),
        (["vgg_a.onnx", "none.tflite"], 2, "none.tflite does not exist"),
        (["vgg_a.onnx", "text.onnx"], 2, "text.onnx"),
        (["vgg_a.onnx", "vgg_a.tflite", "--data", "none"], 2, "none"),
        (["vgg_a.onnx", "vgg_a.tflite", "--provider", "CUDA"], 3, "execution provider CUDA"),
        (["vgg_a.tflite", "random:0", "--provider", "CUDA"], 2, "which runs none of vgg_a.tflite"),
        (["vgg_a.onnx", "vgg_a.tflite", "--images", "0"], 2, "--images"),
        (["vgg_a.onnx", "random:0", "--runtime", "litert"], 2, "from onnxruntime, openvino"),
        (["vgg_a.onnx", "vgg_a.tflite", "--max-abs", "nan"], 2, "nan is not a finite number"),
        (["vgg_a.onnx", "vgg_a.tflite", "--min-sqnr", "-inf"], 2, "-inf is not a finite number"),
    ],
)
@pytest.mark.usefixtures("files")
def test_bad_input(run, workplace, arguments, code, said):
    (workplace / "text.onnx").write_text("not a model")
    outcome = run("verify", *arguments)
    assert (outcome.code, said in outcome.error) == (code, True), outcome.stderr


def test_a_file_runs_in_the_runtime_asked_for(run, files, broken):
    outcome = run("verify", *files, broken, "--runtime", "openvino", "--images", 4, "--json")
    document = outcome.json
    ran = [document["reference"], *document["candidates"]]
    assert [network["runtime"].split()[0] for network in ran] == ["openvino"] * 3
    assert [candidate["passed"] for candidate in document["candidates"]] == [True, False]
    assert outcome.code == 1


def test_without_tensorflow(files, workplace):
    """A machine with the runtimes alone: ONNX Runtime and LiteRT against each other."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['tensorflow', 'keras', 'tf2onnx'])); "
        "from vggexport.cli import main; main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, "verify", *files, "--images", "3", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=workplace,
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["passed"] is True


def test_a_golden_file_is_enough_without_tensorflow(run, tiny, files, broken, workplace):
    """Stored where the Keras network runs, verified where only LiteRT and ONNX Runtime are."""
    stored = run("verify", "random:0", *files[:1], "--images", 6, "--save-golden", "golden.npz")
    assert stored.code == 0, stored.stderr
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['tensorflow', 'keras', 'tf2onnx'])); "
        "from vggexport.cli import main; main()"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, "verify", "--golden", "golden.npz", *files, broken, "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=workplace,
    )
    assert process.returncode == 1, process.stderr
    document = json.loads(process.stdout)
    assert document["reference"]["runtime"].startswith("recorded from keras")
    assert [c["passed"] for c in document["candidates"]] == [True, True, False]
    fault = document["candidates"][2]["diagnosis"]["fault"]
    assert fault["fault"] == "kernel-channels-swapped"
    assert fault["description"] in process.stderr


def test_golden_files_are_not_replaced_unasked(run, files, workplace):
    (workplace / "golden.npz").write_text("precious")
    refused = run("verify", *files, "--images", 2, "--save-golden", "golden.npz")
    assert (refused.code, "--force" in refused.error) == (2, True)
    assert (workplace / "golden.npz").read_text() == "precious"
    assert run("verify", *files, "--images", 2, "--save-golden", "golden.npz", "--force").code == 0
    assert run("verify", "--golden", "golden.npz", files[1]).code == 0


def test_keras_may_be_the_reference(run, files):
    outcome = run("verify", *files, "--reference", "keras", "--images", 2, "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["reference"]["path"] == "keras"
    assert "trained weights" not in outcome.stderr  # they are random


def test_keras_needs_the_weights_that_the_file_names(run, tiny, tiny_arrays, workplace):
    import numpy as np

    np.savez(workplace / "weights.npz", **tiny_arrays)
    assert run("onnx", *tiny, "--weights", "weights.npz", "-o", "own.onnx").code == 0
    assert run("verify", "own.onnx", "--reference", "keras", "--images", 2).code == 0
    np.savez(workplace / "weights.npz", **{n: 2 * a for n, a in tiny_arrays.items()})
    changed = run("verify", "own.onnx", "--reference", "keras", "--images", 2)
    assert (changed.code, "was made of other weights" in changed.error) == (2, True)
    (workplace / "weights.npz").unlink()
    missing = run("verify", "own.onnx", "--reference", "keras", "--images", 2)
    assert (missing.code, "name the weights with --reference" in missing.error) == (2, True)
