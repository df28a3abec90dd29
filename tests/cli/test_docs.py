"""README, docs and help: examples are commands, links lead somewhere, words are sentences."""

import re
import shlex
from itertools import chain
from pathlib import Path

import click
import pytest

from vggexport.cli.examples import EXAMPLES
from vggexport.cli.group import COMMANDS, main
from vggexport.cli.reference import reference

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("line", [*chain.from_iterable(EXAMPLES.values())])
def test_every_example_is_a_command(line, parse, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    for name in set(re.findall(r"[\w./-]+\.\w+|[\w./-]+/", line)):
        path = workplace / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    parse(line)


def test_what_is_no_command_is_noticed(parse):
    for wrong in ("vggexport onnx --quantise", "vggexport onnx --batch many"):
        with pytest.raises(click.UsageError):
            parse(wrong)


def test_every_command_has_an_example():
    assert list(EXAMPLES) == list(COMMANDS)
    for name, lines in EXAMPLES.items():
        assert all(shlex.split(line)[:2] == ["vggexport", name] for line in lines)


def test_the_reference_is_that_of_the_commands():
    assert (ROOT / "docs/commands.md").read_text("utf-8") == reference(), "run make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).is_file(), target


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_one_line_summaries_fit_80_columns(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run("--help").stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert not any("..." in line for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_text_is_a_sentence(command):
    """It begins with a verb; "Of the images." does not say what happens to them."""
    for option in main.get_command(None, command).params:
        text = getattr(option, "help", None)
        if text and option.name != "help":
            assert not re.match(r"(Of|At|Where|What|How|Number|Several|The)\b", text), text
            assert text.partition("  [default")[0].endswith("."), text
