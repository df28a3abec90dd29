"""The network that weights are of: what a file of the same network, or the weights' own, says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.errors import Advice, ArtifactError, InputError
from vggexport.formats.registry import KERAS
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing
from vggexport.network.spec import VGGSpec
from vggexport.opening.network import Network, NetworkOptions, open_network, opened_weights
from vggexport.system.progress import Progress, Steps
from vggexport.weights.files import described, prepares_pixels, weights_sha256
from vggexport.weights.published import is_published
from vggexport.weights.sources import is_word


def open_weights(
    source: str, known: Artifact | None, stated: Preprocessing | None, steps: Steps
) -> Network:
    """Reads weights as the network that is known, or as their own.

    Args:
        source: Where they are, or :data:`KERAS` for those that the known file was made of.
        known: A file of the same network, or None.
        stated: What happens to RGB 0...255 before the network; None for what the weights say, else
            what the known file records.
        steps: Who counts the seconds.

    Raises:
        VggExportError: They cannot be read, or are others than the file was made of.
    """
    if source == KERAS:
        return _recorded_network(known, stated, steps)
    options = _wanted(source, known)
    options = replace(options, preprocessing=stated or options.preprocessing)
    return open_network(options, steps, in_memory=True)


def check_agreed(network: Network, source: str, files: Sequence[Artifact]) -> None:
    """Refuses files made for different pixels, where weights got theirs from the first of them.

    Raises:
        InputError: Nothing tells which of two is right.
    """
    taken, first = network.weights.preprocessing, _teller(network, files)
    if first is None:
        return
    for file in files:
        pruning = file.weights.pruning
        if pruning and network.record.sha256 == pruning.sha256:
            continue  # it records what is left to be done before its own tensors
        other = file.preprocessing
        if other and other.affine != taken.affine:
            raise InputError(
                f"{first.path} was made for pixels as {taken.name}, {file.path} for {other.name}, "
                f"and {source} does not say which is right: leave one of the files out"
            )


def is_stated_alone(network: Network, source: str, files: Sequence[Artifact]) -> bool:
    """Whether weights got their preprocessing from a file, and say nothing of it themselves."""
    taken, record = network.weights.preprocessing, network.record
    first = _teller(network, files)
    if first is None or not taken.known or not record.trained:
        return False
    path = Path(_recorded_source(first) if source == KERAS else source)
    by_layout = record.layout == "native" and taken.affine == CONVENTIONS["vgg"].affine
    return not (
        is_word(str(path))
        or by_layout
        or prepares_pixels(path, network.spec.input_size)
        or is_published(path, record.layout, record.sha256)
    )


def _teller(network: Network, files: Sequence[Artifact]) -> Artifact | None:
    """The file that weights got their preprocessing from; None where they or their user said it."""
    taken = network.weights.preprocessing
    return next((file for file in files if file.preprocessing is taken), None)


def _wanted(source: str, known: Artifact | None) -> NetworkOptions:
    """The network that weights are of: that of a known file, one narrower, or the file's own."""
    told = described(Path(source))
    if told and (known is None or told.pruning):
        return NetworkOptions(weights=source, request=told.spec)
    if known is None:
        return NetworkOptions(weights=source)
    path, record = Path(source), known.weights
    wanted = NetworkOptions(weights=source, request=known.spec, preprocessing=known.preprocessing)
    if not path.is_file():
        return wanted
    digest = weights_sha256(path)
    if record.pruning and digest == record.pruning.sha256:
        ancestor = record.pruning.ancestor_of(known.spec)
        wanted = replace(wanted, request=ancestor, preprocessing=record.pruning.preprocessing)
    elif digest != record.sha256 and _is_native_alone(record.layout, source, known.spec):
        wanted = replace(wanted, preprocessing=None)
    if prepares_pixels(path, known.spec.input_size):
        # what a file made of other weights records comes before those
        wanted = replace(wanted, preprocessing=None)
    return wanted


def _is_native_alone(layout: str, source: str, spec: VGGSpec) -> bool:
    """Whether the tensors of one of two have in them what happens to pixels, and the other's not.

    What a file records of the one, such as the mean that is left to subtract, is not the other's.
    """
    unstated = NetworkOptions(weights=source, request=spec)
    other = opened_weights(unstated, Steps(Progress())).layout
    return (layout == "native") != (other == "native")


def _recorded_network(
    known: Artifact | None, stated: Preprocessing | None, steps: Steps
) -> Network:
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
        preprocessing=stated or known.preprocessing,
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
    """Where the weights of a file are: it knows the name of theirs, not the folder."""
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
