"""A verification as Markdown, against the whole text."""

from html import unescape
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from vggexport.reports.markdown.verification import verification as markdown

GOLDEN = Path(__file__).parent / "golden" / "verification.md"


@pytest.fixture(scope="session")
def html(verification):
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    return parser.render(markdown(verification))


def test_all_of_it(verification):
    assert markdown(verification) == GOLDEN.read_text(encoding="utf-8")


def test_the_verdict_is_first(verification, make_verification, candidates):
    assert markdown(verification).startswith("## ❌ vggexport verify\n\n**3 of 5 files are out")
    passed = markdown(make_verification(candidates["healthy"]))
    assert passed.startswith("## ✅ vggexport verify\n\n**The file is within tolerance.**")


def test_what_there_is_nothing_of_is_left_out(make_verification, candidates):
    text = markdown(make_verification(candidates["bare"]))
    assert text.count("<details>") == 1  # the tolerances
    assert "###" not in text


def test_every_row_has_its_cells(html):
    for part in html.split("<table>")[1:]:
        rows = part.partition("</table>")[0].split("<tr>")[1:]
        assert len({row.count("<td") + row.count("<th") for row in rows}) == 1


def test_names_show_as_they_are_and_do_nothing(html):
    shown = unescape(html)
    for name in (
        "<script>alert(1)</script>.jpg",
        "löwen|zahn/#1 `a`.jpg",
        "<b>rose</b> & co",
        "蓮",
    ):
        assert name in shown
    for tag in ("<script", "<b>", "<float16>"):
        assert tag not in html
