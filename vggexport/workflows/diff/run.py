"""What changed from one model or bundle to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from vggexport.artifact import Artifact
from vggexport.diagnosis.weights import tensor_sqnr_db
from vggexport.errors import ArtifactError
from vggexport.formats.model_weights import ModelWeights
from vggexport.formats.registry import FORMATS, load_inspector, load_weight_reader
from vggexport.network.ends import Ends
from vggexport.network.layers import Layer
from vggexport.results.bundle_manifest import Manifest
from vggexport.results.diff import (
    Change,
    DifferenceReport,
    LayerChange,
    ModelDifference,
    RangeChange,
)
from vggexport.system.differences import differences
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.diff.report_figures import measured_figures
from vggexport.workflows.diff.sides import ComparedModel, Side, open_side


def diff(old: Path | str, new: Path | str, progress: Progress | None = None) -> DifferenceReport:
    """Compares two artifacts, or two bundles, model by model.

    Args:
        old: An artifact or a bundle.
        new: The same.
        progress: Who shows how far it is.

    Raises:
        ArtifactError: One cannot be read, or does not agree with its own list, or the two have no
            kind of model in common.
        Unavailable: A package that reads a format is not installed.
    """
    steps = Steps(progress or Progress())
    with ExitStack() as entered:
        with steps.step("read"):
            former, latter = (open_side(entered, Path(path)) for path in (old, new))
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


def _pair(
    old: Sequence[ComparedModel], new: Sequence[ComparedModel]
) -> tuple[list[tuple[ComparedModel, ComparedModel]], list[ComparedModel], list[ComparedModel]]:
    """Models that became others: of one kind and name, and then of one kind, in order."""
    if len(old) == len(new) == 1:
        return [(old[0], new[0])], [], []
    became: dict[int, ComparedModel] = {}
    left = list(new)
    for what in (attrgetter("kind", "name"), attrgetter("kind")):
        for index, before in enumerate(old):
            after = next((model for model in left if what(model) == what(before)), None)
            if index not in became and after is not None:
                left.remove(after)
                became[index] = after
    pairs = [(before, became[i]) for i, before in enumerate(old) if i in became]
    removed = [before for i, before in enumerate(old) if i not in became]
    return pairs, removed, left


def _compare(old: ComparedModel, new: ComparedModel, former: Side, latter: Side) -> ModelDifference:
    facts = tuple(_changes(_facts(old.artifact), _facts(new.artifact)))
    figures = tuple(measured_figures(old, new, former, latter))
    if old.artifact.sha256 == new.artifact.sha256:
        return ModelDifference(old.artifact, new.artifact, facts, figures=figures)
    if foreign := [model for model in (old, new) if model.artifact.foreign]:
        note = f"weights of {foreign[0].name} are not read: another converter wrote it"
        operators = tuple(_operator_changes(*map(_inspected_operators, (old, new))))
        return ModelDifference(
            old.artifact, new.artifact, facts, operators=operators, figures=figures, note=note
        )
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
        "" if same else "the layers differ, so weights are not compared",
    )


def _shapes(artifact: Artifact) -> list[tuple[str, tuple[int, ...]]]:
    return [(tensor.name, tensor.shape) for tensor in artifact.spec.tensors.values()]


def _inspected_operators(model: ComparedModel) -> list[tuple[str, str]]:
    """As the runtime lists them, whoever wrote the file."""
    operators = load_inspector(model.artifact.format)(model.path).operators
    return [(operator.name, operator.type) for operator in operators]


def _foreign_facts(artifact: Artifact, ends: Ends) -> dict[str, Any]:
    """What is known of a file of another converter."""
    spec = artifact.spec.to_json() if artifact.macs else {}
    known = {"classes": ends.classes, "head_activation": ends.head_activation.value}
    network = {key: value for key, value in spec.items() if key != "mean_rgb"} | known
    return {
        "format": artifact.format,
        "precision": artifact.precision.value,
        "input dtype": artifact.input_dtype,
        "batch": artifact.batch or "dynamic",
        "full integer": artifact.full_integer,
        **{f"network {key.replace('_', ' ')}": value for key, value in network.items()},
        "made by another converter": True,
        "input layout": ends.layout,
        "gives logits": ends.gives_logits,
        "size in bytes": artifact.size_bytes,
    }


def _facts(artifact: Artifact) -> dict[str, Any]:
    """What an artifact says of itself, in words and numbers that a reader can compare."""
    if artifact.ends:
        return _foreign_facts(artifact, artifact.ends)
    spec, record = artifact.spec.to_json(), artifact.calibration
    before = artifact.preprocessing
    pruning = artifact.weights.pruning
    pictures = artifact.pictures.pixels(artifact.spec.input_size)
    return {
        "format": artifact.format,
        "precision": artifact.precision.value,
        "input dtype": artifact.input_dtype,
        "symmetric activations": artifact.symmetric,
        "target": artifact.target,
        "activation bits": artifact.activation_bits,
        "rescaled": artifact.rescaled,
        "batch": artifact.batch or "dynamic",
        "full integer": artifact.full_integer,
        **{f"network {key.replace('_', ' ')}": value for key, value in spec.items()},
        "preprocessing": before and before.to_json(),
        "weights": artifact.weights.source,
        "weights SHA-256": artifact.weights.sha256,
        "weights trained": artifact.weights.trained,
        "pruned from": pruning and pruning.source,
        "pruned from SHA-256": pruning and pruning.sha256,
        "promised dB": pruning and pruning.promised_logit_sqnr_db,
        "calibration source": record and record.source,
        "calibration samples": record and record.samples,
        "calibration method": record and record.method,
        "calibration fingerprint": record and record.fingerprint,
        **{f"pictures {key.replace('_', ' ')}": value for key, value in pictures.items()},
        "labels": list(artifact.labels) or None,
        **{f"made with {name}": version for name, version in sorted(artifact.tools.items())},
        "size in bytes": artifact.size_bytes,
    }


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """What a file of 0.1.0 does not record of its preprocessing is not known to have changed."""
    for found in differences(old, new):
        if found.name != "preprocessing" or None not in (found.first, found.second):
            yield Change(found.name, found.first, found.second)


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


def _layer_changes(
    old: ModelWeights, new: ModelWeights, artifact: Artifact
) -> Iterator[LayerChange]:
    """Layers whose kernel or bias is another, one in memory at a time."""
    for layer in artifact.spec.weighted_layers:
        before, after = old[layer.kernel.name], new[layer.kernel.name]
        kernel_db = tensor_sqnr_db(before, after)
        with np.errstate(invalid="ignore"):
            max_abs = float(np.abs(np.subtract(after, before, out=after)).max())
        bias_db = tensor_sqnr_db(old[layer.bias.name], new[layer.bias.name])
        if not kernel_db == bias_db == np.inf:  # a NaN is a change
            yield LayerChange(layer.name, kernel_db, bias_db, max_abs, _in_steps(old, new, layer))


def _in_steps(old: ModelWeights, new: ModelWeights, layer: Layer) -> float | None:
    """The largest difference of a layer's biases in steps of their integers."""
    steps, others = old.bias_steps(layer), new.bias_steps(layer)
    if steps is None or others is None:
        return None
    apart = np.abs(np.float64(new[layer.bias.name]) - old[layer.bias.name])
    return float((apart / np.maximum(steps, others)).max())


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
