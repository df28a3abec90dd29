"""Reports as files: refused before the work, written whole after it."""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from vggexport.cli.report_files import report_files
from vggexport.errors import OutputError, Unavailable, Unfinished


@pytest.fixture
def renderers(tmp_path, monkeypatch):
    """Two kinds of files that need no report, and one that cannot be rendered."""
    (tmp_path / "renderers_of_a_test.py").write_text(
        "def upper(report): return report.upper()\n"
        "def twice(report): return report * 2 + 'Ä'\n"
        "def broken(report): raise ValueError(report)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield {name: f"renderers_of_a_test:{name}" for name in ("upper", "twice", "broken")}
    sys.modules.pop("renderers_of_a_test", None)


def asked(*, force=False, **places):
    names = ("upper", "twice", "broken")
    return {name: Path(places[name]) if name in places else None for name in names} | {
        "force": force
    }


def hide_matplotlib(monkeypatch):
    """Imports of it fail as if it were not installed."""
    for name in list(sys.modules):
        if name.partition(".")[0] == "matplotlib" or name.startswith("vggexport.reports.html"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def test_files_are_written_when_they_are_asked_for(renderers, listing):
    with report_files(renderers, asked(upper="a.md", twice="b.xml")) as write:
        write("x")
    assert listing() == ["a.md", "b.xml"]
    assert Path("a.md").read_text(encoding="utf-8") == "X"
    assert Path("b.xml").read_text(encoding="utf-8") == "xxÄ"


def test_none_are_written_where_none_is_asked_for(renderers, listing):
    with report_files(renderers, asked()) as write:
        write("x")
    assert listing() == []


def test_an_existing_file_is_refused_before_the_work(renderers, listing):
    Path("b.xml").write_text("old")
    with (
        pytest.raises(OutputError, match=r"^output b\.xml exists: pass force .*, or name another$"),
        report_files(renderers, asked(upper="a.md", twice="b.xml")),
    ):
        pytest.fail("the work began")
    assert listing() == ["b.xml"]


def test_with_force_it_is_replaced_at_the_end(renderers):
    Path("a.md").write_text("old")
    with report_files(renderers, asked(upper="a.md", force=True)) as write:
        assert Path("a.md").read_text() == "old"
        write("new")
    assert Path("a.md").read_text() == "NEW"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OutputError])
def test_where_the_work_fails_nothing_is_left(renderers, listing, error):
    Path("a.md").write_text("old")
    with suppress(error), report_files(renderers, asked(upper="a.md", twice="b", force=True)):
        raise error
    assert listing() == ["a.md"]
    assert Path("a.md").read_text() == "old"


def test_where_one_cannot_be_rendered_no_half_of_it_is_left(renderers, listing):
    with pytest.raises(ValueError, match="x"), report_files(renderers, asked(broken="c")) as write:
        write("x")
    assert listing() == []


def test_a_full_disk(renderers, listing, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", fail)
    with (
        pytest.raises(Unfinished, match=r"no room for a\.md: .* or write elsewhere"),
        report_files(renderers, asked(upper="a.md")) as write,
    ):
        write("x")
    assert listing() == []


@pytest.mark.parametrize("second", ["a.md", "./a.md", "link"])
def test_one_file_for_two_reports_is_refused(renderers, second):
    Path("link").symlink_to("a.md")
    with (
        pytest.raises(OutputError, match=r"--upper and --twice both name .*: name two files"),
        report_files(renderers, asked(upper="a.md", twice=second, force=True)),
    ):
        pytest.fail("the work began")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("none/a.md", "cannot write to none"),
        ("folder", "folder is a directory"),
        ("/dev/null", "device"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(renderers, place, said):
    Path("folder").mkdir()
    with (
        pytest.raises(OutputError, match=said),
        report_files(renderers, asked(upper=place, force=True)),
    ):
        pytest.fail("the work began")


def test_a_package_that_is_missing_is_named_before_the_work(renderers, listing):
    renderers["twice"] = "vggexport.reports.html.no_such_module:page"
    with (
        pytest.raises(ModuleNotFoundError, match="no_such_module"),
        report_files(renderers, asked(upper="a.md", twice="b.html")),
    ):
        pytest.fail("the work began")
    assert listing() == []


def test_without_matplotlib_a_page_is_refused_with_the_pip_command(listing, monkeypatch):
    from vggexport.reports import VERIFICATION_FILES

    hide_matplotlib(monkeypatch)
    options = {"markdown": Path("a.md"), "junit": None, "html": Path("a.html"), "force": False}
    with (
        pytest.raises(
            Unavailable, match=r"matplotlib is not installed: pip install 'vggexport\[report\]'"
        ),
        report_files(VERIFICATION_FILES, options),
    ):
        pytest.fail("the work began")
    assert listing() == []


def test_without_matplotlib_the_others_can_be_had(monkeypatch):
    from vggexport.reports import VERIFICATION_FILES

    hide_matplotlib(monkeypatch)
    options = {"markdown": Path("a.md"), "junit": Path("a.xml"), "html": None, "force": False}
    with report_files(VERIFICATION_FILES, options):
        pass


@pytest.fixture
def strangers(run, tiny):
    """Two files of one network, of other weights each."""
    for seed in (0, 1):
        assert run("onnx", *tiny, "--weights", f"random:{seed}", "-o", f"{seed}.onnx").code == 0
    return "0.onnx", "1.onnx"


def test_a_verification_that_fails_is_written_to_all_files(run, strangers):
    files = ("--markdown", "report.md", "--junit", "report.xml", "--html", "report.html")
    outcome = run("verify", *strangers, "--images", 3, "--layers", *files, "--json")
    assert outcome.code == 1, outcome.stderr
    assert outcome.json["passed"] is False
    assert Path("report.md").read_text(encoding="utf-8").startswith("## ❌ vggexport verify")
    assert 'failures="1"' in Path("report.xml").read_text(encoding="utf-8")
    page = Path("report.html").read_text(encoding="utf-8")
    assert "1 of 1 file is out of tolerance." in page
    assert "data:image/jpeg" in page
    again = run("verify", *strangers, "--images", 3, *files)
    assert (again.code, "report.md exists" in again.error) == (2, True)
    assert run("verify", *strangers, "--images", 3, *files, "--force").code == 1


def test_a_place_that_is_taken_is_found_before_anything_is_read(run):
    Path("report.md").write_text("old")
    outcome = run("verify", "none.onnx", "none.tflite", "--markdown", "report.md")
    assert (outcome.code, "report.md exists" in outcome.error) == (2, True)
    outcome = run("verify", "none.onnx", "none.tflite", "--markdown", "report.md", "--force")
    assert (outcome.code, "none.onnx does not exist" in outcome.error) == (2, True)
    assert Path("report.md").read_text() == "old"


def test_a_missing_package_is_exit_3_before_anything_is_read(run, monkeypatch):
    hide_matplotlib(monkeypatch)
    outcome = run("verify", "none.onnx", "none.tflite", "--html", "report.html")
    assert outcome.code == 3
    assert outcome.error == "Error: matplotlib is not installed: pip install 'vggexport[report]'"
