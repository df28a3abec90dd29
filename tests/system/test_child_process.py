"""Objects in processes of their own: what they answer, how they fail, when they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vggexport.errors import ArtifactError, Unfinished
from vggexport.system.child_process import ChildProcess

PLACE = "remote_objects_of_a_test:Thing"

MODULE = """
import os, signal, sys, time
from vggexport.system.process import peak_rss_bytes
from vggexport.errors import ArtifactError

class Thing:
    def __init__(self, value="made"):
        if value == "broken":
            raise ArtifactError("broken.onnx is broken")
        self.value = value
    def get(self): return self.value
    def add(self, one, two): return one + two
    def pid(self): return os.getpid()
    def variable(self, name): return os.environ.get(name)
    def peak(self): return peak_rss_bytes()
    def artifact_error(self): raise ArtifactError("it is broken")
    def memory_error(self): raise MemoryError("too much")
    def key_error(self): raise KeyError("k")
    def die(self): os.kill(os.getpid(), signal.SIGKILL)
    def leave(self): os._exit(7)
    def speak(self): print("on stdout"); sys.stdout.flush()
    def sleep(self, seconds): time.sleep(seconds)
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "remote_objects_of_a_test.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def remote(*arguments, **options):
    return ChildProcess(PLACE, *arguments, name="tiny.onnx", **options)


def is_alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_dead(pid):
    deadline = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def test_it_answers_from_another_process():
    with remote("x") as thing:
        assert thing.call("get") == "x"
        assert thing.call("add", [1], [2]) == [1, 2]
        pid = thing.call("pid")
        assert pid != os.getpid()
    wait_until_dead(pid)


def test_its_environment_is_this_ones_and_what_is_set(monkeypatch):
    monkeypatch.setenv("VGG_A", "a")
    with remote(environment={"VGG_B": "b"}) as thing:
        assert (thing.call("variable", "VGG_A"), thing.call("variable", "VGG_B")) == ("a", "b")
    assert "VGG_B" not in os.environ


def test_its_memory_is_its_own():
    """Linux starts ``ru_maxrss`` of a new program at that of the one that started it."""
    ballast = bytearray(300 * 2**20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    with remote() as thing:
        assert 0 < thing.call("peak") < 200 * 2**20
    del ballast


def test_an_error_of_ours_comes_back_as_it_is():
    with remote() as thing:
        with pytest.raises(ArtifactError) as raised:
            thing.call("artifact_error")
        assert str(raised.value) == "it is broken"
        assert "in artifact_error" in raised.value.__notes__[0]
        assert thing.call("get") == "made"  # it goes on


def test_no_memory_comes_back_as_it_is():
    with remote() as thing, pytest.raises(MemoryError, match="too much"):
        thing.call("memory_error")


def test_another_error_is_unfinished():
    with (
        remote() as thing,
        pytest.raises(Unfinished, match=r"^unexpected KeyError: 'k': run again"),
    ):
        thing.call("key_error")


def test_a_constructor_that_fails_says_so_at_the_first_call():
    with remote("broken") as thing, pytest.raises(ArtifactError, match="is broken"):
        thing.call("get")


@pytest.mark.parametrize(
    ("method", "said"),
    [("die", "was ended by SIGKILL: out of memory?"), ("leave", "ended with code 7")],
)
def test_a_process_that_ends_is_unfinished(method, said):
    with (
        remote() as thing,
        pytest.raises(Unfinished, match=r"^the process of tiny\.onnx") as raised,
    ):
        thing.call(method)
    assert str(raised.value).endswith(said)


def test_it_does_not_write_to_this_ones_stdout(capfd):
    with remote() as thing:
        thing.call("speak")
    assert capfd.readouterr().out == ""


def test_it_is_ended_in_the_middle_of_work_when_this_one_fails():
    thing = remote()
    pid = thing.call("pid")
    thing._send("sleep", (60,))
    thing.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not is_alive(pid)


WAITS = f"""
import sys
from vggexport.system.child_process import ChildProcess
with ChildProcess({PLACE!r}, name="x") as thing:
    print(thing.call("pid"), flush=True)
    thing.call("sleep", 60)
"""


@pytest.fixture
def parent(module, tmp_path):
    """A process that waits for a remote object that is at work."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    yield process
    process.kill()
    process.communicate()


def test_it_ends_when_the_process_that_started_it_is_killed(parent):
    pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    wait_until_dead(pid)


def test_ctrl_c_is_for_the_process_that_started_it(parent):
    pid = int(parent.stdout.readline())
    os.killpg(parent.pid, signal.SIGINT)  # as a terminal does
    _, stderr = parent.communicate(timeout=10)
    assert stderr.count("Traceback") == 1  # the parent's own, which the command line catches
    wait_until_dead(pid)
