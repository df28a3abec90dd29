"""The hand-off package: what may be released, put together with what it takes to check it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vggexport.bundles import MANIFEST, release_checks
from vggexport.bundles.evidence import Evidence
from vggexport.bundles.foreign import with_stated
from vggexport.bundles.sizes import file_size
from vggexport.bundles.staging import Staging
from vggexport.errors import Advice
from vggexport.formats.registry import FORMATS
from vggexport.results.bundle import AnswerCheck, BundleReport, FileSize, SizeGate
from vggexport.system.options import takes
from vggexport.system.output_files import output_folder
from vggexport.system.process import peak_rss_bytes
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.bundle.options import BundleOptions, file_moment, read_signer
from vggexport.workflows.bundle.packing import lay_out, pack, run_models


@takes(BundleOptions)
def bundle(options: BundleOptions, progress: Progress | None = None) -> BundleReport:
    """Packs models with labels, preprocessing, golden images, manifest, model card and examples.

    Args:
        options: What is packed, and how.
        progress: Who shows how far it is.

    Returns:
        A report. If its ``failures`` are not empty nothing was packed.

    Raises:
        ArtifactError: A model cannot be read, or two are of different networks or weights.
        InputError: It may not be packed as it is.
        Unavailable: A runtime or a package is not installed.
    """
    steps = Steps(progress or Progress())
    moment, sign = file_moment(options), read_signer(options)
    marker = None if options.is_archive else MANIFEST
    with output_folder(options.output, force=options.force, directory_marker=marker) as folder:
        with steps.step("read"):
            evidence = release_checks.read_evidence(options.reports)
            models = with_stated(
                [release_checks.read_model(path) for path in options.artifacts],
                options.preprocessing_of,
                options.labels,
                has_golden=options.golden is not None,
                layout=options.layout,
            )
            release_checks.check_releasable(
                models,
                allow_untrained=options.allow_untrained,
                allow_one_class=options.allow_one_class,
                preprocessing=options.preprocessing,
            )
            release_checks.check_evidence(models, evidence)
        sizes = SizeGate(tuple(map(_file_size, models)), options.max_bytes)
        against = tuple(failure for report in evidence for failure in report.failures)
        if against or sizes.failures:
            return replace(_refused(options, sizes, (), steps), evidence=against)
        _note(models, evidence, options, steps)
        inputs = lay_out(options, models, evidence, Staging(folder), steps)
        if not inputs.labels:
            steps.progress.note("the classes have no names, labels.txt numbers them")
        checks, golden = run_models(inputs)
        if any(check.failures for check in checks):
            report = _refused(options, sizes, checks, steps)
        else:
            report = pack(inputs, folder, sizes, checks, moment=moment, sign=sign)
        return replace(report, contents=golden.contents, unreadable=golden.unreadable)


def _file_size(model: release_checks.Model) -> FileSize:
    return file_size(model.artifact, FORMATS[model.artifact.format].precisions)


def _note(
    models: Sequence[release_checks.Model],
    evidence: Sequence[Evidence],
    options: BundleOptions,
    steps: Steps,
) -> None:
    """What a receiver will ask for."""
    for report, name in release_checks.unproved(models, evidence):
        steps.progress.note(
            f"report {report} does not say of which {name} its figures are", "run it again"
        )
    if options.licence is None:
        steps.progress.note(
            "the licence of the weights is not stated", Advice("pass {}", "licence")
        )
    if options.golden and options.golden_licence is None:
        steps.progress.note(
            f"the images of {options.golden} are handed on, and their licence is not stated",
            Advice("state it, and whom to name, with {}", "golden_licence"),
        )


def _refused(
    options: BundleOptions, sizes: SizeGate, checks: tuple[AnswerCheck, ...], steps: Steps
) -> BundleReport:
    return BundleReport(
        str(options.output),
        None,
        sizes,
        checks,
        0,
        None,
        None,
        is_signed=False,
        seconds=steps.seconds,
        peak_rss_bytes=peak_rss_bytes(),
    )
