"""How far a file's answers may be, on a receiver's machine, from those that it gave at home.

It is the same file with the same bytes, so only the order and the rounding of its sums differ. What
a file may be from another file of the network is ``vggexport.opening.file_check``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError
from vggexport.formats.registry import FORMATS
from vggexport.metrics.tolerance import Tolerance
from vggexport.precision import Precision
from vggexport.system.json_values import JsonValue

CPU = "cpu"
ACCELERATOR = "accelerator"
"""Graphics processors, neural engines and signal processors behind delegates."""

_ON_CPU: Mapping[Precision, Tolerance] = {
    Precision.FLOAT32: Tolerance(
        "sums in another order: two runtimes measured 96 dB and 1.7e-5 on 200 photographs",
        max_abs=1e-4,
        min_logit_sqnr_db=80.0,
    ),
    Precision.FLOAT16: Tolerance(
        "processors with 16-bit arithmetic round after each sum, others do not: float16 against "
        "float32 measured 58 dB and more",
        min_logit_sqnr_db=45.0,
    ),
    Precision.DYNAMIC_INT8: Tolerance(
        "activations are quantized image by image, as those of int8-w4's fully connected layers, "
        "of which two runtimes measured 36 dB",
        min_logit_sqnr_db=25.0,
    ),
    Precision.INT8: Tolerance(
        "the same integers, rounded after each layer in the way of the processor's instructions: "
        "two runtimes measured 68 dB on 200 photographs",
        min_logit_sqnr_db=35.0,
    ),
    Precision.INT8_W4: Tolerance(
        "activations of fully connected layers are quantized by image or by block: two runtimes "
        "measured 36 dB",
        min_logit_sqnr_db=25.0,
    ),
}

_ON_ACCELERATOR: Mapping[Precision, Tolerance] = {
    precision: Tolerance(
        "accelerators compute floats in 16 bits: as float16 on a CPU; not measured on one",
        min_logit_sqnr_db=45.0,
    )
    if precision in {Precision.FLOAT32, Precision.FLOAT16}
    else Tolerance(
        "accelerators requantize with fewer bits after each layer, and compute the last one in 16 "
        "bits: 10 dB below a CPU's limit for int8; not measured on one",
        min_logit_sqnr_db=25.0,
    )
    for precision in Precision
}

_FULL_INTEGER: Mapping[str, Tolerance] = {
    CPU: Tolerance(
        "probabilities in whole 256ths, from which no logit can be told: LiteRT with and without "
        "XNNPACK measured 12.2 dB in the worst of 1,000 sets of 8 photographs, and 0.23 at most",
        max_abs=0.5,
        min_sqnr_db=10.0,
    ),
    ACCELERATOR: Tolerance(
        "probabilities in whole 256ths: as between two files; not measured on one", min_sqnr_db=6.0
    ),
}


@dataclass(frozen=True, slots=True)
class DeviceTolerance(JsonValue):
    """A tolerance, and for what.

    Attributes:
        runtime: Name of the package that runs the file.
        device: :data:`CPU` or :data:`ACCELERATOR`.
        tolerance: How far its answers may be from the recorded ones.
    """

    json_keys = "runtime device ...tolerance"

    runtime: str
    device: str
    tolerance: Tolerance


def device_tolerances(artifact: Artifact) -> tuple[DeviceTolerance, ...]:
    """The tolerances of a file, on CPUs and on accelerators."""
    runtime = FORMATS[artifact.format].runtime().package
    if artifact.full_integer:
        return tuple(DeviceTolerance(runtime, d, found) for d, found in _FULL_INTEGER.items())
    return (
        DeviceTolerance(runtime, CPU, _ON_CPU[artifact.precision]),
        DeviceTolerance(runtime, ACCELERATOR, _ON_ACCELERATOR[artifact.precision]),
    )


def tolerance_on(tolerances: tuple[DeviceTolerance, ...], device: str) -> Tolerance:
    """The one for a device.

    Raises:
        ArtifactError: There is none.
    """
    for found in tolerances:
        if found.device == device:
            return found.tolerance
    raise ArtifactError(f"the golden answers have no tolerance for {device}: get the bundle anew")
