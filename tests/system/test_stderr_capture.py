"""What native code writes to file descriptor 2."""

import os
import subprocess
import sys
import threading

import pytest

from vggexport.system.stderr_capture import silenced_stderr, silenced_stdout


def native(text):
    os.write(2, text)


def test_what_is_written_is_hidden(capfd):
    native(b"before\n")
    with silenced_stderr():
        native(b"noise\n")
    native(b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"


def test_standard_output_is_left_alone(capfd):
    with silenced_stderr():
        os.write(1, b"result\n")
    assert capfd.readouterr().out == "result\n"


def test_what_goes_to_standard_output_is_dropped(capfd):
    with silenced_stdout():
        os.write(1, b"chatter\n")
        native(b"problem\n")
    os.write(1, b"result\n")
    assert capfd.readouterr() == ("result\n", "problem\n")


def test_threads_that_divert_it_by_turns_give_it_back(capfd):
    inside, both_inside, one_left = threading.Event(), threading.Event(), threading.Event()

    def leave_first():
        with silenced_stdout():
            inside.set()
            both_inside.wait(0.2)  # in vain: the other is let in afterwards
        one_left.set()

    def leave_last():
        inside.wait()
        with silenced_stdout():
            both_inside.set()
            one_left.wait()

    threads = [threading.Thread(target=target) for target in (leave_first, leave_last)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(1, b"result\n")
    assert capfd.readouterr().out == "result\n"


@pytest.mark.parametrize("error", [ImportError, KeyboardInterrupt])
def test_what_is_written_is_shown_when_the_body_raises(capfd, error):
    def fail():
        with silenced_stderr():
            native(b"the reason\n")
            raise error

    with pytest.raises(error):
        fail()
    native(b"after\n")
    assert capfd.readouterr().err == "the reason\nafter\n"


def test_more_than_a_pipe_holds(capfd):
    """A pipe would block its writer at 64 KiB."""
    reason = b"x" * 200_000

    def fail():
        with silenced_stderr():
            native(reason)
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == reason.decode()


def test_no_descriptor_is_leaked(capfd):
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        with silenced_stderr():
            native(b"noise\n")
    assert len(os.listdir("/dev/fd")) == before


def test_what_python_buffered_before_comes_first():
    """stderr may be a buffered stream: its lines stay in order, and none is swallowed."""
    code = """
import contextlib, io, os, sys
from vggexport.system.stderr_capture import silenced_stderr, silenced_stdout
sys.stderr = io.TextIOWrapper(io.BufferedWriter(io.FileIO(2, "w", closefd=False)))
sys.stderr.write("before ")
with contextlib.suppress(ImportError), silenced_stderr():
    os.write(2, b"reason ")
    raise ImportError
sys.stderr.write("after")
"""
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stderr == "before reason after"
