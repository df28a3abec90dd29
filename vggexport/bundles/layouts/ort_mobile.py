"""ONNX Runtime's own format for phones, and the operators that a small build of it needs.

Both are made by ONNX Runtime's tool
(https://onnxruntime.ai/docs/performance/model-optimizations/ort-format-models.html), for Arm.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from onnxruntime.tools.convert_onnx_models_to_ort import (
    OptimizationStyle,
    convert_onnx_models_to_ort,
)

from vggexport.artifact import Artifact
from vggexport.bundles.layouts.interface import PlacedModel, check_format
from vggexport.bundles.layouts.ort_order import order_kernel_types
from vggexport.errors import ArtifactError, one_line
from vggexport.system.digests import sha256

FORMAT = "ort"
_PLATFORM = "arm"


def place(artifact: Artifact, path: Path, folder: Path) -> PlacedModel:
    """``ort-mobile/<name>.ort`` with ``<name>.required_operators.config``.

    Raises:
        ArtifactError: ONNX Runtime cannot convert it.
        InputError: It is no ONNX model.
    """
    check_format(artifact, "ort-mobile", "onnx")
    with _quiet():
        try:
            convert_onnx_models_to_ort(
                path,
                output_dir=folder,
                optimization_styles=[OptimizationStyle.Fixed],
                target_platform=_PLATFORM,
            )
        except Exception as error:  # ONNX Runtime's errors share no class of their own
            raise ArtifactError(
                f"{path} cannot be converted to ORT format: {one_line(error)}"
            ) from error
    converted, config = folder / f"{path.stem}.ort", _configuration(folder)
    order_kernel_types(converted)
    place_in_bundle = f"ort-mobile/{converted.name}"
    described = replace(artifact.located(converted), path=place_in_bundle, format=FORMAT)
    return PlacedModel(
        described,
        converted,
        path.name,
        {f"ort-mobile/{path.stem}.required_operators.config": config},
        converted_from=artifact.sha256 or sha256(path),
    )


def _configuration(folder: Path) -> Path:
    """The list of operators, without the comments that name folders of this machine."""
    (file,) = folder.glob("*.config")
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The tool prints what it does, logs it, and leaves a file to be closed by its collection."""
    logging.disable(logging.INFO)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            yield
    finally:
        logging.disable(logging.NOTSET)
