"""Hashes that say which images a calibration has seen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def array_digest(pixels: NDArray[np.uint8]) -> str:
    """Hex sha256 of one image's shape and bytes in C order.

    The shape is hashed too, so that 2x3 and 3x2 pixels of equal bytes differ.
    """
    digest = hashlib.sha256(f"{pixels.shape}\n".encode())
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return digest.hexdigest()


def fingerprint(digests: Sequence[str]) -> str:
    """Hex sha256 over the ordered digests of images, one line each.

    Equal fingerprints mean equal images in the same order.
    """
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()
