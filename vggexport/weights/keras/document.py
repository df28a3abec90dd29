"""The text in which a Keras file describes its network, as bounded JSON. Nothing is made from it.

``.keras`` files have the member ``config.json``; a full ``.h5`` has the attribute ``model_config``;
files of weights alone have neither.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vggexport.errors import WeightsError
from vggexport.weights.content import Content, content_of
from vggexport.weights.keras.hdf5 import ERRORS, opened
from vggexport.weights.stored import reading

MAX_BYTES = 1 << 23
"""Of the text; VGG19 needs 60 kB."""
MAX_DEPTH = 100
"""Of JSON inside JSON; a model inside a model is four deeper."""
_MEMBER = "config.json"
_ATTRIBUTE = "model_config"


def read_document(path: Path) -> Mapping[str, Any] | None:
    """The description of the network in a Keras file; None where it holds weights alone.

    Raises:
        WeightsError: The file is damaged, or its description is too large or no JSON object.
        Unavailable: h5py is not installed.
    """
    text = _text(path)
    if text is None:
        return None
    if len(text) > MAX_BYTES:
        raise WeightsError(f"{path}: the description of its network is longer than {MAX_BYTES}")
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path}: the description of its network is not JSON ({error}): save the model again"
        ) from error
    if not isinstance(document, dict) or _is_deeper(document, MAX_DEPTH):
        raise WeightsError(
            f"{path}: the description of its network is not an object of at most {MAX_DEPTH} "
            "levels: save the model again"
        )
    return document


def _text(path: Path) -> bytes | None:
    if content_of(path) is Content.KERAS:
        with (
            reading(path, *ERRORS),
            zipfile.ZipFile(path) as archive,
            archive.open(_MEMBER) as member,
        ):
            return member.read(MAX_BYTES + 1)
    with opened(path) as file:
        text = file.attrs.get(_ATTRIBUTE)
        return text.encode() if isinstance(text, str) else None if text is None else bytes(text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _is_deeper(document: Any, limit: int) -> bool:
    level = [document]
    for _ in range(limit):
        level = [part for value in level for part in _parts(value)]
    return bool(level)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
