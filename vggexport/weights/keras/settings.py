"""One described layer while it is read: each setting is understood, or the layer refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from vggexport.errors import WeightsError
from vggexport.weights.keras.affine import Float64Array
from vggexport.weights.keras.config import DescribedLayer
from vggexport.weights.keras.refusal import refusal, shown
from vggexport.weights.keras.tensors import Variables
from vggexport.weights.stored import StoredTensor

_WITHOUT_EFFECT = re.compile(
    "name|trainable|dtype|autocast|batch_input_shape|.*_(initializer|regularizer|constraint)"
)
"""Settings that change nothing at inference."""
_REDUCED = ("float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
_ARRAYS = ("__numpy__", "__tensor__")
_LARGEST = 1 << 16
"""Of a size in a description; memory is never asked for by what a file says."""


class Settings:
    """A layer, its variables, and which of its settings were looked at."""

    def __init__(self, origin: str, layer: DescribedLayer, variables: Variables) -> None:
        self.layer = layer
        self._origin = origin
        self._variables = variables
        self._left = dict(layer.config)
        self._keywords = dict(layer.call.keywords)

    def refused(self, why: str = "", advice: str = "") -> WeightsError:
        """The error that names this layer; see :func:`refusal`."""
        return refusal(self._origin, self.layer.name, self.layer.class_name, why, advice)

    def damaged(self, what: str) -> WeightsError:
        """The error for variables that are not as described."""
        return WeightsError(
            f"{self._origin}: layer {shown(self.layer.name)!r} ({self.layer.class_name}) {what}: "
            "save the whole model again with Keras"
        )

    def take(self, key: str, default: Any = None) -> Any:
        """A setting, ``default`` where the file does not mention it."""
        return self._left.pop(key, default)

    def keyword(self, key: str) -> Any:
        """A keyword argument of the layer's call, or None."""
        return self._keywords.pop(key, None)

    def choice(self, key: str, *allowed: Any) -> Any:
        """A setting that has one of some values; the first is its default."""
        value = self.take(key, allowed[0])
        if isinstance(value, bool) or value not in allowed:
            raise self.refused(f"{key}={shown(value)}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """A setting that is on or off."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise self.refused(f"{key}={shown(value)}")
        return value

    def number(self, key: str, default: int | None = None) -> int:
        """A positive whole number."""
        value = self.take(key, default)
        if not _is_size(value):
            raise self.refused(f"{key}={shown(value)}")
        return int(value)

    def pair(self, key: str, default: int | None = None) -> tuple[int, int]:
        """Two positive whole numbers, or one for both; of no mention, ``default`` for both."""
        value = self.take(key)
        if value is None:
            value = default
        values = [value, value] if _is_size(value) else value
        if not isinstance(values, list) or len(values) != 2 or not all(map(_is_size, values)):
            raise self.refused(f"{key}={shown(value)}")
        return values[0], values[1]

    def by_channel(self, value: Any, channels: int, what: str) -> Float64Array:
        """A constant that is one number or one a channel, as float64 of shape (channels,).

        Raises:
            WeightsError: It varies otherwise, or is not finite.
        """
        if isinstance(value, Mapping) and value.get("class_name") in _ARRAYS:
            value = value["config"]["value"]
        array = np.asarray(value)
        *leading, last = array.shape or (1,)
        numeric = array.dtype.kind in "iuf" and array.size
        if not numeric or set(leading) - {1} or last not in {1, channels}:
            raise self.refused(f"{what}={shown(value)}")
        if not np.isfinite(array).all():
            raise self.refused(f"{what} is not finite")
        return np.broadcast_to(array.reshape(-1).astype(np.float64), (channels,)).copy()

    def has(self, role: str) -> bool:
        """Whether it has that variable."""
        return role in self._variables

    def variable(self, role: str, shape: tuple[int, ...]) -> StoredTensor:
        """A variable, to be read later.

        Raises:
            WeightsError: It has another shape.
        """
        self._policy()  # that of integers has other shapes
        tensor = self._variables[role]
        if tensor.shape != shape:
            raise self.damaged(f"has a {role} of shape {tensor.shape}, expected {shape}")
        return tensor

    def vector(self, role: str, channels: int) -> Float64Array:
        """A variable of one number a channel, read now.

        Raises:
            WeightsError: It has another shape, or a value that is not finite.
        """
        values: Float64Array = self.variable(role, (channels,)).read().astype(np.float64)
        if not np.isfinite(values).all():
            raise self.damaged(f"has a {role} that is NaN or infinite")
        return values

    def finish(self) -> str:
        """Refuses what nobody looked at.

        Returns:
            The name of the layer's dtype policy.
        """
        for key, value in (*self._left.items(), *self._keywords.items()):
            if value not in (None, False, {}) and not _WITHOUT_EFFECT.fullmatch(key):
                raise self.refused(f"{key}={shown(value)}")
        return self._policy()

    def _policy(self) -> str:
        """The name of the layer's dtype policy; one of integers is refused."""
        policy = self._left.get("dtype") or "float32"
        if isinstance(policy, Mapping):
            policy = policy["config"].get("name", policy["class_name"])
        if policy not in ("float32", *_REDUCED):
            raise self.refused(f"dtype {shown(policy)}")
        return str(policy)


def _is_size(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST
