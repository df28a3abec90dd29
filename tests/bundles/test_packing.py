"""Packing: what goes in, what is refused, and that the same inputs give the same bytes."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import calibration
import vggexport
from tests.recorded_progress import Recorded
from vggexport.bundles.archive import ArchiveFiles
from vggexport.bundles.evidence import Evidence
from vggexport.bundles.files import open_bundle, read_object
from vggexport.bundles.model_card import guide, model_card
from vggexport.errors import ArtifactError, CalibrationError, InputError, OutputError
from vggexport.formats.golden.golden_file import GoldenFile
from vggexport.formats.registry import FORMATS, load_exporter
from vggexport.metrics.tolerance import Tolerance
from vggexport.precision import Precision
from vggexport.results.bundle_manifest import Manifest
from vggexport.workflows.bundle.options import BundleOptions
from vggexport.workflows.check_bundle import BundleCheckOptions
from vggexport.workflows.verify.options import VerifyOptions


def read(folder: Path, name: str):
    return json.loads((folder / name).read_text())


def test_a_folder_holds_all_that_a_receiver_needs(pack, tmp_path, tiny):
    assert pack(output="out", licence="CC BY 4.0").failures == ()
    folder = tmp_path / "out"
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert names >= {
        *("MANIFEST.json", "SHA256SUMS", "MODEL_CARD.md", "README.md", "labels.txt"),
        *("preprocessing.json", "self_test.py", "golden/golden.json", "golden/inputs/002.png"),
        *("models/tiny.onnx", "models/tiny_int8.onnx", "models/tiny_int8.tflite"),
    }
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    assert (folder / "labels.txt").read_text().split() == ["ant", "bee", "cat", "dog", "eel"]
    manifest = read(folder, "MANIFEST.json")
    assert [a["artifact"]["path"] for a in manifest["artifacts"]] == sorted(
        name for name in names if name.startswith("models/")
    )
    assert [step["step"] for step in manifest["artifacts"][1]["lineage"]] == [
        *("weights", "calibrate", "export"),
    ]
    assert {"vggexport", "numpy", "pillow"} <= manifest["tools"].keys()
    described = read(folder, "preprocessing.json")["models"]["models/tiny_int8.tflite"]
    assert described["input"] == {
        "name": "images",
        "dtype": "float32",
        "shape": [1, *tiny.image_shape],
        "quantization": None,
        "layout": "NHWC",
        "colour_order": "RGB",
    }
    card = (folder / "MODEL_CARD.md").read_text()
    assert "licence: CC BY 4.0" in card
    assert "tiny.npz" in card
    assert "Random weights" not in card


@pytest.mark.parametrize("layout", ["plain", "triton"])
def test_the_same_inputs_give_the_same_bytes_wherever_they_are(
    models, make_key, tmp_path, monkeypatch, layout
):
    found = set()
    for name in ("here", "elsewhere/deeper"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        monkeypatch.chdir(folder)
        for path in list(models.values())[:2]:
            shutil.copyfile(path, folder / path.name)
            os.utime(folder / path.name, (1, len(found)))
        paths = (Path("tiny.onnx"), folder / "tiny_int8.onnx")
        options = BundleOptions(
            paths, Path("out.zip"), layout=layout, images=2, sign=make_key("ours")[0]
        )
        assert vggexport.bundle(options).failures == ()
        found.add((folder / "out.zip").read_bytes())
    assert len(found) == 1
    assert str(tmp_path).encode() not in found.pop()


def test_artifacts_have_the_same_bytes_too(make_request, tmp_path):
    """Those that a bundle is made of: exported twice, under one name."""
    for name, precision in (("onnx", "int8"), ("tflite", "int8"), ("onnx", "float16")):
        batch = 1 if name == "tflite" else None
        request = make_request(precision, batch=batch, format=name)
        found = set()
        for place in ("one", "two"):
            (tmp_path / place).mkdir(exist_ok=True)
            path = tmp_path / place / f"net{FORMATS[name].suffix}"
            load_exporter(name).export(request, path)
            found.add(path.read_bytes())
        assert len(found) == 1, (name, precision)


def test_dates_are_those_of_the_environment(pack, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    pack(output="dated.zip")
    files = ArchiveFiles(tmp_path / "dated.zip")
    assert files.is_dated(1_700_000_000)
    assert vggexport.check_bundle(BundleCheckOptions(files.path, run=False)).failures == ()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH 'yesterday' is not a number"):
        pack()


def test_images_of_a_folder(pack, tmp_path):
    (tmp_path / "photos").mkdir()
    random = np.random.default_rng(0)
    for number in range(2):
        pixels = random.integers(0, 256, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"photos/{number}.png")
    pack(output="out", data=str(tmp_path / "photos"), golden_licence="CC0 1.0")
    golden = read(tmp_path / "out", "golden/golden.json")
    assert sorted(image["label"] for image in golden["images"]) == ["0.png", "1.png"]
    assert golden["source"] == "photos"
    assert golden["reference"]["name"] == "models/tiny.onnx"


def test_unreadable_images_are_told_and_more_than_are_tolerated_refused(
    pack, models, tmp_path, monkeypatch
):
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (2, 40, 30, 3))):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"photos/{number}.png")
    for number in range(2, 4):
        (tmp_path / f"photos/{number}.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    choice = {"data": "photos", "golden_licence": "CC0 1.0", "images": 4}
    with pytest.raises(
        CalibrationError, match=r"are tolerated: .*tolerate more with max_unreadable"
    ):
        pack(**choice)
    told = Recorded()
    options = BundleOptions(tuple(models.values()), Path("out"), **choice, max_unreadable=1)
    report = vggexport.bundle(options, told)
    assert [line.split(":")[0] for line in sorted(report.unreadable)] == ["2.png", "3.png"]
    labels = {image["label"] for image in read(Path("out"), "golden/golden.json")["images"]}
    assert labels == {"0.png", "1.png"}
    assert sum("skipped unreadable image" in fact for fact in told.facts) == 2


def test_a_golden_file_brings_images_and_answers(pack, models, tmp_path):
    golden = tmp_path / "golden.npz"
    paths = (str(models["tiny.onnx"]), str(models["tiny_int8.onnx"]))
    vggexport.verify(VerifyOptions(paths, images=5, save_golden=golden))
    report = pack(models["tiny_int8.onnx"], output="out", golden=golden)
    assert report.failures == ()
    found = read(tmp_path / "out", "golden/golden.json")
    expected = GoldenFile.read(golden).probabilities[:3]
    assert np.array_equal(np.float32(found["reference"]["probabilities"]), expected)
    assert found["reference"]["name"] == "tiny.onnx"
    assert report.answers[0].metrics.sqnr_db < 200  # held to the float32 file's answers
    with pytest.raises(InputError, match="leave out data"):
        pack(golden=golden, data="photos")


def test_a_golden_file_of_other_weights_is_refused(
    pack, exported, models, weights_record, tmp_path
):
    golden = tmp_path / "golden.npz"
    paths = (str(models["tiny.onnx"]), str(models["tiny_int8.onnx"]))
    vggexport.verify(VerifyOptions(paths, images=2, save_golden=golden))
    other = exported(record=replace(weights_record, sha256="ef" * 32))
    with pytest.raises(ArtifactError, match="were made of different weights: SHA-256 is "):
        pack(other, golden=golden)


def test_labels_of_a_file(pack, models, exported, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\nd\ne\n")
    with pytest.raises(InputError, match="has other names than"):
        pack(labels=names)
    pack(exported("unnamed.onnx", labels=()), output="out", labels=names)
    assert (tmp_path / "out/labels.txt").read_text() == names.read_text()


def test_a_model_that_does_not_agree_is_refused(pack, tolerate, tmp_path):
    strict = Tolerance("more than int8 can reach", min_logit_sqnr_db=200.0)
    tolerate(strict, Precision.INT8.profile)
    report = pack()
    assert len(report.failures) == 2
    assert report.failures[0].startswith("models/tiny_int8.onnx: SQNR of the logits")
    assert (report.manifest, report.size_bytes) == (None, None)
    assert report.to_json()["passed"] is False
    assert list(tmp_path.iterdir()) == []


def test_a_failed_report_stops_it(pack, verification, tmp_path):
    data = json.loads(verification.read_text())
    failed = tmp_path / "failed.json"
    failed.write_text(json.dumps(data | {"passed": False}))
    report = pack(reports=(verification, failed))
    assert report.failures == ("failed.json failed",)
    assert not (tmp_path / "out.zip").exists()


def test_reports_of_other_files_are_refused(pack, models, verification, tmp_path):
    with pytest.raises(InputError, match=r"says nothing of tiny_int8\.tflite"):
        pack(models["tiny_int8.tflite"], reports=(verification,))
    build = tmp_path / "build.json"
    build.write_text(json.dumps({"schema": 1, "artifact": {"path": "tiny.onnx", "sha256": "ab"}}))
    with pytest.raises(InputError, match=r"speaks of another tiny\.onnx"):
        pack(reports=(build,))
    with pytest.raises(InputError, match="two reports have one name"):
        pack(reports=(build, build))


def test_reports_are_quoted(bundled, unpacked, verification):
    card = (unpacked / "MODEL_CARD.md").read_text()
    quoted = "| `models/tiny_int8.onnx` | `tiny.onnx` | 200 | 27.5 dB | 97.50% | `verify.json` |"
    assert quoted in card
    assert (unpacked / "reports/verify.json").read_bytes() == verification.read_bytes()


def test_accuracy_and_latency_are_quoted(pack, tmp_path):
    """With their intervals, beside the network that they are compared with, on which machine."""
    evaluated = tmp_path / "evaluate.json"
    first = {"path": "w.npz", "images": 480, "top1": 0.8, "top5": 0.99}
    score = {"label": "ant", "images": 96, "top1": 0.75, "precision": None}
    row = {"path": "x/tiny.onnx", "images": 480, "top1": 0.785, "top1_ci95": [0.746, 0.82],
           "top5": 0.97, "top5_ci95": [None, 1], "classes": [score]}  # fmt: skip
    pair = {"a": "w.npz", "b": "x/tiny.onnx", "agreement": 0.9, "drop": 0.015,
            "drop_ci95": [-0.01, 0.04], "mcnemar_p": 0.25}  # fmt: skip
    evaluated.write_text(
        json.dumps(
            {"schema": 1, "results": [first, row], "comparisons": [pair], "passed": True,
             "source": "flowers", "images": 480, "fingerprint": "ab" * 32}
        )
    )  # fmt: skip
    measured = tmp_path / "benchmark.json"
    row = {"path": "tiny_int8.onnx", "runtime": "rt | 1", "provider": "CPU", "threads": 2,
           "batch": 1, "latency_ms": {"p50": 41.2, "p90": None}}  # fmt: skip
    machine = {"cpu_model": "A CPU", "busy": True}
    measured.write_text(json.dumps({"schema": 1, "environment": machine, "results": [row]}))
    pack(output="out_1", reports=(evaluated, measured), made_by="Anna", intended_use="Ants.")
    card = (tmp_path / "out_1/MODEL_CARD.md").read_text()
    for line in (
        "480 labelled images of `flowers`, fingerprint `abababababab`:",
        "| `w.npz`, not in this bundle | 480 | 80.00% | 99.00% | `evaluate.json`, of a file of",
        "| `models/tiny.onnx` | 480 | 78.50% (74.60% to 82.00%) | 97.00% | `evaluate.json`, of",
        "| `tiny.onnx` | `w.npz` | 90.00% | 1.50 (-1.00 to 4.00) | 0.25 |",
        "| same best class | drop of top-1 in points (95 %) |",
        "<details><summary>By class: `models/tiny.onnx`</summary>",
        "| ant | 96 | 75.00% |  |",
        "rt &#124; 1, CPU | A CPU | 2 | 1 | 41.20 ms |  | `benchmark.json`",
        "The machine of `benchmark.json` was busy",
        "# Model card: `out_1`",
        "- made by: Anna",
        "- intended use: Ants.",
        "- limits: not stated",
        "ant, bee, cat, dog, eel.",
        "- golden images: made by vggexport, free for any use",
        "| `models/tiny.onnx` | onnxruntime",
        "| its own reference | 100.00% |",
    ):
        assert line in card


def test_a_model_that_is_too_large_is_refused(pack, models, tmp_path):
    limit = models["tiny_int8.onnx"].stat().st_size + 1
    report = pack(models["tiny.onnx"], models["tiny_int8.onnx"], max_bytes=limit)
    (failure,) = report.failures
    assert failure.startswith(f"{models['tiny.onnx']} has ")
    assert failure.endswith(": int8, int8-w4 would fit")  # ONNX has no dynamic-int8
    assert not (tmp_path / "out.zip").exists()
    sizes = report.to_json()["sizes"]
    assert [layer["name"] for layer in sizes["files"][0]["layers"]][-1] == "predictions"
    assert pack(models["tiny_int8.onnx"], max_bytes=limit).failures == ()
    weights = sizes["files"][0]["precisions"]["int8"]
    report = pack(models["tiny.onnx"], output="other", max_bytes=weights)
    assert report.failures[0].endswith(": int8-w4 would fit")  # int8 without room for the graph


def test_an_existing_output_is_kept_without_force(pack, tmp_path):
    (tmp_path / "out.zip").write_text("mine")
    with pytest.raises(OutputError, match="pass force"):
        pack()
    assert (tmp_path / "out.zip").read_text() == "mine"
    assert pack(force=True).failures == ()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"without MANIFEST\.json, which is not replaced"):
        pack(output="folder", force=True)


def test_an_interrupted_bundle_leaves_nothing(pack, tmp_path, monkeypatch):
    from vggexport.bundles import staging

    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(staging, "write_archive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        pack()
    assert list(tmp_path.iterdir()) == []


def test_a_full_integer_file_is_described_with_its_quantization(pack, export, tmp_path):
    path = export("int8", "uint8", 1, format="tflite", full_integer=True)
    report = pack(path, output="out")
    assert report.failures == ()
    (described,) = read(tmp_path / "out", "preprocessing.json")["models"].values()
    assert described["input"]["dtype"] == described["output"]["dtype"] == "uint8"
    assert described["output"]["quantization"]["scale"] == pytest.approx(1 / 256)
    assert vggexport.check_bundle(BundleCheckOptions(tmp_path / "out")).failures == ()


def test_names_that_would_break_a_page_mean_themselves(bundled):
    manifest = Manifest.from_json(read_object(open_bundle(bundled), "MANIFEST.json"))
    evil = replace(manifest, name="a|b <script> `x`\n# head")
    page = guide(evil, calibration.PictureOptions(), is_signed=True)
    assert "<script>" not in page
    assert "\n# head" not in page


@pytest.mark.parametrize("output", ["parts", "files", "layout0", "MANIFEST.json.zip"])
def test_an_output_may_have_any_name(pack, tmp_path, output):
    assert pack(output=output).failures == ()
    assert vggexport.check_bundle(BundleCheckOptions(tmp_path / output)).failures == ()


def test_a_card_says_exact_of_equal_logits_only(bundled):
    """JSON has null for the infinite SQNR of equal logits; a figure that is not there is none."""
    manifest = Manifest.from_json(read_object(open_bundle(bundled), "MANIFEST.json"))

    def card(**metrics):
        row = {"path": "tiny.onnx", "metrics": metrics}
        data = {"schema": 1, "candidates": [row], "reference": {"path": "w"}, "images": 7}
        return model_card(manifest, [Evidence.of(Path("v.json"), data)], [])

    assert "| `models/tiny.onnx` | `w` | 7 | exact |" in card(logit_sqnr_db=None)
    assert "| `models/tiny.onnx` | `w` | 7 |  |" in card()
