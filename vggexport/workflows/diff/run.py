"""What changed from one model or bundle to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vggexport.artifact import Artifact
from vggexport.bundles.evidence import BENCHMARK, EVALUATE, VERIFY, Evidence, Row, number
from vggexport.bundles.files import (
    BundleFiles,
    CheckedFiles,
    is_bundle,
    open_bundle,
    read_manifest,
    read_object,
    unpack_model,
)
from vggexport.bundles.integrity import check_integrity
from vggexport.bundles.release_checks import read_model
from vggexport.diagnosis.weights import tensor_sqnr_db
from vggexport.errors import ArtifactError
from vggexport.formats.registry import FORMATS, load_weight_reader
from vggexport.results.bundle_manifest import BundledArtifact, Manifest
from vggexport.results.diff import (
    Change,
    DifferenceReport,
    Figure,
    LayerChange,
    ModelDifference,
    RangeChange,
)
from vggexport.system.output_files import temporary_folder
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps

PERCENT = 100


@dataclass(frozen=True, slots=True)
class _Model:
    """A model of one side.

    Attributes:
        artifact: What it is.
        path: Where it is.
        name: Name that reports know it by.
    """

    artifact: Artifact
    path: Path
    name: str

    @property
    def kind(self) -> tuple[str, ...]:
        """What has to be the same in two models of which one became the other."""
        artifact = self.artifact
        return artifact.format, artifact.profile.name, artifact.input_dtype


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two."""

    models: tuple[_Model, ...]
    evidence: tuple[Evidence, ...] = ()
    manifest: Manifest | None = None


def diff(old: Path, new: Path, progress: Progress | None = None) -> DifferenceReport:
    """Compares two artifacts, or two bundles, model by model.

    Args:
        old: An artifact or a bundle.
        new: The same.
        progress: Who shows how far it is.

    Raises:
        ArtifactError: One cannot be read, or is not what was packed, or the two have no kind of
            model in common.
        Unavailable: A package that reads a format is not installed.
    """
    steps = Steps(progress or Progress())
    with ExitStack() as entered:
        with steps.step("read"):
            former, latter = (_open(entered, path) for path in (old, new))
        pairs, removed, added = _pair(former.models, latter.models)
        if not pairs:
            raise ArtifactError(
                f"{old} and {new} have no model of one format and precision: name two that have"
            )
        with steps.step("compare"):
            models = tuple(
                _compare(before, after, former, latter)
                for before, after in steps.track(iter(pairs), len(pairs))
            )
    return DifferenceReport(
        str(old),
        str(new),
        models,
        tuple(model.artifact for model in removed),
        tuple(model.artifact for model in added),
        _manifest_changes(former.manifest, latter.manifest),
        steps.seconds,
        peak_rss_bytes(),
    )


def _open(entered: ExitStack, path: Path) -> _Side:
    if not is_bundle(path):
        model = read_model(path)
        return _Side((_Model(model.artifact, path, path.name),))
    packed = open_bundle(path)
    integrity = check_integrity(packed)
    if problems := integrity.problems:
        raise ArtifactError(f"bundle {path} is not what was packed: {'; '.join(problems)}")
    files = CheckedFiles(packed, integrity.digests)
    manifest = read_manifest(files)
    folder = entered.enter_context(temporary_folder())
    models = tuple(_unpack(files, bundled, folder) for bundled in manifest.artifacts)
    evidence = tuple(_evidence(files, name) for name in manifest.reports)
    return _Side(models, evidence, manifest)


def _unpack(files: BundleFiles, bundled: BundledArtifact, folder: Path) -> _Model:
    path = unpack_model(files, bundled, folder)
    return _Model(bundled.artifact, path, bundled.source_name)


def _evidence(files: BundleFiles, name: str) -> Evidence:
    try:
        return Evidence.of(Path(name), read_object(files, name))
    except ValueError as error:
        raise ArtifactError(f"{files.path}: {name} is no report: {error}") from error


def _pair(
    old: Sequence[_Model], new: Sequence[_Model]
) -> tuple[list[tuple[_Model, _Model]], list[_Model], list[_Model]]:
    """Models that became others: of one kind and name, and then of one kind, in order."""
    if len(old) == len(new) == 1:
        return [(old[0], new[0])], [], []
    became: dict[int, _Model] = {}
    left = list(new)
    for is_same in (_is_namesake, _is_alike):
        for index, before in enumerate(old):
            after = next((model for model in left if is_same(before, model)), None)
            if index not in became and after is not None:
                left.remove(after)
                became[index] = after
    pairs = [(before, became[i]) for i, before in enumerate(old) if i in became]
    removed = [before for i, before in enumerate(old) if i not in became]
    return pairs, removed, left


def _is_alike(old: _Model, new: _Model) -> bool:
    return old.kind == new.kind


def _is_namesake(old: _Model, new: _Model) -> bool:
    return _is_alike(old, new) and old.name == new.name


def _compare(old: _Model, new: _Model, former: _Side, latter: _Side) -> ModelDifference:
    facts = tuple(_changes(_facts(old.artifact), _facts(new.artifact)))
    figures = tuple(_figures(old, new, former, latter))
    if old.artifact.sha256 == new.artifact.sha256:
        return ModelDifference(old.artifact, new.artifact, facts, figures=figures)
    formats = {old.artifact.format, new.artifact.format}
    unread = {name for name in formats if not FORMATS[name].weight_reader}
    if unread:
        note = f"weights and graph of the format {', '.join(sorted(unread))} are not read"
        return ModelDifference(old.artifact, new.artifact, facts, figures=figures, note=note)
    before, after = (load_weight_reader(m.artifact.format)(m.path) for m in (old, new))
    same = _shapes(old.artifact) == _shapes(new.artifact)
    return ModelDifference(
        old.artifact,
        new.artifact,
        facts,
        tuple(_layer_changes(before, after, old.artifact)) if same else (),
        len(old.artifact.spec.weighted_layers) if same else 0,
        tuple(_range_changes(before.ranges, after.ranges)),
        tuple(_operator_changes(before.operators, after.operators)),
        figures,
        "" if same else "the layers are others: weights are not compared",
    )


def _shapes(artifact: Artifact) -> list[tuple[str, tuple[int, ...]]]:
    return [(tensor.name, tensor.shape) for tensor in artifact.spec.tensors.values()]


def _facts(artifact: Artifact) -> dict[str, Any]:
    """What an artifact says of itself, in words and numbers that a reader can compare."""
    spec, record = artifact.spec.to_json(), artifact.calibration
    return {
        "format": artifact.format,
        "precision": artifact.precision.value,
        "input dtype": artifact.input_dtype,
        "batch": artifact.batch or "dynamic",
        "full integer": artifact.full_integer,
        **{f"network {key.replace('_', ' ')}": value for key, value in spec.items()},
        "weights": artifact.weights.source,
        "weights SHA-256": artifact.weights.sha256,
        "weights trained": artifact.weights.trained,
        "calibration source": record and record.source,
        "calibration samples": record and record.samples,
        "calibration method": record and record.method,
        "calibration fingerprint": record and record.fingerprint,
        "labels": list(artifact.labels) or None,
        **{f"made with {name}": version for name, version in sorted(artifact.tools.items())},
        "size in bytes": artifact.size_bytes,
    }


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield Change(name, old.get(name), new.get(name))


def _manifest_changes(old: Manifest | None, new: Manifest | None) -> tuple[Change, ...]:
    if old is None or new is None:
        return ()
    facts = [
        {
            "licence": manifest.licence,
            "weights source": manifest.weights_source,
            "layout": manifest.layout,
            "labels": list(manifest.labels) or None,
        }
        for manifest in (old, new)
    ]
    return tuple(_changes(*facts))


def _layer_changes(old: Any, new: Any, artifact: Artifact) -> Iterator[LayerChange]:
    """Layers whose kernel or bias is another, one in memory at a time."""
    for layer in artifact.spec.weighted_layers:
        before, after = old[layer.kernel.name], new[layer.kernel.name]
        kernel_db = tensor_sqnr_db(before, after)
        with np.errstate(invalid="ignore"):
            max_abs = float(np.abs(np.subtract(after, before, out=after)).max())
        bias_db = tensor_sqnr_db(old[layer.bias.name], new[layer.bias.name])
        if not kernel_db == bias_db == np.inf:  # a NaN is a change
            yield LayerChange(layer.name, kernel_db, bias_db, max_abs)


def _range_changes(
    old: Mapping[str, tuple[float, float]], new: Mapping[str, tuple[float, float]]
) -> Iterator[RangeChange]:
    for change in _changes(old, new):
        yield RangeChange(change.name, change.old, change.new)


def _operator_changes(
    old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]
) -> Iterator[Change]:
    """Numbers of operators by type."""
    before, after = (Counter(kind for _, kind in operators) for operators in (old, new))
    yield from _changes({k: before[k] for k in sorted(before | after)}, after)


def _figures(old: _Model, new: _Model, former: _Side, latter: _Side) -> Iterator[Figure]:
    """Figures of both sides' reports, put beside each other where the conditions are the same."""
    before, after = _measured(old, former.evidence), _measured(new, latter.evidence)
    for key in dict.fromkeys((*before, *after)):
        name, condition, unit = key
        yield Figure(name, condition, unit, before.get(key), after.get(key))


def _measured(model: _Model, evidence: Sequence[Evidence]) -> dict[tuple[str, str, str], float]:
    """Figures by name, condition and unit."""
    found = {}
    for report in evidence:
        for row in report.rows(model.name):
            for name, unit, value in _READERS.get(report.kind, lambda _: ())(row):
                if value is not None:
                    found[name, _condition(report, row), unit] = value
    return found


def _accuracy(row: Row) -> Iterator[tuple[str, str, float | None]]:
    for name, key in (("top-1", "top1"), ("top-5", "top5"), ("agreement", "agreement")):
        share = number(row, key)
        yield name, "%", None if share is None else PERCENT * share


def _latency(row: Row) -> Iterator[tuple[str, str, float | None]]:
    for name in ("p50", "p90", "p99"):
        yield f"latency {name}", "ms", number(row, "latency_ms", name)
    yield "load", "ms", number(row, "load_ms")


def _parity(row: Row) -> Iterator[tuple[str, str, float | None]]:
    yield "logit SQNR", "dB", number(row, "metrics", "logit_sqnr_db")


_READERS = {EVALUATE: _accuracy, BENCHMARK: _latency, VERIFY: _parity}


def _condition(report: Evidence, row: Row) -> str:
    """Under which a figure was measured: only those of one condition are beside each other."""
    if report.kind == BENCHMARK:
        keys = ("provider", "threads", "batch")
        machine = report.data.get("environment")
        processor = machine.get("cpu_model") if isinstance(machine, dict) else None
        parts = [f"{key} {row.get(key)}" for key in keys]
        return ", ".join([*parts, str(processor)] if processor else parts)
    images = row.get("images", report.data.get("images"))
    return f"{images} images"
