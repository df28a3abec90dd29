"""An object in a process of its own, whose methods are called one at a time over a pipe.

A fresh interpreter is started for each, so that its memory is its own and no library is in it that
another needed. It goes when it is closed, when this process ends, and when this process is killed:
its standard input is a pipe that nobody writes to, and the end of that is its end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection, Pipe
from typing import Any, Self

from vggexport.errors import Advice, Unfinished, VggExportError
from vggexport.system.lazy_imports import resolve

_STDIN = 0
_SECONDS_TO_END = 2.0


class ChildProcess:
    """Starts the process; the object in it is made while the caller goes on.

    ``place`` is the object's "module:Class", and the arguments, picklable, are its constructor's.
    Errors call it by ``name``; variables of ``environment`` are set beside this process's.
    """

    def __init__(
        self, place: str, *arguments: Any, name: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self._name = name
        self._connection, theirs = Pipe()
        with theirs:
            self._process = _start(theirs.fileno(), environment or {})
        self._send(place, arguments)
        self._made = False

    def call(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the object and waits for what it returns.

        Raises:
            VggExportError: As the object raised it.
            MemoryError: There.
            Unfinished: The object raised another error, or its process ended.
        """
        self.wait_until_made()
        self._send(method, arguments)
        return self._receive()

    def wait_until_made(self) -> None:
        """Waits for the constructor; raises as :meth:`call` does."""
        if not self._made:
            self._receive()
            self._made = True

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._connection.close()
        if self._process.stdin:
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is not None:
            self._process.kill()
        self.close()

    def _send(self, what: str, arguments: tuple[Any, ...]) -> None:
        with contextlib.suppress(BrokenPipeError):  # the answer will be missing, and say why
            self._connection.send((what, arguments))

    def _receive(self) -> Any:
        try:
            value, error = self._connection.recv()
        except (EOFError, ConnectionResetError) as ended:
            raise self._died() from ended
        if error is not None:
            raise error
        return value

    def _died(self) -> Unfinished:
        code = self._process.wait()
        how = (
            f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        )
        hint = ": out of memory?" if -code == signal.SIGKILL else ""
        return Unfinished(f"the process of {self._name} {how}{hint}")


def _start(descriptor: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A fresh interpreter that finds the modules that this one finds, and serves a pipe.

    It is in a session of its own: Ctrl-C is for this process, which then ends it.
    """
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)  # noqa: PTH100  "" is here
    code = f"from vggexport.system.child_process import serve; serve({descriptor})"
    return subprocess.Popen(  # noqa: S603  our own interpreter on our own code
        [sys.executable, "-P", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # this one's is for results
        pass_fds=[descriptor],
        env={**os.environ, "PYTHONPATH": path, **environment},
        start_new_session=True,
    )


def serve(descriptor: int) -> None:
    """Makes the object and answers calls: what the other process runs on its end of the pipe."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection = Connection(descriptor)
        place, arguments = connection.recv()
        made, error = _attempt(lambda: resolve(place)(*arguments))
        connection.send((None, error))
        while error is None:
            method, arguments = connection.recv()
            connection.send(_attempt(getattr(made, method), *arguments))


def _end_with_parent() -> None:
    while os.read(_STDIN, 1):
        pass
    os._exit(Unfinished.exit_code)


def _attempt(function: Any, *arguments: Any) -> tuple[Any, BaseException | None]:
    """What a function returned, and what it raised, as an error that can be sent."""
    try:
        return function(*arguments), None
    except (VggExportError, MemoryError) as error:
        return None, _with_trace(error, error)
    except Exception as error:  # noqa: BLE001  whatever it is, the other process is to know
        kind = type(error).__name__
        said = Unfinished(
            f"unexpected {kind}: {error}", Advice("run again with {} for the traceback", "verbose")
        )
        return None, _with_trace(said, error)


def _with_trace(sent: BaseException, error: BaseException) -> BaseException:
    """The error with where it was raised, which ``-v`` shows, and nothing else of its process."""
    lines = traceback.format_exception(error)
    sent = type(sent)(*sent.args)
    sent.add_note("In the other process:\n" + "".join(lines))
    return sent
