"""Progress and notes: bars on a terminal, lines in a log."""

import io
import os
import pty
import sys
import termios

import pytest
from rich.console import Console
from rich.text import Text

from vggexport.cli.terminal import LogProgress, TerminalProgress, make_progress, show
from vggexport.network.spec import VGGSpec
from vggexport.results.summary import SummaryReport


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def terminal_type(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("CI", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def play(progress):
    """One step that counts, with a note in it, and one that does not."""
    progress.start("calibrate")
    progress.advance(3, 8)
    progress.note("skipped [b]\x1b\n.png")
    progress.advance(8, 8)
    progress.finish(1.54)
    progress.start("export")
    progress.finish(0.04)


def test_a_log_has_a_line_a_step(capsys):
    play(LogProgress())
    captured = capsys.readouterr()
    assert captured.err == "note: skipped [b]\\x1b\\n.png\ncalibrate: 1.5 s\nexport: 0.0 s\n"
    assert captured.out == ""


def test_a_log_has_a_line_a_minute_in_long_work(capsys):
    """Minutes pass at once here: the wait for the end of a step says that there was none."""
    waits = iter([(3, False), (8, False), (8, True)])
    progress = LogProgress()

    class Step:
        def wait(self, seconds):
            assert seconds == 60
            done, is_over = next(waits)
            progress.advance(done, 8)
            return is_over

    progress.remind("verify", Step())
    assert capsys.readouterr().err == (
        "verify: 3 of 8, 1 min so far\nverify: 8 of 8, 2 min so far\n"
    )
    progress.start("export")
    first = progress._over
    progress.start("check")
    assert (first.is_set(), progress._over.is_set()) == (True, False)
    progress.fail(1.0)
    assert progress._over.is_set()


@pytest.fixture
def on_terminal():
    """What a terminal gets."""

    def record():
        console = Console(file=io.StringIO(), force_terminal=True, width=80)
        play(TerminalProgress(console))
        return console.file.getvalue()

    return record


def test_a_terminal_shows_bars_and_then_a_line_a_step(on_terminal):
    written = on_terminal()
    plain = Text.from_ansi(written).plain
    assert "3/8" in written or "8/8" in written
    assert "✓ calibrate 1.5 s" in plain
    assert "✓ export 0.0 s" in plain
    assert "note: skipped [b]\\x1b\\n.png" in plain
    assert "\x1b[32m✓" in written  # green


def test_no_color(on_terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    written = on_terminal()
    assert "✓" in written
    assert "\x1b[32m" not in written
    assert "\x1b[33m" not in written  # yellow, of the note


def test_a_step_that_fails_gets_no_tick():
    """The error line follows; a green tick before it would say the opposite."""
    from vggexport.system.progress import Steps

    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with pytest.raises(ValueError, match="broken"), Steps(TerminalProgress(console)).step("export"):
        raise ValueError("broken")
    assert "✓" not in console.file.getvalue()


@pytest.mark.parametrize(
    ("stderr", "ci", "kind"),
    [
        (Terminal, None, TerminalProgress),
        (Terminal, "true", LogProgress),
        (Terminal, "", TerminalProgress),
        (io.StringIO, None, LogProgress),
        (io.StringIO, "true", LogProgress),
    ],
)
def test_what_is_chosen(monkeypatch, stderr, ci, kind):
    monkeypatch.setattr(sys, "stderr", stderr())
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    assert type(make_progress()) is kind


@pytest.fixture
def report():
    return SummaryReport(VGGSpec.named("A"))


def test_text_in_a_file_has_no_colour_and_is_wide_enough(report, capsys):
    show("x" * 100, report, as_json=False)
    assert capsys.readouterr().out == "x" * 100 + "\n"


@pytest.mark.parametrize("columns", [60, 80])
def test_text_is_as_wide_as_the_terminal_or_as_columns_says(columns, report, monkeypatch, capsys):
    """COLUMNS counts where there is no terminal; one that is there tells its own width."""
    monkeypatch.delenv("COLUMNS", raising=False)
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, columns))
    stdin = os.dup(0)
    os.dup2(follower, 0)  # the first of those that rich asks
    try:
        with os.fdopen(follower, "w") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            show("x " * 100, report, as_json=False)
            terminal.flush()
            written = os.read(leader, 4096).decode().splitlines()
    finally:
        os.dup2(stdin, 0)
        os.close(stdin)
        os.close(leader)
    monkeypatch.setenv("COLUMNS", str(columns))
    show("x " * 100, report, as_json=False)
    piped = capsys.readouterr().out.splitlines()
    for lines in (written, piped):
        assert max(len(line.rstrip()) for line in lines) == columns - 1


def test_json_is_one_document_that_ends_its_line(report, capsys):
    show("text", report, as_json=True)
    written = capsys.readouterr().out
    assert written.startswith("{\n")
    assert written.endswith("}\n")
    assert "text" not in written


def test_json_has_no_nan(capsys):
    class Broken:
        def to_json(self):
            return {"value": float("nan")}

    with pytest.raises(ValueError, match="nan"):
        show("text", Broken(), as_json=True)
    assert capsys.readouterr().out == ""
