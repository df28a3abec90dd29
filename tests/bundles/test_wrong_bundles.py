"""Wrong bundles, from either end: each is refused by what is wrong with it, or told."""

import json
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import vggexport
from tests.recorded_progress import Recorded
from vggexport.bundles import CHECKSUMS, MANIFEST, SIGNATURE
from vggexport.bundles.checksums import measure_path
from vggexport.errors import InputError
from vggexport.reports import text
from vggexport.system.digests import render_checksums, sha256
from vggexport.workflows.bundle.options import BundleOptions
from vggexport.workflows.check_bundle import BundleCheckOptions
from vggexport.workflows.verify.options import VerifyOptions

NAMES = ["ant", "bee", "cat", "dog", "eel"]
OTHER = "ab" * 32
NAMED = {"class_names": NAMES}


def verified(row, reference=None):
    candidate = {"metrics": {}} | row
    return {"reference": reference or {"path": "w.npz"}, "candidates": [candidate], "images": 8}


def evaluated(row):
    return {"results": [{"images": 8, "top1": 0.79} | row]}


def measured(row):
    return {"environment": {}, "results": [{"latency_ms": {"p50": 1.0}} | row]}


@pytest.fixture
def row(models):
    """What a report says of tiny.onnx, whose bytes it knows."""

    def make(**changes):
        return {"path": "out/tiny.onnx", "sha256": sha256(models["tiny.onnx"])} | changes

    return make


@pytest.fixture
def hand_over(pack, models, exported, tmp_path):
    """Packs tiny.onnx with a report, labels and whatever else; gives the report of it."""

    def hand_over(data=None, names=None, named=True, **options):
        if data:
            options["reports"] = (tmp_path / "report.json",)
            options["reports"][0].write_text(json.dumps({"schema": 1, "passed": True} | data))
        if names:
            options["labels"] = tmp_path / "names.txt"
            options["labels"].write_text("".join(f"{name}\n" for name in names))
        model = models["tiny.onnx"] if named else exported("tiny.onnx", labels=())
        return pack(model, **options)

    return hand_over


@pytest.mark.parametrize("kind", [verified, evaluated, measured, lambda r: {"artifact": r}])
def test_figures_of_another_file_are_refused(hand_over, row, kind):
    with pytest.raises(InputError, match=rf"report\.json speaks of another tiny\.onnx.*{OTHER}"):
        hand_over(kind(row(sha256=OTHER)))


def test_a_reference_of_other_bytes_is_refused(hand_over, row):
    data = verified(row(path="other.onnx"), row(sha256=OTHER))
    with pytest.raises(InputError, match="speaks of another"):
        hand_over(data)


def test_of_two_files_of_one_name_the_one_that_is_bundled_is_quoted(hand_over, row, tmp_path):
    other = row(path="former/tiny.onnx", sha256=OTHER, top1=0.25)
    data = {"results": [row(images=8, top1=0.5, **NAMED), other]}
    assert hand_over(data, output="out").failures == ()
    card = (tmp_path / "out/MODEL_CARD.md").read_text()
    assert ("50.00%" in card, "25.00%" in card) == (True, False)


def test_a_report_without_digests_is_told(models, row, tmp_path):
    """As versions before this one wrote them."""
    (tmp_path / "old.json").write_text(json.dumps({"schema": 1} | measured(row(sha256=None))))
    notes = Recorded()
    options = BundleOptions(
        (models["tiny.onnx"],), tmp_path / "out", reports=(tmp_path / "old.json",), images=2
    )
    vggexport.bundle(options, notes)
    assert "report old.json does not say of which tiny.onnx its figures are" in notes.facts
    card = (tmp_path / "out/MODEL_CARD.md").read_text()
    assert "`old.json`, of a file of this name" in card


def test_folders_of_the_senders_machine_do_not_travel(hand_over, row, tmp_path):
    data = measured(row(path="/home/anna/secret/tiny.onnx", fallback="no file /opt/vendor/lib.so"))
    data["notes"] = ["secret/plan/a.onnx is not in C:\\Users\\anna\\old.json", "1/2 of https://a/b"]
    data["comparisons"] = [{"a": "secret/plan/a.onnx", "b": "b.onnx"}]
    assert hand_over(data, output="out").failures == ()
    packed = json.loads((tmp_path / "out/reports/report.json").read_text())
    assert packed["results"][0]["path"] == "tiny.onnx"
    assert packed["results"][0]["fallback"] == "no file lib.so"
    assert packed["notes"] == ["a.onnx is not in old.json", "1/2 of https://a/b"]
    assert packed["comparisons"] == [{"a": "a.onnx", "b": "b.onnx"}]


REVERSED = NAMES[::-1]


@pytest.mark.parametrize(
    ("named", "names", "told", "said"),
    [
        (True, REVERSED, {}, "class 0 is 'eel' in the one and 'ant' in the other"),
        (True, [*NAMES[:4], "elk"], {}, "class 4 is 'elk' in the one and 'eel' in the other"),
        (True, None, {"class_names": REVERSED}, "class 0 is 'ant' in the one and 'eel'"),
        (False, REVERSED, NAMED, "names.txt has other names than report"),
        (True, None, {"classes": [{"label": "bee"}, {"label": "ant"}]}, "another order: 'ant'"),
        (True, None, {"classes": [{"label": "ant"}, {"label": "elk"}]}, "another order: 'elk'"),
        (True, NAMES, NAMED | {"other_class_order": {"top1": 0.02}}, "seem to be in another order"),
        (False, None, {}, "nothing says what the 5 classes of .*tiny.onnx are called"),
        (False, None, {"class_names": list("01234")}, "nothing says what the 5 classes"),
        (False, None, {"class_names": [1, 2, 3, 4, 5]}, "nothing says what the 5 classes"),
        (False, None, {"classes": "ant"}, "nothing says what the 5 classes"),
    ],
)
def test_labels_that_disagree_or_are_missing_are_refused(
    hand_over, exported, row, named, names, told, said
):
    known = row() if named else row(sha256=sha256(exported("tiny.onnx", labels=())))
    with pytest.raises(InputError, match=said):
        hand_over(evaluated(known | told), names, named)


def test_labels_of_a_report_are_taken(hand_over, exported, row, tmp_path):
    known = row(sha256=sha256(exported("tiny.onnx", labels=())))
    hand_over(evaluated(known | NAMED), named=False, output="out")
    assert (tmp_path / "out/labels.txt").read_text().split() == NAMES


def test_a_trained_network_without_names_is_packed_when_that_is_said(hand_over, tmp_path):
    assert hand_over(named=False, no_labels=True, output="out").failures == ()
    assert (tmp_path / "out/labels.txt").read_text() == "0\n1\n2\n3\n4\n"
    with pytest.raises(InputError, match="leave out no_labels"):
        hand_over(names=NAMES, no_labels=True)


def fit(folder):
    """Lists the files as they are now, as whoever changes a bundle can."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    listed = {n: measure_path(p).sha256 for n, p in files.items() if not n.startswith(CHECKSUMS)}
    (folder / CHECKSUMS).write_text(render_checksums(listed))


def swap(folder, old, new):
    path = folder / "labels.txt"
    path.write_bytes(path.read_bytes().replace(old, new))


CHANGED = "labels.txt does not name the classes as MANIFEST.json does"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: swap(f, b"ant\nbee\n", b"bee\nant\n"), CHANGED),
        (lambda f: swap(f, b"eel\n", b"elk\n"), CHANGED),
        (lambda f: swap(f, b"eel\n", b""), CHANGED),
        (lambda f: swap(f, b"eel\n", b"eel"), CHANGED),
        (lambda f: swap(f, b"ant", b"\xff"), CHANGED),
    ],
)
def test_labels_that_were_changed_with_their_digest_are_refused(unpacked, change, said):
    change(unpacked)
    fit(unpacked)
    report = vggexport.check_bundle(BundleCheckOptions(unpacked, run=False))
    assert report.failures == (said,)


def test_labels_that_the_golden_answers_contradict_are_refused(unpacked):
    """Shifted by one, in the manifest, too."""
    manifest = json.loads((unpacked / MANIFEST).read_text())
    manifest["labels"] = [*NAMES[1:], NAMES[0]]
    (unpacked / MANIFEST).write_text(json.dumps(manifest))
    (unpacked / "labels.txt").write_text("".join(f"{name}\n" for name in manifest["labels"]))
    fit(unpacked)
    (failure,) = vggexport.check_bundle(BundleCheckOptions(unpacked)).failures
    answers = json.loads((unpacked / "golden/golden.json").read_text())["artifacts"][0]
    index = int(np.argmax(answers["probabilities"][0]))
    claim = f"labels.txt does not call class {index} {NAMES[index]!r}"
    assert failure == f"{claim}, as the golden answers of models/tiny.onnx do"


@pytest.mark.parametrize("name", [".DS_Store", "golden/Thumbs.db", "models/desktop.ini"])
def test_what_a_file_manager_left_is_told_apart_from_what_was_added(unpacked, name):
    (unpacked / name).write_bytes(b"Bud1")
    (unpacked / "models/added.bin").write_bytes(b"")
    report = vggexport.check_bundle(BundleCheckOptions(unpacked, run=False))
    assert set(report.failures) == {
        f"{name} was left by a file manager and is not part of the bundle: remove it",
        "models/added.bin was added",
    }


def told(report):
    (grid,) = (part for part in text.bundle_check(report).renderables if hasattr(part, "lines"))
    return list(grid.lines.values())


def test_without_a_key_nothing_is_said_of_who_packed_it(bundled, unpacked, make_key):
    options = SimpleNamespace(
        bare=BundleCheckOptions(bundled, run=False),
        known=BundleCheckOptions(bundled, make_key("ours")[1], run=False),
    )
    own = "agrees with its own list of digests; "
    assert f"{own}the signature was not checked" in told(vggexport.check_bundle(options.bare))
    signed = told(vggexport.check_bundle(options.known))
    assert "what was packed, signed by the owner of the key" in signed
    (unpacked / SIGNATURE).unlink()
    unsigned = vggexport.check_bundle(replace(options.bare, bundle=unpacked))
    assert f"{own}it is not signed" in told(unsigned)
    (unpacked / MANIFEST).write_bytes(b"{}")
    broken = vggexport.check_bundle(replace(options.bare, bundle=unpacked))
    assert f"REFUSED: {MANIFEST} was changed" in told(broken)


def test_photographs_are_not_handed_on_without_their_licence(pack, models, tmp_path):
    with pytest.raises(InputError, match=r"their licence is not stated.*golden_licence"):
        pack(data="photos")
    golden = tmp_path / "golden.npz"
    pair = [str(models[name]) for name in ("tiny.onnx", "tiny_int8.onnx")]
    vggexport.verify(VerifyOptions(pair, images=2, save_golden=golden))
    notes = Recorded()
    vggexport.bundle(BundleOptions((models["tiny.onnx"],), tmp_path / "out", golden=golden), notes)
    assert any("golden.npz are handed on, and their licence is not" in f for f in notes.facts)
    for name in ("MODEL_CARD.md", "README.md"):
        assert "licence not stated by whoever packed" in (tmp_path / "out" / name).read_text()


@pytest.mark.parametrize("name", ["a.tflite", "a.onnx", "a.keras", "a.npz"])
def test_a_model_is_no_bundle(tmp_path, name):
    """Some are zip archives: what is wrong is not who packed them."""
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("labels.txt", "ant")
    with pytest.raises(InputError, match=rf"{name} is a .*, not a bundle: .*make one with bundle"):
        vggexport.check_bundle(BundleCheckOptions(tmp_path / name))


def test_a_model_in_a_folder_is_no_bundle(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(InputError, match="is a model, not a bundle: make one with bundle"):
        vggexport.check_bundle(BundleCheckOptions(tmp_path))
