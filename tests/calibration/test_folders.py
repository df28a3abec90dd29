"""What is found below a folder: pictures by their content, everything else counted."""

import os
import sys
from types import SimpleNamespace

import pytest
from PIL import Image

from calibration import CalibrationDataError
from calibration import folders as module
from calibration.decoding import decode, reads_heic
from calibration.folders import list_pictures


def save(path, file_format="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (1, 2, 3)).save(path, file_format)


@pytest.fixture
def root(tmp_path):
    save(tmp_path / "data" / "a.png")
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("name", "file_format"),
    [
        ("b.jfif", "JPEG"),
        ("b.jpe", "JPEG"),
        ("b.avif", "AVIF"),
        ("b.JPG", "JPEG"),
        ("b", "PNG"),
        ("b.png.bak", "PNG"),
        ("b.txt", "JPEG"),
        ("b.webp", "PNG"),
        ("b.jpg", "AVIF"),
    ],
)
def test_contents_decide_what_is_a_picture(root, name, file_format):
    save(root / "deep" / name, file_format)
    paths, contents = list_pictures(root)
    assert paths == ("a.png", f"deep/{name}")
    assert str(contents) == "2 files: 2 pictures"
    assert decode(root / "deep" / name).mode == "RGB"


@pytest.mark.parametrize(
    ("name", "content", "counted"),
    [
        ("notes.txt", b"BMW drove by", "2 files: 1 picture, 1 skipped (1 .txt)"),
        ("P3", b"P3 is no pixmap", "2 files: 1 picture, 1 skipped (1 without ending)"),
        ("IMG.HEIC", b"\0\0\0\x1cftypheic", "2 files: 1 picture, 1 skipped (1 .heic)"),
        ("raw.nef", b"MM\0*\0\0\0\x08\0\0", "2 files: 1 picture, 1 skipped (1 .nef)"),
        ("empty", b"", "2 files: 1 picture, 1 skipped (1 without ending)"),
        ("damaged.jpg", b"no image", "2 files: 2 pictures"),
        (".DS_Store", b"", "1 file: 1 picture, ignored as junk: 1 .DS_Store"),
        ("._a.png", b"", "1 file: 1 picture, ignored as junk: 1 ._*"),
        ("thumbs.db", b"", "1 file: 1 picture, ignored as junk: 1 Thumbs.db"),
        (".gitignore", b"", "1 file: 1 picture, ignored as junk: 1 hidden"),
    ],
)
def test_what_is_no_picture_is_counted(root, name, content, counted):
    (root / name).write_bytes(content)
    assert str(list_pictures(root)[1]) == counted


@pytest.mark.parametrize(
    "name",
    [
        *("__MACOSX", "@eaDir", ".ipynb_checkpoints", "$RECYCLE.BIN", "lost+found"),
        *("System Volume Information", "#recycle", "@Recycle", "@tmp", "__pycache__"),
    ],
)
def test_folders_of_junk_are_passed_over_whole(root, name):
    save(root / name / "b.png")
    paths, contents = list_pictures(root)
    assert paths == ("a.png",)
    assert str(contents) == f"1 file: 1 picture, ignored as junk: 1 {name}"


def test_links_that_lead_back_or_nowhere_are_counted(root):
    (root / "up").symlink_to("..")
    (root / "here").symlink_to(".")
    (root / "gone").symlink_to("nowhere")
    (root / "gone.png").symlink_to("nowhere")  # to be told as a picture that cannot be read
    paths, contents = list_pictures(root)
    assert "up/data" not in paths
    assert paths == ("a.png", "gone.png")
    assert contents.skipped == {"link to a folder that is read already": 2, "broken link": 1}


def test_a_pipe_is_counted_and_not_waited_for(root):
    os.mkfifo(root / "pipe.png")
    assert str(list_pictures(root)[1]) == "2 files: 1 picture, 1 skipped (1 no regular file)"


@pytest.fixture
def heif(monkeypatch):
    """A module in the place of pillow-heif, by which PNG pictures are HEIF."""
    opener = SimpleNamespace(register_heif_opener=lambda: Image.OPEN.update(HEIF=Image.OPEN["PNG"]))
    monkeypatch.setitem(sys.modules, "pillow_heif", opener)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    reads_heic.cache_clear()
    yield
    reads_heic.cache_clear()


def test_heic_is_read_where_pillow_heif_is(root, heif):
    save(root / "b.heic")
    paths, contents = list_pictures(root)
    assert (paths, str(contents)) == (("a.png", "b.heic"), "2 files: 2 pictures")
    assert decode(root / "b.heic").getpixel((0, 0)) == (1, 2, 3)


def test_heic_that_is_called_jpg_is_told_as_what_it_is(root):
    (root / "b.jpg").write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic")
    with pytest.raises(CalibrationDataError, match="HEIC by its content, not an image in one of"):
        decode(root / "b.jpg")


def test_the_commonest_of_many_kinds_are_told(root):
    """Slices of a scanner: each name ends otherwise."""
    for number in range(30):
        (root / f"1.2.840.{number:02}").write_bytes(b"")
    for number in range(2):
        (root / f"{number}.txt").write_bytes(b"")
    _, contents = list_pictures(root)
    assert "1 picture, 32 skipped (1 .00, 1 .01, " in str(contents)
    assert str(contents).endswith(", 2 .txt, 21 of other kinds)")
    assert len(contents.skipped) == 31


def test_a_huge_picture_is_one(root, monkeypatch):
    save(root / "huge")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # refused from twice as many on
    assert module._opens(root / "huge")
