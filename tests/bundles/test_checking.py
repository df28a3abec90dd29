"""Checking a bundle that is what was packed: models, preprocessing, and what is not to be had."""

import errno
import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import vggexport
from tests.recorded_progress import Recorded
from vggexport.bundles import CHECKSUMS, GOLDEN, MANIFEST, PREPROCESSING, SIGNATURE
from vggexport.bundles.checksums import measure_path
from vggexport.errors import ArtifactError, InputError, Unavailable, Unfinished
from vggexport.formats.onnx import sessions
from vggexport.metrics.placement import CPU_PROVIDER, QNN_PROVIDER
from vggexport.reports import text
from vggexport.system import lazy_imports
from vggexport.system.digests import render_checksums
from vggexport.system.machine import processor
from vggexport.workflows import check_bundle
from vggexport.workflows.check_bundle import BundleCheckOptions
from vggexport.workflows.diff import sides as diffing

INFINITY = float("inf")  # Python's reader of JSON takes it, and 1e999


def check(path: Path, **options):
    return vggexport.check_bundle(BundleCheckOptions(path, **options))


def described(manifest: dict) -> dict:
    return manifest["artifacts"][0]["artifact"]


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
    shown = io.StringIO()
    Console(file=shown, width=200).print(text.bundle_check(report))
    assert f"4, answered on {processor()}, checked on {processor()}\n" in shown.getvalue()
    data = json.loads(json.dumps(report.to_json()))
    assert data["passed"] is True
    assert data["bundle"]["signature_verified"] is True


def test_formats_are_chosen(bundled):
    report = check(bundled, formats=("tflite",))
    assert [answer.format for answer in report.answers] == ["tflite"]
    with pytest.raises(InputError, match="holds models in onnx, tflite"):
        check(bundled, formats=("savedmodel",))


def test_on_an_npu_what_is_laid_out_for_it_is_held_to_its_own_tolerance(
    bundled, pack, export, models, monkeypatch, tmp_path
):
    wide = export("int8", batch=1, target="snapdragon", activation_bits=16)
    assert pack(wide, *models.values(), output="both.zip").failures == ()
    real, run_on = sessions.open_session, []

    def on_cpu(path, options, provider, own):
        run_on.append(provider)
        return real(path, options, CPU_PROVIDER, own)

    monkeypatch.setattr(sessions, "open_session", on_cpu)
    report = check(tmp_path / "both.zip", provider=QNN_PROVIDER)
    (answer,) = report.answers
    assert (answer.path, answer.provider) == (f"models/{wide.name}", QNN_PROVIDER)
    assert answer.tolerance.min_half_logit_sqnr_db == 40
    assert set(run_on) == {QNN_PROVIDER}
    with pytest.raises(InputError, match=f"{QNN_PROVIDER} takes none of these models"):
        check(bundled, provider=QNN_PROVIDER)


def test_a_runtime_that_is_not_installed_is_named(bundled, monkeypatch):
    def missing(_registry, _name):
        raise Unavailable("onnxruntime is not installed: pip install 'vggexport[runtime]'")

    monkeypatch.setattr(lazy_imports, "load", missing)
    with pytest.raises(Unavailable, match="onnxruntime is not installed"):
        check(bundled)


def test_nothing_is_left_behind(bundled, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    check(bundled)
    assert list(tmp_path.iterdir()) == []


def test_models_that_answer_otherwise_fail(unpacked):
    """Golden images in BGR: what a phone that feeds BGR would see."""
    from PIL import Image

    from vggexport.bundles.png import encode_png

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
    (MANIFEST, lambda d: d.update(source_date_epoch=INFINITY), "manifest is not readable"),
    (MANIFEST, lambda d: d.update(tools=3), "manifest is not readable"),
    (MANIFEST, lambda d: described(d).update(format="keras"), "format 'keras'"),
    (MANIFEST, lambda d: described(d).update(batch=0), "manifest is not readable"),
    (MANIFEST, lambda d: described(d).update(batch=INFINITY), "manifest is not readable"),
    (MANIFEST, lambda d: described(d).update(size_bytes="x"), "manifest is not readable"),
    (MANIFEST, lambda d: described(d).update(size_bytes=7), "not the file that the manifest"),
    (MANIFEST, lambda d: described(d).update(calibration="x"), "manifest is not readable"),
    (MANIFEST, lambda d: described(d)["spec"].update(classes=INFINITY), "manifest is not readable"),
    (GOLDEN, lambda d: d["images"].__setitem__(1, d["images"][0]), "an image comes twice"),
    (GOLDEN, lambda d: d["reference"]["probabilities"][0].__setitem__(0, 1e300),
     "no probabilities"),
    (GOLDEN, lambda d: d["reference"]["probabilities"][0].__setitem__(0, 10**400),
     "golden answers are not readable"),
    (PREPROCESSING, lambda d: d["steps"][1].update(short_side=0), "preprocessing is not readable"),
    (PREPROCESSING, lambda d: d["steps"][1].update(short_side=10**400),
     "preprocessing is not readable"),
    (PREPROCESSING, lambda d: d["steps"][1].update(short_side=10), "side of 10 pixels is less"),
    (PREPROCESSING, lambda d: d["steps"][2].update(width=INFINITY),
     "preprocessing is not readable"),
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
    with pytest.raises(ArtifactError, match=r"is not JSON|is not a JSON object"):
        check(unpacked)


def test_a_huge_description_is_not_read(unpacked, monkeypatch):
    from vggexport.bundles import files

    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 100)
    with pytest.raises(ArtifactError, match="more than 100 bytes"):
        check(unpacked)


def test_a_bundle_with_many_files_is_refused(tmp_path, monkeypatch):
    from vggexport.bundles import folder, names

    monkeypatch.setattr(folder, "MAX_FILES", 3)
    monkeypatch.setattr(names, "MAX_FILES", 3)
    for number in range(10):
        (tmp_path / str(number)).touch()
    with pytest.raises(ArtifactError, match="more than 3 files"):
        check(tmp_path)


def test_a_note_says_that_a_signature_was_not_checked(bundled):
    notes = Recorded()
    vggexport.check_bundle(BundleCheckOptions(bundled, run=False), notes)
    assert notes.notes == ["the bundle is signed: pass public_key to check by whom"]


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
    for refuse in (check, lambda folder: vggexport.diff(folder, folder)):
        with pytest.raises(ArtifactError, match=r"are not its own|has no \.\./outside|has no /etc"):
            refuse(unpacked)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def change_after_check(monkeypatch):
    """Between the check and the use, as whoever else may write there could."""

    def install(change):
        for module in (check_bundle, diffing):
            real = module.check_integrity

            def check_and_change(*arguments, real=real):
                found = real(*arguments)
                change()
                return found

            monkeypatch.setattr(module, "check_integrity", check_and_change)

    return install


@pytest.mark.parametrize("name", [MANIFEST, GOLDEN, PREPROCESSING, "golden/inputs/000.png"])
def test_a_file_that_changes_after_the_check_is_not_used(unpacked, change_after_check, name):
    """A space more, or another image: all that was checked reads as well as before."""
    place = unpacked / name
    other = (unpacked / "golden/inputs/001.png").read_bytes()
    changed = other if place.suffix == ".png" else place.read_bytes() + b" "
    change_after_check(lambda: place.write_bytes(changed))
    with pytest.raises(ArtifactError, match=f"{name} was changed after it was checked"):
        check(unpacked)


def test_diff_does_not_use_it_either(unpacked, change_after_check):
    place = unpacked / MANIFEST
    change_after_check(lambda: place.write_bytes(place.read_bytes() + b" "))
    with pytest.raises(ArtifactError, match=r"MANIFEST\.json was changed after it was checked"):
        vggexport.diff(unpacked, unpacked)


def test_an_archive_that_changes_after_the_check_is_not_used(bundled, tmp_path, change_after_check):
    path, whole = tmp_path / "tiny.zip", bundled.read_bytes()
    path.write_bytes(whole)
    changed = whole.replace(b'"licence": "CC BY 4.0"', b'"licence": "CC BY 4.1"')
    change_after_check(lambda: path.write_bytes(changed))
    with pytest.raises(ArtifactError, match=r"MANIFEST\.json was changed after it was checked"):
        check(path)


def test_a_file_that_is_gone_after_the_check_is_named(unpacked, change_after_check):
    place = unpacked / GOLDEN
    change_after_check(lambda: place.unlink(missing_ok=True))
    with pytest.raises(ArtifactError, match=r"golden\.json cannot be read: No such file"):
        check(unpacked)


def test_a_deep_folder_is_refused(tmp_path):
    """Deeper than calls can be."""
    folder = tmp_path
    for _ in range(1200):
        folder /= "d"
        folder.mkdir()
    (folder / "file").touch()
    with pytest.raises(ArtifactError, match="longer than a name can be"):
        check(tmp_path)
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # pytest's own way calls itself, too


def test_a_device_is_no_bundle():
    with pytest.raises(ArtifactError, match="is a device or a pipe"):
        check(Path("/dev/zero"))


def test_a_full_disk_is_told(bundled, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(check_bundle, "unpack_model", full)
    with pytest.raises(Unfinished, match=r"no room in the temporary folder .*TMPDIR"):
        check(bundled)
