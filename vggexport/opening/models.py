"""Networks that run side by side: opened from files and from weights, known to be the same one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.errors import Advice, ArtifactError, Unavailable
from vggexport.formats.golden.golden_file import GoldenFile
from vggexport.formats.golden.owner_answers import check_no_answers
from vggexport.formats.golden.runner import GOLDEN, GoldenRunner
from vggexport.formats.registry import (
    FORMATS,
    KERAS,
    check_runtimes,
    format_of,
    is_model,
    load_runner,
    load_weight_reader,
)
from vggexport.formats.runner import Runner
from vggexport.network.layers import OUTPUT_NAME
from vggexport.network.preprocessing import Preprocessing
from vggexport.opening.file_check import read
from vggexport.opening.network import Network
from vggexport.opening.preprocessed import PreprocessedRunner
from vggexport.opening.recorded_weights import check_agreed, open_weights
from vggexport.opening.reference import reference_runner
from vggexport.opening.run_options import RunOptions, check_provider_used
from vggexport.opening.sidecars import WRITE_BOTH, stale_sidecar
from vggexport.opening.stated_preprocessing import check_named, check_stated
from vggexport.precision import Precision
from vggexport.results.verify import FoundPreprocessing, RunnerRecord
from vggexport.system.digests import sha256, source_sha256
from vggexport.system.progress import Steps
from vggexport.weights.files import check_file
from vggexport.weights.sources import is_word


@dataclass(frozen=True, slots=True, eq=False)
class OpenedModel:
    """One network that runs, and what it is: of the Keras network that is made up from its spec.

    Attributes:
        path: The file, or the source of the weights.
        runner: What runs it, entered.
        artifact: What it is.
        network: Its weights, where it is not a file.
        found: How its preprocessing was found out, where it was.
        sha256: Of the file as it was opened; None where it is none, or nobody will report of it.
    """

    path: str
    runner: Runner
    artifact: Artifact
    network: Network | None = None
    found: FoundPreprocessing | None = None
    sha256: str | None = None

    @property
    def computes(self) -> bool:
        """Whether it runs any images, rather than giving recorded answers for some."""
        return self.artifact.format != GOLDEN

    def read(self, images: NDArray[Any], names: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """As :func:`~vggexport.opening.file_check.read`."""
        return read(self.runner, images, names, self.artifact.batch or 1)

    def answers(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities for a few images, which :meth:`read` takes."""
        return self.read(images, [OUTPUT_NAME])[OUTPUT_NAME]

    def weights(self) -> Mapping[str, NDArray[np.float32]]:
        """Kernels and biases as it computes with them, native, read one at a time.

        Raises:
            ArtifactError: They cannot be read out of the file.
        """
        if self.network:
            return self.network.weights
        return load_weight_reader(self.artifact.format)(Path(self.path))

    def record(self, seconds: float) -> RunnerRecord:
        """What a report says of it, and of the seconds that it took."""
        runner, artifact = self.runner, self.artifact
        return RunnerRecord(
            self.path,
            runner.runtime,
            runner.provider,
            artifact.precision,
            seconds,
            bool(artifact.foreign),
            artifact.preprocessing if artifact.foreign else None,
            self.found,
            self.sha256,
        )


def shared_layers(reference: OpenedModel, *candidates: OpenedModel) -> tuple[str, ...]:
    """The layers that all of them have, in order; candidates that tell of none are left out."""
    named = [model.artifact.layer_names for model in candidates if model.artifact.layer_names]
    names = reference.artifact.layer_names
    return tuple(name for name in names if all(name in others for others in named))


def with_preprocessing(
    model: OpenedModel, preprocessing: Preprocessing, found: FoundPreprocessing | None = None
) -> OpenedModel:
    """A model of another converter, run under what it wants done to pixels."""
    return replace(
        model,
        runner=PreprocessedRunner(model.runner, preprocessing),
        artifact=replace(model.artifact, preprocessing=preprocessing),
        found=found,
    )


def open_golden(entered: ExitStack, file: GoldenFile) -> OpenedModel:
    """The recorded answers of a golden file."""
    runner = entered.enter_context(GoldenRunner(file))
    return OpenedModel(str(file.path), runner, runner.artifact, sha256=sha256(file.path))


def open_models(
    entered: ExitStack, sources: Sequence[str], options: RunOptions, steps: Steps
) -> list[OpenedModel]:
    """Opens files, and then weights, of whose network a file tells more than shapes do.

    A source is the path of a file or SavedModel directory, a source of weights, or :data:`KERAS`.

    Raises:
        ArtifactError: One cannot be read, or is not one of ours.
        InputError: :data:`KERAS` stands alone, or no file is run by the runtime asked for.
        Unavailable: A runtime or execution provider is not to be had.
    """
    check_runtimes([options.runtime] if options.runtime else [], sources)
    check_named(options.preprocessing_of, sources)
    check_provider_used(sources, options.provider, [options.runtime])
    for source in sources:
        _check_there(source)
    with steps.step("load"):
        files = {s: open_model(entered, s, None, options, steps) for s in sources if is_model(s)}
    own = [f.artifact for f in files.values() if not f.artifact.foreign]
    known = own[0] if own else None
    opened = {s: files.get(s) or open_model(entered, s, known, options, steps) for s in sources}
    for source, model in opened.items():
        if model.network:
            check_agreed(model.network, source, own)
    if options.provider_options and not options.tf32:
        steps.progress.note("float32 on CUDA is computed in float32: TF32 is off")
    found = [replace(opened[s], sha256=source_sha256(s)) for s in sources]
    for model in found:
        if model.sha256 and (stale := stale_sidecar(Path(model.path), model.sha256)):
            steps.progress.note(stale, WRITE_BOTH)
    return found


def _check_there(source: str) -> None:
    """Refuses a wrong path before anything is loaded: TensorFlow takes seconds."""
    if is_model(source):
        format_of(Path(source))
    elif source != KERAS and not is_word(source):
        check_file(Path(source))
        check_no_answers(Path(source))


def open_model(
    entered: ExitStack, source: str, known: Artifact | None, options: RunOptions, steps: Steps
) -> OpenedModel:
    """Opens one of them; of weights, ``known`` says which network they are of.

    Raises:
        VggExportError: As :func:`open_models`.
    """
    if is_model(source):
        return _open_file(entered, source, options)
    return _open_weights(entered, source, known, options, steps)


def _open_file(entered: ExitStack, source: str, options: RunOptions) -> OpenedModel:
    path = Path(source)
    file_format = format_of(path)
    runtime = FORMATS[file_format].runs_in([options.runtime])[0]
    chosen = runtime.has_providers and options.provider
    extra = {"provider": chosen, "provider_options": options.provider_options} if chosen else {}
    loaded = load_runner(file_format, runtime.name)(path, threads=options.threads, **extra)
    runner = entered.enter_context(loaded)
    if runner.artifact is None:
        raise ArtifactError(f"{source} does not say which network it is: not made by vggexport")
    model = OpenedModel(source, runner, runner.artifact)
    preprocessing = options.preprocessing_of.get(source)
    if preprocessing is None:
        return model
    check_stated(preprocessing, source, runner.artifact)
    return with_preprocessing(model, preprocessing)


def _open_weights(
    entered: ExitStack, source: str, known: Artifact | None, options: RunOptions, steps: Steps
) -> OpenedModel:
    network = open_weights(source, known, options.preprocessing_of.get(source), steps)
    with steps.step("load"), _or_recorded_answers():
        runner = entered.enter_context(
            reference_runner(network, dict(network.weights), threads=options.threads)
        )
    artifact = network.artifact(Path(source), KERAS, Precision.FLOAT32)
    return OpenedModel(source, runner, artifact, network)


@contextmanager
def _or_recorded_answers() -> Iterator[None]:
    """Says what works where TensorFlow cannot be had, as on the board that a file is meant for."""
    try:
        yield
    except Unavailable as error:
        recorded = Advice("compare with answers that were recorded elsewhere, with {}", "golden")
        raise Unavailable(error.fact, *error.advice, recorded) from error
