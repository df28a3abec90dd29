"""Functions that take their options as one frozen value, or its fields in the call."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

Options_contra = TypeVar("Options_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)
Fields = ParamSpec("Fields")
Further = ParamSpec("Further")


class TakesOptions(Protocol[Options_contra, Fields, Further, Result_co]):
    """What :func:`takes` makes."""

    @overload
    def __call__(
        self, options: Options_contra, *further: Further.args, **named: Further.kwargs
    ) -> Result_co: ...

    @overload
    def __call__(self, *fields: Fields.args, **named: Fields.kwargs) -> Result_co: ...


def takes(
    cls: Callable[Fields, Options_contra],
) -> Callable[
    [Callable[Concatenate[Options_contra, Further], Result_co]],
    TakesOptions[Options_contra, Fields, Further, Result_co],
]:
    """Decorates a function whose first argument may be given by its fields.

    ``verify(VerifyOptions(("a.onnx", "b.onnx"), seed=1))`` and ``verify(("a.onnx", "b.onnx"),
    seed=1)`` are the same; what the function takes besides goes with the former alone.
    """

    def decorate(
        function: Callable[Concatenate[Options_contra, Further], Result_co],
    ) -> TakesOptions[Options_contra, Fields, Further, Result_co]:
        @wraps(function)
        def call(*args: Any, **named: Any) -> Any:
            if args and isinstance(args[0], cast("type", cls)):
                return function(*args, **named)
            return cast("Any", function)(cls(*args, **named))

        return cast("TakesOptions[Options_contra, Fields, Further, Result_co]", call)

    return decorate
