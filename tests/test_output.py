"""Files written whole or not at all."""

import errno
import json
import os
from pathlib import Path

import pytest

from vggexport import output
from vggexport.errors import OutputError, Unfinished
from vggexport.output import output_folder, publish, write_json


@pytest.fixture
def target(tmp_path):
    return tmp_path / "model.onnx"


def names(folder):
    return sorted(os.listdir(folder))


def test_a_file_appears_when_it_is_published(target):
    with output_folder(target) as folder:
        (folder / "model.onnx").write_bytes(b"new")
        assert not target.exists()
        publish(folder, target)
        assert target.read_bytes() == b"new"
    assert names(target.parent) == ["model.onnx"]


def test_the_temporary_folder_is_hidden_and_beside_the_target(target):
    """Beside it, so that a rename stays in one file system."""
    with output_folder(target) as folder:
        assert folder.parent == target.parent
        assert folder.name.startswith(".model.onnx")


def test_two_runs_do_not_share_a_folder(target):
    with output_folder(target) as first, output_folder(target) as second:
        assert first != second


def test_what_is_not_published_goes(target):
    with output_folder(target) as folder:
        (folder / "deeper").mkdir()
        (folder / "deeper" / "float32.onnx").write_bytes(b"x")
    assert names(target.parent) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError, SystemExit])
def test_nothing_is_left_when_the_body_raises(target, error):
    target.write_bytes(b"old")

    def fail():
        with output_folder(target, force=True) as folder:
            (folder / "model.onnx").write_bytes(b"half")
            raise error

    with pytest.raises(error):
        fail()
    assert names(target.parent) == ["model.onnx"]
    assert target.read_bytes() == b"old"


def test_an_existing_file_is_refused(target):
    target.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"exists: pass --force"), output_folder(target):
        pytest.fail("the body ran")
    assert names(target.parent) == ["model.onnx"]


def test_an_existing_file_is_replaced_at_the_end_alone(target):
    target.write_bytes(b"old")
    with output_folder(target, force=True) as folder:
        (folder / "model.onnx").write_bytes(b"new")
        assert target.read_bytes() == b"old"
        publish(folder, target)
    assert target.read_bytes() == b"new"


def test_a_directory_is_refused_even_with_force(target):
    target.mkdir()
    with (
        pytest.raises(OutputError, match="is a directory"),
        output_folder(target, force=True),
    ):
        pytest.fail("the body ran")
    assert names(target.parent) == ["model.onnx"]


def test_a_missing_folder_is_refused(tmp_path):
    target = tmp_path / "none" / "model.onnx"
    with pytest.raises(OutputError, match=r"cannot write to .*none: No such file"):
        output_folder(target).__enter__()


def test_a_path_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"cannot write to .*file: Not a directory"):
        output_folder(tmp_path / "file" / "model.onnx").__enter__()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_unfinished_work(target, number):
    def fail():
        with output_folder(target):
            raise OSError(number, os.strerror(number))

    with pytest.raises(Unfinished, match=r"no room for .*model\.onnx: .* bytes are free"):
        fail()
    assert names(target.parent) == []


def test_other_errors_of_the_file_system_stay_as_they_are(target):
    def fail():
        with output_folder(target):
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error") as caught:
        fail()
    assert type(caught.value) is OSError
    assert names(target.parent) == []


def test_a_full_disk_when_the_folder_is_made(target, monkeypatch):
    def fail(**_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(output.tempfile, "mkdtemp", fail)
    with pytest.raises(Unfinished, match="no room for"):
        output_folder(target).__enter__()


def test_the_bytes_reach_the_disk_before_the_name(target, tmp_path, monkeypatch):
    """Else a power cut leaves an empty file under the right name."""
    written = tmp_path / "written"
    written.mkdir()
    (written / target.name).write_bytes(b"new")
    seen = []
    monkeypatch.setattr(output.os, "fsync", lambda _descriptor: seen.append(target.exists()))
    publish(written, target)
    assert seen == [False]
    assert target.read_bytes() == b"new"


def test_a_published_file_has_the_permissions_of_the_umask(target):
    """``mkdtemp`` makes private things; what is published is not to be private."""
    before = os.umask(0o022)
    try:
        with output_folder(target) as folder:
            (folder / "model.onnx").write_bytes(b"new")
            publish(folder, target)
    finally:
        os.umask(before)
    assert target.stat().st_mode & 0o777 == 0o644


def test_json_is_written_whole(tmp_path):
    path = tmp_path / "model.onnx.json"
    path.write_text("old")
    write_json(path, {"schema": 1, "name": "Ä"})
    text = path.read_text(encoding="utf-8")
    assert json.loads(text) == {"schema": 1, "name": "Ä"}
    assert text.endswith("}\n")
    assert names(tmp_path) == ["model.onnx.json"]


def test_json_that_cannot_be_written_leaves_the_old(tmp_path):
    path = tmp_path / "model.onnx.json"
    path.write_text("old")
    with pytest.raises(TypeError):
        write_json(path, {"value": object()})
    assert path.read_text() == "old"
    assert names(tmp_path) == ["model.onnx.json"]


def test_what_is_no_file_is_refused_even_with_force():
    """A rename would put a file in the place of the device."""
    with pytest.raises(OutputError, match="is a device or a pipe"):
        output_folder(Path("/dev/null"), force=True).__enter__()
