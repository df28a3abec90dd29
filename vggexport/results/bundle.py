"""What ``bundle`` and ``check-bundle`` find out, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from calibration import FolderContents
from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.tolerance import Tolerance
from vggexport.precision import Precision
from vggexport.results.bundle_manifest import Manifest
from vggexport.results.document import Document, Judged, StepSeconds
from vggexport.system.json_values import JsonValue


@dataclass(frozen=True, slots=True)
class Integrity(JsonValue):
    """What was found out about a bundle's bytes.

    Attributes:
        files: Number of files.
        is_signed: Whether it carries a signature.
        is_verified: Whether a public key was given and the signature is its owner's.
        problems: What is wrong, a clause each; empty if nothing is.
        digests: Of every file that may be used, by name; nothing where something is wrong.
    """

    json_keys = "files signed=is_signed signature_verified=is_verified problems"

    files: int
    is_signed: bool
    is_verified: bool
    problems: tuple[str, ...]
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LayerSize(JsonValue):
    """Bytes of one layer's weights."""

    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FileSize(JsonValue):
    """A model file's size.

    Attributes:
        path: The file.
        size_bytes: In all.
        layers: Weights of each layer in bytes, scales included; by count, not by looking.
        precisions: What all weights would be in each precision that the file's format has.
    """

    json_keys = "path size_bytes layers other_bytes precisions"

    path: str
    size_bytes: int
    layers: tuple[LayerSize, ...]
    precisions: Mapping[Precision, int]

    @property
    def other_bytes(self) -> int:
        """What is no weight: the graph, metadata, padding."""
        return self.size_bytes - sum(layer.size_bytes for layer in self.layers)


@dataclass(frozen=True, slots=True)
class AnswerCheck(Judged):
    """A model's answers for the golden images, held to others.

    Attributes:
        path: Its file in the bundle.
        format: Its format.
        precision: How it computes.
        runtime: Name and version of what ran it.
        provider: What that computed on.
        metrics: How far its answers are.
        tolerance: How far they may be.
        is_reference: Whether the others are its own.
        processor: Where it ran now, by :func:`vggexport.system.machine.processor`.
        recorded_on: Where it ran then; "" where that was not recorded.
        picture_metrics: How far those for the golden pictures are; None where there are none.
        labels: Names of the classes, or nothing.
    """

    json_keys = """
        path format precision runtime provider processor recorded_on metrics picture_metrics?
        tolerance passed
    """

    path: str
    format: str
    precision: str
    runtime: str
    provider: str
    metrics: ParityMetrics
    tolerance: Tolerance
    is_reference: bool = False
    processor: str = ""
    recorded_on: str = ""
    picture_metrics: ParityMetrics | None = None
    labels: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """What is out of tolerance, a clause each; empty for a pass."""
        clauses = list(self.tolerance.violations(self.metrics, self.labels))
        if self.picture_metrics:
            told = self.tolerance.violations(self.picture_metrics, self.labels)
            clauses += [f"of golden/pictures, {clause}" for clause in told]
        return tuple(f"{self.path}: {clause}" for clause in clauses)


@dataclass(frozen=True, slots=True)
class SizeGate(Judged):
    """Sizes of model files against a limit.

    Attributes:
        files: Each.
        max_bytes: What each may have, or None.
    """

    json_keys = "max_bytes files passed"

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


def _advice(file: FileSize, limit: int) -> str:
    left = limit - max(file.other_bytes, 0)  # the graph stays
    fitting = [p.value for p, size in file.precisions.items() if size <= left]
    return f"{', '.join(fitting)} would fit" if fitting else "no precision would fit"


@dataclass(frozen=True, slots=True)
class BundleReport(Document):
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
        contents: What was found in the golden images' folder; None where they come from elsewhere.
        unreadable: Images that were left out, with what is wrong with each.
    """

    json_keys = """
        schema bundle={path files size_bytes sha256 signed=is_signed} manifest sizes answers
        image_files=contents{files pictures skipped junk} unreadable seconds peak_rss_bytes failures
        passed
    """

    path: str
    manifest: Manifest | None
    sizes: SizeGate
    answers: tuple[AnswerCheck, ...]
    files: int
    size_bytes: int | None
    sha256: str | None
    is_signed: bool
    seconds: StepSeconds
    peak_rss_bytes: int
    evidence: tuple[str, ...] = ()
    contents: FolderContents | None = None
    unreadable: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Why it was refused, a clause each; empty if it was packed."""
        answers = tuple(failure for check in self.answers for failure in check.failures)
        return self.evidence + self.sizes.failures + answers


@dataclass(frozen=True, slots=True)
class PreprocessingCheck(Judged):
    """The bundle's pairs of images, held to what this machine's Pillow makes of them.

    Attributes:
        images: Number of pairs.
        levels: Largest difference of a pixel, of 255.
        max_levels: Largest allowed.
        picture_levels: Largest difference of a pixel of the pictures as phones have them.
        max_picture_levels: Largest allowed there.
    """

    json_keys = "images levels max_levels picture_levels max_picture_levels passed"

    images: int
    levels: int
    max_levels: int
    picture_levels: int
    max_picture_levels: int

    @property
    def failures(self) -> tuple[str, ...]:
        """A clause if it is too large."""
        found = {
            "preprocessing": (self.levels, self.max_levels),
            "decoding of a picture with a colour profile, an orientation, transparency, gray or "
            "4:2:0": (self.picture_levels, self.max_picture_levels),
        }  # fmt: skip
        return tuple(
            f"{what} is {levels} levels off, above {most}"
            for what, (levels, most) in found.items()
            if levels > most
        )


@dataclass(frozen=True, slots=True)
class BundleCheckReport(Document):
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

    json_keys = """
        schema bundle={path ...integrity} manifest preprocessing images answers seconds
        peak_rss_bytes failures passed
    """

    path: str
    integrity: Integrity
    manifest: Manifest | None
    preprocessing: PreprocessingCheck | None
    images: int
    answers: tuple[AnswerCheck, ...]
    seconds: StepSeconds
    peak_rss_bytes: int

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, a clause each; empty if nothing is."""
        prepared = self.preprocessing.failures if self.preprocessing else ()
        answers = tuple(failure for check in self.answers for failure in check.failures)
        return self.integrity.problems + prepared + answers
