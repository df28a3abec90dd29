"""What is made narrower, by which images, to which budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import calibration
from vggexport.errors import Advice, InputError, OutputError
from vggexport.opening.network import NetworkOptions
from vggexport.system.output_files import check_no_directory
from vggexport.system.typed_options import TypedOptions

SUFFIX = ".safetensors"
DEFAULT_OUTPUT = Path(f"narrow{SUFFIX}")
MOST_IMAGES = 256
"""Images that are looked at where no number is given: 50,000 places of the last convolutions."""
BUDGET = Advice("name one with {}, {}, {} or {}", "speedup", "max_size", "target_sqnr", "latency")


@dataclass(frozen=True, slots=True)
class PruneOptions(TypedOptions):
    """What is made narrower, by which images, to which budget.

    Attributes:
        network: The network.
        calibration_data: A folder or an ``.npz`` file of images.
        calibration_samples: Number of images to choose channels by; None for all but those that
            the result is measured on, at most :data:`MOST_IMAGES`.
        max_unreadable: Share of the images that may be unreadable.
        speedup: What the multiply-accumulates are to be divided by.
        max_size: Largest size of the weights in bytes, float32.
        target_sqnr: SQNR of the logits against the network as it is that is to be kept, in dB.
        latency: Largest share of the original's median latency, above 0 and below 1: float32 in
            ONNX Runtime on one thread of this machine.
        output: Where to: a ``.safetensors`` file, or None for ``narrow.safetensors``.
        plan: Only say what budgets give.
        front: Make and measure the networks of several budgets, in float32 and int8; what
            :attr:`has_budget` names is written besides.
        cache_dir: Folder for what is kept of the images; None for one beside the output, which
            goes when the output is there.
        force: Replace an existing output.
    """

    network: NetworkOptions
    calibration_data: str
    calibration_samples: int | None = None
    max_unreadable: float = calibration.sampling.MAX_UNREADABLE_FRACTION
    speedup: float | None = None
    max_size: int | None = None
    target_sqnr: float | None = None
    latency: float | None = None
    output: Path | None = None
    plan: bool = False
    front: bool = False
    cache_dir: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        TypedOptions.__post_init__(self)
        check_no_directory(self.place, SUFFIX)
        if self.place.suffix != SUFFIX:
            raise OutputError(f"output {self.place}: weights are written as {SUFFIX}, name one")
        if self.calibration_data == calibration.SYNTHETIC:
            raise InputError(
                "synthetic images do not tell which channels matter: name a folder of photographs",
                Advice("with {}", "calibration_data"),
            )
        if self.plan and self.front:
            raise InputError(
                "a plan makes no network, and a front measures several",
                Advice("leave out {} or {}", "plan", "front"),
            )
        if not (self.plan or self.front or self.has_budget):
            raise InputError("no budget is given", BUDGET, Advice("look at {} first", "plan"))
        if self.target_sqnr is not None and (self.speedup or self.max_size or self.latency):
            raise InputError(
                f"a network that keeps {self.target_sqnr:g} dB is as narrow as that allows",
                Advice(
                    "leave out {}, {} and {}, or {}",
                    "speedup", "max_size", "latency", "target_sqnr",
                ),
            )  # fmt: skip
        if self.latency is not None and not 0 < self.latency < 1:
            raise InputError(
                f"latency {self.latency:g} is no share of the original network's: pass a number "
                "above 0 and below 1, such as 0.5 for half"
            )

    @property
    def place(self) -> Path:
        """Where the weights go."""
        return self.output or DEFAULT_OUTPUT

    @property
    def has_budget(self) -> bool:
        """Whether one network is asked for."""
        budgets = (self.speedup, self.max_size, self.target_sqnr, self.latency)
        return any(budget is not None for budget in budgets)

    @property
    def writes(self) -> bool:
        """Whether weights are written."""
        return not self.plan and self.has_budget

    @property
    def folder(self) -> Path:
        """Where what is kept of the images lies."""
        return self.cache_dir or self.place.with_name(f"{self.place.name}.pruning")
