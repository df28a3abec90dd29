"""What a weights file of our own says of itself beside its tensors: the network and its classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from vggexport.errors import WeightsError
from vggexport.network.pictures import Pictures
from vggexport.network.provenance import PruningRecord
from vggexport.network.spec import VGGSpec
from vggexport.system.json_values import WRONG_KINDS, JsonValue, Labels
from vggexport.weights.request import SpecRequest

METADATA_KEY = "vggexport.weights"
"""Name under which a file's metadata keeps it, as JSON."""


@dataclass(frozen=True, slots=True)
class Description(JsonValue):
    """What the shapes of the tensors do not tell.

    Attributes:
        spec: The network; its mean is the one that the weights were trained with.
        labels: A name a class, or nothing.
        training: How they were trained, as JSON.
        pruning: What they were made narrower from; None where they were not.
        pictures: How those became pixels that they were trained with; None where nobody said.
    """

    json_keys = "spec labels training pruning? pictures?"

    spec: VGGSpec
    labels: Labels = ()
    training: Mapping[str, Any] | None = None
    pruning: PruningRecord | None = None
    pictures: Pictures | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the weights are not called trained, a clause each; empty where they are."""
        return tuple((self.training or {}).get("failures", ()))

    def embedded(self) -> dict[str, str]:
        """The metadata of a file."""
        return {METADATA_KEY: json.dumps(self.to_json(), sort_keys=True)}

    @classmethod
    def of(cls, metadata: Mapping[str, str], path: Path) -> Description | None:
        """What a file's metadata says; None for a file that is not ours.

        Raises:
            WeightsError: It is ours and damaged.
        """
        if METADATA_KEY not in metadata:
            return None
        try:
            return cls.from_json(json.loads(metadata[METADATA_KEY]))
        except WRONG_KINDS as error:
            raise WeightsError(f"{path}: its vggexport metadata is damaged: {error}") from error

    def narrowed(self, request: VGGSpec | SpecRequest) -> VGGSpec | SpecRequest:
        """What is asked for and the file agree on: its own network, unless another is asked for."""
        if isinstance(request, VGGSpec):
            return replace(request, mean_rgb=self.spec.mean_rgb)
        asked = {field.name: getattr(request, field.name) for field in fields(request)}
        agrees = all(value in {None, getattr(self.spec, name)} for name, value in asked.items())
        return self.spec if agrees else request
