import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calibration.errors import CalibrationDataError, UnreadableImageError
from calibration.fingerprint import array_digest
from calibration.preprocessing import prepare
from calibration.sources import open_source
from calibration.synthetic import synthetic_image

SIZE = 16


def open_(data, samples=3):
    return open_source(str(data), size=SIZE, seed=7, samples=samples)


def save_image(path, colour=(10, 20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 24), colour).save(path)


def labels(source):
    return [source.read(index).label for index in range(len(source))]


@pytest.fixture
def photos(tmp_path):
    for name in ("b/2.png", "b/1.JPG", "a.gif", "b-c.bmp", "b/deep/er/x.Tiff", "z.webp"):
        save_image(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_images_of_any_depth_are_sorted_by_their_relative_path(photos):
    source = open_(photos)
    assert source.name == "photos"
    assert len(source) == 6
    assert labels(source) == [
        "a.gif",
        "b-c.bmp",
        "b/1.JPG",
        "b/2.png",
        "b/deep/er/x.Tiff",
        "z.webp",
    ]


def test_an_image_of_a_folder_is_prepared_and_its_file_hashed(photos):
    image = open_(photos).read(3)
    assert image.label == "b/2.png"
    assert image.digest == hashlib.sha256((photos / "b/2.png").read_bytes()).hexdigest()
    assert (image.pixels.shape, image.pixels.dtype) == ((SIZE, SIZE, 3), np.uint8)
    assert np.all(image.pixels == (10, 20, 30))


def test_other_and_hidden_files_and_folders_are_ignored(photos):
    (photos / "notes.txt").write_text("no image")
    save_image(photos / ".hidden.png")
    save_image(photos / ".thumbnails" / "t.png")
    (photos / "folder.jpg").mkdir()
    assert len(open_(photos)) == 6


def test_the_folder_itself_may_be_hidden(tmp_path):
    save_image(tmp_path / ".photos" / "a.png")
    assert labels(open_(tmp_path / ".photos")) == ["a.png"]


def test_linked_folders_are_followed_and_loops_end(photos, tmp_path):
    save_image(tmp_path / "elsewhere" / "y.png")
    (photos / "linked").symlink_to(tmp_path / "elsewhere")
    (photos / "b" / "loop").symlink_to(photos)
    (photos / "self.png").symlink_to(photos / "self.png")
    assert len(open_(photos)) == 6 + 1 + 1
    assert "linked/y.png" in open_(photos).paths


def test_a_linked_file_is_read_and_a_broken_link_is_unreadable(tmp_path):
    save_image(tmp_path / "elsewhere.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").symlink_to(tmp_path / "elsewhere.png")
    (tmp_path / "photos" / "b.png").symlink_to(tmp_path / "gone.png")
    source = open_(tmp_path / "photos")
    assert source.read(0).label == "a.png"
    with pytest.raises(UnreadableImageError, match=r"image 'b\.png' is not readable: No such file"):
        source.read(1)


def test_a_pipe_is_not_waited_for(photos):
    os.mkfifo(photos / "pipe.png")
    assert len(open_(photos)) == 6


def test_a_damaged_image_is_named_by_its_relative_path(photos):
    (photos / "b" / "2.png").write_bytes(b"damaged")
    with pytest.raises(UnreadableImageError, match=r"image 'b/2\.png' is not readable"):
        open_(photos).read(3)


def test_a_name_that_is_not_utf8_can_be_printed(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    save_image(tmp_path / "plain.png")
    (tmp_path / "plain.png").rename(tmp_path / name)
    assert labels(open_(tmp_path)) == ["caf\\udce9.png"]


def test_the_current_folder_and_its_parent_have_names(photos, monkeypatch):
    monkeypatch.chdir(photos / "b")
    assert open_(".").name == "b"
    assert open_("..").name == "photos"


@pytest.mark.parametrize("data", ["missing", "missing.npz", "missing/deeper", "", "nul\0byte"])
def test_a_missing_path_is_refused(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        CalibrationDataError, match="does not exist: pass a folder of images"
    ) as caught:
        open_(data)
    assert repr(data) in str(caught.value)


def test_a_path_that_the_system_refuses(tmp_path):
    with pytest.raises(CalibrationDataError, match=r"is not accessible: .*; pass a folder"):
        open_(tmp_path / ("x" * 5000))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(
        CalibrationDataError, match=r"no image \(0 files: 0 pictures\): expected \.apng"
    ):
        open_(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("no image")
    with pytest.raises(
        CalibrationDataError,
        match=r"no image \(1 file: 0 pictures, 1 skipped \(1 \.txt\)\).*; pass another",
    ):
        open_(tmp_path)


def test_a_folder_that_cannot_be_listed_is_refused(photos, monkeypatch):
    listed = os.scandir

    def scandir(folder):
        if Path(folder).name == "deep":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(CalibrationDataError, match=r"deep' cannot be listed: Permission denied"):
        open_(photos)


def test_a_file_of_another_kind_is_refused(tmp_path):
    save_image(tmp_path / "one.png")
    with pytest.raises(CalibrationDataError, match=r"one\.png' is neither a folder nor an \.npz"):
        open_(tmp_path / "one.png")


@pytest.fixture
def array():
    return np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_images_of_an_npz_are_read_unchanged_where_the_size_fits(tmp_path, array, save):
    save(tmp_path / "some.npz", images=array)
    source = open_(tmp_path / "some.npz")
    assert (source.name, len(source)) == ("some.npz", 4)
    image = source.read(2)
    assert (image.label, image.digest) == ("#2", array_digest(array[2]))
    assert type(image.pixels) is np.ndarray
    np.testing.assert_array_equal(image.pixels, array[2])


@pytest.mark.parametrize("shape", [(20, 30), (SIZE, 20), (8, 8)])
def test_images_of_an_npz_of_another_size_are_prepared(tmp_path, shape):
    array = np.random.default_rng(1).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    np.savez(tmp_path / "some.npz", array)
    image = open_(tmp_path / "some.npz").read(1)
    np.testing.assert_array_equal(image.pixels, prepare(Image.fromarray(array[1]), SIZE))
    assert image.digest == array_digest(array[1])


def test_the_extension_of_an_npz_may_be_in_capitals(tmp_path, array):
    np.savez(tmp_path / "some.npz", images=array)
    (tmp_path / "some.npz").rename(tmp_path / "SOME.NPZ")
    assert len(open_(tmp_path / "SOME.NPZ")) == 4


def test_a_damaged_npz_is_refused(tmp_path):
    (tmp_path / "some.npz").write_bytes(b"PK")
    with pytest.raises(CalibrationDataError, match=r"some\.npz' cannot be used"):
        open_(tmp_path / "some.npz")


def test_synthetic_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic").mkdir()  # the word wins
    source = open_("synthetic", samples=9)
    assert (source.name, len(source)) == ("synthetic", 9)
    image = source.read(4)
    np.testing.assert_array_equal(image.pixels, synthetic_image(7, 4, SIZE))
    assert (image.label, image.digest) == ("#4", array_digest(image.pixels))


def test_a_folder_called_synthetic(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_image(tmp_path / "synthetic" / "a.png")
    source = open_("./synthetic")
    assert (source.name, labels(source)) == ("synthetic", ["a.png"])


def test_a_negative_seed_is_refused_before_any_image_is_made():
    with pytest.raises(CalibrationDataError, match="seed -1"):
        open_source("synthetic", size=SIZE, seed=-1, samples=1)
