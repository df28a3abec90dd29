"""Weights files that are known by their digests, and what their networks do to pixels first."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vggexport.weights.stored import reading

KERAS_MD5 = frozenset(
    {
        "64373286793e3c8b2b4e3219cbf3544b",  # vgg16
        "6d6bbae143d832006294945121d1f1fc",  # vgg16, convolutions alone
        "cbe5617147190e668d6c5d5026f83318",  # vgg19
        "253f8cb515780f3b799900260a226db6",  # vgg19, convolutions alone
    }
)
"""As in ``keras.applications``, which publishes no other digest."""

TORCHVISION_SHA256 = (
    "bbd30ac9",  # vgg11
    "8a719046",  # vgg11, later
    "c768596a",  # vgg13
    "19584684",  # vgg13, later
    "397923af",  # vgg16
    "dcbb9e9d",  # vgg19
    "6002323d",  # vgg11_bn
    "abd245e5",  # vgg13_bn
    "6c64b313",  # vgg16_bn
    "c79401a0",  # vgg19_bn
)
"""First digits, which torchvision publishes in the names of its files (``vgg16-397923af.pth``)."""


def is_published(path: Path, layout: str, sha256: str) -> bool:
    """Whether a file is one that Keras or torchvision publish, by layout and SHA-256 in hex.

    Raises:
        WeightsError: It cannot be read.
    """
    if layout == "torchvision":
        return sha256.startswith(TORCHVISION_SHA256)
    with reading(path), path.open("rb") as file:
        return layout == "keras" and hashlib.file_digest(file, "md5").hexdigest() in KERAS_MD5
