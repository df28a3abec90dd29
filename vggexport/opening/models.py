"""Networks that run side by side: opened from files and from weights, known to be the same one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.artifact import Artifact, sha256, source_sha256
from vggexport.errors import Advice, ArtifactError, InputError, Unavailable
from vggexport.formats.golden.golden_file import GoldenFile
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
from vggexport.metrics.placement import CUDA_PROVIDER
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing
from vggexport.opening.network import Network, NetworkOptions, open_network
from vggexport.opening.preprocessed import PreprocessedRunner
from vggexport.opening.reference import reference_runner
from vggexport.precision import Precision
from vggexport.results.verify import FoundPreprocessing, RunnerRecord
from vggexport.system.progress import Steps
from vggexport.weights.files import described, file_sha256


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How networks run.

    Attributes:
        threads: Threads of each runtime; 0 where the runtime chooses.
        provider: ONNX Runtime's execution provider, or None for its CPU's.
        runtime: What runs the files that several can run; None for the first of each format.
        preprocessing_of: Of files of other converters: what each wants done to RGB 0...255, by its
            path.
        tf32: Let CUDA compute float32 in TF32, with 10-bit significands, as it does by itself.
        cuda_graph: Have CUDA record a run once and repeat it: for :meth:`Runner.prepare` alone.
    """

    threads: int = 0
    provider: str | None = None
    runtime: str | None = None
    preprocessing_of: Mapping[str, Preprocessing] = field(default_factory=dict)
    tf32: bool = False
    cuda_graph: bool = False

    @property
    def provider_options(self) -> dict[str, str]:
        """Of the execution provider, by ONNX Runtime's names; empty for its defaults."""
        if self.provider != CUDA_PROVIDER:
            return {}
        asked = {"use_tf32": "0"} if not self.tf32 else {}
        return asked | ({"enable_cuda_graph": "1"} if self.cuda_graph else {})


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


def check_provider_used(
    sources: Sequence[str], provider: str | None, runtimes: Collection[str | None] = ()
) -> None:
    """Refuses an execution provider that nothing is run by.

    Args:
        sources: Paths of files, and sources of weights, which Keras runs.
        provider: What was asked for, or None.
        runtimes: Names of those asked for; files that none of them runs are run by their own.

    Raises:
        InputError: None of them is run by a runtime that has providers.
    """
    formats = (FORMATS[format_of(Path(source))] for source in sources if is_model(source))
    runs = (runtime for row in formats for runtime in row.runs_in(runtimes))
    if provider and not any(runtime.has_providers for runtime in runs):
        raise InputError(
            f"{provider} is ONNX Runtime's, which runs none of {', '.join(sources)}",
            Advice("leave out {}, or name an ONNX file", "provider"),
        )


def open_golden(entered: ExitStack, file: GoldenFile) -> OpenedModel:
    """The recorded answers of a golden file."""
    runner = entered.enter_context(GoldenRunner(file))
    return OpenedModel(str(file.path), runner, runner.artifact, sha256=sha256(file.path))


def open_models(
    entered: ExitStack, sources: Sequence[str], options: RunOptions, steps: Steps
) -> list[OpenedModel]:
    """Opens files, and then weights, of whose network a file tells more than shapes do.

    Args:
        entered: Closes the runners.
        sources: Paths of files and SavedModel directories, sources of weights, and :data:`KERAS`.
        options: How they run.
        steps: Who counts the seconds.

    Raises:
        ArtifactError: One cannot be read, or is not one of ours.
        InputError: :data:`KERAS` stands alone, or no file is run by the runtime asked for.
        Unavailable: A runtime or execution provider is not to be had.
    """
    check_runtimes([options.runtime] if options.runtime else [], sources)
    check_named(options.preprocessing_of, sources)
    check_provider_used(sources, options.provider, [options.runtime])
    with steps.step("load"):
        files = {s: open_model(entered, s, None, options, steps) for s in sources if is_model(s)}
    known = next((f.artifact for f in files.values() if not f.artifact.foreign), None)
    opened = {s: files.get(s) or open_model(entered, s, known, options, steps) for s in sources}
    if options.provider_options and not options.tf32:
        steps.progress.note("float32 on CUDA is computed in float32: TF32 is off")
    return [replace(opened[s], sha256=source_sha256(s)) for s in sources]


def open_model(
    entered: ExitStack, source: str, known: Artifact | None, options: RunOptions, steps: Steps
) -> OpenedModel:
    """Opens one of them.

    Args:
        entered: Closes the runner.
        source: A path, or a source of weights.
        known: Of weights, which network they are of.
        options: How it runs.
        steps: Who counts the seconds.

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


def check_stated(preprocessing: Preprocessing, source: str, artifact: Artifact) -> None:
    """Refuses a preprocessing that is stated of a file of ours, or that a file cannot take.

    Raises:
        InputError: It is.
    """
    if not artifact.foreign:
        raise InputError(
            f"{source} was made by vggexport and has its preprocessing inside",
            Advice("leave out {} for it", "preprocessing_of"),
        )
    if not can_be_done(preprocessing, artifact):
        raise InputError(
            f"{source} takes whole pixels ({artifact.input_dtype}), so that what happens to them "
            "is inside",
            Advice(f"state {{}} {source}=raw, or raw;bgr", "preprocessing_of"),
        )


def can_be_done(preprocessing: Preprocessing, artifact: Artifact) -> bool:
    """Whether a file takes what a preprocessing gives: some take nothing but whole pixels."""
    ends = artifact.ends
    whole = ends is not None and ends.input_dtype == "uint8" and ends.quantization is None
    return not whole or preprocessing.affine[:2] == CONVENTIONS["raw"].affine[:2]


def check_named(preprocessing: Mapping[str, Preprocessing], sources: Sequence[str]) -> None:
    """Refuses preprocessing of what is not there.

    Raises:
        InputError: It is stated of another file.
    """
    if unused := [path for path in preprocessing if path not in sources]:
        raise InputError(
            f"preprocessing is stated for {unused[0]}, which is not among {', '.join(sources)}: "
            "use the name that is given there"
        )


def _open_weights(
    entered: ExitStack, source: str, known: Artifact | None, options: RunOptions, steps: Steps
) -> OpenedModel:
    if source == KERAS:
        network = _recorded_network(known, steps)
    else:
        network = open_network(_wanted(source, known), steps, in_memory=True)
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


def _wanted(source: str, known: Artifact | None) -> NetworkOptions:
    """The network that weights are of: that of a known file, one narrower, or the file's own."""
    told = described(Path(source))
    if told and (known is None or told.pruning):
        return NetworkOptions(weights=source, request=told.spec)
    if known is None:
        return NetworkOptions(weights=source)
    pruning, spec = known.weights.pruning, known.spec
    if pruning and Path(source).is_file() and file_sha256(Path(source)) == pruning.sha256:
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
