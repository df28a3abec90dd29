"""Files written whole or not at all."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from vggexport.errors import OutputError, Unfinished
from vggexport.system import output_files as output
from vggexport.system.output_files import output_folder, publish, write_json


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


@pytest.mark.parametrize("force", [False, True])
def test_what_another_run_wrote_meanwhile_is_replaced_on_request_alone(target, force):
    with output_folder(target, force=force) as folder:
        (folder / "model.onnx").write_bytes(b"second")
        target.write_bytes(b"first")
        if force:
            publish(folder, target)
        else:
            with pytest.raises(OutputError, match="written by another run"):
                publish(folder, target)
    assert target.read_bytes() == (b"second" if force else b"first")
    assert names(target.parent) == ["model.onnx"]


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
    with pytest.raises(OutputError, match=r"exists: pass force"), output_folder(target):
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


def test_a_folder_that_is_gone_meanwhile_is_told(target):
    def fail():
        with output_folder(target) as folder:
            shutil.rmtree(target.parent)
            (folder / "model.onnx").write_bytes(b"new")

    with pytest.raises(Unfinished, match=r"^the folder of .*model.onnx was removed or renamed"):
        fail()


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


MARKER = "graph.pb"


@pytest.fixture
def place(tmp_path):
    """Where a directory is to go."""
    return tmp_path / "model"


def make_directory(path, content=b"new"):
    (path / "deeper").mkdir(parents=True)
    (path / MARKER).write_bytes(content)
    (path / "deeper" / "weights").write_bytes(content)


def content_of(path):
    return {(path / name).read_bytes() for name in (MARKER, "deeper/weights")}


def test_a_directory_and_its_companion_appear_when_they_are_published(place):
    companion = place.with_name("model.json")
    with output_folder(place, companion, directory_marker=MARKER) as folder:
        make_directory(folder / "model")
        (folder / "model.json").write_bytes(b"{}")
        assert names(place.parent) == [folder.name]
        publish(folder, place, companion)
    assert names(place.parent) == ["model", "model.json"]
    assert content_of(place) == {b"new"}


def test_a_directory_that_is_not_published_goes(place):
    with output_folder(place, directory_marker=MARKER) as folder:
        make_directory(folder / "model")
    assert names(place.parent) == []


def test_an_existing_directory_is_refused(place):
    make_directory(place, b"old")
    with (
        pytest.raises(OutputError, match=r"model exists: pass force"),
        output_folder(place, directory_marker=MARKER),
    ):
        pytest.fail("the body ran")
    assert content_of(place) == {b"old"}


@pytest.mark.parametrize("old", ["directory", "empty", "link"])
def test_an_existing_directory_is_replaced_at_the_end_alone(place, tmp_path, old):
    """And whatever is in it goes with it, but nothing behind a link."""
    if old == "link":
        make_directory(tmp_path / "elsewhere", b"old")
        place.symlink_to(tmp_path / "elsewhere")
    elif old == "empty":
        place.mkdir()
    else:
        make_directory(place, b"old")
        (place / "surplus").write_bytes(b"old")
    before = names(place)
    with output_folder(place, force=True, directory_marker=MARKER) as folder:
        make_directory(folder / "model")
        assert names(place) == before
        publish(folder, place)
        assert content_of(place) == {b"new"}
    assert names(place) == ["deeper", MARKER]
    if old == "link":
        assert names(tmp_path) == ["elsewhere", "model"]
        assert content_of(tmp_path / "elsewhere") == {b"old"}
        assert not place.is_symlink()
    else:
        assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
def test_the_old_directory_is_back_when_the_new_one_cannot_have_its_name(place, error, monkeypatch):
    make_directory(place, b"old")
    real = Path.rename

    def rename(path, target):
        if content_of(path) == {b"new"}:
            raise error
        return real(path, target)

    def fail():
        with output_folder(place, force=True, directory_marker=MARKER) as folder:
            make_directory(folder / "model")
            publish(folder, place)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(type(error)):
        fail()
    assert names(place.parent) == ["model"]
    assert content_of(place) == {b"old"}


def test_all_files_of_a_directory_reach_the_disk_before_its_name(place, tmp_path, monkeypatch):
    written = tmp_path / "written"
    make_directory(written / "model")
    synced = set()

    def fsync(descriptor):
        assert not place.exists()
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(output.os, "fsync", fsync)
    publish(written, place)
    assert synced == {(place / name).stat().st_ino for name in (MARKER, "deeper/weights")}


def test_a_file_is_not_replaced_by_a_directory_even_with_force(place):
    place.write_bytes(b"old")
    with pytest.raises(
        OutputError, match=r"model is not a directory: name a directory with output"
    ):
        output_folder(place, force=True, directory_marker=MARKER).__enter__()
    assert place.read_bytes() == b"old"


def test_a_directory_of_another_kind_is_not_replaced_even_with_force(place):
    """``--force -o photos`` must not cost anybody their photos."""
    place.mkdir()
    (place / "photo.jpg").write_bytes(b"old")
    with pytest.raises(OutputError, match=r"a directory without graph\.pb, which is not replaced"):
        output_folder(place, force=True, directory_marker=MARKER).__enter__()
    assert names(place) == ["photo.jpg"]
    assert names(place.parent) == ["model"]


@pytest.mark.parametrize("path", [".", "/", "..", "model/.."])
def test_a_directory_needs_a_name(path):
    with pytest.raises(OutputError, match="has no name of its own"):
        output_folder(Path(path), force=True, directory_marker=MARKER).__enter__()


def test_a_companion_of_a_directory_is_a_file(place):
    companion = place.with_name("model.json")
    companion.mkdir()
    with pytest.raises(OutputError, match=r"model\.json is a directory: name a file"):
        output_folder(place, companion, force=True, directory_marker=MARKER).__enter__()
