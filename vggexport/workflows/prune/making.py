"""The narrower network: made layer by layer, measured, written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.parity import Comparison, ParityMetrics, probabilities_of
from vggexport.network.forward import NumpyNetwork
from vggexport.network.provenance import PruningRecord
from vggexport.opening.network import Network
from vggexport.pruning.plan import Forecast
from vggexport.pruning.rebuilding import Rebuilding
from vggexport.pruning.survey import Survey
from vggexport.results.prune import PLAN_ERROR_DB, PlanPoint, RefittedLayer
from vggexport.system.progress import Steps
from vggexport.weights.description import Description
from vggexport.weights.safetensors_file import write_safetensors
from vggexport.workflows.prune.forecasting import batches
from vggexport.workflows.prune.images import PruningImages


def make(
    survey: Survey, expected: Forecast, point: PlanPoint, images: PruningImages, steps: Steps
) -> tuple[NumpyNetwork, tuple[RefittedLayer, ...]]:
    """Makes a network of these widths, as far as that is not done."""
    own = "-".join(map(str, point.widths.values()))
    folder = survey.folder / own
    folder.mkdir(exist_ok=True)
    rebuilding = Rebuilding(survey, expected.kept(point.widths), images.chosen_by, folder)
    layers = []
    with steps.step("refit"):
        for layer, refit in steps.track(rebuilding.run(), len(survey.network.layers)):
            if refit is not None:
                width = refit.kernel.shape[1]
                layers.append(RefittedLayer(layer.name, width, float(refit.errors.mean())))
    return rebuilding.network, tuple(layers)


def measured(
    whole: NumpyNetwork, narrow: NumpyNetwork, images: NDArray[np.uint8], steps: Steps
) -> ParityMetrics:
    """How near the narrower network is on images that it was not made by."""
    activation = whole.spec.head_activation
    with steps.step("measure"):
        comparison = Comparison(activation)
        parts = list(batches(images))
        for batch in steps.track(parts, len(parts)):
            logits = (one.logits(one.enter(batch)) for one in (whole, narrow))
            comparison.add(*(probabilities_of(answer, activation) for answer in logits))
    return comparison.metrics()


def write(
    path: Path, network: Network, narrow: NumpyNetwork, point: PlanPoint, images: PruningImages
) -> PruningRecord:
    """Writes the weights with what they were made of, which it returns."""
    record = PruningRecord(
        network.record.source,
        network.record.sha256,
        tuple(tuple(map(str, block)) for block in network.spec.blocks),
        images.record,
        round(point.logit_sqnr_db, 2),
        round(point.logit_sqnr_db - PLAN_ERROR_DB, 2),
        point.latency,
        network.weights.preprocessing,
    )
    spec = narrow.spec
    write_safetensors(
        path,
        {name: tensor.shape for name, tensor in spec.tensors.items()},
        (narrow.weights[name] for name in spec.tensors),
        Description(spec, network.labels, pruning=record, pictures=network.pictures).embedded(),
    )
    return record
