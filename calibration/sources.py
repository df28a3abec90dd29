"""Where calibration images come from: a folder, an .npz or .npy file, or a random generator."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from calibration.decoding import decode_bytes, read_bytes
from calibration.errors import CalibrationDataError, one_line
from calibration.fingerprint import array_digest
from calibration.folders import EXTENSIONS, FolderContents, list_pictures, printable_path
from calibration.npz import NPY_EXTENSION, open_array
from calibration.pictures import PictureOptions, Size, height_and_width
from calibration.preprocessing import prepare
from calibration.seeding import generator
from calibration.synthetic import synthetic_image

SYNTHETIC = "synthetic"
NPZ_EXTENSION = ".npz"

_ARRAYS = f"{NPZ_EXTENSION} or {NPY_EXTENSION}"
_ACCEPTED = f"pass a folder of images, an {_ARRAYS} file, or the word {SYNTHETIC}"
_ANOTHER = f"pass another folder, an {_ARRAYS} file, or the word {SYNTHETIC}"


@dataclass(frozen=True, slots=True, eq=False)
class SourceImage:
    """One image, ready for the network.

    Attributes:
        label: Path relative to the folder, with slashes, or "#12" for the image of that index.
        digest: Hex sha256 of the file's bytes; of shape and bytes where there is no file.
        pixels: Shape (height, width, 3), uint8 RGB.
    """

    label: str
    digest: str
    pixels: NDArray[np.uint8]


class ImageSource(Protocol):
    """Images by their index, in an order that depends on the data only."""

    @property
    def name(self) -> str:
        """What a report calls it, such as "photos", "images.npz" or "synthetic"."""

    def __len__(self) -> int:
        """Number of images, readable or not."""

    def read(self, index: int) -> SourceImage:
        """The image of that index. May be called from another thread.

        Raises:
            UnreadableImageError: That image cannot be read.
        """


def open_source(
    data: str, *, size: Size, seed: int, samples: int, pictures: PictureOptions | None = None
) -> ImageSource:
    """The source that ``data`` names.

    Args:
        data: A folder, an .npz or .npy file, or the word "synthetic"; a folder that is itself
            called synthetic is meant by "./synthetic".
        size: Of the images.
        seed: Of synthetic images, 0 or more.
        samples: Number of synthetic images.
        pictures: How others become pixels; None for the defaults.

    Raises:
        CalibrationDataError: Nothing is there, no images are in it, or it is something else.
    """
    if data == SYNTHETIC:
        generator(seed)  # refuses a wrong seed now rather than at the first image
        return SyntheticImages(size, seed, samples)
    path = Path(data)
    try:
        if data and path.is_dir():
            return replace(open_folder(path, size), pictures=pictures)
        if path.is_file() and path.suffix.lower() in (NPZ_EXTENSION, NPY_EXTENSION):
            return ArrayImages(path.name, size, open_array(path), pictures)
        missing = not data or not path.exists()
    except OSError as error:
        raise CalibrationDataError(
            f"data {data!r} is not accessible: {one_line(error)}; {_ACCEPTED}"
        ) from error
    problem = "does not exist" if missing else f"is neither a folder nor an {_ARRAYS} file"
    raise CalibrationDataError(f"data {data!r} {problem}: {_ACCEPTED}")


def sized(source: ImageSource, size: Size, pictures: PictureOptions | None) -> ImageSource:
    """A source as it is opened before the network is known, now that it is."""
    if isinstance(source, SyntheticImages):
        return replace(source, size=size)
    if isinstance(source, FolderImages | ArrayImages):
        return replace(source, size=size, pictures=pictures)
    return source


def open_folder(
    path: Path, size: Size, *, kind: str = "data", advice: str = _ANOTHER
) -> FolderImages:
    """The images below a folder.

    Args:
        path: The folder.
        size: Of the images.
        kind: What to call it in errors.
        advice: What to pass instead of one without images.

    Raises:
        CalibrationDataError: No images are in it, or it cannot be listed.
    """
    paths, contents = list_pictures(path)
    if not paths:
        wanted = " ".join(EXTENSIONS)
        raise CalibrationDataError(
            f"{kind} {str(path)!r} has no image ({contents}): expected {wanted}; {advice}"
        )
    return FolderImages(_given_name(path), path, size, paths, contents=contents)


@dataclass(frozen=True, slots=True)
class FolderImages:
    """The image files below a folder, sorted by their relative path.

    Attributes:
        name: The folder's name.
        root: The folder.
        size: Of the images.
        paths: The files relative to ``root``, with slashes.
        pictures: How they become pixels; None for the defaults.
        contents: What else is there; None where it was not looked at.
        remarks: What was left out of files that were read, a clause, by label.
    """

    name: str
    root: Path
    size: Size
    paths: tuple[str, ...]
    pictures: PictureOptions | None = None
    contents: FolderContents | None = None
    remarks: dict[str, str] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> SourceImage:
        """Reads and prepares one file.

        Raises:
            UnreadableImageError: It is gone, not accessible, damaged, or not an image.
        """
        label = printable_path(self.paths[index])
        data = read_bytes(self.root / self.paths[index], label=label)
        decoded = decode_bytes(data, label=label, pictures=self.pictures)
        pixels = prepare(decoded.image, self.size, self.pictures)
        if decoded.remark:
            self.remarks[label] = decoded.remark
        return SourceImage(label, hashlib.sha256(data).hexdigest(), pixels)


@dataclass(frozen=True, slots=True, eq=False)
class ArrayImages:
    """The images of an .npz or .npy file, resized and cropped where their size is another.

    Attributes:
        name: The file's name.
        size: Of the images.
        images: Shape (N, H, W, 3), uint8 RGB.
        pictures: How they are resized; None for the defaults.
    """

    name: str
    size: Size
    images: NDArray[np.uint8]
    pictures: PictureOptions | None = None

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> SourceImage:
        """Prepares one image; its digest is of the pixels as they are in the file."""
        original = np.array(self.images[index])
        fits = original.shape[:2] == height_and_width(self.size)
        pixels = original if fits else prepare(Image.fromarray(original), self.size, self.pictures)
        return SourceImage(f"#{index}", array_digest(original), pixels)


@dataclass(frozen=True, slots=True)
class SyntheticImages:
    """Generated images.

    Attributes:
        size: Of the images.
        seed: 0 or more.
        count: Number of images.
    """

    size: Size
    seed: int
    count: int

    @property
    def name(self) -> str:
        """The word that asks for this source."""
        return SYNTHETIC

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> SourceImage:
        """Generates one image."""
        pixels = synthetic_image(self.seed, index, self.size)
        return SourceImage(f"#{index}", array_digest(pixels), pixels)


def _given_name(folder: Path) -> str:
    name = folder.name if folder.name != ".." else ""
    return name or folder.resolve().name or str(folder)
