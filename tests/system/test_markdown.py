"""Parts of a Markdown document, read back by a Markdown parser."""

from html import unescape

import pytest
from markdown_it import MarkdownIt

from vggexport.system.markdown import code, details, document, escaped, table, table_of, terms

NAMES = [
    "vgg_d_int8.onnx",
    "a|b",
    "`tick`",
    "``",
    "<script>alert(1)</script>",
    "&lt;b&gt;",
    "*bold* _it_ ~no~ [link](x) ![image](y)",
    r"back\slash\|",
    "@somebody $x$",
    "Löwenzahn 蓮",
]


def read(markdown):
    return (
        MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)
    )


@pytest.mark.parametrize("render", [escaped, code])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_as_itself(name, render):
    html = read(render(name))
    text = html.strip().removeprefix("<p>").removesuffix("</p>")
    text = text.removeprefix("<code>").removesuffix("</code>")
    assert "<" not in text
    assert unescape(text) == name


@pytest.mark.parametrize("render", [escaped, code])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_in_its_cell(name, render):
    html = read(table(("file", "figure"), [(render(name), "1")]))
    assert html.count("<td") == 2
    assert name in unescape(html)


def test_a_line_break_in_a_name_does_not_end_the_row():
    html = read(table(("file", "figure"), [(code("two\nlines"), "1")]))
    assert html.count("<tr>") == 2
    assert r"two\nlines" in html


def test_an_ordinary_name_stays_readable():
    assert code("release/vgg_d_int8.onnx") == "`release/vgg_d_int8.onnx`"


@pytest.mark.parametrize("name", ["", "  "])
def test_no_name_is_no_code(name):
    assert code(name) == ""


def test_names_to_the_left_and_figures_to_the_right():
    assert table(("file", "verdict", "dB"), [("a", "passed", "1.0")], names=2) == (
        "| file | verdict | dB |\n| :--- | :--- | ---: |\n| a | passed | 1.0 |"
    )


def test_details_hold_markdown():
    html = read(details("More", table(("a",), [("b",)])))
    assert html.startswith("<details><summary>More</summary>")
    assert "<td" in html
    assert html.rstrip().endswith("</details>")


def test_terms():
    assert terms({"fault": "a < b", "fix": "none"}) == "- **fault**: a &#60; b\n- **fix**: none"


def test_a_document_leaves_out_empty_blocks():
    assert document("one", "", "two") == "one\n\ntwo\n"


def test_a_table_says_its_cells_by_the_head_of_their_column():
    shown = table_of({"name": code, "length": lambda name: str(len(name))}, ["a", "bcd"])
    assert shown == "| name | length |\n| :--- | ---: |\n| `a` | 1 |\n| `bcd` | 3 |"
