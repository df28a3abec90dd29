"""JPEG files whose end was never written: their decoder fills in gray, and says nothing."""

from __future__ import annotations

_SCAN, _END = b"\xff\xda", b"\xff\xd9"
"""Markers in front of pixels and after the last of them (ITU-T T.81, table B.1); no bytes of
pixels are like them."""

_ZEROS = bytes(64)


def ends_in_zeros(data: bytes) -> bool:
    """Whether a JPEG file's pixels go over into zeros, as those of an interrupted download.

    Other files that lack their end are found by Pillow. What follows the end, such as a film, may
    hold anything, but hardly ends in zeros.
    """
    return data.endswith(_ZEROS) and data.rfind(_END) < data.rfind(_SCAN)
