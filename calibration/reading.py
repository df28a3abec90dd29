"""Images of a source one after the other, decoded in the background."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from calibration.errors import UnreadableImageError
from calibration.sources import ImageSource, SourceImage

READ_AHEAD = 4
"""Images that are decoded in the background while the consumer is busy."""


def read_ahead(
    source: ImageSource, indices: Iterable[int], *, ahead: int = READ_AHEAD
) -> Generator[tuple[int, SourceImage | UnreadableImageError]]:
    """Reads images in the order asked for; what cannot be read is given as its error.

    One thread reads. When the generator ends or is closed, what is pending is dropped and the
    thread is waited for.

    Args:
        source: Where the images are.
        indices: Which of them.
        ahead: Images to decode while the consumer is busy.

    Yields:
        The index, and the image or what is wrong with it.
    """
    order = iter(indices)
    pending: deque[tuple[int, Future[SourceImage]]] = deque()
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="calibration-reader")
    try:
        while True:
            wanted = islice(order, ahead - len(pending))
            pending.extend((index, pool.submit(source.read, index)) for index in wanted)
            if not pending:
                return
            index, future = pending.popleft()
            yield index, _result(future)
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
