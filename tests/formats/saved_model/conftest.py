"""SavedModel directories of the tiny network."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def directory(export) -> Callable[..., Path]:
    """(input_dtype, batch) -> a directory that is not to be changed."""

    def path(input_dtype: str = "float32", batch: int | None = None) -> Path:
        return export("float32", input_dtype, batch, format="savedmodel")

    return path


@pytest.fixture
def copy(directory, copied) -> Path:
    """A directory to change."""
    return copied(directory())
