"""How far a file's answers may be, on a receiver's machine, from those that it gave at home.

It is the same file with the same bytes, so only the order and the rounding of its sums differ. What
a file may be from another file of the network is ``vggexport.opening.file_check``'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError
from vggexport.formats.registry import FORMATS
from vggexport.metrics.tolerance import Tolerance
from vggexport.system.json_values import JsonValue

CPU = "cpu"
"""Any processor, whichever kernels run there."""

XNNPACK = "cpu-xnnpack"
"""A processor on which XNNPACK runs the file, where that is known."""

ACCELERATOR = "accelerator"
"""Graphics processors, neural engines and signal processors behind delegates."""


@dataclass(frozen=True, slots=True)
class DeviceTolerance(JsonValue):
    """A tolerance, and for what.

    Attributes:
        runtime: Name of the package that runs the file.
        device: :data:`CPU`, :data:`XNNPACK` or :data:`ACCELERATOR`.
        tolerance: How far its answers may be from the recorded ones.
    """

    json_keys = "runtime device ...tolerance"

    runtime: str
    device: str
    tolerance: Tolerance


def device_tolerances(artifact: Artifact) -> tuple[DeviceTolerance, ...]:
    """The tolerances of a file: what every correct app keeps on its device, and stricter ones."""
    runtime, profile = FORMATS[artifact.format].runtime().package, artifact.profile
    other = profile.on_other_kernels.get(artifact.format)
    found = {CPU: other or profile.on_cpu}
    if artifact.format == "tflite" and other:
        found[XNNPACK] = profile.on_cpu
    found[ACCELERATOR] = profile.on_accelerator
    return tuple(DeviceTolerance(runtime, device, limits) for device, limits in found.items())


def tolerance_on(tolerances: tuple[DeviceTolerance, ...], device: str) -> Tolerance:
    """The one for a device.

    Raises:
        ArtifactError: There is none.
    """
    for found in tolerances:
        if found.device == device:
            return found.tolerance
    raise ArtifactError(f"the golden answers have no tolerance for {device}: get the bundle again")
