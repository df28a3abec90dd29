"""What ``prune`` plans, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calibration import FolderContents
from vggexport.metrics.parity import ParityMetrics
from vggexport.network.provenance import LatencyRecord, PruningRecord
from vggexport.network.spec import VGGSpec
from vggexport.precision import Precision
from vggexport.results.document import Document, StepSeconds
from vggexport.system.json_values import Finite, JsonValue

FLOAT32_BYTES = 4
PLAN_ERROR_DB = 1.5
"""How far from its plan a network may be. Measured: 12.7 dB where 12.8 were planned, 8.7 for 8.4
(VGG-D of 12 classes, 2 and 3 times fewer operations, 48 images held out)."""


@dataclass(frozen=True, slots=True)
class PlanPoint(JsonValue):
    """A network that a budget gives.

    Attributes:
        macs: Multiply-accumulates of an image.
        macs_share: Of the network's as it is.
        parameters: Number of values.
        size_bytes: Of the weights as float32.
        logit_sqnr_db: SQNR of the logits against the network as it is that is to be expected.
        widths: Outputs of each convolution.
        latency: Of its float32 file beside the original's, where that was measured.
    """

    json_keys = "macs macs_share parameters size_bytes logit_sqnr_db widths latency?"

    macs: int
    macs_share: float
    parameters: int
    size_bytes: int
    logit_sqnr_db: Finite
    widths: Mapping[str, int]
    latency: LatencyRecord | None = None

    @classmethod
    def of(
        cls, spec: VGGSpec, whole: VGGSpec, logit_sqnr_db: float, widths: Mapping[str, int]
    ) -> PlanPoint:
        """The point of one network."""
        share, size = spec.macs / whole.macs, spec.parameters * FLOAT32_BYTES
        return cls(spec.macs, share, spec.parameters, size, logit_sqnr_db, widths)


@dataclass(frozen=True, slots=True)
class RefittedLayer(JsonValue):
    """How near a layer comes to what it gave.

    Attributes:
        name: The layer.
        width: Its outputs.
        error: Mean over the outputs of squared error over variance, behind ReLU and pooling, on
            images that were left out when it was fitted.
    """

    name: str
    width: int
    error: float


@dataclass(frozen=True, slots=True)
class Narrowed(JsonValue):
    """The weights that were written.

    Attributes:
        path: Where they are.
        sha256: Of that file.
        spec: The network.
        pruning: What was recorded in it.
        layers: How near each comes.
        images: Images that it was measured on, none of them among those it was made by.
        metrics: On those, against the network as it is.
    """

    path: str
    sha256: str
    spec: VGGSpec
    pruning: PruningRecord
    layers: tuple[RefittedLayer, ...]
    images: int
    metrics: ParityMetrics


@dataclass(frozen=True, slots=True)
class FrontFile(JsonValue):
    """An ONNX file beside the float32 file of the original network.

    Attributes:
        precision: float32 or int8.
        macs_share: Multiply-accumulates of its network, of the original's.
        planned_logit_sqnr_db: What was expected of its network; infinite for the original.
        size_bytes: Of the file.
        logit_sqnr_db: Of its logits against the original's in float32, on images held out.
        top1_agreement: Share of those images with the same best class.
        latency: Beside the original's in float32, by turns.
    """

    precision: Precision
    macs_share: float
    planned_logit_sqnr_db: Finite
    size_bytes: int
    logit_sqnr_db: Finite
    top1_agreement: float
    latency: LatencyRecord


@dataclass(frozen=True, slots=True)
class Front(JsonValue):
    """Latency against error.

    Attributes:
        images: Images held out that all files were measured on.
        files: The original's two first, then those of each narrower network.
    """

    images: int
    files: tuple[FrontFile, ...]


@dataclass(frozen=True, slots=True)
class PruningReport(Document):
    """One pruning, or the plan of one.

    Attributes:
        source: Weights of the network as it is.
        spec: That network.
        images: Images that channels were chosen by.
        curve: What budgets give, the widest first.
        chosen: What the budget asked for gives; None for a plan without one.
        narrowed: What was made of it; None for a plan.
        seconds: Wall-clock seconds by step.
        peak_rss_bytes: Largest resident memory of the process so far.
        contents: What was found in the images' folder; None where they come from elsewhere.
        unreadable: Images that were left out, with what is wrong with each.
        front: Files of several networks; None where nobody asked.
    """

    json_keys = """
        schema source spec images image_files=contents{files pictures skipped junk} unreadable
        curve chosen narrowed front? seconds peak_rss_bytes
    """

    source: str
    spec: VGGSpec
    images: int
    curve: tuple[PlanPoint, ...]
    chosen: PlanPoint | None
    narrowed: Narrowed | None
    seconds: StepSeconds
    peak_rss_bytes: int
    contents: FolderContents | None = None
    unreadable: tuple[str, ...] = ()
    front: Front | None = None

    @property
    def failures(self) -> tuple[str, ...]:
        """A network that is not what the plan promised."""
        made = self.narrowed
        if made is None:
            return ()
        found, least = made.metrics.logit_sqnr_db, made.pruning.promised_logit_sqnr_db
        if found >= least:
            return ()
        return (f"SQNR of the logits is {found:.1f} dB where {least:.1f} dB were promised",)
