"""Files on their way into a bundle."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vggexport.bundles import CHECKSUMS, SIGNATURE
from vggexport.bundles.archive import write_archive
from vggexport.bundles.checksums import Digest, measure_path
from vggexport.bundles.folder import write_folder
from vggexport.system.digests import render_checksums


class Staging:
    """Where each file of a bundle is until all are there; what is made goes to a temporary folder.

    Attributes:
        files: Where each file is, by its name in the bundle.
        digests: Of each, once it is sealed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self.files: dict[str, Path] = {}
        self.digests: dict[str, Digest] = {}

    def scratch(self) -> Path:
        """A new folder for what has no name in the bundle yet."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    def add(self, name: str, data: bytes) -> None:
        """Takes in a small file."""
        place = self._folder / "files" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        self.files[name] = place

    def add_json(self, name: str, data: Mapping[str, Any]) -> None:
        """Takes in a JSON object."""
        self.add(name, (json.dumps(data, indent=2) + "\n").encode())

    def add_files(self, files: Mapping[str, Path]) -> None:
        """Takes in files that stay where they are until the bundle is written."""
        self.files |= files

    def seal(self, sign: Callable[[bytes], bytes] | None) -> None:
        """Adds the list of digests, signed where something signs; nothing can be added then."""
        self.digests = {name: measure_path(path) for name, path in self.files.items()}
        listing = render_checksums({n: d.sha256 for n, d in self.digests.items()}).encode()
        unlisted = {CHECKSUMS: listing} | ({SIGNATURE: sign(listing)} if sign else {})
        for name, data in unlisted.items():
            self.add(name, data)
            self.digests[name] = measure_path(self.files[name])

    def write_folder(self, target: Path) -> str:
        """Writes the bundle as a folder, and gives the digest of its list of digests.

        Raises:
            Unfinished: A file was changed since it was taken in.
        """
        write_folder(self.files, self.digests, target)
        return self.digests[CHECKSUMS].sha256

    def write_archive(self, target: Path, *, moment: int) -> str:
        """Writes the bundle as an archive dated ``moment``, and gives its digest.

        Raises:
            InputError: The files are more than an archive holds.
            Unfinished: One was changed since it was taken in.
        """
        write_archive(self.files, self.digests, target, moment=moment)
        return measure_path(target).sha256
