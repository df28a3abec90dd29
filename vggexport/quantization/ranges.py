"""Activation ranges: taken once by calibration, kept in a file, used by every int8 format.

The file is JSON, so that a person can read it and nothing can be executed from it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import calibration
from calibration.errors import not_read
from vggexport.errors import CalibrationError
from vggexport.network.layers import MEAN_SUBTRACTION_NAME
from vggexport.network.pictures import UNSTATED, Pictures, check_same_pixels
from vggexport.network.provenance import CalibrationRecord, WeightsRecord
from vggexport.network.spec import PIXEL_MAX, VGGSpec
from vggexport.quantization.int8 import ActivationQuantization
from vggexport.system.differences import differences
from vggexport.system.json_values import WRONG_KINDS, JsonValue, read_fields


def observed_layers(spec: VGGSpec) -> tuple[str, ...]:
    """Names of the layers whose output needs a range: those that compute, up to the logits.

    Others carry the range of their input, and the range of the mean subtraction is known. The range
    of the logits serves files without any float operator alone.
    """
    return tuple(layer.name for layer in spec.layers[1:-1] if not layer.kind.keeps_values)


def input_range(spec: VGGSpec) -> tuple[float, float]:
    """Smallest and largest value that pixels 0...255 minus the mean can have."""
    return -max(spec.mean_rgb), PIXEL_MAX - min(spec.mean_rgb)


@dataclass(frozen=True, slots=True)
class ActivationRanges(JsonValue):
    """Smallest and largest value of each observed layer's output.

    Attributes:
        spec: The network they belong to.
        weights: The weights they belong to.
        calibration: The images and the method that they were taken with.
        ranges: (low, high) by layer name, for every one of :func:`observed_layers`; finite, and
            low <= 0 <= high.
        pictures: How those images became pixels; the defaults, not known, in files of 0.1.0.
        bias_corrections: What is added to the biases of layers that compute in integers, by layer
            name (:mod:`vggexport.quantization.bias_correction`); None for nothing.
    """

    json_keys = "schema kind spec weights calibration ranges pictures? bias_corrections?"

    schema: ClassVar[int] = 1
    kind: ClassVar[str] = "vggexport activation ranges"
    spec: VGGSpec
    weights: WeightsRecord
    calibration: CalibrationRecord
    ranges: Mapping[str, tuple[float, float]]
    pictures: Pictures = UNSTATED
    bias_corrections: Mapping[str, tuple[float, ...]] | None = None

    def quantization(
        self, *, symmetric: bool = False, bits: int = 8
    ) -> dict[str, ActivationQuantization]:
        """Parameters of the mean subtraction and of every observed layer, by layer name.

        Symmetric ones are int8 with zero point 0, so that outputs of ReLU use half of the integers;
        others have ``bits`` bits.
        """
        ranges = {MEAN_SUBTRACTION_NAME: input_range(self.spec), **self.ranges}
        kind = ActivationQuantization
        made = kind.from_magnitude if symmetric else partial(kind.from_range, bits=bits)
        return {name: made(low, high) for name, (low, high) in ranges.items()}

    def widened(self, others: Mapping[str, tuple[float, float]]) -> Self:
        """Ranges that hold what others, (low, high) by layer, do, too, and are marked as such."""
        ranges = {
            name: (min(low, others[name][0]), max(high, others[name][1]))
            for name, (low, high) in self.ranges.items()
        }
        record = replace(self.calibration, widened=True)
        return replace(self, calibration=record, ranges=ranges)

    def check_belongs(self, spec: VGGSpec, weights: WeightsRecord) -> None:
        """Refuses to serve another network.

        Raises:
            CalibrationError: The spec or the weights differ; names the first difference.
        """
        for found in differences(self.spec.to_json(), spec.to_json()):
            raise CalibrationError(
                f"the ranges belong to another network: {found.name} is {found.first} there and "
                f"{found.second} here; run vggexport calibrate for this one"
            )
        if not self.weights.same_tensors(weights):
            raise CalibrationError(
                f"the ranges belong to other weights: {self.weights.source} with SHA-256 "
                f"{self.weights.sha256} there, {weights.source} with {weights.sha256} here; run "
                "vggexport calibrate for these"
            )

    def agreed_pictures(self, pictures: Pictures) -> Pictures:
        """How pictures become pixels for a network that records it and in these ranges alike.

        Raises:
            InputError: The ranges are of other pixels.
        """
        if self.calibration.source == calibration.SYNTHETIC:
            return pictures
        if self.pictures.known and not pictures.known:
            return self.pictures
        check_same_pixels(
            self.pictures, pictures, self.spec.input_size,
            "the ranges were taken of pictures", "the network's",
            "run vggexport calibrate with the same",
        )  # fmt: skip
        return pictures

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Reads :meth:`to_json`.

        Raises:
            CalibrationError: It is something else, or a range is missing, not finite or reversed.
        """
        try:
            found = cls(**read_fields(cls, data))
            names = observed_layers(found.spec)
            _check_corrections(found.spec, found.bias_corrections)
            return replace(found, ranges={n: _bounds(n, *found.ranges[n]) for n in names})
        except WRONG_KINDS as error:
            raise CalibrationError(f"not a ranges file of vggexport calibrate: {error}") from error

    def save(self, path: Path) -> None:
        """Writes the file."""
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads the file that ``vggexport calibrate`` wrote.

        Raises:
            CalibrationError: It cannot be read, or is something else.
        """
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise CalibrationError(f"ranges file {path} {not_read(error)}") from error
        except ValueError as error:
            raise CalibrationError(
                f"{path} is not a ranges file of vggexport calibrate: not JSON ({error})"
            ) from error
        except CalibrationError as error:
            raise CalibrationError(f"{path}: {error}") from error


def _bounds(name: str, low: float, high: float) -> tuple[float, float]:
    if not (math.isfinite(low) and math.isfinite(high) and low <= 0.0 <= high):
        raise ValueError(f"range {low}...{high} of {name} is not finite with zero inside")
    return low, high


def _check_corrections(spec: VGGSpec, corrections: Mapping[str, tuple[float, ...]] | None) -> None:
    if corrections is None:
        return
    for layer in spec.weighted_layers:
        values, count = corrections[layer.name], layer.output_shape[-1]
        if len(values) != count or not all(map(math.isfinite, values)):
            raise ValueError(f"bias_corrections of {layer.name} are not {count} finite numbers")
