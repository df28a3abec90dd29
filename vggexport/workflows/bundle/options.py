"""What is packed, and how."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import calibration
from vggexport.bundles import SIGNING
from vggexport.bundles.archive import FIRST_MOMENT, check_moment
from vggexport.bundles.layouts import PLAIN
from vggexport.errors import Advice, InputError
from vggexport.network.preprocessing import Preprocessing
from vggexport.system import lazy_imports
from vggexport.system.typed_options import Filled, TypedOptions

_MAX_DATE_DIGITS = 18  # 64 bits hold them

DEFAULT_IMAGES = 8
ARCHIVE_SUFFIX = ".zip"
DATE_VARIABLE = "SOURCE_DATE_EPOCH"
"""https://reproducible-builds.org/specs/source-date-epoch/"""


@dataclass(frozen=True, slots=True)
class BundleOptions(TypedOptions):
    """What is packed, and how.

    Attributes:
        artifacts: Model files and directories.
        output: An archive if it ends in ``.zip``, else a folder.
        layout: "plain", "triton", "tf-serving" or "ort-mobile".
        reports: JSON reports of other commands.
        golden: A golden file of ``verify``, or None to take images from ``data``.
        data: A folder, an ``.npz`` file or "synthetic".
        images: Number of golden images, at most.
        seed: Of the choice of images.
        max_unreadable: Share of the golden images that may be unreadable.
        labels: A file of class names, or None for those that the artifacts carry.
        no_labels: Pack a trained network of which nobody names the classes.
        preprocessing: Name of the one that the artifacts must record, to be sure; None for any.
        preprocessing_of: Of files of other converters: what each wants done to RGB 0...255, by its
            path.
        licence: Of the weights, in words.
        golden_licence: Of photographs among the golden images, in words.
        made_by: Who answers for the models, in words.
        intended_use: What they are for, in words.
        limits: What they are not for, in words.
        weights_source: Where the weights came from, in words; None for what the artifacts say.
        sign: A private key.
        max_bytes: What a model file may have, or None.
        allow_untrained: Pack random weights and synthetic calibration.
        allow_one_class: Pack what was calibrated on images of one class.
        force: Replace an existing output.
    """

    artifacts: Annotated[tuple[Path, ...] | list[Path], Filled()]
    output: Path
    layout: str = PLAIN
    reports: tuple[Path, ...] = ()
    golden: Path | None = None
    data: str = calibration.SYNTHETIC
    images: int = DEFAULT_IMAGES
    seed: int = 0
    max_unreadable: float = calibration.sampling.MAX_UNREADABLE_FRACTION
    labels: Path | None = None
    no_labels: bool = False
    preprocessing: str | None = None
    preprocessing_of: Mapping[str, Preprocessing] = field(default_factory=dict)
    licence: str | None = None
    golden_licence: str | None = None
    made_by: str | None = None
    intended_use: str | None = None
    limits: str | None = None
    weights_source: str | None = None
    sign: Path | None = None
    max_bytes: int | None = None
    allow_untrained: bool = False
    allow_one_class: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        TypedOptions.__post_init__(self)
        if self.golden and self.data != calibration.SYNTHETIC:
            leave_out = Advice("leave out {}", "data")
            raise InputError(f"golden file {self.golden} brings the images", leave_out)

        if self.data != calibration.SYNTHETIC and not self.golden_licence:
            raise InputError(
                f"the images of {self.data} would be handed on, and their licence is not stated",
                Advice("state it, and whom to name, with {}", "golden_licence"),
                Advice("leave out {} for images that the tool makes", "data"),
            )
        if self.labels and self.no_labels:
            leave_out = Advice("leave out {}", "no_labels")
            raise InputError(f"labels file {self.labels} names the classes", leave_out)

    @property
    def has_photographs(self) -> bool:
        """Whether the golden images may be somebody's."""
        return self.golden is not None or self.data != calibration.SYNTHETIC

    @property
    def is_archive(self) -> bool:
        """Whether it is one file."""
        return self.output.suffix == ARCHIVE_SUFFIX


def file_moment(options: BundleOptions) -> int:
    """Date of all files: what the environment says, or the first that an archive can have.

    Raises:
        InputError: It is none, or none that the output can have.
    """
    text = os.environ.get(DATE_VARIABLE, "")
    if text and not (text.isdecimal() and len(text) <= _MAX_DATE_DIGITS):
        raise InputError(f"{DATE_VARIABLE} {text!r} is not a number of seconds since 1970")
    moment = int(text or FIRST_MOMENT)
    if options.is_archive:
        check_moment(moment)
    return moment


def read_signer(options: BundleOptions) -> Callable[[bytes], bytes] | None:
    """What signs, with its key read: a key that is none costs no work.

    Raises:
        InputError: The key cannot be used.
        Unavailable: The package that knows signatures is not installed.
    """
    if options.sign is None:
        return None
    sign: Callable[[bytes], bytes] = lazy_imports.load(SIGNING, "signer")(options.sign)
    return sign
