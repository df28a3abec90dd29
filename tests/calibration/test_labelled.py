"""Labelled images: folders by class, CSV files, and data that is not to be trusted."""

import shutil

import numpy as np
import pytest
from PIL import Image

from calibration import (
    CalibrationDataError,
    NoClassFolderError,
    SplitFolderError,
    open_labelled,
    write_table,
)
from calibration.reading import read_ahead


@pytest.fixture
def folder(tmp_path):
    """Three classes of 2, 3 and 1 images, one of them a level deeper."""
    root = tmp_path / "data"
    for number, place in enumerate(("bee", "bee/deep", "ant", "ant", "ant", "cat")):
        (root / place).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9), (10 * number, 0, 0)).save(root / place / f"{number}.png")
    return root


def test_classes_are_the_folders_in_alphabetical_order(folder):
    images = open_labelled(folder, size=8)
    assert images.classes == ("ant", "bee", "cat")
    assert images.source.paths == (
        *("ant/2.png", "ant/3.png", "ant/4.png"),
        *("bee/0.png", "bee/deep/1.png", "cat/5.png"),
    )
    assert images.targets.tolist() == [0, 0, 0, 1, 1, 2]
    assert images.counts.tolist() == [3, 2, 1]
    assert (len(images), images.source.name) == (6, "data")


def test_a_network_has_its_own_order(folder):
    images = open_labelled(folder, size=8).ordered_by(("dog", "cat", "bee", "ant"), "net.onnx")
    assert images.targets.tolist() == [3, 3, 3, 2, 2, 1]
    assert images.classes == ("dog", "cat", "bee", "ant")


def test_classes_that_a_network_has_not_are_named(folder):
    with pytest.raises(CalibrationDataError) as raised:
        open_labelled(folder, size=8).ordered_by(("ants", "bee"), "net.onnx")
    said = str(raised.value)
    assert "2 of 3 classes that net.onnx does not know: 'ant', 'cat'" in said
    assert "the nearest to 'ant' is 'ants'" in said
    assert "\n" not in said


def test_some_of_them(folder):
    images = open_labelled(folder, size=8).chosen(np.array([1, 5]))
    assert images.source.paths == ("ant/3.png", "cat/5.png")
    assert images.targets.tolist() == [0, 2]


def test_a_table_is_read_as_it_was_written(folder, tmp_path):
    images = open_labelled(folder, size=8)
    write_table(tmp_path / "t.csv", images.chosen(np.array([4, 0])))
    again = open_labelled(folder, size=8, table=tmp_path / "t.csv")
    assert again.source.paths == ("bee/deep/1.png", "ant/2.png")
    assert [again.classes[i] for i in again.targets] == ["bee", "ant"]


@pytest.mark.parametrize("name", ["ant ", " ant", "fourm\udced", "a,b;c", "a\nb", 'a"b', "a\\b"])
def test_a_table_of_odd_names_is_read_as_it_was_written(folder, tmp_path, name):
    (folder / "ant").rename(folder / name)
    images = open_labelled(folder, size=8)
    write_table(tmp_path / "t.csv", images)
    again = open_labelled(folder, size=8, table=tmp_path / "t.csv")
    assert again.source.paths == images.source.paths
    ordered = again.ordered_by(images.classes, "net")
    assert ordered.targets.tolist() == images.targets.tolist()


def test_a_table_names_classes_itself(folder, tmp_path):
    (tmp_path / "t.csv").write_text("label,image\nx,ant/2.png\ny,cat/5.png\n")
    images = open_labelled(folder, size=8, table=tmp_path / "t.csv")
    assert images.classes == ("x", "y")
    assert images.source.read(1).label == "cat/5.png"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,label\nant/2.png,a\nnone.png,b\n", "names 1 images that are not in"),
        (
            "image,label\nant/2.png,a\nant/2.png,b\n",
            r"2 rows for 1 images: .* label, unlike row 2$",
        ),
        ("image,label\nant/2.png\n", r"1 rows for 0 images: .*, unlike row 1$"),
        ("image,label,Label\nant/2.png,a,b\n", "image, label, label: its first .* each once"),
        ("image,label\nant/2.png,a\n{folder}/ant/2.png,b\n", "2 rows for 1 images"),
        ("file,label\nant/2.png,a\n", "has the columns file, label"),
        ("", "has the columns none"),
        ("image,label\n", r"0 rows for 0 images: .* a label$"),
        ("image,label\nant/2.png,Ant, red\n", "row 1 has more cells than there are columns"),
        ("image,label\nant/2.png,a\n./ant/2.png,a\n", "2 rows for 1 images"),
        (f"image,label\n{'a' * 5000}.png,a\n", "names 1 images that are not in"),
        ("image,label\n\xff", "cannot be read as CSV in UTF-8.*; save it as UTF-8$"),
        (None, "does not exist"),
    ],
)
def test_tables_that_cannot_be_used(folder, tmp_path, text, said):
    if text is not None:
        text = text.replace("{folder}", str(folder))
        (tmp_path / "t.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(CalibrationDataError, match=said):
        open_labelled(folder, size=8, table=tmp_path / "t.csv")


def test_a_table_is_no_folder(folder, tmp_path):
    (tmp_path / "t.csv").write_text("image,label\nant/2.png,a\n")
    with pytest.raises(CalibrationDataError, match=r"class, or that in which the paths of this"):
        open_labelled(tmp_path / "t.csv", size=8)


@pytest.mark.parametrize(
    "content",
    [
        b"Image;Label\r\nant\\2.png;x\r\ncat\\5.png;y\r\n",
        b"\xef\xbb\xbfIMAGE;LABEL\r\nant/2.png;x\r\ncat/5.png;y\r\n;\r\n",
        b"sep=;\r\nimage;label\r\nant/2.png;x\r\ncat/5.png;y\r\n",
        b" image , label \nant/2.png , x\n cat/5.png,y \n",
        b"image\tlabel\nant/2.png\tx\ncat/5.png\ty\n",
        "image\tlabel\r\nant\\2.png\tx\r\ncat\\5.png\ty\r\n".encode("utf-16"),
        b"image,label\nant/2.png,x,,\ncat/5.png,y\n",
        b"number,image,label\n1,ant/2.png,x\n2,./cat/5.png,y\n\n",
    ],
)
def test_tables_of_spreadsheets(folder, tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    images = open_labelled(folder, size=8, table=tmp_path / "t.csv")
    assert images.classes == ("x", "y")
    assert images.source.paths == ("ant/2.png", "cat/5.png")


def test_names_with_backslashes_and_spaces_are_taken_where_they_are_there(folder, tmp_path):
    (folder / "ant" / "2.png").rename(folder / " a\\b.png ")
    (tmp_path / "t.csv").write_text("image,label\n a\\b.png ,x\n")
    assert open_labelled(folder, size=8, table=tmp_path / "t.csv").source.paths == (" a\\b.png ",)


def test_paths_in_a_table_are_compared_in_one_normal_form(folder, tmp_path):
    """As Finder writes them, and as a spreadsheet does."""
    (folder / "ant" / "2.png").rename(folder / "ant" / "fourmi\u0301.png")
    (tmp_path / "t.csv").write_text("image,label\nant/fourm\u00ed.png,x\ncat/5.png,y\n", "utf-8")
    images = open_labelled(folder, size=8, table=tmp_path / "t.csv")
    assert images.source.paths == ("ant/fourmi\u0301.png", "cat/5.png")
    assert images.source.read(0).label == "ant/fourmi\u0301.png"


def test_names_of_folders_are_compared_in_one_normal_form(folder):
    (folder / "ant").rename(folder / "fourmi\u0301")
    images = open_labelled(folder, size=8)
    assert images.classes[-1] == "fourm\u00ed"
    assert images.ordered_by(("fourmi\u0301", "cat", "bee"), "net").targets[-1] == 0


def test_a_class_without_images_is_refused(folder):
    (folder / "dog").mkdir()
    (folder / "dog" / "readme.txt").write_text("none yet")
    with pytest.raises(CalibrationDataError, match="classes without an image: 'dog'"):
        open_labelled(folder, size=8)


def test_a_class_that_is_a_link_to_another_is_told_as_such(folder):
    (folder / "dog").symlink_to("cat")
    with pytest.raises(
        CalibrationDataError, match=r"'dog'; add .*, or links to folders: where several lead"
    ):
        open_labelled(folder, size=8)


def test_an_image_in_no_class_is_refused(folder):
    Image.new("RGB", (9, 9)).save(folder / "stray.png")
    with pytest.raises(CalibrationDataError, match=r"'stray\.png' lies in no class folder"):
        open_labelled(folder, size=8)


def test_a_folder_without_images_is_refused_with_what_is_expected(tmp_path):
    with pytest.raises(CalibrationDataError) as raised:
        open_labelled(tmp_path, size=8)
    assert str(raised.value).endswith("pass a folder of folders, one per class")


def test_what_is_no_folder_is_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path / ("a" * 5000)):
        with pytest.raises(CalibrationDataError, match="is not a folder"):
            open_labelled(path, size=8)


def test_a_link_that_is_broken_is_an_unreadable_image(folder):
    (folder / "ant" / "9.png").symlink_to("nowhere")
    images = open_labelled(folder, size=8)
    readings = dict(read_ahead(images.source, range(len(images))))
    assert [getattr(reading, "label", None) for reading in readings.values()][3] == "ant/9.png"
    assert readings[3].reason
    assert readings[4].pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("ahead", [1, 2, 100])
def test_images_come_in_the_order_asked_for(folder, ahead):
    source = open_labelled(folder, size=8).source
    order = [5, 0, 3]
    found = list(read_ahead(source, order, ahead=ahead))
    assert [index for index, _ in found] == order
    assert [image.label for _, image in found] == [source.paths[i] for i in order]
    assert list(read_ahead(source, [])) == []


@pytest.mark.parametrize(
    ("splits", "learn", "judge"),
    [
        (("train", "val"), "train", "val"),
        (("test", "training", "validation"), "training", "validation"),
        (("Test", "Train"), "Train", "Test"),
        (("train",), "train", None),
        (("test", "valid"), None, "valid"),
        (("test_set", "training_set"), "training_set", "test_set"),
        (("seg_pred", "seg_test", "seg_train"), "seg_train", "seg_test"),
        (("train2017", "val2017"), "train2017", "val2017"),
    ],
)
def test_a_folder_of_splits_is_refused(folder, tmp_path, splits, learn, judge):
    for split in splits:
        shutil.copytree(folder, tmp_path / "split" / split)
    with pytest.raises(SplitFolderError, match="has splits where classes were expected") as raised:
        open_labelled(tmp_path / "split", size=8)
    places = tuple(place and place.name for place in (raised.value.learn, raised.value.judge))
    assert places == (learn, judge)


def test_a_split_without_classes_is_not_what_was_meant(folder, tmp_path):
    """As of a competition, where the labels of the test set are kept back."""
    shutil.copytree(folder, tmp_path / "split" / "train")
    (tmp_path / "split" / "test").mkdir()
    shutil.copy(folder / "cat" / "5.png", tmp_path / "split" / "test")
    with pytest.raises(SplitFolderError, match=r"expected: test, train$") as raised:
        open_labelled(tmp_path / "split", size=8)
    assert (raised.value.learn, raised.value.judge) == (tmp_path / "split" / "train", None)


def test_splits_of_pictures_without_classes_are_no_classes(folder, tmp_path):
    for split in ("train", "val"):
        shutil.copytree(folder / "ant", tmp_path / "split" / split)
    with pytest.raises(NoClassFolderError, match="expected, train, val, and no classes in them"):
        open_labelled(tmp_path / "split", size=8)


def test_a_folder_in_a_folder_may_be_what_was_meant(folder):
    images = open_labelled(folder.parent, size=8)
    assert (images.classes, images.wrapped) == (("data",), folder)
    assert open_labelled(folder, size=8).wrapped is None
    (folder.parent / "t.csv").write_text("image,label\ndata/bee/0.png,x\ndata/cat/5.png,x\n")
    assert open_labelled(folder.parent, size=8, table=folder.parent / "t.csv").wrapped is None
    shutil.copy(folder / "cat" / "5.png", folder)
    assert open_labelled(folder.parent, size=8).wrapped is None


def test_classes_that_are_called_like_splits_are_none(tmp_path):
    """Trains, and tests of them: no folder is in common."""
    for place in ("train/steam", "test/oral", "train", "test"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(tmp_path / place / "0.png")
    assert open_labelled(tmp_path, size=8).classes == ("test", "train")
