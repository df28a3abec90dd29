"""What weights are held to: the network as its owner has it, run by Keras."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vggexport.formats.registry import KERAS, OWNER, load_runner
from vggexport.formats.runner import Runner
from vggexport.opening.network import Network


def reference_runner(
    network: Network, weights: Mapping[str, NDArray[np.float32]] | None = None, *, threads: int = 0
) -> Runner:
    """Runs the layers that a weights file describes; those of our own network where it does not.

    Weights are given where they are held in memory; with 0 threads the runtime chooses.

    Raises:
        Unavailable: TensorFlow is not installed.
    """
    opened = network.weights
    held = opened if weights is None else weights
    if opened.described is None:
        return load_runner(KERAS)(network.spec, held, threads=threads)
    return load_runner(KERAS, OWNER)(
        network.spec,
        held,
        path=opened.described,
        preprocessing=opened.preprocessing,
        added=network.spec.head_activation,
        threads=threads,
    )


def reference_name(network: Network) -> str:
    """What it is called in reports."""
    described = network.weights.described
    return f"network that {described.name} describes" if described else "Keras network"
