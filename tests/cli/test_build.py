"""``vggexport onnx``: what it writes, what it says, and what happens when the check fails."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from vggexport.formats.onnx import exporter
from vggexport.precision import PROFILES, Precision

PRECISIONS = ("float32", "float16", "int8")
REPORT_KEYS = {"schema", "artifact", "seconds", "peak_rss_bytes"}
ARTIFACT_KEYS = {
    *("path", "format", "precision", "size_bytes", "sha256", "spec", "weights", "calibration"),
}
FLOAT_OPERATORS = {
    *("Sub", "Transpose", "Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Softmax", "Cast"),
}


@pytest.fixture(params=PRECISIONS)
def build(request, built):
    return built[request.param]


def test_the_json_has_the_keys_of_the_contract(build):
    document = build.outcome.json
    assert build.outcome.code == 0
    assert document.keys() >= REPORT_KEYS
    assert document["schema"] == 1
    artifact = document["artifact"]
    assert artifact.keys() >= ARTIFACT_KEYS
    assert artifact["path"] == str(build.output)
    assert artifact["format"] == "onnx"
    assert artifact["weights"].keys() >= {"source", "sha256", "trained"}
    assert document["peak_rss_bytes"] > build.output.stat().st_size
    assert {"weights", "export", "check"} <= document["seconds"].keys()
    assert all(seconds >= 0 for seconds in document["seconds"].values())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_precision_is_the_one_asked_for(built, precision):
    assert built[precision].outcome.json["artifact"]["precision"] == precision


def test_size_and_digest_are_the_files(build):
    artifact = build.outcome.json["artifact"]
    content = build.output.read_bytes()
    assert artifact["size_bytes"] == len(content)
    assert artifact["sha256"] == hashlib.sha256(content).hexdigest()


def test_the_artifact_is_beside_the_file(build):
    beside = json.loads(build.output.with_name(f"{build.output.name}.json").read_text())
    assert beside == build.outcome.json["artifact"]


def test_the_artifact_is_inside_the_file(build):
    model = onnx.load(build.output)
    inside = json.loads({p.key: p.value for p in model.metadata_props}["vggexport.artifact"])
    said = build.outcome.json["artifact"]
    # A file cannot hold its own digest, nor know where it is moved to.
    assert inside == said | {"size_bytes": None, "sha256": None, "path": build.output.name}


def test_nothing_but_outputs_is_left(built):
    folder = built["int8"].output.parent
    names = [f"vgg_{precision}.onnx" for precision in PRECISIONS]
    assert sorted(os.listdir(folder)) == sorted([*names, *(f"{name}.json" for name in names)])


def test_random_weights_are_marked_and_said(build):
    weights = build.outcome.json["artifact"]["weights"]
    assert (weights["source"], weights["trained"]) == ("random:0", False)
    lines = build.outcome.stderr.splitlines()
    assert sum("weights are random (random:0)" in line for line in lines) == 1


def test_synthetic_calibration_is_marked_and_said(built):
    calibration = built["int8"].outcome.json["artifact"]["calibration"]
    assert calibration.keys() >= {"source", "samples", "method", "fingerprint"}
    assert (calibration["source"], calibration["samples"]) == ("synthetic", 8)
    assert len(bytes.fromhex(calibration["fingerprint"])) == 32
    assert "synthetic images" in built["int8"].outcome.stderr


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_float_files_have_no_calibration(built, precision):
    assert built[precision].outcome.json["artifact"]["calibration"] is None
    assert "synthetic" not in built[precision].outcome.stderr


def test_the_check_is_in_the_json(build):
    check = build.outcome.json["check"]
    assert check["passed"] is build.outcome.json["passed"] is True
    assert check["failures"] == check["float_islands"] == []
    assert check["images"] >= 4
    assert check["metrics"]["logit_sqnr_db"] >= check["tolerance"]["min_logit_sqnr_db"] > 0


@pytest.mark.parametrize(
    ("precision", "most"),
    # Half and a quarter of float32, and some kilobytes of metadata, scales and QDQ nodes, which
    # are 1/500 of this network.
    [("float16", 0.502), ("int8", 0.252)],
)
def test_sizes(built, precision, most):
    ratio = built[precision].output.stat().st_size / built["float32"].output.stat().st_size
    assert 0.25 <= ratio <= most


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_float_graph_has_few_kinds_of_operators(built, precision):
    model = onnx.load(built[precision].output)
    assert {node.op_type for node in model.graph.node} <= FLOAT_OPERATORS
    assert [v.name for v in model.graph.input] == ["images"]
    assert [v.name for v in model.graph.output] == ["probabilities"]


def test_as_a_process_stdout_is_the_json_and_stderr_is_ours(smallest, workplace):
    """At the level of file descriptors, where native libraries write."""
    process = subprocess.run(
        [
            sys.executable,
            "-m",
            "vggexport",
            "onnx",
            *smallest,
            "--quantize",
            "--json",
            "--calibration-samples",
            "8",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=workplace,
    )
    assert json.loads(process.stdout)["artifact"]["path"] == "vgg_a_int8.onnx"
    steps = (
        *("weights: ", "float32: ", "calibrate: ", "reference: ", "export: ", "check: ", "note: "),
    )
    assert [line for line in process.stderr.splitlines() if not line.startswith(steps)] == []


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ([], "vgg_a.onnx"),
        (["--precision", "float16"], "vgg_a_float16.onnx"),
        (["--quantize"], "vgg_a_int8.onnx"),
        (["--quantize", "--precision", "int8"], "vgg_a_int8.onnx"),
    ],
)
def test_default_names(run, tiny, listing, options, name):
    outcome = run("onnx", *tiny, *options, "--calibration-samples", 4, "--no-check", "--json")
    assert outcome.json["artifact"]["path"] == name
    assert listing() == [name, f"{name}.json"]


def test_labels_travel_in_the_artifact(run, tiny, workplace):
    names = ["tench", "white shark", "Äsche", "hen", "ostrich"]
    (workplace / "labels.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    outcome = run("onnx", *tiny, "--labels", "labels.txt", "--json")
    assert outcome.json["artifact"]["labels"] == names
    assert run("inspect", "vgg_a.onnx", "--json").json["artifact"]["labels"] == names


@pytest.mark.parametrize(
    ("options", "dtype", "batch"),
    [([], "float32", "batch"), (["--input-dtype", "uint8", "--batch", 3], "uint8", 3)],
)
def test_input_type_and_batch(run, tiny, options, dtype, batch):
    run("onnx", *tiny, *options)
    inspection = run("inspect", "vgg_a.onnx", "--json").json
    assert inspection["inputs"] == [
        {"name": "images", "dtype": dtype, "shape": [batch, 16, 16, 3], "quantization": None},
    ]
    assert inspection["outputs"] == [
        {"name": "probabilities", "dtype": "float32", "shape": [batch, 5], "quantization": None},
    ]


@pytest.mark.parametrize("opset", [13, 18])
def test_opset(run, tiny, opset):
    assert run("onnx", *tiny, "--opset", opset).code == 0
    assert run("inspect", "vgg_a.onnx", "--json").json["opset"] == opset


def test_the_text_names_what_to_run_next(run, tiny):
    outcome = run("onnx", *tiny)
    *told, verify = outcome.stdout.splitlines()
    lines = dict(line.split(maxsplit=1) for line in told)
    assert lines["artifact"].strip() == "vgg_a.onnx"
    assert lines["check"].startswith("passed on 4 images against the Keras network")
    assert lines["beside"].split() == ["it", "vgg_a.onnx.json"]
    assert lines["next"].strip() == "vggexport inspect vgg_a.onnx"
    assert verify.strip() == "vggexport verify random:0 vgg_a.onnx"


def test_without_a_check_there_is_none_in_the_json(run, tiny):
    outcome = run("onnx", *tiny, "--no-check", "--json")
    assert (outcome.code, outcome.json["check"]) == (0, None)
    assert "check" not in outcome.json["seconds"]


# What breaks a file. Each must be noticed by the check.


def stricter(monkeypatch, precision):
    """No file is wrong: the tolerance is out of reach."""
    profile = precision.profile
    tolerance = dataclasses.replace(
        profile.tolerance, min_logit_sqnr_db=1e6, negligible_logit_error=None
    )
    profile = dataclasses.replace(profile, tolerance=tolerance)
    monkeypatch.setitem(PROFILES, (precision, False, 8), profile)


def bind_wrongly(monkeypatch, function, change):
    """Passes every bound weight through ``change(name, array)``."""
    original = getattr(exporter, function)

    def bind(*arguments):
        for name, array in original(*arguments):
            yield name, change(name, array)

    monkeypatch.setattr(exporter, function, bind)


def swap_channels(name, array):
    return array[:, ::-1] if name == "block1_conv1/kernel" else array


def permute_fc2(name, array):
    return np.roll(array, 1, axis=1) if name == "fc2/kernel" else array


def forget_bias(name, array):
    return np.zeros_like(array) if name == "predictions/bias" else array


def double_mean(monkeypatch):
    original = exporter.trace

    def trace(*arguments, **options):
        model = original(*arguments, **options)
        mean = model.graph.initializer[0]
        mean.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(mean), mean.name))
        return model

    monkeypatch.setattr(exporter, "trace", trace)


def leave_a_float_island(monkeypatch):
    original = exporter.variants.use_int8

    def use_int8(graph, *arguments):
        original(graph, *arguments)
        node = next(node for node in graph.node if node.name == "block1_conv2")
        node.input[0] = node.input[0].removesuffix("/dequantized")

    monkeypatch.setattr(exporter.variants, "use_int8", use_int8)


BREAKS = {
    "float32 tolerance": ("float32", lambda patch: stricter(patch, Precision.FLOAT32)),
    "float16 tolerance": ("float16", lambda patch: stricter(patch, Precision.FLOAT16)),
    "int8 tolerance": ("int8", lambda patch: stricter(patch, Precision.INT8)),
    "float32 channels": ("float32", lambda p: bind_wrongly(p, "bind_float", swap_channels)),
    "float16 channels": ("float16", lambda p: bind_wrongly(p, "bind_float", swap_channels)),
    "int8 channels": ("int8", lambda p: bind_wrongly(p, "bind_int8", swap_channels)),
    "float32 permuted": ("float32", lambda p: bind_wrongly(p, "bind_float", permute_fc2)),
    "int8 permuted": ("int8", lambda p: bind_wrongly(p, "bind_int8", permute_fc2)),
    "float32 mean": ("float32", double_mean),
    "float16 mean": ("float16", double_mean),
    "int8 island": ("int8", leave_a_float_island),
}


@pytest.fixture(params=BREAKS)
def broken(request, monkeypatch, tiny, tiny_arrays, make_images, workplace):
    """Options of a build that writes a wrong file."""
    precision, damage = BREAKS[request.param]
    damage(monkeypatch)
    make_images(workplace / "photos", 16)
    np.savez(workplace / "weights.npz", **tiny_arrays)
    return (
        *("onnx", *tiny, "--precision", precision, "-o", "out.onnx", "--weights", "weights.npz"),
        *("--calibration-data", "photos", "--calibration-samples", 8),
    )


@pytest.fixture
def inputs(listing):
    """What is in the folder before a run."""
    return lambda: [name for name in listing() if name.startswith(("photos", "weights"))]


def test_a_wrong_file_is_not_kept(run, broken, listing, inputs):
    outcome = run(*broken, "--json")
    assert outcome.code == 1
    assert "out.onnx was not kept" in outcome.error
    assert outcome.json["schema"] == 1
    assert outcome.json["passed"] is outcome.json["check"]["passed"] is False
    assert outcome.json["check"]["failures"] != []
    assert outcome.json["artifact"].keys() >= ARTIFACT_KEYS
    assert listing() == inputs()


def test_a_wrong_file_leaves_the_old_one(run, broken, workplace, listing, inputs):
    (workplace / "out.onnx").write_bytes(b"old")
    (workplace / "out.onnx.json").write_bytes(b"old too")
    assert run(*broken, "--force").code == 1
    assert (workplace / "out.onnx").read_bytes() == b"old"
    assert (workplace / "out.onnx.json").read_bytes() == b"old too"
    assert listing() == sorted([*inputs(), "out.onnx", "out.onnx.json"])


def test_the_same_build_unbroken_passes(run, tiny, tiny_arrays, make_images, workplace):
    """Else the tests above would say nothing."""
    make_images(workplace / "photos", 16)
    np.savez(workplace / "weights.npz", **tiny_arrays)
    for precision in PRECISIONS:
        outcome = run(
            *("onnx", *tiny, "--precision", precision, "--weights", "weights.npz"),
            *("--calibration-data", "photos", "--calibration-samples", 8),
        )
        assert outcome.code == 0, outcome.stderr


def test_a_float_island_is_named(run, tiny, monkeypatch):
    leave_a_float_island(monkeypatch)
    outcome = run("onnx", *tiny, "--quantize", "--calibration-samples", 4, "--json")
    # Its neighbour has to give floats, so ONNX Runtime fuses that one no more either.
    assert outcome.json["check"]["float_islands"] == ["block1_conv1", "block1_conv2"]
    assert "computed in float: block1_conv1, block1_conv2" in outcome.error


def test_a_failed_check_says_so_in_the_text(run, tiny, monkeypatch):
    stricter(monkeypatch, Precision.FLOAT32)
    outcome = run("onnx", *tiny)
    assert "FAILED on 4 images" in outcome.stdout
    assert "vggexport inspect" not in outcome.stdout
    assert "is below 1e+06 dB" in outcome.error


def test_what_overflows_float16_is_refused_and_rescaled(run, tiny, tiny_arrays):
    for name, factor in (("fc1/kernel", 2e6), ("fc1/bias", 2e6), ("fc2/kernel", 1 / 2e6)):
        tiny_arrays[name] = tiny_arrays[name] * np.float32(factor)
    np.savez("weights.npz", **tiny_arrays)
    arguments = "onnx", *tiny, "--precision", "float16", "--weights", "weights.npz", "--json"
    refused, built = run(*arguments), run(*arguments, "--rescale-float16")
    assert (refused.code, built.code) == (1, 0), built.stderr
    assert "fc1 reaches" in refused.error
    assert refused.error.endswith(
        "pass --rescale-float16, which divides such layers and changes no answer"
    )
    assert list(built.json["artifact"]["rescaled"]) == ["fc1"]
    assert "divided for float16: fc1 by " in built.stderr
