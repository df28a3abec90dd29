"""The network that weights are of: what a file of the same network, or the weights' own, says."""

from __future__ import annotations

from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.errors import Advice, ArtifactError, InputError
from vggexport.formats.registry import KERAS
from vggexport.opening.network import Network, NetworkOptions, open_network
from vggexport.system.progress import Steps
from vggexport.weights.files import described, weights_sha256


def open_weights(source: str, known: Artifact | None, steps: Steps) -> Network:
    """Reads weights as the network that is known, or as their own.

    Args:
        source: Where they are, or :data:`KERAS` for those that the known file was made of.
        known: A file of the same network, or None.
        steps: Who counts the seconds.

    Raises:
        VggExportError: They cannot be read, or are others than the file was made of.
    """
    if source == KERAS:
        return _recorded_network(known, steps)
    return open_network(_wanted(source, known), steps, in_memory=True)


def _wanted(source: str, known: Artifact | None) -> NetworkOptions:
    """The network that weights are of: that of a known file, one narrower, or the file's own."""
    told = described(Path(source))
    if told and (known is None or told.pruning):
        return NetworkOptions(weights=source, request=told.spec)
    if known is None:
        return NetworkOptions(weights=source)
    pruning, spec = known.weights.pruning, known.spec
    if pruning and Path(source).is_file() and weights_sha256(Path(source)) == pruning.sha256:
        spec = pruning.ancestor_of(spec)
    return NetworkOptions(weights=source, request=spec, preprocessing=known.preprocessing)


def _recorded_network(known: Artifact | None, steps: Steps) -> Network:
    """The weights that a file says it was made of."""
    if known is None:
        raise InputError(
            "the reference keras is the Keras network of a file's weights, and no file is given: "
            "name the weights instead"
        )
    record = known.weights
    options = NetworkOptions(
        weights=_recorded_source(known),
        layout=record.layout,
        preprocessing=known.preprocessing,
        init_missing=bool(record.initialized),
        request=known.spec,
        seed=record.seed or 0,
    )
    network = open_network(options, steps, in_memory=True)
    if not network.record.same_tensors(record):
        raise ArtifactError(
            f"{known.path} was made of other weights than {record.source} has now",
            Advice("name the right ones with {}", "reference"),
        )
    return network


def _recorded_source(known: Artifact) -> str:
    """Where the weights of a file are: it knows the name of theirs, not the folder.

    Raises:
        InputError: They are neither here nor beside the file.
    """
    source = known.weights.source
    if not Path(source).suffix:
        return source  # random:0, imagenet
    for folder in (Path(), Path(known.path).parent):
        if (found := folder / source).is_file():
            return str(found)
    raise InputError(
        f"{known.path} was made of {source}, which is neither here nor beside it",
        Advice("name the weights with {}", "reference"),
    )
