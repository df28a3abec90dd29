"""The network that a command works on: its weights opened, its labels read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.errors import Advice, InputError
from vggexport.network.pictures import PictureRequest, Pictures
from vggexport.network.preprocessing import CHOICES, Preprocessing
from vggexport.network.provenance import WeightsRecord
from vggexport.network.spec import DEFAULT_CONFIGURATION, VGGSpec, size_text
from vggexport.network.training_recipe import Recipe
from vggexport.opening.labels import read_labels
from vggexport.precision import Precision
from vggexport.results.summary import SummaryReport
from vggexport.system.process import package_versions
from vggexport.system.progress import Progress, Steps
from vggexport.system.typed_options import TypedOptions
from vggexport.weights import SpecRequest, Weights, is_word, open_weights

DEFAULT_WEIGHTS = "random:0"


@dataclass(frozen=True, slots=True)
class NetworkOptions(TypedOptions):
    """Which network, with which weights.

    Attributes:
        weights: "random[:SEED]", "imagenet" or a file.
        layout: "auto", "native", "keras" or "torchvision".
        init_missing: Fill layers that the file lacks with random weights.
        sha256: Refuse any other weights file.
        preprocessing: What happens to RGB 0...255 before the network that the weights' file holds;
            None for what it says, else what is usual for its layout.
        pictures: How pictures become pixels.
        strict: Refuse to assume the preprocessing or the input size. How pictures become pixels
            has defaults, which are the same for all files: taking them is told, never refused.
        request: What of the network is fixed; the rest is taken from the file's shapes.
        labels: A file with one class name a line, or JSON.
        seed: Of initialisation and of the choice of images.
    """

    weights: str = DEFAULT_WEIGHTS
    layout: str = "auto"
    init_missing: bool = False
    sha256: str | None = None
    preprocessing: Preprocessing | None = None
    pictures: PictureRequest = field(default_factory=PictureRequest)
    strict: bool = False
    request: VGGSpec | SpecRequest = field(default_factory=SpecRequest)
    labels: Path | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """Opened weights and what artifacts record of them."""

    weights: Weights
    record: WeightsRecord
    labels: tuple[str, ...]
    pictures: Pictures

    @property
    def spec(self) -> VGGSpec:
        """The network's description."""
        return self.weights.spec

    def artifact(self, path: Path, file_format: str, precision: Precision) -> Artifact:
        """The artifact object of a file of this network."""
        return Artifact(
            str(path),
            file_format,
            precision,
            self.spec,
            self.record,
            preprocessing=self.weights.preprocessing,
            pictures=self.pictures,
            labels=self.labels,
            tools=package_versions(),
        )


def summarize(
    network: SpecRequest | NetworkOptions | str,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> SummaryReport:
    """The network as a table.

    Args:
        network: The network, or weights of one, or their source alone.
        recipe: How it is trained, if that is to be shown.
        progress: Who is told what the user should know of the weights.

    Raises:
        InputError: No such configuration, or a size is out of range.
        WeightsError: The weights cannot be used.
    """
    if isinstance(network, str):
        network = NetworkOptions(weights=network)
    if isinstance(network, SpecRequest):
        return SummaryReport(network.with_defaults(), recipe)
    if network.weights == DEFAULT_WEIGHTS and isinstance(network.request, SpecRequest):
        return SummaryReport(network.request.with_defaults(), recipe)
    opened = open_network(network, Steps(progress or Progress()))
    return SummaryReport(opened.spec, recipe, opened.weights.preprocessing)


def open_network(options: NetworkOptions, steps: Steps, *, in_memory: bool = False) -> Network:
    """Opens the weights, reads the labels, and notes what the user should know of them.

    ``in_memory`` reads all weights now, once, and keeps them: 553 MB for VGG-D.

    Raises:
        WeightsError: The weights cannot be used.
        InputError: The labels cannot be used.
        Unavailable: A package or the download is not to be had.
    """
    with steps.step("weights"):
        weights = opened_weights(options, steps)
        if in_memory:
            weights = weights.in_memory()
        labels = weights.labels
        if options.labels:
            labels = read_labels(options.labels, weights.spec.label_count, steps)
        record = WeightsRecord(
            weights.source,
            weights.sha256,
            weights.trained,
            weights.layout,
            weights.initialized,
            options.seed if weights.initialized else None,
            weights.pruning,
            weights.size_assumed or None,
        )
    _note_weights(options, weights, steps)
    check_known(weights.preprocessing, weights.source, steps, strict=options.strict)
    _check_ancestor(weights, steps, strict=options.strict)
    size, source = weights.spec.input_size, weights.source
    if weights.size_assumed:
        _note_size(size, source, steps, strict=options.strict)
    pictures = options.pictures.within(weights.pictures, size, source)
    return Network(weights, record, labels, pictures)


def configuration_of(options: NetworkOptions) -> str:
    """What outputs are named after that have no name: a column of table 1, or "own".

    Raises:
        WeightsError: The weights cannot be used.
    """
    if options.request.configuration:
        return options.request.configuration
    if is_word(options.weights):
        return DEFAULT_CONFIGURATION
    return opened_weights(options, Steps(Progress())).spec.configuration


def opened_weights(options: NetworkOptions, steps: Steps) -> Weights:
    """The weights alone, nothing said of them.

    Raises:
        WeightsError: They cannot be used.
        Unavailable: A package or the download is not to be had.
    """
    return open_weights(
        options.weights,
        options.request,
        layout=options.layout,
        preprocessing=options.preprocessing,
        init_missing=options.init_missing,
        seed=options.seed,
        sha256=options.sha256,
        progress=steps.progress.advance,
    )


_PIXELS = {
    "caffe": "Caffe's convention assumed (BGR minus the mean)",
    "torch": "torchvision's convention assumed (RGB / 255, normalized)",
}


TELL_PREPROCESSING = (
    Advice("find it out with {} on labelled images", "try_preprocessing", command="evaluate"),
    Advice("with {} of the network itself", "answers", command="verify"),
)
"""How to know what a training did to pixels; what was assumed of it must not be copied."""


def check_known(preprocessing: Preprocessing, source: str, steps: Steps, *, strict: bool) -> None:
    """Says what was assumed of pixels, or refuses it where it is ``strict``.

    Raises:
        InputError: Something was, and ``strict`` is set.
    """
    if preprocessing.known:
        return
    assumed = f"pixels: {_PIXELS[preprocessing.name]}"
    stating = Advice(f"use {{}} to state what training did: {CHOICES}", "preprocessing")
    ways = (stating, *TELL_PREPROCESSING)
    if strict:
        raise InputError(
            f"{source} does not say what happens to pixels before its network; {assumed}", *ways
        )
    steps.progress.note(assumed, *ways)


def _check_ancestor(weights: Weights, steps: Steps, *, strict: bool) -> None:
    """Says what was assumed of the pixels of the network that another was pruned from.

    Raises:
        InputError: Something was, and ``strict`` is set.
    """
    pruning = weights.pruning
    before = pruning.preprocessing if pruning else None
    if pruning is None or before is None or before.known:
        return
    fact = f"{pruning.source}, which {weights.source} was pruned from: {_PIXELS[before.name]}"
    again = Advice(
        "prune it again and state with {} what training did", "preprocessing", command="prune"
    )
    if strict:
        raise InputError(fact, again)
    steps.progress.note(fact, again)


def _note_size(size: tuple[int, int], source: str, steps: Steps, *, strict: bool) -> None:
    """Says that a size was assumed, as a head after a global pooling takes any; or refuses it."""
    fact = f"{source} does not tell the size of its images: {size_text(size)} pixels assumed"
    if strict:
        raise InputError(fact, Advice("state it with {}", "input_size"))
    steps.progress.note(fact, Advice("say {} if training had others", "input_size"))


def _note_weights(options: NetworkOptions, weights: Weights, steps: Steps) -> None:
    if weights.source.startswith("random:"):
        steps.progress.note(
            f"weights are random ({weights.source}): for pipelines and latency, not for predictions"
        )
        return
    if options.layout == "auto":
        steps.progress.note(f"weights layout: {weights.layout} (auto)")
    for note in weights.notes:
        steps.progress.note(note)
    if weights.initialized:
        steps.progress.note(
            f"filled with random weights, seed {options.seed}: {', '.join(weights.initialized)}"
        )
