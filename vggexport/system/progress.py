"""Progress of long work, told to whoever shows it, and the seconds of each step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from vggexport.errors import Advice

Item = TypeVar("Item")


class Progress:
    """Told what is under way; this one shows nothing. The command line has two that do."""

    def start(self, step: str) -> None:
        """A step begins."""

    def advance(self, done: int, total: int) -> None:
        """So much of the current step is done, in its own units."""

    def finish(self, seconds: float) -> None:
        """The current step is over."""

    def fail(self, seconds: float) -> None:
        """The current step broke off; the error is told elsewhere."""

    def note(self, fact: str, *advice: str | Advice) -> None:
        """One line that the user should see: what was assumed, skipped or filled in."""


class Steps:
    """Runs steps one after the other and keeps their seconds.

    ``of`` is what they belong to, shown after their names where several things are made; ``clock``
    gives seconds, injected by tests.

    Attributes:
        seconds: Wall-clock seconds by step; a step that ran twice has the sum.
        progress: Who shows them.
    """

    def __init__(
        self, progress: Progress, *, of: str = "", clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.progress = progress
        self._of = of
        self.seconds: dict[str, float] = {}
        self._clock = clock

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times the body; its seconds are kept even when it fails."""
        self.progress.start(f"{name} {self._of}".rstrip())
        begin = self._clock()
        try:
            yield
        except BaseException:
            self.progress.fail(self._add(name, begin))
            raise
        self.progress.finish(self._add(name, begin))

    def _add(self, name: str, begin: float) -> float:
        seconds = self._clock() - begin
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        return seconds

    def track(self, items: Iterable[Item], total: int) -> Iterator[Item]:
        """Passes the items on and reports how many are done."""
        for done, item in enumerate(items, start=1):
            yield item
            self.progress.advance(done, total)
