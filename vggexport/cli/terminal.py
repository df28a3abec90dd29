"""Progress and results on a terminal: bars and notes to stderr, reports to stdout."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from vggexport.cli import wording
from vggexport.errors import Advice
from vggexport.system.number_text import printable
from vggexport.system.progress import Progress


def make_progress() -> Progress:
    """Bars on a terminal; a line a step in a log, in CI, or into a file."""
    if sys.stderr.isatty() and not os.environ.get("CI"):
        return TerminalProgress()
    return LogProgress()


REMINDER_SECONDS = 60.0


class LogProgress(Progress):
    """A line for each finished step, since a log is not rewritten, and a line a minute in one."""

    def __init__(self) -> None:
        self._step = self._done = ""
        self._over = threading.Event()

    def start(self, step: str) -> None:
        """Remembers the step's name, and says every minute that it is under way."""
        self._over.set()
        self._step, self._done, self._over = step, "", threading.Event()
        threading.Thread(target=self.remind, args=(step, self._over), daemon=True).start()

    def remind(self, step: str, over: threading.Event) -> None:
        """A line a minute until it is over, with how much is done where that is known."""
        minutes = 0
        while not over.wait(REMINDER_SECONDS):
            minutes += 1
            line = f"{step}: {self._done}{minutes} min so far"
            print(line, file=sys.stderr, flush=True)  # noqa: T201

    def advance(self, done: int, total: int) -> None:
        """Remembers how much is done."""
        self._done = f"{done} of {total}, "

    def finish(self, seconds: float) -> None:
        """One line with the seconds."""
        self._over.set()
        print(f"{self._step}: {seconds:.1f} s", file=sys.stderr, flush=True)  # noqa: T201

    def fail(self, seconds: float) -> None:
        """Nothing more is said; the error line follows."""
        self._over.set()

    def note(self, fact: str, *advice: str | Advice) -> None:
        """One line."""
        print(f"note: {printable(_worded(fact, advice))}", file=sys.stderr, flush=True)  # noqa: T201


class TerminalProgress(Progress):
    """A bar with time left for a step that counts, a clock for one that does not."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._bars: RichProgress | None = None
        self._task = TaskID(0)
        self._step = ""

    def start(self, step: str) -> None:
        """Shows the step, its length unknown so far."""
        self._step = step
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bars.add_task(step, total=None)
        self._bars.start()

    def advance(self, done: int, total: int) -> None:
        """Moves the bar."""
        if self._bars:
            self._bars.update(self._task, completed=done, total=total)

    def finish(self, seconds: float) -> None:
        """Puts one line in the bar's place."""
        self._stop()
        self._console.print(f"[green]✓[/green] {self._step} [dim]{seconds:.1f} s[/dim]")

    def fail(self, seconds: float) -> None:
        """Takes the bar away; the error line follows."""
        self._stop()

    def note(self, fact: str, *advice: str | Advice) -> None:
        """One line."""
        message = f"note: {printable(_worded(fact, advice))}"
        self._console.print(message, style="yellow", markup=False, highlight=False)

    def _stop(self) -> None:
        if self._bars:
            self._bars.stop()
            self._bars = None


def _worded(fact: str, advice: Iterable[str | Advice]) -> str:
    """A note, its options those of the command that runs."""
    running = click.get_current_context(silent=True)
    return wording.worded(fact, advice, running.command if running else None)


def show(rendered: RenderableType, report: Any, *, as_json: bool) -> None:
    """Writes a result to stdout: one JSON document, or text for a person."""
    if as_json:
        sys.stdout.write(json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n")
        return
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 110
    _Output(width=width, highlight=False).print(rendered, crop=False)  # a digest is whole


class _Output(Console):
    """A console that leaves a reader who left to the main group; rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError
