"""What a model file is: its format, precision, network, weights and calibration.

The same object is kept inside the file and beside it as ``<file>.json``. A file cannot carry its
own digest, so ``size_bytes`` and ``sha256`` are null inside and filled in beside.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Self

from vggexport.errors import ArtifactError
from vggexport.network.ends import Ends
from vggexport.network.layers import LayerKind
from vggexport.network.pictures import UNSTATED, Pictures
from vggexport.network.preprocessing import Preprocessing
from vggexport.network.provenance import CalibrationRecord, PruningRecord, WeightsRecord
from vggexport.network.rescaling import Scales
from vggexport.network.spec import VGGSpec
from vggexport.precision import ACTIVATION_BITS, NARROW_BITS, Precision, Profile, profile_of
from vggexport.system.digests import files_of, sha256
from vggexport.system.json_values import NULL, WRONG_KINDS, Form, JsonValue, Labels, read_fields

METADATA_KEY = "vggexport.artifact"
"""Name under which formats with key-value metadata keep the artifact's JSON."""


def _batch(value: Any) -> int | None:
    if value == "dynamic":
        return None
    batch = int(value)
    if batch < 1:
        raise ValueError(f"batch {batch}")
    return batch


_UNKNOWN = Form(lambda value: value, instead=NULL)
"""Null in what is said of a file of another converter, which does not tell."""

FOREIGN_WEIGHTS = WeightsRecord("another converter", "", trained=True, layout="native")
"""Stands where such a file has no record; nothing of it is told."""


def _powers_of_two(scales: Mapping[str, float]) -> Mapping[str, float]:
    if any(math.frexp(scale)[0] != 0.5 for scale in scales.values()):  # noqa: PLR2004
        raise ValueError(f"rescaled {scales}: not powers of two")
    return scales


def _bits(value: Any) -> Any:
    if value not in ACTIVATION_BITS:
        raise ValueError(f"activation_bits {value!r}")
    return value


_MORE_BITS = Form(lambda bits: None if bits == NARROW_BITS else bits, _bits)
"""Said only where they are more than the precision's name says."""

_POWERS = Form(lambda scales: scales, _powers_of_two)
_DYNAMIC = Form(lambda batch: batch or "dynamic", _batch, {"const": "dynamic"})


TENSORRT, SNAPDRAGON = TARGETS = ("tensorrt", "snapdragon")
"""NVIDIA's compiler, which takes activations with zero point 0 alone; Qualcomm's NPUs, which take
no layer with int8 in and float out, so that the last one has float weights there."""


@dataclass(frozen=True, slots=True)
class Artifact(JsonValue):
    """One model file or directory.

    Attributes:
        path: Where it is.
        format: Its name, as in ``vggexport.formats.registry``.
        precision: How weights are stored and computed with.
        spec: The network. Of a file of another converter what its graph shows: without blocks
            where that is no VGG.
        weights: Where its weights came from.
        preprocessing: What happens to RGB 0...255 before the network that its weights were stored
            as: folded into the mean and the first kernel. None in files of 0.1.0. Of a file of
            another converter what it wants done in front of it; None where that is not known.
        calibration: What its activation ranges came from, or None for float files.
        input_dtype: "float32" or "uint8"; NHWC RGB 0...255 either way.
        batch: Images at a time, or None for any number.
        full_integer: uint8 in and out and no float operator: int8 for NPUs.
        symmetric: Activations have zero point 0 too, as TensorRT demands.
        target: What alone it is laid out for, one of :data:`TARGETS`; None for anything.
        activation_bits: Of values between layers, where those are quantized.
        rescaled: What the outputs of layers are multiplied by to fit into float16, powers of two,
            by the layer's name; None where none is.
        pictures: How pictures become its input; the defaults, not known, in files of 0.1.0.
        labels: A name a class, or nothing.
        tools: Versions of the packages that made it.
        size_bytes: Size of the file, or of all files of a directory; None inside the file itself.
        sha256: Digest of the file, or of a directory's listing; None inside the file itself.
        ends: What a file of another converter takes and gives; None for ours.
    """

    json_keys = """
        path format precision size_bytes sha256 spec weights preprocessing? pictures? calibration
        input_dtype batch full_integer symmetric? target? activation_bits? rescaled? labels tools
        foreign? ends?
    """

    path: str
    format: str
    precision: Precision
    spec: Annotated[VGGSpec, _UNKNOWN]
    weights: Annotated[WeightsRecord, _UNKNOWN]
    calibration: CalibrationRecord | None = None
    preprocessing: Preprocessing | None = None
    pictures: Pictures = UNSTATED
    input_dtype: str = "float32"
    batch: Annotated[int | None, _DYNAMIC] = None
    full_integer: bool = False
    symmetric: bool = False
    target: str | None = None
    activation_bits: Annotated[int, _MORE_BITS] = NARROW_BITS
    rescaled: Annotated[Scales | None, _POWERS] = None
    labels: Labels = ()
    tools: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int | None = None
    sha256: str | None = None
    ends: Ends | None = None

    @property
    def foreign(self) -> bool | None:
        """True for a file that another converter wrote; None for ours."""
        return True if self.ends else None

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of one image; None where the graph is no VGG."""
        return self.spec.macs if self.spec.blocks else None

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The layers that have the same values in every file of the network, in order.

        What is before the first convolution differs by what a file wants done to pixels.
        """
        if not self.foreign:
            return tuple(layer.name for layer in self.spec.layers)
        layers = self.spec.layers if self.spec.blocks else ()
        return tuple(layer.name for layer in layers if layer.kind is not LayerKind.MEAN_SUBTRACTION)

    @property
    def profile(self) -> Profile:
        """What its precision asks for and allows.

        Raises:
            InputError: There is no such precision without float operators, or with such bits.
        """
        return profile_of(
            self.precision, full_integer=self.full_integer, activation_bits=self.activation_bits
        )

    @property
    def numbers(self) -> str:
        """Its precision in words: "int8, 16-bit activations"."""
        wide = self.activation_bits != NARROW_BITS
        return self.precision.value + (f", {self.activation_bits}-bit activations" if wide else "")

    def pruned_from(self, other: Artifact) -> PruningRecord | None:
        """What was recorded when it was made narrower from that network; None where it was not."""
        record = self.weights.pruning
        return record if record and record.sha256 == other.weights.sha256 else None

    @property
    def output_labels(self) -> tuple[str, ...]:
        """A name an output, or nothing: one output has names for two sides of 0.5, none for it."""
        return self.labels if len(self.labels) == self.spec.classes else ()

    @property
    def identity(self) -> dict[str, Any]:
        """What tells its network from others: its spec, its weights, its classes."""
        if self.ends:
            known = self.spec.to_json()
            shared = ("input_size", "classes", "head_activation")
            return {name: known[name] for name in shared} | {"labels": self.labels}
        return {**self.spec.to_json(), "weights": self.weights.identity, "labels": self.labels}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Reads :meth:`to_json`.

        Raises:
            ArtifactError: A key is missing or a value is of the wrong kind.
        """
        try:
            if data.get("foreign"):
                ends = Ends.from_json(data["ends"])
                told = {"spec": ends.spec.to_json(), "weights": FOREIGN_WEIGHTS.to_json()}
                data = {**data, **told}
            return cls(**read_fields(cls, data))
        except WRONG_KINDS as error:
            raise ArtifactError(f"artifact description is not readable: {error!r}") from error

    def to_json(self) -> dict[str, Any]:
        """What is told of it: neither a spec nor weights of a file of another converter."""
        data = JsonValue.to_json(self)
        return data | {"spec": None, "weights": None} if self.ends else data

    @classmethod
    def from_embedded(cls, text: str | bytes, path: Path) -> Self:
        """Reads :meth:`embedded` as it was found in the file or directory ``path``.

        Raises:
            ArtifactError: It is not JSON, or not the description of an artifact.
        """
        try:
            return cls.from_json(json.loads(text))
        except (ValueError, RecursionError, ArtifactError) as error:
            raise ArtifactError(f"{path}: its vggexport metadata is damaged: {error}") from error

    @classmethod
    def found_in(cls, metadata: Mapping[str, str | bytes], path: Path) -> Self | None:
        """Reads it out of a file's key-value metadata; None for a file that is not ours.

        Raises:
            ArtifactError: As :meth:`from_embedded`.
        """
        if METADATA_KEY not in metadata:
            return None
        return cls.from_embedded(metadata[METADATA_KEY], path)

    def embedded(self) -> str:
        """The JSON that goes into the file: no path, no size, no digest, bytes that repeat."""
        bare = replace(self, path=Path(self.path).name, size_bytes=None, sha256=None)
        return json.dumps(bare.to_json(), sort_keys=True)

    def located(self, file: Path, path: Path | None = None) -> Self:
        """The same with size and digest of a written file, and the path where it is going to be."""
        return replace(
            self,
            path=str(path or file),
            size_bytes=sum(part.stat().st_size for part in files_of(file)),
            sha256=sha256(file),
        )


def sidecar_path(path: Path) -> Path:
    """Where the artifact object of a model file or directory is kept beside it."""
    return path.with_name(f"{path.name}.json")
