"""Labelled images: a folder a class, or a CSV file beside a folder."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from calibration.class_names import find_places, listed, normal
from calibration.errors import (
    JUDGE_NAMES,
    LEARN_NAMES,
    CalibrationDataError,
    NoClassFolderError,
    SplitFolderError,
    split_role,
)
from calibration.folders import SEEN_FOLDER, junk_kind, printable_path
from calibration.label_table import CSV_COLUMNS, is_there, read_label_table
from calibration.pictures import Size
from calibration.sources import FolderImages, open_folder

SEEN_ONCE = ", or links to folders: where several lead to one folder, only the first counts"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Image files and the class of each.

    Attributes:
        source: The files.
        classes: Names of the classes, by index.
        targets: int32 (images,): index of each file's class.
    """

    source: FolderImages
    classes: tuple[str, ...]
    targets: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images of each class, (classes,)."""
        return np.bincount(self.targets, minlength=len(self.classes))

    @property
    def wrapped(self) -> Path | None:
        """The only class folder, where all images lie in several below: it may have been meant."""
        parts = [PurePosixPath(path).parts for path in self.source.paths]
        (first, *others), below = (
            sorted({part[0] for part in parts}),
            {part[1:-1] for part in parts},
        )
        is_outer = not others and () not in below and len({place[0] for place in below}) > 1
        is_class = self.classes == (normal(printable_path(first)),)  # not a name in a table
        return self.source.root / first if is_outer and is_class else None

    def ordered_by(self, labels: Sequence[str], owner: str) -> LabelledImages:
        """The same with the classes, and the order of them, that a network has.

        Args:
            labels: Its classes by index; those without images are allowed.
            owner: Whose they are, for messages.

        Raises:
            CalibrationDataError: Images are of a class that the network has not, or has twice.
        """
        places = find_places(self.classes, labels, of=self.source.name, owner=owner)
        mapping = np.array(places, np.int32)
        return replace(self, classes=tuple(labels), targets=mapping[self.targets])

    def chosen(self, indices: NDArray[np.integer]) -> LabelledImages:
        """Some of the images, in the order of their indices."""
        paths = tuple(self.source.paths[int(index)] for index in indices)
        return replace(
            self, source=replace(self.source, paths=paths), targets=self.targets[indices]
        )


def open_labelled(folder: Path, *, size: Size, table: Path | None = None) -> LabelledImages:
    """The labelled images of a folder, their classes in alphabetical order.

    Args:
        folder: A folder of folders named by class; or, with a table, of images at any depth.
        size: Of the images.
        table: CSV file with the columns ``image``, a path in the folder, and ``label``; images
            that it does not name are left out.

    Raises:
        CalibrationDataError: The folder or the table cannot be used.
    """
    if not is_there(folder.is_dir):
        from_table = ", or that in which the paths of this table begin"
        raise CalibrationDataError(
            f"labelled data {str(folder)!r} is not a folder: pass a folder of folders, one per "
            f"class{from_table if folder.suffix.lower() == '.csv' else ''}"
        )
    if table is not None:
        return _tabled(folder, size, table)
    advice = "pass a folder of folders, one per class"
    source = open_folder(folder.absolute(), size, kind="labelled data", advice=advice)
    source = replace(source, name=printable_path(source.name))
    _refuse_splits(folder, source.paths)
    images = _indexed(source, [_folder_of(path, source.name) for path in source.paths])
    folders = [part.name for part in folder.iterdir() if part.is_dir()]
    named = {normal(printable_path(name)) for name in folders if not junk_kind(name)}
    if empty := sorted(named - set(images.classes)):
        is_linked = source.contents and SEEN_FOLDER in source.contents.skipped
        raise CalibrationDataError(
            f"labelled data {source.name!r} has classes without an image: {listed(empty)}; add "
            f"images or remove the folders{SEEN_ONCE if is_linked else ''}"
        )
    return images


def open_unlabelled(folder: Path, *, size: Size) -> FolderImages:
    """The images below a folder, at any depth, of which nobody says what they show.

    Raises:
        CalibrationDataError: The folder cannot be used.
    """
    if not is_there(folder.is_dir):
        raise CalibrationDataError(f"data {str(folder)!r} is not a folder: pass a folder of images")
    source = open_folder(folder.absolute(), size)
    return replace(source, name=printable_path(source.name))


def _refuse_splits(folder: Path, paths: Sequence[str]) -> None:
    """Refuses folders "train" and "val" with classes below, which would be two classes."""
    below: dict[str, set[str]] = {}
    for path in paths:
        first, *others = PurePosixPath(path).parts
        below.setdefault(first, set()).update(others[:1] if len(others) > 1 else ())
    named = {name: role for name in below if (role := split_role(name))}
    splits = {role: name for name, role in named.items() if below[name]}
    both = _is_both(splits)
    shared = set.intersection(*(below[name] for name in splits.values())) if splits else set()
    if shared and (both or len(named) == len(below)):
        raise SplitFolderError(folder, named, splits)
    if not any(below.values()) and _is_both(map(str.casefold, below)) and len(named) == len(below):
        raise NoClassFolderError(
            f"{str(folder)!r} has splits where classes were expected, {', '.join(named)}, and no "
            "classes in them",
            "make one folder per class in each of them",
        )


def _is_both(names: Iterable[str]) -> bool:
    """Whether there are a split to learn from and one to judge by."""
    found = set(names)
    return not (found.isdisjoint(LEARN_NAMES) or found.isdisjoint(JUDGE_NAMES))


def _folder_of(path: str, name: str) -> str:
    parts = PurePosixPath(path).parts
    if len(parts) == 1:
        raise NoClassFolderError(
            f"labelled data {name!r}: {printable_path(path)!r} lies in no class folder",
            "move it into one",
        )
    return printable_path(parts[0])


def _indexed(source: FolderImages, labels: Sequence[str]) -> LabelledImages:
    labels = [normal(label) for label in labels]
    classes = tuple(sorted(set(labels)))
    place = {label: index for index, label in enumerate(classes)}
    return LabelledImages(source, classes, np.array([place[label] for label in labels], np.int32))


def _tabled(folder: Path, size: Size, table: Path) -> LabelledImages:
    rows = read_label_table(table, folder)
    source = FolderImages(table.name, folder.absolute(), size, tuple(rows))
    return _indexed(source, list(rows.values()))


def write_table(path: Path, images: LabelledImages) -> None:
    """Writes the CSV file that :func:`open_labelled` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for image, target in zip(images.source.paths, images.targets, strict=True):
            writer.writerow((printable_path(image), images.classes[int(target)]))
