"""What ``bundle`` and ``check-bundle`` find out, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.tolerance import Tolerance
from vggexport.precision import Precision
from vggexport.results.build import SCHEMA
from vggexport.results.bundle_manifest import Manifest


@dataclass(frozen=True, slots=True)
class Integrity:
    """What was found out about a bundle's bytes.

    Attributes:
        files: Number of files.
        is_signed: Whether it carries a signature.
        is_verified: Whether a public key was given and the signature is its owner's.
        problems: What is wrong, a clause each; empty if nothing is.
        digests: Of every file that may be used, by name; nothing where something is wrong.
    """

    files: int
    is_signed: bool
    is_verified: bool
    problems: tuple[str, ...]
    digests: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "files": self.files,
            "signed": self.is_signed,
            "signature_verified": self.is_verified,
            "problems": list(self.problems),
        }


@dataclass(frozen=True, slots=True)
class FileSize:
    """A model file's size.

    Attributes:
        path: The file.
        size_bytes: In all.
        layers: Weights of each layer in bytes, by name, scales included; by count, not by looking.
        precisions: What all weights would be in each precision that the file's format has.
    """

    path: str
    size_bytes: int
    layers: Mapping[str, int]
    precisions: Mapping[Precision, int]

    @property
    def other_bytes(self) -> int:
        """What is no weight: the graph, metadata, padding."""
        return self.size_bytes - sum(self.layers.values())

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "path": self.path,
            "size_bytes": self.size_bytes,
            "layers": [{"name": name, "size_bytes": size} for name, size in self.layers.items()],
            "other_bytes": self.other_bytes,
            "precisions": {p.value: size for p, size in self.precisions.items()},
        }


@dataclass(frozen=True, slots=True)
class AnswerCheck:
    """A model's answers for the golden images, held to others.

    Attributes:
        path: Its file in the bundle.
        format: Its format.
        precision: How it computes.
        runtime: Name and version of what ran it.
        provider: What that computed on.
        metrics: How far its answers are.
        tolerance: How far they may be.
    """

    path: str
    format: str
    precision: str
    runtime: str
    provider: str
    metrics: ParityMetrics
    tolerance: Tolerance

    @property
    def failures(self) -> tuple[str, ...]:
        """What is out of tolerance, a clause each; empty for a pass."""
        return tuple(f"{self.path}: {c}" for c in self.tolerance.violations(self.metrics))

    def to_json(self) -> dict[str, Any]:
        """All of it, with the verdict."""
        return {
            "path": self.path,
            "format": self.format,
            "precision": self.precision,
            "runtime": self.runtime,
            "provider": self.provider,
            "metrics": self.metrics.to_json(),
            "tolerance": self.tolerance.to_json(),
            "passed": not self.failures,
        }


@dataclass(frozen=True, slots=True)
class SizeGate:
    """Sizes of model files against a limit.

    Attributes:
        files: Each.
        max_bytes: What each may have, or None.
    """

    files: tuple[FileSize, ...]
    max_bytes: int | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """A clause for each file that is too large; it names the precisions that are not."""
        if self.max_bytes is None:
            return ()
        return tuple(
            f"{file.path} has {file.size_bytes:,} bytes, more than {self.max_bytes:,}: "
            f"{_advice(file, self.max_bytes)}"
            for file in self.files
            if file.size_bytes > self.max_bytes
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, with the verdict."""
        return {
            "max_bytes": self.max_bytes,
            "files": [file.to_json() for file in self.files],
            "passed": not self.failures,
        }


def _advice(file: FileSize, limit: int) -> str:
    left = limit - max(file.other_bytes, 0)  # the graph stays
    fitting = [p.value for p, size in file.precisions.items() if size <= left]
    return f"{', '.join(fitting)} would fit" if fitting else "no precision would fit"


@dataclass(frozen=True, slots=True)
class BundleReport:
    """A bundle packed, or refused.

    Attributes:
        path: Where it is.
        manifest: What is in it; None where it was refused before that was known.
        sizes: Its models' sizes.
        answers: Its models' answers against the reference's.
        files: Number of files.
        size_bytes: Of the archive, or of all files of the folder.
        sha256: Of the archive; of a folder's list of digests.
        is_signed: Whether it carries a signature.
        seconds: Wall-clock seconds by step.
        peak_rss_bytes: Largest resident memory of the process so far.
        evidence: Reports that speak against it, a clause each.
    """

    path: str
    manifest: Manifest | None
    sizes: SizeGate
    answers: tuple[AnswerCheck, ...]
    files: int
    size_bytes: int | None
    sha256: str | None
    is_signed: bool
    seconds: Mapping[str, float]
    peak_rss_bytes: int
    evidence: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Why it was refused, a clause each; empty if it was packed."""
        answers = tuple(failure for check in self.answers for failure in check.failures)
        return self.evidence + self.sizes.failures + answers

    def to_json(self) -> dict[str, Any]:
        """All of it, with the verdict."""
        return {
            "schema": SCHEMA,
            "bundle": {
                "path": self.path,
                "files": self.files,
                "size_bytes": self.size_bytes,
                "sha256": self.sha256,
                "signed": self.is_signed,
            },
            "manifest": self.manifest and self.manifest.to_json(),
            "sizes": self.sizes.to_json(),
            "answers": [check.to_json() for check in self.answers],
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "peak_rss_bytes": self.peak_rss_bytes,
            "failures": list(self.failures),
            "passed": not self.failures,
        }


@dataclass(frozen=True, slots=True)
class PreprocessingCheck:
    """The bundle's pairs of images, held to what this machine's Pillow makes of them.

    Attributes:
        images: Number of pairs.
        levels: Largest difference of a pixel, of 255.
        max_levels: Largest allowed.
    """

    images: int
    levels: int
    max_levels: int

    @property
    def failures(self) -> tuple[str, ...]:
        """A clause if it is too large."""
        if self.levels <= self.max_levels:
            return ()
        return (f"preprocessing is {self.levels} levels off, above {self.max_levels}",)

    def to_json(self) -> dict[str, Any]:
        """All of it, with the verdict."""
        return {
            "images": self.images,
            "levels": self.levels,
            "max_levels": self.max_levels,
            "passed": not self.failures,
        }


@dataclass(frozen=True, slots=True)
class BundleCheckReport:
    """A bundle that was handed in, checked.

    Attributes:
        path: Where it is.
        integrity: Whether it is what was packed.
        manifest: What is in it; None where it is not what was packed.
        preprocessing: Its pairs of images, or None where nothing was run.
        images: Number of golden images.
        answers: Its models' answers here against those of where they were made.
        seconds: Wall-clock seconds by step.
        peak_rss_bytes: Largest resident memory of the process so far.
    """

    path: str
    integrity: Integrity
    manifest: Manifest | None
    preprocessing: PreprocessingCheck | None
    images: int
    answers: tuple[AnswerCheck, ...]
    seconds: Mapping[str, float]
    peak_rss_bytes: int

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, a clause each; empty if nothing is."""
        prepared = self.preprocessing.failures if self.preprocessing else ()
        answers = tuple(failure for check in self.answers for failure in check.failures)
        return self.integrity.problems + prepared + answers

    def to_json(self) -> dict[str, Any]:
        """All of it, with the verdict."""
        return {
            "schema": SCHEMA,
            "bundle": {"path": self.path, **self.integrity.to_json()},
            "manifest": self.manifest and self.manifest.to_json(),
            "preprocessing": self.preprocessing and self.preprocessing.to_json(),
            "images": self.images,
            "answers": [check.to_json() for check in self.answers],
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "peak_rss_bytes": self.peak_rss_bytes,
            "failures": list(self.failures),
            "passed": not self.failures,
        }
