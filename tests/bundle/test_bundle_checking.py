"""Checking a bundle that is what was packed: models, preprocessing, and what is not to be had."""

import json
from pathlib import Path

import numpy as np
import pytest

from vggexport import registry, workflows
from vggexport.bundle import CHECKSUMS, GOLDEN, MANIFEST, PREPROCESSING, SIGNATURE
from vggexport.bundle.checksums import measure_path, render_checksums
from vggexport.errors import ArtifactError, InputError, Unavailable
from vggexport.workflows import BundleCheckOptions


def check(path: Path, **options):
    return workflows.check_bundle(BundleCheckOptions(path, **options))


def fit(folder: Path) -> None:
    """Makes the list of digests fit what was changed, as its maker could."""
    (folder / SIGNATURE).unlink(missing_ok=True)
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    digests = {n: measure_path(folder / n).sha256 for n in names if n != CHECKSUMS}
    (folder / CHECKSUMS).write_text(render_checksums(digests))


def edit(folder: Path, name: str, change) -> None:
    data = json.loads((folder / name).read_text())
    change(data)
    (folder / name).write_text(json.dumps(data))
    fit(folder)


def test_all_models_answer_as_they_did(bundled, make_key):
    report = check(bundled, public_key=make_key("ours")[1])
    assert report.failures == ()
    assert report.integrity.is_verified
    assert report.images == 4
    assert [answer.path for answer in report.answers] == [
        *("models/tiny.onnx", "models/tiny_int8.onnx", "models/tiny_int8.tflite"),
    ]
    assert report.answers[0].metrics.logit_sqnr_db > 100  # one thread there, several here
    assert report.preprocessing.levels == 0
    data = json.loads(json.dumps(report.to_json()))
    assert data["passed"] is True
    assert data["bundle"]["signature_verified"] is True


def test_formats_are_chosen(bundled):
    report = check(bundled, formats=("tflite",))
    assert [answer.format for answer in report.answers] == ["tflite"]
    with pytest.raises(InputError, match="holds models in onnx, tflite"):
        check(bundled, formats=("savedmodel",))


def test_a_runtime_that_is_not_installed_is_named(bundled, monkeypatch):
    def missing(_registry, _name):
        raise Unavailable("onnxruntime is not installed: pip install 'vggexport[runtime]'")

    monkeypatch.setattr(registry, "load", missing)
    with pytest.raises(Unavailable, match="onnxruntime is not installed"):
        check(bundled)


def test_nothing_is_left_behind(bundled, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    check(bundled)
    assert list(tmp_path.iterdir()) == []


def test_models_that_answer_otherwise_fail(unpacked):
    """Golden images in BGR: what a phone that feeds BGR would see."""
    from PIL import Image

    from vggexport.bundle.png import encode_png

    for path in (unpacked / "golden/inputs").iterdir():
        path.write_bytes(encode_png(np.array(Image.open(path))[:, :, ::-1]))
    fit(unpacked)
    report = check(unpacked)
    assert report.integrity.problems == ()
    assert {failure.partition(":")[0] for failure in report.failures} == {
        answer.path for answer in report.answers
    }


def test_another_preprocessing_fails(unpacked):
    prepared = unpacked / "golden/sources"
    (prepared / "portrait_prepared.png").write_bytes(
        (prepared / "landscape_prepared.png").read_bytes()
    )
    fit(unpacked)
    (failure,) = check(unpacked).failures
    assert failure.startswith("preprocessing is ")


@pytest.mark.parametrize(("name", "change", "said"), [
    (MANIFEST, lambda d: d.pop("kind"), "manifest is not readable"),
    (MANIFEST, lambda d: d["artifacts"][0]["files"].__setitem__(0, "../x"), "are not its own"),
    (MANIFEST, lambda d: d["artifacts"][0]["artifact"].__setitem__("sha256", "ab"),
     "not the file that the manifest describes"),
    (GOLDEN, lambda d: d["images"][0].__setitem__("file", "/etc/passwd"), "has no /etc/passwd"),
    (GOLDEN, lambda d: d.pop("artifacts"), "golden answers are not readable"),
    (GOLDEN, lambda d: d["artifacts"].pop(0), "no golden answers of models/tiny.onnx"),
    (GOLDEN, lambda d: d["images"][0].__setitem__("file", "golden/sources/small.png"),
     "is not an RGB image of 16x16"),
    (PREPROCESSING, lambda d: d["steps"].pop(), "preprocessing is not readable"),
])  # fmt: skip
def test_descriptions_that_do_not_go_together(unpacked, name, change, said):
    edit(unpacked, name, change)
    with pytest.raises(ArtifactError, match=said):
        check(unpacked)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_descriptions_that_are_no_json(unpacked, text):
    for name in (GOLDEN, MANIFEST):
        (unpacked / name).write_text(text)
    fit(unpacked)
    with pytest.raises(ArtifactError, match=r"is not JSON|is no JSON object"):
        check(unpacked)


def test_a_huge_description_is_not_read(unpacked, monkeypatch):
    from vggexport.bundle import files

    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 100)
    with pytest.raises(ArtifactError, match="more than 100 bytes"):
        check(unpacked)


def test_a_bundle_with_many_files_is_refused(tmp_path, monkeypatch):
    from vggexport.bundle import folder, names

    monkeypatch.setattr(folder, "MAX_FILES", 3)
    monkeypatch.setattr(names, "MAX_FILES", 3)
    for number in range(10):
        (tmp_path / str(number)).touch()
    with pytest.raises(ArtifactError, match="more than 3 files"):
        check(tmp_path)


def test_a_note_says_that_a_signature_was_not_checked(bundled):
    from vggexport.progress import Silent

    class Notes(Silent):
        def __init__(self):
            self.notes = []

        def note(self, message):
            self.notes.append(message)

    notes = Notes()
    workflows.check_bundle(BundleCheckOptions(bundled, run=False), notes)
    assert notes.notes == ["the bundle is signed: pass --public-key to check by whom"]


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("models/tiny.onnx", ["../../outside.onnx"]),
        ("../outside.onnx", ["../outside.onnx"]),
        ("/etc/passwd", ["/etc/passwd"]),
        ("models", []),
        ("models/tiny.onnx", ["models/tiny_int8.onnx"]),
    ],
)
def test_a_manifest_leads_nowhere_out_of_the_bundle(unpacked, tmp_path, path, files):
    """Whoever packs a bundle writes its manifest: nothing is read or written by what that says."""

    def change(data):
        data["artifacts"][0]["artifact"]["path"] = path
        data["artifacts"][0]["files"] = files

    edit(unpacked, MANIFEST, change)
    edit(unpacked, GOLDEN, lambda data: data["artifacts"][0].__setitem__("name", path))
    before = sorted(tmp_path.rglob("*"))
    for refuse in (check, lambda folder: workflows.diff(folder, folder)):
        with pytest.raises(ArtifactError, match=r"are not its own|has no \.\./outside|has no /etc"):
            refuse(unpacked)
    assert sorted(tmp_path.rglob("*")) == before
