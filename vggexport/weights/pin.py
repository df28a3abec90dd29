"""The SHA-256 that whatever is used must have."""

from __future__ import annotations

import re

from vggexport.errors import WeightsError


def parse_pin(text: str) -> str:
    """The pin in lower case.

    Raises:
        WeightsError: It is not 64 hexadecimal digits.
    """
    pin = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", pin):
        raise WeightsError(
            f"{text!r} is not a SHA-256 digest of weights: 64 hexadecimal digits are expected, as "
            "sha256sum prints them",
        )
    return pin


def check_pin(pin: str, actual: str, origin: str) -> None:
    """Compares what is there with what was pinned.

    Raises:
        WeightsError: They differ.
    """
    if actual != pin:
        raise WeightsError(
            f"{origin} has SHA-256 {actual}, the pin is {pin}: it is not the file that was pinned"
        )
