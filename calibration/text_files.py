"""Text as editors and spreadsheets write it: UTF-8 or UTF-16, with or without a mark in front."""

from __future__ import annotations

import codecs
from pathlib import Path

_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_text(path: Path) -> str:
    """The text of a small file.

    UTF-16 without a mark is known by its zeros: every other byte of Latin text is one.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is neither.
    """
    data = path.read_bytes()
    if data.startswith(_MARKS):
        return data.decode("utf-16")
    if b"\0" in data:
        is_big = data[::2].count(0) > data[1::2].count(0)
        return data.decode("utf-16-be" if is_big else "utf-16-le")
    return data.decode("utf-8-sig")
