"""Pruning: a trained network and images without labels give a narrower network."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vggexport.errors import Advice, OutputError, Unfinished, WeightsError
from vggexport.network.forward import NumpyNetwork
from vggexport.opening.network import Network, NetworkOptions, open_network
from vggexport.pruning.plan import Forecast
from vggexport.pruning.survey import Survey
from vggexport.results.prune import Front, Narrowed, PlanPoint, PruningReport, RefittedLayer
from vggexport.system.digests import file_sha256
from vggexport.system.machine import Machine, read_machine
from vggexport.system.options import takes
from vggexport.system.output_files import is_full, output_folder, publish
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.prune.budgets import choose, choose_by_latency, curve, front_points
from vggexport.workflows.prune.forecasting import forecast
from vggexport.workflows.prune.front import FrontRun
from vggexport.workflows.prune.images import PruningImages, read_images
from vggexport.workflows.prune.latency_budget import measuring
from vggexport.workflows.prune.making import make, measured, write
from vggexport.workflows.prune.options import SUFFIX, PruneOptions


@takes(PruneOptions)
def prune(options: PruneOptions, progress: Progress | None = None) -> PruningReport:
    """Says what budgets give, and makes the network of one.

    Args:
        options: What is made narrower.
        progress: Who shows how far it is.

    Raises:
        InputError: The weights, the images or the budget cannot be used.
        OutputError: The output or the folder for statistics cannot be written.
        Unfinished: The disk is full.
        Unavailable: A package is not installed.
    """
    steps = Steps(progress or Progress())
    if not options.writes:
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


@contextmanager
def _told_of_folder(folder: Path, steps: Steps) -> Iterator[None]:
    """Says what is left of a run that was broken off."""
    try:
        yield
    except (KeyboardInterrupt, OSError) as error:
        if folder.is_dir():
            steps.progress.note(
                f"{folder} keeps what was computed so far: the same command goes on with it"
            )
        if isinstance(error, OSError) and is_full(error):
            raise Unfinished(
                f"the disk of {folder} is full",
                "make room there",
                Advice("name another folder with {}", "cache_dir"),
            ) from error
        raise


def _run(options: PruneOptions, path: Path | None, steps: Steps) -> PruningReport:
    """The plan and the front, and the weights under ``path`` if there is one."""
    with _told_of_folder(options.folder, steps):
        begun = _Pruning.begun(options, steps)
        points = curve(begun.expected, options)
        chosen = begun.chosen()
        narrowed = begun.narrowed(chosen, path) if chosen and path else None
        front = begun.front(chosen) if options.front else None
    return PruningReport(
        begun.network.record.source,
        begun.network.spec,
        len(begun.images.chosen_by),
        points,
        chosen,
        narrowed,
        steps.seconds,
        peak_rss_bytes(),
        begun.images.contents,
        begun.images.unreadable,
        front,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Pruning:
    """What all budgets have in common; of the machine what it was before the command."""

    options: PruneOptions
    steps: Steps
    machine: Machine
    network: Network
    images: PruningImages
    survey: Survey
    expected: Forecast

    @classmethod
    def begun(cls, options: PruneOptions, steps: Steps) -> _Pruning:
        """Looks at the network and the images."""
        machine = read_machine()
        for remark in machine.remarks if options.latency or options.front else ():
            steps.progress.note(remark)
        network = _opened(options, steps)
        images = read_images(options, network.spec, network.pictures, steps)
        whole = NumpyNetwork(network.spec, dict(network.weights))
        survey = Survey(whole, _folder(options, network, images), len(images.chosen_by))
        expected = forecast(survey, images.chosen_by, images.checked, steps)
        return cls(options, steps, machine, network, images, survey, expected)

    def chosen(self) -> PlanPoint | None:
        """What the budget asks for, if there is one."""
        limit, folder = self.options.latency, self.survey.folder
        if limit is None:
            return choose(self.expected, self.options) if self.options.has_budget else None
        with measuring(self.network, folder, self.machine, self.steps) as measure:
            return choose_by_latency(self.expected, self.options, limit, measure)

    def narrowed(self, point: PlanPoint, path: Path) -> Narrowed:
        """Makes, measures and writes the network of a point."""
        self.steps.progress.note(
            f"an SQNR of the logits of {point.logit_sqnr_db:.1f} dB is expected"
        )
        narrow, layers = self._made(point)
        checked = self.images.checked
        metrics = measured(self.survey.network, narrow, checked, self.steps)
        record = write(path, self.network, narrow, point, self.images)
        place, digest = str(self.options.place), file_sha256(path)
        return Narrowed(place, digest, narrow.spec, record, layers, len(checked), metrics)

    def front(self, chosen: PlanPoint | None) -> Front:
        """Files of several budgets, and of the chosen one."""

        def narrower(point: PlanPoint, folder: Path) -> Network:
            path = folder / f"narrow{SUFFIX}"
            write(path, self.network, self._made(point)[0], point, self.images)
            return open_network(NetworkOptions(str(path)), Steps(Progress()), in_memory=True)

        points = front_points(self.expected, self.options, chosen, self.steps)
        run = FrontRun(self.network, self.images, self.machine, self.steps, self.survey.folder)
        return run.front(points, narrower)

    def _made(self, point: PlanPoint) -> tuple[NumpyNetwork, tuple[RefittedLayer, ...]]:
        return make(self.survey, self.expected, point, self.images, self.steps)


def _opened(options: PruneOptions, steps: Steps) -> Network:
    """The network."""
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{options.folder} cannot be written: {error.strerror or error}",
            Advice("name another folder with {}", "cache_dir"),
        ) from error
    return folder
