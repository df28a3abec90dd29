"""Golden files: images and a reference's answers, for machines that have no reference to run.

An ``.npz`` of three plain arrays, uncompressed so that images are mapped and not loaded:

- ``images``: uint8 (images, size, size, 3), RGB 0...255;
- ``probabilities``: float32 (images, classes);
- ``manifest``: uint8, the UTF-8 bytes of a JSON object: the artifact that answered, what ran it,
  and digests of all the others.

Nothing in it is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

import calibration
from calibration.npz import open_npz
from vggexport.artifact import Artifact
from vggexport.errors import Advice, ArtifactError, WeightsError
from vggexport.network.pictures import check_same_pixels
from vggexport.system.machine import processor
from vggexport.weights.npz import read_npz

SCHEMA = 1
MAKE_AGAIN = Advice("make it again with {}", "save_golden", command="verify")
MAX_MANIFEST_BYTES = 1 << 26
"""64 MiB: 300,000 images."""

_ARRAYS = ("images", "probabilities", "manifest")


@dataclass(frozen=True, slots=True)
class GoldenImage:
    """What is known of one image beside its pixels.

    Attributes:
        label: Path in the folder that it came from, or "#12".
        source_digest: Hex sha256 of the file that it was decoded from.
        pixel_digest: Hex sha256 of its pixels, by :func:`calibration.array_digest`.
    """

    label: str
    source_digest: str
    pixel_digest: str


@dataclass(frozen=True, eq=False)
class GoldenFile:
    """Images and a reference's answers, read and checked.

    Attributes:
        path: The file.
        artifact: What answered.
        runtime: Name and version of what ran it.
        provider: What that computed on.
        known: What is known of each image, in order.
        probabilities: float32 (images, classes).
        images: uint8 (images, size, size, 3); mapped.
        processor: Where it ran, by :func:`vggexport.system.machine.processor`; "" where unknown.
    """

    path: Path
    artifact: Artifact
    runtime: str
    provider: str
    known: tuple[GoldenImage, ...]
    probabilities: NDArray[np.float32]
    images: NDArray[np.uint8]
    processor: str = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a golden file.

        Raises:
            ArtifactError: It is not one, is damaged, or was changed.
        """
        try:
            return cls._read(path)
        except (
            KeyError, TypeError, ValueError, ArtifactError, WeightsError,
            calibration.CalibrationDataError,
        ) as error:  # fmt: skip
            raise ArtifactError(
                f"{path} is not a golden file, or is damaged ({error})", MAKE_AGAIN
            ) from error

    @classmethod
    def _read(cls, path: Path) -> Self:
        archive = read_npz(path)
        if missing := set(_ARRAYS) - set(archive):
            raise ValueError(f"it has no {', '.join(sorted(missing))}")
        if archive["manifest"].shape > (MAX_MANIFEST_BYTES,):
            raise ValueError("its manifest is too large")
        manifest = json.loads(archive["manifest"].read().tobytes())
        artifact = Artifact.from_json(manifest["artifact"])
        known = tuple(GoldenImage(*map(str, entry)) for entry in manifest["images"])
        shape = archive["probabilities"].shape
        if shape != (len(known), artifact.spec.classes):
            raise ValueError(f"its probabilities are of shape {shape}")
        probabilities = np.asarray(archive["probabilities"].read())
        if _sha256(probabilities) != manifest["probabilities_sha256"]:
            raise ValueError("its probabilities are not those that were saved")
        images = open_npz(path)
        if images.shape != (len(known), *artifact.spec.image_shape):
            raise ValueError(f"its images are of shape {images.shape}")
        return cls(
            path,
            artifact,
            str(manifest["runtime"]),
            str(manifest["provider"]),
            known,
            probabilities.astype(np.float32, copy=False),
            images,
            str(manifest.get("processor", "")),
        )

    def check_pixels(self, other: Artifact) -> None:
        """Refuses a model that records other pixels than the images are made of.

        Raises:
            InputError: Both are known, and differ.
        """
        theirs = self.artifact.pictures
        if theirs.known and other.pictures.known:
            check_same_pixels(
                theirs, other.pictures, other.spec.input_size,
                f"{self.path} was made of pictures", f"recorded in {other.path}", MAKE_AGAIN,
            )  # fmt: skip

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Of each image, by its pixels' digest."""
        return {image.pixel_digest: index for index, image in enumerate(self.known)}


@dataclass(frozen=True, slots=True)
class GoldenImages:
    """The images of a golden file, as an image source."""

    file: GoldenFile

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.path.name

    def __len__(self) -> int:
        return len(self.file.known)

    def read(self, index: int) -> calibration.SourceImage:
        """One image with the label and the digest of the file that it was decoded from.

        Raises:
            ArtifactError: Its pixels are not those that were saved.
        """
        known, pixels = self.file.known[index], np.array(self.file.images[index])
        if calibration.array_digest(pixels) != known.pixel_digest:
            raise ArtifactError(
                f"{self.file.path}: image {known.label} is not the one that was saved", MAKE_AGAIN
            )
        return calibration.SourceImage(known.label, known.source_digest, pixels)


class GoldenWriter:
    """Writes a golden file image by image; its bytes depend on what is in it alone."""

    def __init__(
        self, path: Path, artifact: Artifact, *, runtime: str, provider: str, count: int
    ) -> None:
        self._manifest = {
            "schema": SCHEMA,
            "artifact": json.loads(artifact.embedded()),
            "runtime": runtime,
            "provider": provider,
            "processor": processor(),
        }
        self._known: list[tuple[str, str, str]] = []
        self._probabilities: list[NDArray[np.float32]] = []
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._images = _open_member(self._archive, "images")
        header = {
            "descr": npy.dtype_to_descr(np.dtype(np.uint8)),
            "fortran_order": False,
            "shape": (count, *artifact.spec.image_shape),
        }
        npy.write_array_header_1_0(self._images, header)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        self._images.close()
        if kind is None:
            probabilities = np.concatenate(self._probabilities).astype(np.float32)
            self._manifest["probabilities_sha256"] = _sha256(probabilities)
            self._manifest["images"] = self._known
            text = json.dumps(self._manifest, sort_keys=True).encode()
            self._write("probabilities", probabilities)
            self._write("manifest", np.frombuffer(text, np.uint8))
        self._archive.close()

    def add(
        self, images: Sequence[calibration.SourceImage], probabilities: NDArray[np.float32]
    ) -> None:
        """Takes in the next images and their answers."""
        for image in images:
            self._images.write(np.ascontiguousarray(image.pixels).tobytes())
            digest = calibration.array_digest(image.pixels)
            self._known.append((image.label, image.digest, digest))
        self._probabilities.append(probabilities)

    def _write(self, name: str, array: NDArray[Any]) -> None:
        with _open_member(self._archive, name) as member:
            npy.write_array(member, array, allow_pickle=False)


def _open_member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """A member dated 1980, where zip's calendar begins: the same content gives the same bytes."""
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _sha256(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
