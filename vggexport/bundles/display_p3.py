"""The ICC profile of Display P3, which phones take pictures in, made of its primaries.

Primaries and white point are those of SMPTE EG 432-1 with white D65, the curve is sRGB's (IEC
61966-2-1). An ICC profile has colours relative to white D50 (ISO 15076-1, 6.3.4.3), to which they
are adapted by Bradford's matrix (annex E). The file: a header of 128 bytes, a table of tags, the
tags (sections 7 to 10).
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

PRIMARIES = {"r": (0.680, 0.320), "g": (0.265, 0.690), "b": (0.150, 0.060)}
WHITE = (0.3127, 0.3290)
"""x and y of CIE 1931."""

D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""Of parametric curve type 3: (a x + b)^g from d on, c x below, as g, a, b, c, d."""

_VERSION_4_3 = 0x04300000
_HEADER, _ENTRY = 128, 12


def display_p3() -> bytes:
    """The profile's bytes."""
    white, to_d50 = _xyz(WHITE), _adaptation()
    primaries = np.stack([_xyz(xy) for xy in PRIMARIES.values()], axis=1)
    columns = to_d50 @ (primaries * np.linalg.solve(primaries, white))
    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + b"".join(map(_fixed, _CURVE))
    tags = {
        "desc": _text("Display P3"),
        "cprt": _text("CC0"),
        "wtpt": _xyz_tag(D50),
        "chad": b"sf32" + bytes(4) + b"".join(map(_fixed, to_d50.ravel())),
        **{f"{name}XYZ": _xyz_tag(columns[:, i]) for i, name in enumerate(PRIMARIES)},
        **{f"{name}TRC": curve for name in PRIMARIES},
    }
    return _profile(tags)


def _profile(tags: dict[str, bytes]) -> bytes:
    at, table, data = _HEADER + 4 + _ENTRY * len(tags), b"", b""
    for name, tag in tags.items():
        table += name.encode() + struct.pack(">II", at + len(data), len(tag))
        data += tag + bytes(-len(tag) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    header = struct.pack(">II", _HEADER + len(body), 0) + struct.pack(">I", _VERSION_4_3)
    header += b"mntrRGB XYZ " + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(24)
    header += struct.pack(">I", 1) + b"".join(map(_fixed, D50))  # intent: relative colorimetric
    return header.ljust(_HEADER, b"\0") + body


def _xyz(xy: tuple[float, float]) -> NDArray[np.float64]:
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation() -> NDArray[np.float64]:
    """From white D65 to D50."""
    ratio = (_BRADFORD @ np.array(D50)) / (_BRADFORD @ _xyz(WHITE))
    adapted: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD
    return adapted


def _fixed(value: float) -> bytes:
    """s15Fixed16Number."""
    return struct.pack(">i", round(float(value) * 65536))


def _xyz_tag(values: tuple[float, ...] | NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, values))


def _text(text: str) -> bytes:
    """MultiLocalizedUnicodeType with one English record."""
    encoded = text.encode("utf-16-be")
    record = struct.pack(">IIHHII", 1, 12, 0x656E, 0x5553, len(encoded), 28)
    return b"mluc" + bytes(4) + record + encoded
