"""``vggexport prune``: its text, its JSON, its errors."""

import re
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def inputs(tiny_arrays, workplace) -> tuple[str, ...]:
    """Options of a trained network of some thousand parameters, and of 40 images."""
    np.savez("wide.npz", **tiny_arrays)
    random = np.random.default_rng(3)
    coarse = random.integers(0, 200, (40, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    pixels = coarse + random.integers(0, 56, (40, 16, 16, 3))
    np.savez("images.npz", images=pixels.astype(np.uint8))
    return ("--weights", "wide.npz", "--calibration-data", "images.npz")


def test_the_plan_and_then_the_network(run, inputs, listing):
    outcome = run("prune", *inputs, "--plan", "--cache-dir", "kept", "--json")
    assert outcome.code == 0, outcome.stderr
    assert "kept keeps the statistics of the images" in outcome.stderr
    plan = outcome.json
    assert (plan["schema"], plan["narrowed"]) == (1, None)
    assert plan["curve"][0]["macs_share"] <= 1 / 1.25
    assert run("prune", *inputs, "--plan", "--cache-dir", "kept").stdout.startswith("operations")
    written = ("-o", "w.safetensors", "--html", "page.html")
    made = run("prune", *inputs, "--speedup", "1.5x", "--cache-dir", "kept", *written)
    quantize = "vggexport onnx --quantize --weights w.safetensors --calibration-data images.npz\n"
    assert quantize in made.stdout, made.stderr
    assert "dB is expected" in made.stderr
    assert [name for name in listing() if name.startswith("w.")] == ["w.safetensors"]
    page = Path("page.html").read_text()
    assert re.findall(r'<th scope="row">(1/.*?)</th>', page)[1].endswith("(chosen)")
    assert '<th scope="row">block1_conv2</th>' in page
    summary = run("onnx", "--weights", "w.safetensors", "--no-check", "--json").json["artifact"]
    assert summary["weights"]["pruning"]["source"] == "wide.npz"
    assert summary["weights"]["pruning"]["blocks"] == [["conv3-4", "conv1-6"], ["conv3-8"]]
    assert summary["spec"]["blocks"] != [["conv3-4", "conv1-6"], ["conv3-8"]]


@pytest.mark.usefixtures("latencies_by_operations")
def test_a_plan_by_latency_says_what_was_measured(run, inputs):
    asked = ("--plan", "--latency", "60%", "--cache-dir", "kept", "--html", "page.html")
    outcome = run("prune", *inputs, *asked)
    assert outcome.code == 0, outcome.stderr
    said = re.search(r"^latency +(0\.\d{3}) of the latency \(too few", outcome.stdout, re.M)
    assert f" {said[1]} " in outcome.stdout
    assert f"{said[1]} of the latency" in Path("page.html").read_text()
    assert "of the operations takes" in outcome.stderr
    assert "the machine was busy at the start" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            [],
            "no budget is given: name one with --speedup, --max-size, --target-sqnr or --latency",
        ),
        (["--latency", "2"], "'2' is not a share below 1: write 2%"),
        (["--latency", "0"], "latency 0 is no share of the original network's"),
        (["--speedup", "0.5"], "'0.5' is not a number above 1, as 2x"),
        (["--target-sqnr", "nan"], "nan is not a finite number"),
        (["--speedup", "90x"], "90x is out of reach"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, inputs, arguments, said):
    outcome = run("prune", *inputs, *arguments)
    assert outcome.code == 2
    assert said in outcome.error
