"""A file of another converter is packed with what is stated of it, and as one."""

import json
import subprocess
import sys

import onnx
import pytest

import vggexport
from tests.foreign_onnx import Style, torch_like
from vggexport.errors import InputError
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.workflows.bundle.options import BundleOptions

STATED = {"old.onnx": CONVENTIONS["vgg"]}


@pytest.fixture
def beside(tiny, tiny_weights, export, tmp_path, monkeypatch):
    """``ours.onnx`` and a colleague's ``old.onnx`` of the same weights."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ours.onnx").write_bytes(export().read_bytes())
    model = torch_like(tiny, tiny_weights, CONVENTIONS["vgg"], Style(softmax=False))
    onnx.save(model, "old.onnx")
    (tmp_path / "labels.txt").write_text("ant\nbee\ncat\ndog\neel\n")
    return tmp_path


def packed(folder, *names, **options):
    artifacts = tuple(folder / name for name in names)
    stated = {str(folder / name): value for name, value in options.pop("stated", STATED).items()}
    wanted = {"output": folder / "out", "preprocessing_of": stated, "force": True} | options
    return vggexport.bundle(BundleOptions(artifacts, **wanted))


def test_it_is_packed_beside_ours_told_as_foreign_and_runs_at_the_receivers(beside):
    report = packed(beside, "ours.onnx", "old.onnx")
    assert report.failures == ()
    manifest = json.loads((beside / "out/MANIFEST.json").read_bytes())
    ours, old = manifest["artifacts"]
    assert ours["lineage"][0]["step"] == "weights"
    assert (old["lineage"], old["artifact"]["spec"], old["artifact"]["foreign"]) == (
        None,
        None,
        True,
    )
    assert old["artifact"]["preprocessing"]["name"] == "vgg"
    assert vggexport.check_bundle(beside / "out").failures == ()
    told = json.loads((beside / "out/preprocessing.json").read_bytes())["models"]
    (name,) = (name for name in told if name.endswith("old.onnx"))
    assert (told[name]["input"]["layout"], told[name]["behind"]) == ("NCHW", "softmax")
    assert not (beside / "out/examples").exists()
    assert "made by another converter" in (beside / "out/MODEL_CARD.md").read_text()
    ran = subprocess.run(
        [sys.executable, beside / "out/self_test.py"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"passed   {name}" in ran.stdout


@pytest.mark.parametrize(
    ("names", "options", "reason"),
    [
        (("ours.onnx", "old.onnx"), {"stated": {}}, "does not say what happens to pixels"),
        (("old.onnx",), {}, "there is nothing to compare it with"),
        (("ours.onnx", "old.onnx"), {"layout": "triton"}, "layout triton is for files of vggexp"),
        (("ours.onnx",), {}, r"is stated for .*old\.onnx, which is not among"),
        (("ours.onnx",), {"stated": {"ours.onnx": STATED["old.onnx"]}}, "has its preprocessing in"),
    ],
)
def test_what_is_not_stated_or_cannot_be_is_refused(beside, names, options, reason):
    with pytest.raises(InputError, match=reason):
        packed(beside, *names, **options)


def test_one_that_does_not_agree_is_not_packed(beside):
    report = packed(beside, "ours.onnx", "old.onnx", stated={"old.onnx": CONVENTIONS["raw"]})
    assert [check.path for check in report.answers if check.failures] == ["models/old.onnx"]
    assert not (beside / "out").exists()
