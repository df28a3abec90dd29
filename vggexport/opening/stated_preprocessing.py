"""What is stated of pixels for files of other converters: where it can be stated at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vggexport.artifact import Artifact
from vggexport.errors import Advice, InputError
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing


def check_stated(preprocessing: Preprocessing, source: str, artifact: Artifact) -> None:
    """Refuses a preprocessing that is stated of a file of ours, or that a file cannot take.

    Raises:
        InputError: It is.
    """
    if not artifact.foreign:
        raise InputError(
            f"{source} was made by vggexport and has its preprocessing inside",
            Advice("leave out {} for it", "preprocessing_of"),
        )
    if not can_be_done(preprocessing, artifact):
        raise InputError(
            f"{source} takes whole pixels ({artifact.input_dtype}), so that what happens to them "
            "is inside",
            Advice(f"state {{}} {source}=raw, or raw;bgr", "preprocessing_of"),
        )


def can_be_done(preprocessing: Preprocessing, artifact: Artifact) -> bool:
    """Whether a file takes what a preprocessing gives: some take nothing but whole pixels."""
    ends = artifact.ends
    whole = ends is not None and ends.input_dtype == "uint8" and ends.quantization is None
    return not whole or preprocessing.affine[:2] == CONVENTIONS["raw"].affine[:2]


def check_named(preprocessing: Mapping[str, Preprocessing], sources: Sequence[str]) -> None:
    """Refuses preprocessing of what is not there.

    Raises:
        InputError: It is stated of another file.
    """
    if unused := [path for path in preprocessing if path not in sources]:
        raise InputError(
            f"preprocessing is stated for {unused[0]}, which is not among {', '.join(sources)}: "
            "use the name that is given there"
        )
