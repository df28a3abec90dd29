"""Pruning: a trained network and images without labels give a narrower network."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from vggexport.errors import WeightsError
from vggexport.network.forward import NumpyNetwork
from vggexport.opening.network import Network, open_network
from vggexport.pruning.survey import Survey
from vggexport.results.prune import PruningReport
from vggexport.system.machine import read_machine
from vggexport.system.options import takes
from vggexport.system.output_files import output_folder, publish
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.prune.budgets import choose, choose_by_latency, curve
from vggexport.workflows.prune.forecasting import forecast
from vggexport.workflows.prune.images import PruningImages, read_images
from vggexport.workflows.prune.latency_budget import measuring
from vggexport.workflows.prune.making import make, measured, write
from vggexport.workflows.prune.options import PruneOptions


@takes(PruneOptions)
def prune(options: PruneOptions, progress: Progress | None = None) -> PruningReport:
    """Says what budgets give, and makes the network of one.

    Args:
        options: What is made narrower.
        progress: Who shows how far it is.

    Raises:
        InputError: The weights, the images or the budget cannot be used.
        OutputError: The output cannot be written.
        Unavailable: A package is not installed.
    """
    steps = Steps(progress or Progress())
    if options.plan:
        report = _run(options, None, steps)
        steps.progress.note(
            f"{options.folder} keeps the statistics of the images for a run with a budget"
        )
        return report
    with output_folder(options.place, force=options.force) as folder:
        report = _run(options, folder / options.place.name, steps)
        publish(folder, options.place)
    if options.cache_dir is None:
        shutil.rmtree(options.folder)
    return report


def _run(options: PruneOptions, path: Path | None, steps: Steps) -> PruningReport:
    """The plan, and the weights under ``path`` if there is one."""
    machine = read_machine()  # before this command keeps it busy itself
    for remark in machine.remarks if options.latency else ():
        steps.progress.note(remark)
    network = _opened(options, steps)
    images = read_images(options, network.spec, network.pictures, steps)
    whole = NumpyNetwork(network.spec, dict(network.weights))
    survey = Survey(whole, _folder(options, network, images), len(images.chosen_by))
    expected = forecast(survey, images.chosen_by, images.checked, steps)
    points = curve(expected, options)
    chosen = None
    if options.latency is not None:
        with measuring(network, survey.folder, machine, steps) as measure:
            chosen = choose_by_latency(expected, options, options.latency, measure)
    elif options.has_budget:
        chosen = choose(expected, options)
    narrowed = None
    if chosen and path:
        steps.progress.note(f"{chosen.logit_sqnr_db:.1f} dB of the logits are expected")
        made = make(survey, expected, chosen, images, steps)
        metrics = measured(whole, made[0], images.checked, steps)
        narrowed = write(path, options.place, network, made, chosen, images, metrics)
    return PruningReport(
        network.record.source,
        network.spec,
        len(images.chosen_by),
        points,
        chosen,
        narrowed,
        steps.seconds,
        peak_rss_bytes(),
        images.contents,
    )


def _opened(options: PruneOptions, steps: Steps) -> Network:
    """The network.

    Raises:
        WeightsError: It is not trained.
    """
    network = open_network(options.network, steps, in_memory=True)
    if not network.record.trained:
        raise WeightsError(
            f"weights {network.record.source} are not trained: which channels can be spared is "
            "what training decides; name trained weights"
        )
    return network


def _folder(options: PruneOptions, network: Network, images: PruningImages) -> Path:
    """Where what these images say of this network is kept."""
    told = (
        network.record.sha256,
        repr(network.spec),
        repr(network.pictures),
        images.record.fingerprint,
    )
    name = hashlib.sha256("\n".join(told).encode()).hexdigest()
    folder = options.folder / name[:32]
    folder.mkdir(parents=True, exist_ok=True)
    return folder
