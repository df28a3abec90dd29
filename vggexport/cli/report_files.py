"""Reports as files: their places are looked at before the work begins, written when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vggexport.errors import OutputError
from vggexport.system import lazy_imports
from vggexport.system.output_files import output_folder, publish


@dataclass(frozen=True, slots=True)
class _ReportFile:
    """One that was asked for."""

    place: Path
    render: Callable[[Any], str]
    folder: Path

    def write(self, report: Any) -> None:
        (self.folder / self.place.name).write_text(self.render(report), encoding="utf-8")
        publish(self.folder, self.place)


@contextmanager
def report_files(
    renderers: Mapping[str, str], options: Mapping[str, Any]
) -> Iterator[Callable[[Any], None]]:
    """Writes a report to the files that ``report_file_options`` name, each whole or not at all.

    ``renderers`` has, by the option's name, a function from the report to text.

    Yields:
        What writes the report. Without it nothing is left behind.

    Raises:
        OutputError: A file exists and ``force`` is not set, cannot be written, or is named twice.
        Unavailable: A package that draws one of them is not installed.
        Unfinished: The disk is full.
    """
    places = {name: options[name] for name in renderers if options[name]}
    _check_different(places)
    with ExitStack() as entered:
        loaded = {name: lazy_imports.load(renderers, name) for name in places}
        files = [
            _ReportFile(
                place,
                loaded[name],
                entered.enter_context(output_folder(place, force=options["force"])),
            )
            for name, place in places.items()
        ]

        def write(report: Any) -> None:
            for file in files:
                file.write(report)

        yield write


def _check_different(places: Mapping[str, Path]) -> None:
    """Refuses one file for two reports: the later would replace the earlier."""
    seen: dict[Path, str] = {}
    for name, place in places.items():
        if other := seen.get(place.resolve()):
            raise OutputError(
                f"--{_option(other)} and --{_option(name)} both name {place}: name two files"
            )
        seen[place.resolve()] = name


def _option(name: str) -> str:
    return name.replace("_", "-")
