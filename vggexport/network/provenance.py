"""What a network's weights and ranges came from, as every file of it tells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from vggexport.network.preprocessing import Preprocessing
from vggexport.network.spec import VGGSpec
from vggexport.network.table import column_of, parse_blocks
from vggexport.system.json_values import JsonValue


@dataclass(frozen=True, slots=True)
class CalibrationRecord(JsonValue):
    """What the activation ranges were taken from.

    Attributes:
        source: "synthetic" or the name of the folder or file.
        samples: Number of images.
        method: "minmax", "percentile", "entropy" or "mse"; "pruning" where channels were chosen.
        fingerprint: SHA-256 over the images' digests, in order.
        image_digests: SHA-256 of each image, in order: an evaluation can tell which it has seen.
        bias_correction: True where biases were corrected for the errors of rounding; None where
            they were not.
        widened: True where ranges were widened to hold for synthetic images beside these.
        one_class: True where a trained network gives (nearly) all of the images one class.
    """

    json_keys = """
        source samples method fingerprint image_digests bias_correction? widened? one_class?
    """

    source: str
    samples: int
    method: str
    fingerprint: str
    image_digests: tuple[str, ...] = ()
    bias_correction: bool | None = None
    widened: bool | None = None
    one_class: bool | None = None


@dataclass(frozen=True, slots=True)
class LatencyRecord(JsonValue):
    """Median latency of a file beside that of another that it took turns with: one image a run.

    Attributes:
        ratio_p50: Of its median to the other's.
        ratio_ci95: 95 % interval of that.
        p50_ms: Its median in milliseconds.
        runtime: What ran both, and its version.
        threads: Of each.
        cpu_model: The processor.
        busy: Whether others used the machine: when the command began, or as launches differ much.
    """

    ratio_p50: float
    ratio_ci95: tuple[float, float] | None
    p50_ms: float
    runtime: str
    threads: int
    cpu_model: str
    busy: bool

    @property
    def said(self) -> str:
        """The ratio with its interval."""
        interval = self.ratio_ci95 and " to ".join(f"{end:.3f}" for end in self.ratio_ci95)
        return f"{self.ratio_p50:.3f} of the latency ({interval or 'too few runs for an interval'})"


@dataclass(frozen=True, slots=True)
class PruningRecord(JsonValue):
    """What a network was made narrower from, and how near to it it is to be.

    Attributes:
        source: Weights of the ancestor: "imagenet" or the file's name.
        sha256: Of that file.
        blocks: The ancestor's convolutions, as in a spec.
        calibration: The images that channels were chosen by.
        predicted_logit_sqnr_db: SQNR of the logits against the ancestor's that the plan gave.
        promised_logit_sqnr_db: What it is to be at least on images like those.
        latency: Of a float32 file of such a network, where a share of the ancestor's was asked for.
        preprocessing: What happens to RGB 0...255 before the ancestor as its file has it: the
            narrower network's tensors have it in them; None in records of older versions.
    """

    json_keys = """
        source sha256 blocks calibration predicted_logit_sqnr_db promised_logit_sqnr_db latency?
        preprocessing?
    """

    source: str
    sha256: str
    blocks: tuple[tuple[str, ...], ...]
    calibration: CalibrationRecord
    predicted_logit_sqnr_db: float
    promised_logit_sqnr_db: float
    latency: LatencyRecord | None = None
    preprocessing: Preprocessing | None = None

    def ancestor_of(self, narrow: VGGSpec) -> VGGSpec:
        """The network that a narrower one was made from."""
        column = " | ".join(" ".join(block) for block in self.blocks)
        blocks = parse_blocks(column)
        return replace(narrow, configuration=column_of(blocks), blocks=blocks)


@dataclass(frozen=True, slots=True)
class WeightsRecord(JsonValue):
    """Where the weights came from.

    Attributes:
        source: "random:0", "imagenet" or the file's name.
        sha256: Of the file's bytes; of random weights' tensors in order of use.
        trained: False when any of them are random.
        layout: "native", "keras" or "torchvision", as it was read.
        initialized: Names of the tensors that the source lacked and ``seed`` filled.
        seed: Of the tensors that were filled; null where none was.
        pruning: What they were made narrower from; None where they were not.
        size_assumed: True where neither they nor anybody told the size of their images.
    """

    json_keys = "source sha256 trained layout initialized seed pruning? size_assumed?"

    source: str
    sha256: str
    trained: bool
    layout: str
    initialized: tuple[str, ...] = ()
    seed: int | None = None
    pruning: PruningRecord | None = None
    size_assumed: bool | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What tells these values from others; names of files do not."""
        return {
            "SHA-256": self.sha256,
            "layout": self.layout,
            "initialized": self.initialized,
            "seed": self.seed,
        }

    def same_tensors(self, other: WeightsRecord) -> bool:
        """Whether both are the same values."""
        return self.identity == other.identity
