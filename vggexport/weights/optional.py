"""Packages that only some installations have, imported when they are needed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from vggexport.errors import Unavailable


def require(package: str, purpose: str) -> ModuleType:
    """Imports ``package``.

    Raises:
        Unavailable: It is not installed; the message says what it is for and how to get it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise Unavailable(
            f"{purpose} needs {package}, which is not installed here: pip install 'vggexport[cpu]'"
        ) from error
