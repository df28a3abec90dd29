"""What a bundle is: its files, where each came from, and what made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError, one_line
from vggexport.network.provenance import CalibrationRecord
from vggexport.results.requirements import Requirements
from vggexport.system.json_values import WRONG_KINDS, JsonValue, Labels, read_fields


@dataclass(frozen=True, slots=True)
class BundledArtifact(JsonValue):
    """A model in a bundle.

    Attributes:
        artifact: What it is; its path is the one in the bundle.
        files: Its files in the bundle: one, or those of a directory.
        source_name: Name of the file or directory that was handed in.
        converted_from: Digest of the file that it was made of, where it is not as it was exported.
    """

    json_keys = "artifact files source_name converted_from lineage requires"

    artifact: Artifact
    files: tuple[str, ...]
    source_name: str
    converted_from: str | None = None

    @property
    def requires(self) -> Requirements:
        """What it needs of where it runs."""
        return Requirements.of(self.artifact)

    @property
    def source_sha256(self) -> str | None:
        """Digest of the file or directory that was handed in."""
        return self.converted_from or self.artifact.sha256

    @property
    def lineage(self) -> list[dict[str, Any]] | None:
        """From the weights to the file, a step each, by digests.

        None for a file that another converter wrote: nothing is known of it.
        """
        if self.artifact.foreign:
            return None
        artifact, weights = self.artifact, self.artifact.weights
        steps: list[dict[str, Any]] = [
            {"step": "weights", "source": weights.source, "sha256": weights.sha256}
        ]
        if artifact.calibration:
            steps.append(_calibration_step(artifact.calibration))
        steps.append(
            {"step": "export", "sha256": self.source_sha256, "tools": dict(artifact.tools)}
        )
        if self.converted_from:
            steps.append({"step": "convert", "sha256": artifact.sha256})
        return steps


def _calibration_step(record: CalibrationRecord) -> dict[str, Any]:
    return {
        "step": "calibrate",
        "source": record.source,
        "samples": record.samples,
        "method": record.method,
        "fingerprint": record.fingerprint,
    }


@dataclass(frozen=True, slots=True)
class Manifest(JsonValue):
    """The bundle as a whole.

    Attributes:
        name: Its name.
        layout: How its models are laid out.
        artifacts: Its models.
        labels: A name a class, or nothing.
        licence: Of the weights, or None where nobody said.
        weights_source: Where the weights came from, in words.
        moment: Date of its files, in seconds since 1970.
        tools: Versions of the packages that packed it.
        reports: JSON reports in it.
        golden_licence: Of the golden images; None where nobody said, or the tool made them.
        made_by: Who answers for the models, in words.
        intended_use: What they are for, in words.
        limits: What they are not for, in words.
    """

    json_keys = """
        schema kind name layout trained=is_trained weights_source licence source_date_epoch=moment
        tools labels artifacts reports golden_licence? made_by? intended_use? limits?
    """

    schema: ClassVar[int] = 1
    kind: ClassVar[str] = "vggexport bundle"
    name: str
    layout: str
    artifacts: tuple[BundledArtifact, ...]
    labels: Labels
    licence: str | None
    weights_source: str
    moment: int
    tools: Mapping[str, str]
    reports: tuple[str, ...] = ()
    golden_licence: str | None = None
    made_by: str | None = None
    intended_use: str | None = None
    limits: str | None = None

    @property
    def is_trained(self) -> bool:
        """Whether its answers mean anything."""
        return all(bundled.artifact.weights.trained for bundled in self.artifacts)

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name a class, or its index where the classes have no names."""
        return self.labels or tuple(map(str, range(self.artifacts[0].artifact.spec.label_count)))

    @property
    def label_lines(self) -> bytes:
        """A class's name a line."""
        return "".join(f"{name}\n" for name in self.class_names).encode()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Reads :meth:`to_json`.

        Raises:
            ArtifactError: It is not that.
        """
        try:
            return cls(**read_fields(cls, data))
        except WRONG_KINDS as error:
            raise ArtifactError(
                f"the manifest is not readable ({one_line(error)}): get the bundle again, or "
                "update vggexport"
            ) from error
