"""Which dict of tensors is meant, in what a training saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vggexport.errors import WeightsError
from vggexport.weights.pickle_machine import refusal
from vggexport.weights.torch_tensors import Tensor

_SHOWN = 60
"""Characters of a key in a message."""
_LISTED = 8


def state_dict_of(path: Path, value: Any) -> tuple[str | None, dict[str, Tensor]]:
    """The one dict of tensors in what was saved: it, or a dict that holds it beside other things.

    Returns:
        Its key, None if it is ``value`` itself, and its tensors by name.

    Raises:
        WeightsError: There is none, or more than one.
        ValueError: A tensor's name is no text that can be printed.
    """
    if not isinstance(value, dict):
        raise refusal(path, f"no state dict ({type(value).__name__})")
    inner = {id(item): item for item in value.values() if isinstance(item, dict)}
    weights = {identity for identity, item in inner.items() if _has_weights(item)}
    choices: dict[str | None, dict[Any, Any]] = {None: value} if _has_weights(value) else {}
    choices |= {
        key: item for key, item in value.items() if isinstance(key, str) and id(item) in weights
    }
    if not choices:
        raise WeightsError(
            f"{path} holds no state dict, at its top or under its keys {_listed(value)}: "
            'torch.save(model.state_dict(), "vgg16.pth") writes one'
        )
    if len(choices) > 1:
        raise WeightsError(
            f"{path} holds several state dicts, {_listed(choices)}: save the one that is meant "
            'with torch: torch.save(checkpoint[KEY], "vgg16.pth")'
        )
    ((key, chosen),) = choices.items()
    tensors = {name: item for name, item in chosen.items() if isinstance(item, Tensor)}
    if not all(isinstance(name, str) and name.isprintable() for name in tensors):
        raise ValueError("the name of a tensor is not printable text")
    return key, tensors


def _has_weights(value: dict[Any, Any]) -> bool:
    """Whether there are tensors in it; single numbers may be an accuracy."""
    return any(isinstance(item, Tensor) and item.shape for item in value.values())


def _listed(keys: Mapping[Any, object]) -> str:
    words = ["its top level" if key is None else repr(key)[:_SHOWN] for key in list(keys)[:_LISTED]]
    more = len(keys) - _LISTED
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")
