"""Inputs that change while they are packed, and what is refused before a model is run."""

import json
import shutil
from pathlib import Path

import pytest

import vggexport
from vggexport.errors import ArtifactError, InputError, Unfinished
from vggexport.workflows.bundle import packing as bundling
from vggexport.workflows.check_bundle import BundleCheckOptions


def test_a_model_that_changes_meanwhile_is_refused(pack, exported, tmp_path, monkeypatch):
    path = exported()
    real = bundling.answer

    def answer_and_change(*arguments, **options):
        given = real(*arguments, **options)
        path.write_bytes(path.read_bytes() + b"\0\0")
        return given

    monkeypatch.setattr(bundling, "answer", answer_and_change)
    with pytest.raises(Unfinished, match=r"other\.onnx was changed while it was packed"):
        pack(path)
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize("output", ["out", "out.zip"])
def test_a_model_whose_name_no_receiver_could_use_is_refused_before_it_is_run(
    pack, models, tmp_path, never_run, output
):
    odd = Path(shutil.copyfile(models["tiny.onnx"], tmp_path / "a:b.onnx"))
    with pytest.raises(ArtifactError, match=r"models/a:b\.onnx.* everywhere: rename"):
        pack(odd, output=output)
    (tmp_path / "deeper").mkdir()
    other = Path(shutil.copyfile(models["tiny.onnx"], tmp_path / "deeper/TINY.onnx"))
    with pytest.raises(ArtifactError, match="one file on some systems: rename"):
        pack(models["tiny.onnx"], other, output=output)


@pytest.fixture
def never_run(monkeypatch):
    """Work that would be lost."""

    def refuse(*_arguments, **_options):
        raise AssertionError("was run")

    monkeypatch.setattr(bundling, "answer", refuse)


@pytest.mark.usefixtures("never_run")
def test_a_key_or_a_date_that_cannot_be_used_costs_no_work(pack, make_key, monkeypatch):
    with pytest.raises(InputError, match="is not a private key in PEM"):
        pack(sign=make_key("ours")[1])
    for date, said in (("0", "is not a date that a zip"), ("9" * 5000, "is not a number")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", date)
        with pytest.raises(InputError, match=said):
            pack()


def test_a_folder_may_have_any_date(pack, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert pack(output="out").failures == ()
    assert vggexport.check_bundle(BundleCheckOptions(tmp_path / "out")).failures == ()


def test_the_report_that_was_read_is_the_one_that_is_packed(
    pack, verification, tmp_path, monkeypatch
):
    mine = Path(shutil.copyfile(verification, tmp_path / "verify.json"))
    before = mine.read_bytes()
    real = bundling.answer

    def answer_and_change(*arguments, **options):
        mine.write_text('{"passed": false}')
        return real(*arguments, **options)

    monkeypatch.setattr(bundling, "answer", answer_and_change)
    assert pack(output="out", reports=(mine,)).failures == ()
    assert (tmp_path / "out/reports/verify.json").read_bytes() == before


def test_a_saved_model_that_changes_meanwhile_is_refused(pack, export, tmp_path, monkeypatch):
    path = tmp_path / "net_saved_model"
    shutil.copytree(export("float32", format="savedmodel"), path)
    real = bundling.answer

    def answer_and_change(*arguments, **options):
        given = real(*arguments, **options)
        (path / "assets.extra/added").touch()
        return given

    monkeypatch.setattr(bundling, "answer", answer_and_change)
    with pytest.raises(Unfinished, match="net_saved_model was changed while it was packed"):
        pack(path)


def test_a_saved_model_where_one_stands(pack, export, tmp_path, monkeypatch):
    path = tmp_path / "net_saved_model"
    shutil.copytree(export("float32", format="savedmodel"), path)
    monkeypatch.chdir(path)
    assert pack(Path(), output="out").failures == ()
    (found,) = json.loads((tmp_path / "out/MANIFEST.json").read_text())["artifacts"]
    assert found["artifact"]["path"] == "models/net_saved_model"
    assert "numpy pillow tensorflow" in (tmp_path / "out/README.md").read_text()
