"""What ``train`` is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import calibration
from vggexport.errors import Advice, InputError, OutputError
from vggexport.network.training_recipe import Recipe
from vggexport.opening.network import NetworkOptions, configuration_of
from vggexport.system.output_files import check_no_directory
from vggexport.system.typed_options import TypedOptions
from vggexport.training.teacher import ALL
from vggexport.training.training_data import CONVOLUTIONS, NOTHING

DEFAULT_SPLIT = 0.25
"""Share of the images that is held out to judge by. The paper has a validation set of its own."""


@dataclass(frozen=True, slots=True)
class TrainOptions(TypedOptions):
    """What is trained, on what, and how.

    Attributes:
        network: The weights to begin with, and the network.
        data: A folder of folders, one a class.
        output: Where the weights go: a ``.safetensors`` file, or None for ``vgg_d.safetensors``.
        recipe: How it is trained.
        stated: Fields of the recipe that are taken as they are: else the learning rate is lowered
            where the inputs of a head are large, and patience is longer where epochs are few steps.
        freeze: "conv" for all convolutions, "none", or the last block that is not trained.
        reinit: Layers whose weights are drawn anew.
        validation_data: A folder like ``data`` to judge by, or None to split some of it off.
        split: Share that is split off.
        max_unreadable: Share of the images that may be unreadable.
        resume: Resume from the checkpoint beside the output.
        cache_dir: Where outputs of frozen layers are kept; None for the user's cache.
        log_dir: Where to write logs for TensorBoard.
        teacher: Weights whose answers are learnt in place of the classes, or None.
        unlabelled: Take ``data`` as a folder of images without classes, for a teacher.
        force: Replace an existing output, and begin anew where there is a checkpoint.
    """

    network: NetworkOptions
    data: Path
    output: Path | None = None
    recipe: Recipe = field(default_factory=Recipe)
    stated: frozenset[str] = frozenset()
    freeze: str = CONVOLUTIONS
    reinit: tuple[str, ...] = ()
    validation_data: Path | None = None
    split: float = DEFAULT_SPLIT
    max_unreadable: float = calibration.sampling.MAX_UNREADABLE_FRACTION
    resume: bool = False
    cache_dir: Path | None = None
    log_dir: Path | None = None
    teacher: str | None = None
    unlabelled: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        TypedOptions.__post_init__(self)
        if self.unlabelled and not self.teacher:
            raise InputError(
                "images without classes are learnt from a teacher's answers",
                Advice("name its weights with {}", "teacher"),
                Advice("leave out {}", "unlabelled"),
            )
        if self.teacher and self.freeze != NOTHING:
            raise InputError(f"the teacher {self.teacher} answers to images, not to layers", ALL)

    @property
    def place(self) -> Path:
        """Where the weights go.

        Raises:
            OutputError: Its name is not that of a ``.safetensors`` file.
        """
        suffix = ".safetensors"
        place = self.output or Path(f"vgg_{configuration_of(self.network).lower()}{suffix}")
        check_no_directory(place, suffix)
        if place.suffix != suffix:
            raise OutputError(f"output {place}: weights are written as {suffix}, name one")
        return place

    @property
    def table(self) -> Path | None:
        """CSV file that names the images that were split off, for ``evaluate``: with classes."""
        if self.validation_data or self.unlabelled:
            return None
        return self.place.with_name(f"{self.place.stem}.validation.csv")
