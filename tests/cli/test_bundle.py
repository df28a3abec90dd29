"""``vggexport bundle``, ``check-bundle`` and ``diff``, as CI jobs run them."""

import json
import shutil
import subprocess
import sys

import pytest

from vggexport.bundles.layouts import LAYOUTS
from vggexport.cli import bundle as bundle_command
from vggexport.cli.value_types import Size
from vggexport.workflows.bundle.options import DEFAULT_IMAGES

pytestmark = pytest.mark.usefixtures("any_int8_will_do")


@pytest.fixture
def files(run, tiny):
    for command in ("onnx", "tflite"):
        assert run(command, *tiny).code == 0
    return "vgg_a.onnx", "vgg_a.tflite"


@pytest.fixture
def packed(run, files):
    outcome = run("bundle", *files, "-o", "out.zip", "--allow-untrained", "--images", 2, "--json")
    assert outcome.code == 0, outcome.stderr
    return outcome


def test_the_json_says_what_was_packed(packed, workplace):
    document = packed.json
    assert (document["schema"], document["passed"]) == (1, True)
    assert document["bundle"]["size_bytes"] == (workplace / "out.zip").stat().st_size
    assert [a["artifact"]["format"] for a in document["manifest"]["artifacts"]] == [
        *("onnx", "tflite"),
    ]
    assert document["manifest"]["artifacts"][0]["artifact"].keys() >= {
        *("path", "format", "precision", "size_bytes", "sha256", "spec", "weights", "calibration"),
    }
    assert "licence" in packed.stderr


def test_check_bundle(run, packed):
    outcome = run("check-bundle", "out.zip", "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["passed"] is True
    assert [answer["passed"] for answer in outcome.json["answers"]] == [True, True]
    checked = run("check-bundle", "out.zip", "--no-run").stdout
    assert "agrees with its own list of digests; it is not signed" in checked
    assert "what was packed" not in checked
    assert "tflite" not in run("check-bundle", "out.zip", "--formats", "onnx").stdout


def test_a_changed_bundle_is_exit_1_with_its_json(run, packed, workplace):
    data = bytearray((workplace / "out.zip").read_bytes())
    position = data.rindex(b"VGG image classifiers")
    data[position] ^= 1
    (workplace / "out.zip").write_bytes(data)
    outcome = run("check-bundle", "out.zip", "--json")
    assert outcome.code == 1
    assert "README.md was changed" in outcome.error
    assert outcome.json["passed"] is False


def test_untrained_weights_are_exit_2(run, files, listing):
    before = listing()
    outcome = run("bundle", *files, "-o", "out.zip")
    assert outcome.code == 2
    assert "vgg_a.onnx has untrained weights (random:0)" in outcome.error
    assert "--allow-untrained" in outcome.error
    assert listing() == before


def test_a_failed_report_is_exit_1_with_its_json(run, files, workplace):
    report = {"schema": 1, "passed": False, "results": [{"path": "vgg_a.onnx", "top1": 0.1}]}
    (workplace / "evaluate.json").write_text(json.dumps(report))
    common = ("bundle", *files, "-o", "out.zip", "--allow-untrained", "--json")
    outcome = run(*common, "--report", "evaluate.json")
    assert outcome.code == 1
    assert "evaluate.json failed: nothing was packed" in outcome.error
    assert outcome.json["failures"] == ["evaluate.json failed"]
    assert not (workplace / "out.zip").exists()


def test_a_model_that_is_too_large_is_exit_1(run, files):
    outcome = run("bundle", *files, "-o", "out", "--allow-untrained", "--max-size", "1KB")
    assert outcome.code == 1
    assert "more than 1,000" in outcome.error
    assert "weights in int8-w4" in outcome.stdout
    assert "block1_conv1" in outcome.stdout


def test_signing(run, files, workplace):
    key = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", "key.pem"]
    subprocess.run(key, check=True, capture_output=True)
    public = ["openssl", "pkey", "-in", "key.pem", "-pubout", "-out", "key.pub.pem"]
    subprocess.run(public, check=True, capture_output=True)
    common = ("bundle", *files, "--allow-untrained", "--images", 1)
    assert run(*common, "-o", "signed.zip", "--sign", "key.pem").code == 0
    assert run(*common, "-o", "plain.zip").code == 0
    outcome = run("check-bundle", "signed.zip", "--public-key", "key.pub.pem")
    assert outcome.code == 0
    assert "signed by the owner of the key" in outcome.stdout
    outcome = run("check-bundle", "plain.zip", "--public-key", "key.pub.pem")
    assert (outcome.code, "it is not signed" in outcome.error) == (1, True)
    assert run(*common, "-o", "x.zip", "--sign", "key.pub.pem").code == 2
    assert run("check-bundle", "signed.zip", "--public-key", "key.pem").code == 2
    assert not (workplace / "x.zip").exists()


def test_diff_shows_and_writes(run, packed, workplace):
    assert len(run("diff", "vgg_a.onnx", "out.zip", "--json").json["added"]) == 1
    run("bundle", "vgg_a.onnx", "-o", "one", "--allow-untrained", "--images", 1)
    outcome = run("diff", "out.zip", "one", "--markdown", "diff.md")
    assert outcome.code == 0, outcome.stderr
    assert "0 of 1 models changed, 1 removed." in outcome.stdout
    assert (workplace / "diff.md").read_text().startswith("## vggexport diff")
    assert run("diff", "out.zip", "one", "--json").json["schema"] == 1
    assert run("diff", "out.zip", "one", "--markdown", "diff.md").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check-bundle", "missing.zip"), "does not exist"),
        (("check-bundle", "text.zip"), "is not a bundle"),
        (("bundle", "missing.onnx", "-o", "x.zip"), "does not exist"),
        (("bundle", "text.zip", "-o", "x.zip"), "of no known format"),
        (("bundle", "a.onnx"), "Missing option"),
        (("bundle", "a.onnx", "-o", "x", "--max-size", "large"), "not a size such as 100MB"),
        (("bundle", "a.onnx", "-o", "x", "--max-size", "9" * 400), "not a size such as 100MB"),
        (("bundle", "a.onnx", "-o", "x", "--layout", "ark"), "is not one of"),
        (("diff", "missing.onnx", "text.zip"), "does not exist"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(run, workplace, arguments, said):
    (workplace / "text.zip").write_text("text " * 100)
    outcome = run(*arguments)
    assert outcome.code == 2
    assert said in outcome.error


@pytest.mark.parametrize(
    ("text", "size"),
    [("100MB", 10**8), ("1.5 MiB", 3 * 2**19), ("12", 12), ("2kb", 2000), ("1GiB", 2**30)],
)
def test_sizes(text, size):
    assert Size().convert(text, None, None) == size


def test_literals_are_those_of_the_package():
    assert set(bundle_command.LAYOUTS) == set(LAYOUTS)
    images = next(p for p in bundle_command.bundle.params if p.name == "images")
    assert images.default == DEFAULT_IMAGES


def test_without_cryptography_the_extra_is_named(run, packed, monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] == "cryptography" or name == "vggexport.bundles.signing":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    outcome = run("bundle", "vgg_a.onnx", "-o", "x.zip", "--allow-untrained", "--sign", "key.pem")
    assert outcome.code == 3
    assert "cryptography is not installed: pip install 'vggexport[sign]'" in outcome.error


def test_check_bundle_runs_without_tensorflow(packed, workplace):
    """What ``.[runtime]`` has is enough."""
    script = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'tf2onnx', 'h5py'): sys.modules[name] = None\n"
        "from vggexport.cli import main\n"
        "main(['check-bundle', 'out.zip'])\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, cwd=workplace)


def test_bundles_of_other_names_are_told_by_their_content(run, packed, workplace):
    shutil.copyfile(workplace / "out.zip", workplace / "renamed.bin")
    outcome = run("check-bundle", "renamed.bin", "--no-run")
    assert outcome.code == 0
