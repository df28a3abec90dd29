"""Images of a source one after the other, decoded in the background."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from calibration.errors import UnreadableImageError
from calibration.sources import ImageSource, SourceImage

Item = TypeVar("Item")
Value = TypeVar("Value")

READ_AHEAD = 4
"""Images that are decoded in the background while the consumer is busy."""


def read_ahead(
    source: ImageSource, indices: Iterable[int], *, ahead: int = READ_AHEAD
) -> Generator[tuple[int, SourceImage | UnreadableImageError]]:
    """Reads images in the order asked for; what cannot be read is given as its error.

    One thread reads. When the generator ends or is closed, what is pending is dropped.

    Args:
        source: Where the images are.
        indices: Which of them.
        ahead: Images to decode while the consumer is busy.

    Yields:
        The index, and the image or what is wrong with it.
    """
    for index, future in futures_ahead(source.read, indices, ahead=ahead):
        yield index, _result(future)


def futures_ahead(
    read: Callable[[Item], Value], items: Iterable[Item], *, ahead: int, threads: int = 1
) -> Generator[tuple[Item, Future[Value]]]:
    """Calls a function in the background, in the order of what it is called with.

    When the generator ends or is closed, what is pending is dropped.

    Args:
        read: The function.
        items: Its arguments, one a call.
        ahead: Calls that are begun while the consumer is busy.
        threads: That make them.

    Yields:
        The argument, and what will have been returned or raised.
    """
    order = iter(items)
    pending: deque[tuple[Item, Future[Value]]] = deque()
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="calibration-reader")
    try:
        while True:
            wanted = islice(order, ahead - len(pending))
            pending.extend((item, pool.submit(read, item)) for item in wanted)
            if not pending:
                return
            yield pending.popleft()
    finally:
        pending.clear()
        # Not waited for: a generator that was left half-way may be collected in any thread, also in
        # one that is just starting and holds what joining another would wait for.
        pool.shutdown(wait=False, cancel_futures=True)


def _result(future: Future[SourceImage]) -> SourceImage | UnreadableImageError:
    try:
        return future.result()
    except UnreadableImageError as error:
        return error
