"""What frozen layers give for images, computed once and kept on disk.

One file a view, so that images can be added, a computation that broke off goes on, and memory does
not grow with the images. A file's name says all that it depends on.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration import PictureOptions
from vggexport.errors import Advice, Unfinished, one_line
from vggexport.formats.runner import Runner
from vggexport.network.spec import VGGSpec
from vggexport.system.output_files import write_whole
from vggexport.training.image_views import CENTRE, Views

CHUNK = 8
"""Images that go through the layers together."""

FORMAT = 1
"""Changes with the numbers that the same layers, weights and image would give."""


@dataclass(frozen=True)
class Frozen:
    """The layers up to one of them, with their weights."""

    spec: VGGSpec
    layer: str
    weights: Mapping[str, NDArray[np.float32]]

    @cached_property
    def digest(self) -> str:
        """Of everything that their output depends on but the image: hexadecimal."""
        last = self.spec.layers.index(self.spec.layer(self.layer))
        described = [FORMAT, self.spec.mean_rgb, *map(asdict, self.spec.layers[: last + 1])]
        digest = hashlib.sha256(json.dumps(described).encode())
        for name, array in sorted(self.weights.items()):
            digest.update(name.encode())
            digest.update(array.data)
        return digest.hexdigest()


class Features:
    """Outputs of frozen layers for views of images, by index and view."""

    def __init__(self, frozen: Frozen, views: Views, cache: Path) -> None:
        self._frozen = frozen
        self._views = views
        self._folder = cache / frozen.digest[:32]
        self._told = _told(views.source.pictures)
        self._places: dict[tuple[int, int], Path] = {}

    def read(self, index: int, view: int) -> NDArray[np.float32]:
        """The output for one view, which :meth:`compute` has seen.

        Raises:
            Unfinished: It has gone from the cache meanwhile.
        """
        place = self._places[index, view]
        try:
            values: NDArray[np.float32] = np.load(place, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise Unfinished(
                f"features {place} are gone or damaged since training began ({one_line(error)})",
                Advice("run it again, with {} if an epoch was finished", "resume"),
            ) from error
        return values

    def compute(
        self, wanted: Sequence[tuple[int, int]], runner: Runner
    ) -> Iterator[tuple[int, int]]:
        """Computes what is not there yet of (index, view) pairs; the runner is entered here.

        Yields:
            Each of them when it has been looked up; all are there at the end.

        Raises:
            UnreadableImageError: A file is not an image.
            OSError: The folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        waiting: list[tuple[Path, NDArray[np.uint8]]] = []
        with runner:
            for index, view in wanted:
                data = self._views.bytes_of(index)
                place = self._places[index, view] = self._place(data, view)
                if not _is_whole(place):
                    label = self._views.source.paths[index]
                    waiting.append((place, self._views.pixels_of(data, view, label=label)))
                if len(waiting) == CHUNK:
                    self._store(runner, waiting)
                    waiting.clear()
                yield index, view
            if waiting:
                self._store(runner, waiting)

    def _store(self, runner: Runner, waiting: Sequence[tuple[Path, NDArray[np.uint8]]]) -> None:
        pixels = np.stack([pixels for _, pixels in waiting])
        name = self._frozen.layer
        found = runner.activations(pixels, [name])[name]
        for (place, _), values in zip(waiting, found, strict=True):
            content = io.BytesIO()  # np.save into a file does not say that a disk is full
            np.save(content, values, allow_pickle=False)
            write_whole(place, content.getbuffer())

    def _place(self, data: bytes, view: int) -> Path:
        name = hashlib.sha256(data).hexdigest() + self._told
        if view == CENTRE:
            return self._folder / f"{name}.npy"
        recipe = self._views.recipe
        scales = f"{recipe.min_scale}-{recipe.max_scale}{'-flip' if recipe.flip else ''}"
        return self._folder / f"{name}-{view}-{scales}-seed{recipe.seed}.npy"


def _told(pictures: PictureOptions | None) -> str:
    """Of how pictures become pixels, for the name of a file; nothing of the defaults."""
    values = [getattr(pictures, field.name) for field in fields(PictureOptions)] if pictures else []
    default = [field.default for field in fields(PictureOptions)]
    if values in ([], default):
        return ""
    return f"-{hashlib.sha256(json.dumps(values).encode()).hexdigest()[:8]}"


def _is_whole(place: Path) -> bool:
    """Whether features are there to their end: a machine that went down may have left others."""
    try:
        np.lib.format.open_memmap(place, mode="r")  # looks at the header and the length
    except Exception:  # noqa: BLE001  whatever is there instead, they are computed anew
        return False
    return True
