"""What every runner offers: a network that can be run, whatever runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError
from vggexport.metrics.layer_times import NodeTime
from vggexport.metrics.placement import PlacedNode
from vggexport.network.ends import Ends
from vggexport.network.layers import INPUT_NAME, OUTPUT_NAME

Images = NDArray[np.uint8] | NDArray[np.float32]
"""(images, size, size, 3), RGB 0...255."""


def as_input(images: Images, dtype: Any) -> NDArray[Any]:
    """Images in the type that a network takes.

    Pixels as float32 are whole numbers, or nearly so: they are rounded, not cut off.
    """
    if np.issubdtype(dtype, np.integer) and images.dtype != dtype:
        limits = np.iinfo(dtype)
        images = np.clip(np.rint(images), limits.min, limits.max)
    return images.astype(dtype)


def check_ends(path: Path, names: Iterable[str]) -> None:
    """Refuses a network with other inputs and outputs than ours.

    Raises:
        ArtifactError: These are not the names of its input and its output.
    """
    if list(names) != [INPUT_NAME, OUTPUT_NAME]:
        raise ArtifactError(
            f"{path} does not map {INPUT_NAME} to {OUTPUT_NAME}: not made by vggexport"
        )


def ends_of(artifact: Artifact) -> Ends:
    """What a file takes and gives: this project's contract, or that of another converter."""
    spec = artifact.spec
    return artifact.ends or Ends(
        INPUT_NAME,
        OUTPUT_NAME,
        spec.input_size,
        spec.classes,
        artifact.input_dtype,
        head_activation=spec.head_activation,
    )


def does_not_run(path: Path, images: Images, reason: str) -> ArtifactError:
    """The error for images that a network does not take."""
    return ArtifactError(f"{path} does not run on images of shape {images.shape}: {reason}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """One inference with everything done that is the same for each.

    Attributes:
        run: The runtime's own call and nothing else, over when the result is there.
        probabilities: Runs it, and gives the caller's own copy of the result: float32
            (images, classes).
        transfer: Where the run is on a device of its own: brings the input there and the result
            back, as ``run`` does not.
    """

    run: Callable[[], object]
    probabilities: Callable[[], NDArray[np.float32]]
    transfer: Callable[[], object] | None = None


class Runner(Protocol):
    """A context manager around one network in one runtime.

    Attributes:
        runtime: Name and version of what computes.
        provider: What it computes on, as the runtime reports it.
        threads: Threads that it was given; 0 where the runtime chooses.
        artifact: What the file says of itself, once entered; None for a file that is not ours, and
            for the Keras network, which is in no file.
    """

    runtime: str
    provider: str
    threads: int
    artifact: Artifact | None

    def __enter__(self) -> Self: ...

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the network and its memory; entering again opens it again."""
        ...

    def predict(self, images: Images) -> NDArray[np.float32]:
        """Probabilities, float32 (images, classes), in an array that is the caller's."""
        return self.activations(images, [OUTPUT_NAME])[OUTPUT_NAME]

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs of layers by the names of the spec, whatever the runtime calls and stores them.

        Args:
            images: As for :meth:`predict`.
            names: Layers.

        Returns:
            float32, dequantized where the runtime computes in integers. NHWC in front of the
            flattening, which is in HWC order.

        Raises:
            ArtifactError: The network has no such layer, or the file does not let it be read.
        """
        ...

    def prepare(self, images: Images) -> Prepared:
        """Everything up to the runtime's own call, for runs that are timed.

        Good until the runner is used otherwise: layers are read from another copy of the network.

        Args:
            images: As for :meth:`predict`.

        Raises:
            ArtifactError: The images do not fit.
        """
        ...

    def placed_nodes(self, images: Images) -> tuple[PlacedNode, ...] | None:
        """Every node of the network with what ran it, from a run on the images.

        It opens the network once more. None where the runtime has one place only.
        """
        return None

    def node_times(self, images: Images, runs: int) -> tuple[NodeTime, ...]:
        """Milliseconds of every node, from some runs on the images.

        It opens the network once more. None where the runtime's row in the registry says so.
        """
        return ()

    def provider_options(self) -> dict[str, str]:
        """What the runtime's provider was set to, by its own names."""
        return {}
