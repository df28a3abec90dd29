"""Pages: their templates are there, and what they show is escaped."""

from importlib import resources
from types import SimpleNamespace

import jinja2
import numpy as np
import pytest

from vggexport.reports.html import page as pages


@pytest.fixture
def template(monkeypatch):
    """A page of the given content, laid over the templates."""

    def make(content):
        own = jinja2.DictLoader({"own.html": '{% extends "base.html" %}' + content})
        both = jinja2.ChoiceLoader([own, pages._TEMPLATES.loader])
        monkeypatch.setattr(pages._TEMPLATES, "loader", both)
        return "own.html"

    return make


def test_what_a_page_shows_is_escaped(template):
    name = template("{% block content %}<p title='{{ x }}'>{{ x }}</p>{% endblock %}")
    html = pages.page(name, x="<script>alert('1')</script>")
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;" in html


def test_macros_escape_too(template):
    name = template(
        '{% import "parts.html" as parts %}{% block content %}{{ parts.name(x) }}'
        "{% call parts.table(x, [x, x]) %}<tr></tr>{% endcall %}{{ parts.bars([bar]) }}"
        "{% endblock %}"
    )
    bar = SimpleNamespace(what="<b>", figure="<b>", look="<b>", start=0.0, length=0.5)
    html = pages.page(name, x="<b>", bar=bar)
    assert "<b>" not in html
    assert html.count("&lt;b&gt;") == 8


@pytest.mark.parametrize(
    "shown", ["12.4 ms", "57 MiB", "27.5 dB, 5 dB", "95 %", "0.50 points", "20 GB/s", "1.4 W"]
)
def test_no_line_ends_between_a_number_and_its_unit(template, shown):
    name = template("{% block content %}<p>{{ x }}</p><b>{{ x | prose }}</b>{% endblock %}")
    whole = shown.replace(", ", "; ").replace(" ", "\N{NO-BREAK SPACE}").replace(";", ",")
    whole = whole.replace(",\N{NO-BREAK SPACE}", ", ")
    html = pages.page(name, x=shown)
    assert f"<p>{whole}</p><b>{whole}</b>" in html
    assert "<p>12 shots of 3 Gs</p>" in pages.page(name, x="12 shots of 3 Gs")


def test_names_are_broken_at_their_separators_and_numbers_nowhere(template):
    name = template("{% block content %}<p>{{ x | breakable }}</p>{% endblock %}")
    html = pages.page(name, x="out/vgg_d-int8.onnx: top-1 -0.50")
    assert "<p>out/<wbr>vgg_<wbr>d-<wbr>int8.onnx: top-1 -0.50</p>" in html


def test_what_is_missing_is_an_error(template):
    name = template("{% block content %}{{ nothing }}{% endblock %}")
    with pytest.raises(jinja2.UndefinedError, match="nothing"):
        pages.page(name)


def test_a_page_knows_both_backgrounds_and_loads_nothing(template):
    html = pages.page(template(""))
    assert "@media screen and (prefers-color-scheme: dark)" in html
    assert "default-src 'none'" in html
    assert "--series-5:" in html
    assert "http" not in html.replace("http-equiv", "")


def test_templates_are_data_of_the_package():
    folder = resources.files("vggexport.reports.html") / "templates"
    names = {entry.name for entry in folder.iterdir()}
    assert names >= {"base.html", "parts.html", "page.css", "verification.html"}


@pytest.mark.parametrize("side", [16, 224, 600])
def test_a_thumbnail_is_a_small_jpeg(side):
    import base64
    import io

    from PIL import Image

    pixels = np.full((side, side, 3), (200, 30, 30), np.uint8)
    head, _, data = pages.thumbnail(pixels).partition(",")
    assert head == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.size == (min(side, 224),) * 2
    red, green, _blue = image.convert("RGB").getpixel((5, 5))
    assert (red > 150, green < 100) == (True, True)  # the channels are not swapped
