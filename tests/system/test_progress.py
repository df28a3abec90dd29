"""Steps with a clock that the test moves."""

import pytest

from vggexport.system.progress import Progress, Steps


class Recorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls = []

    def start(self, step):
        self.calls.append(("start", step))

    def advance(self, done, total):
        self.calls.append(("advance", done, total))

    def finish(self, seconds):
        self.calls.append(("finish", seconds))

    def fail(self, seconds):
        self.calls.append(("fail", seconds))

    def note(self, message, *advice):
        self.calls.append(("note", message))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def steps_at(recorder, *times: float) -> Steps:
    return Steps(recorder, clock=iter(times).__next__)


def test_seconds_are_kept_by_step_and_told(recorder):
    steps = steps_at(recorder, 10.0, 12.5, 20.0, 21.0)
    with steps.step("weights"):
        assert recorder.calls == [("start", "weights")]
    with steps.step("export"):
        pass
    assert steps.seconds == {"weights": 2.5, "export": 1.0}
    assert recorder.calls == [
        ("start", "weights"),
        ("finish", 2.5),
        ("start", "export"),
        ("finish", 1.0),
    ]


def test_a_step_that_runs_twice_has_the_sum(recorder):
    steps = steps_at(recorder, 0.0, 1.0, 5.0, 7.0)
    for _ in range(2):
        with steps.step("check"):
            pass
    assert steps.seconds == {"check": 3.0}
    assert recorder.calls[-1] == ("finish", 2.0)


def test_a_step_that_fails_keeps_its_seconds_and_its_error(recorder):
    steps = steps_at(recorder, 1.0, 4.0)
    with pytest.raises(ValueError, match="broken"), steps.step("export"):
        raise ValueError("broken")
    assert steps.seconds == {"export": 3.0}
    assert recorder.calls == [("start", "export"), ("fail", 3.0)]


def test_tracking_passes_items_on_and_counts_those_that_are_done(recorder):
    steps = steps_at(recorder)
    tracked = steps.track("ab", total=2)
    assert next(tracked) == "a"
    assert recorder.calls == []  # handed out, not done
    assert next(tracked) == "b"
    assert recorder.calls == [("advance", 1, 2)]
    assert list(tracked) == []
    assert recorder.calls == [("advance", 1, 2), ("advance", 2, 2)]


def test_tracking_takes_items_one_at_a_time(recorder):
    taken = []
    tracked = steps_at(recorder).track((taken.append(i) or i for i in range(3)), total=3)
    assert next(tracked) == 0
    assert taken == [0]


def test_the_default_clock_does_not_go_back():
    steps = Steps(Progress())
    with steps.step("nothing"):
        pass
    assert steps.seconds["nothing"] >= 0


def test_silence_prints_nothing(capfd):
    steps = Steps(Progress())
    with steps.step("quiet"):
        steps.progress.note("unheard")
        assert list(steps.track([1], 1)) == [1]
    assert capfd.readouterr() == ("", "")
