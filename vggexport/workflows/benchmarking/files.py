"""Files beside the report: whole or not at all, their places checked before the measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vggexport.output import output_folder, publish
from vggexport.reports.benchmark import documents
from vggexport.reports.benchmark.results import BenchmarkReport
from vggexport.workflows.benchmarking.options import BenchmarkFiles

Writer = Callable[[BenchmarkReport], str]


@contextmanager
def opened(files: BenchmarkFiles) -> Iterator[Callable[[BenchmarkReport], None]]:
    """Gives what writes a report to all of the files.

    Raises:
        OutputError: A place is taken and ``force`` is not set, or cannot be written.
    """
    places: tuple[tuple[Path | None, Writer], ...] = (
        (files.samples, documents.samples),
        (files.csv, documents.csv_table),
        (files.markdown, documents.markdown),
    )
    writers = {path: writer for path, writer in places if path is not None}
    with ExitStack() as entered:
        folders = {
            path: entered.enter_context(output_folder(path, force=files.force)) for path in writers
        }

        def write(report: BenchmarkReport) -> None:
            for path, writer in writers.items():
                (folders[path] / path.name).write_text(writer(report), encoding="utf-8")
            for path, folder in folders.items():
                publish(folder, path)

        yield write
