"""CSV files that name images and their labels, as scripts and spreadsheets write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from calibration.class_names import listed, normal
from calibration.errors import CalibrationDataError, not_read
from calibration.folders import list_pictures, printable_path
from calibration.text_files import read_text

IMAGE_COLUMN, LABEL_COLUMN = CSV_COLUMNS = ("image", "label")

_SEPARATORS = ",;\t"
_STATED_SEPARATOR = "sep="
"""Begins a line in front of the header by which spreadsheets are told the separator."""


def read_label_table(table: Path, folder: Path) -> dict[str, str]:
    """Label by image, a path in the folder with slashes, in the order of the rows.

    Spaces around cells, capitals in the header, backslashes in paths and Unicode's normal form do
    not count.

    Raises:
        CalibrationDataError: It is no such table, or an image is not there.
    """
    columns, lines = _cells(table)
    if any(columns.count(name) != 1 for name in CSV_COLUMNS):
        raise CalibrationDataError(
            f"labels {str(table)!r} has the columns {', '.join(columns) or 'none'}: its first line "
            f"must name {' and '.join(CSV_COLUMNS)}, each once"
        )
    if ragged := [number for number, line in enumerate(lines, 1) if any(line[len(columns) :])]:
        raise CalibrationDataError(
            f"labels {str(table)!r}: row {ragged[0]} has more cells than there are columns: put "
            "names with commas in double quotes"
        )
    named = [dict(zip(columns, line, strict=False)) for line in lines]
    places = _places([row.get(IMAGE_COLUMN, "") for row in named], folder)
    labels = [row.get(LABEL_COLUMN, "").strip() for row in named]
    rows = {image: label for image, label in zip(places, labels, strict=True) if image and label}
    if len(rows) != len(named) or not rows:
        seen = zip(range(1, len(named) + 1), places, labels, strict=True)
        bad = next(
            (n for n, image, label in seen if not label or image in ["", *places[: n - 1]]), 0
        )
        raise CalibrationDataError(
            f"labels {str(table)!r} has {len(named)} rows for {len(rows)} images: each row needs "
            f"an image of its own and a label{f', unlike row {bad}' if bad else ''}"
        )
    if missing := [image for image in rows if not is_there((folder / image).is_file)]:
        raise CalibrationDataError(
            f"{str(table)!r} names {len(missing)} images that are not in {str(folder)!r}: "
            f"{listed(missing)}; paths are relative to that folder"
        )
    return rows


def is_there(test: Callable[[], bool]) -> bool:
    """A path's own test; what cannot even be looked at is not there."""
    try:
        return test()
    except OSError:  # a name too long, a folder that is closed to us
        return False


def _cells(table: Path) -> tuple[tuple[str, ...], list[list[str]]]:
    """The header in small letters, and all other rows that are not empty."""
    try:
        text = read_text(table)
        first, _, rest = text.partition("\n")
        stated = first.strip().casefold().removeprefix(_STATED_SEPARATOR)
        if first.casefold().startswith(_STATED_SEPARATOR) and len(stated) == 1:
            separator, text = stated, rest
        else:
            separator = max(_SEPARATORS, key=first.count)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CalibrationDataError(
            f"labels {str(table)!r} {not_read(error, ' as CSV in UTF-8')}"
        ) from error
    header, *others = rows or [[]]
    return tuple(name.strip().casefold() for name in header), [row for row in others if any(row)]


def _places(images: Sequence[str], folder: Path) -> list[str]:
    """Paths as the folder has them; as they are written if it has none."""
    found = [_place(image, folder) if image else "" for image in images]
    if all(is_there((folder / image).is_file) for image in found):
        return found
    named = {normal(printable_path(path)): path for path in list_pictures(folder)[0]}
    return [named.get(normal(image), image) for image in found]


def _place(image: str, folder: Path) -> str:
    ways = [PurePosixPath(way) for way in _ways(image)]
    place = next((way for way in ways if is_there((folder / way).is_file)), ways[0])
    root = folder.absolute().as_posix()
    return (place.relative_to(root) if place.is_relative_to(root) else place).as_posix()


def _ways(image: str) -> Iterator[str]:
    yield image
    yield image.strip()
    yield image.strip().replace("\\", "/")
