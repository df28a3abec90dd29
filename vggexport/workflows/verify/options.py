"""What is held to what, on which images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import calibration
from vggexport.errors import Advice, InputError
from vggexport.formats.registry import KERAS, is_model
from vggexport.metrics.placement import QNN_PROVIDER
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.pictures import PictureRequest
from vggexport.opening.run_options import RunOptions
from vggexport.system.typed_options import Positive, Share, Sources, TypedOptions

DEFAULT_IMAGES = 200
NPU_IMAGES = 4
"""On Qualcomm's NPU, whose emulator takes a minute for one, or more."""
DEFAULT_LAYER_IMAGES = 16
FEW_ANSWERS = 16
"""An owner's answers to fewer images hardly tell a mistake that changes one image in eight."""


@dataclass(frozen=True, slots=True)
class VerifyOptions(TypedOptions):
    """What is held to what, on which images.

    Attributes:
        artifacts: Paths of ``.onnx`` and ``.tflite`` files, of SavedModel directories, and sources
            of weights, which stand for the Keras network.
        reference: One more of them, "keras" for the Keras network of their weights, or None for the
            first artifact.
        data: A folder, an ``.npz`` file or "synthetic".
        images: Number of images, at most; None for :data:`DEFAULT_IMAGES` or :data:`NPU_IMAGES`.
        seed: Of the choice of images.
        pictures: How pictures become pixels, where the artifacts do not record it.
        max_unreadable: Share of the images that may be unreadable.
        run: How they run.
        layers: Also compare every layer.
        layer_images: On so many images at most: a layer's SQNR is settled by few.
        diagnose: Try the known mistakes on a file that fails.
        strict: Refuse images that an artifact's calibration took ranges from, and pixels whose
            preprocessing is assumed.
        limits: Tolerances to use instead of those of the precisions; what is None there is kept.
        golden: A golden file, whose images and answers stand for data and reference.
        answers: An .npz of images and the probabilities that the network's owner gets for them, as
            reference.
        save_golden: Where to write the reference's answers as a golden file.
        force: Replace that if it exists.
    """

    artifacts: Sources
    reference: str | None = None
    data: str = calibration.SYNTHETIC
    images: Positive | None = None
    seed: int = 0
    pictures: PictureRequest = field(default_factory=PictureRequest)
    max_unreadable: Share = calibration.sampling.MAX_UNREADABLE_FRACTION
    run: RunOptions = field(default_factory=RunOptions)
    layers: bool = False
    layer_images: Positive = DEFAULT_LAYER_IMAGES
    diagnose: bool = True
    strict: bool = False
    limits: Tolerance | None = None
    golden: Path | None = None
    answers: Path | None = None
    save_golden: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        TypedOptions.__post_init__(self)
        recorded = self.golden or self.answers
        if self.golden and self.answers:
            raise InputError(
                f"{self.golden} and {self.answers} are two references",
                Advice("name either {} or {}", "golden", "answers"),
            )
        if recorded and (self.reference or self.data != calibration.SYNTHETIC):
            raise InputError(
                f"{recorded} brings the reference and the images",
                Advice("leave out {} and {}", "reference", "data"),
            )
        if recorded and self.layers:
            raise InputError(
                f"{recorded} holds outputs, not layers", Advice("leave out {}", "layers")
            )

    @property
    def count(self) -> int:
        """Number of images, at most."""
        if self.images is not None:
            return self.images
        return NPU_IMAGES if self.run.provider == QNN_PROVIDER else DEFAULT_IMAGES

    @property
    def sources(self) -> tuple[str, ...]:
        """The reference, unless its answers are recorded, and the candidates, in that order.

        Raises:
            InputError: There are no two.
        """
        if self.golden or self.answers:
            return tuple(self.artifacts)
        reference = self.reference or self.artifacts[0]
        if reference == KERAS:
            reference = next((a for a in self.artifacts if not is_model(a)), KERAS)
        sources = (reference, *(a for a in self.artifacts if a != reference))
        if len(sources) < len(("reference", "candidate")):
            raise InputError("verify compares files with a reference: name two artifacts")
        return sources
