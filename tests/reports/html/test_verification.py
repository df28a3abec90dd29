"""The page of a verification, read by a parser."""

import dataclasses
import math
from html.parser import HTMLParser

import pytest

from vggexport.metrics.choices import Choices
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.reports.html import charts
from vggexport.reports.html.verification import verification as html_page
from vggexport.results.diagnosis import Diagnosis

VOID = {"meta", "img", "source", "br"}


class Page(HTMLParser):
    """Tags, texts and what is wrong with their nesting."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts, self.open, self.wrong = [], [], [], []
        self.feed(html.replace("<wbr>", ""))  # where a line may be broken
        self.close()
        self.wrong += self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.open[-1:] != ["style"] and data.strip():
            self.texts.append(" ".join(data.split()))

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="session")
def page(verification):
    return Page(html_page(verification))


@pytest.fixture(scope="session")
def bare(make_verification, candidates):
    return Page(html_page(make_verification(candidates["bare"])))


def test_tags_are_nested(page, bare):
    assert (page.wrong, bare.wrong) == ([], [])


@pytest.mark.usefixtures("drawn_anew")
def test_equal_reports_give_equal_bytes(verification):
    assert html_page(verification) == html_page(verification)


def test_nothing_is_loaded_and_nothing_runs(page):
    assert {"script", "iframe", "object", "link", "base", "a", "form"}.isdisjoint(
        name for name, _ in page.tags
    )
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "data:").startswith("data:")


def test_names_show_as_they_are(page):
    for name in (
        "<script>alert(1)</script>.jpg",
        "löwen|zahn/#1 `a`.jpg",
        "<b>rose</b> & co 50.0%",
        "≠ 蓮 30.0%",
        "nan_<float16>.onnx",
    ):
        assert name in page.texts


def test_every_picture_says_what_it_shows(page):
    assert all(attributes["alt"] for attributes in page.named("img"))
    assert len(page.named("img")) == 1 + 3 + 4  # the curve, clouds of points, worst images


def test_charts_have_a_picture_for_a_dark_background(page):
    media = [source["media"] for source in page.named("source")]
    dark = [one for one in media if "prefers-color-scheme: dark" in one]
    assert len([one for one in dark if "width" not in one]) == len(page.named("picture")) == 4
    narrow = [one for one in media if "(max-width: 40rem)" in one]
    assert len(narrow) == 2 * len([one for one in dark if "width" in one]) > 0


def test_tables_say_what_their_heads_belong_to(page):
    assert page.named("th")
    assert all(attributes["scope"] in {"col", "row"} for attributes in page.named("th"))
    assert len(page.named("caption")) == len(page.named("table"))


def test_what_can_be_scrolled_can_be_reached_by_keyboard(page):
    scrolled = [a for a in page.named("div") if a.get("class") == "scroll"]
    assert scrolled
    assert all(a["tabindex"] == "0" and a["role"] == "region" and a["aria-label"] for a in scrolled)


def test_each_cell_says_its_column_where_rows_are_stacked(page):
    cells = page.named("td")
    assert cells
    assert all(cell["data-label"] for cell in cells)
    heads = ["precision", "verdict", "max abs", "SQNR, dB", "logit SQNR, dB", "top-1", "top-5"]
    assert [cell["data-label"] for cell in cells[:7]] == heads


def test_names_are_broken_between_their_parts_alone(verification):
    assert "release/<wbr>vgg_<wbr>d.onnx" in html_page(verification)
    assert "anywhere" not in html_page(verification).partition("code, .name")[2].partition("}")[0]


def test_a_pass_with_something_to_know_is_not_green(make_verification, candidates):
    def verdict(name, **changes):
        changed = dataclasses.replace(candidates[name], **changes)
        page = Page(html_page(make_verification(changed)))
        (shown,) = (a for a in page.named("div") if "verdict" in a.get("class", ""))
        return shown["class"]

    assert verdict("bare") == "verdict"
    assert verdict("bare", seen=3) == "verdict warned"
    assert verdict("swapped") == "verdict failed"


def test_the_verdict_the_faults_and_their_figures(page):
    assert "3 of 5 files are out of tolerance." in page.texts
    assert "channels-swapped: the file takes BGR where RGB is fed" in page.texts
    assert "export it again from weights whose first kernel is RGB" in page.texts
    bars = [a for a in page.named("span") if a.get("class", "").startswith("bar ")]
    assert [bar["style"] for bar in bars] == [
        "margin-left: 0.0%; width: 14.4%",  # 3.96 of 27.5 dB
        "margin-left: 0.0%; width: 100.0%",
        "margin-left: 0.0%; width: 5.0%",  # 5 dB of an infinite one, drawn as 100
        "margin-left: 0.0%; width: 100.0%",
    ]


@pytest.mark.parametrize(
    ("before", "after", "styles"),
    [
        (-10.0, 30.0, ["margin-left: 0.0%; width: 25.0%", "margin-left: 25.0%; width: 75.0%"]),
        (-10.0, -5.0, ["margin-left: 0.0%; width: 90.9%", "margin-left: 45.5%; width: 45.5%"]),
        (-math.inf, 25.0, ["margin-left: 0.0%; width: 80.0%", "margin-left: 80.0%; width: 20.0%"]),
        (math.nan, 25.0, ["margin-left: 0.0%; width: 100.0%"]),
        (4.0, math.nan, ["margin-left: 0.0%; width: 100.0%"]),
    ],
)
def test_a_bar_below_zero_goes_to_the_left(make_verification, candidates, before, after, styles):
    (_, trial) = candidates["swapped"].diagnosis.trials
    trial = dataclasses.replace(trial, without_db=before, with_db=after)
    diagnosis = Diagnosis((trial,), 8)
    file = dataclasses.replace(candidates["swapped"], diagnosis=diagnosis)
    shown = Page(html_page(make_verification(file)))
    bars = [a for a in shown.named("span") if a.get("class", "").startswith("bar ")]
    assert [bar["style"] for bar in bars] == styles
    assert ("no bar" in shown.texts) == math.isnan(before)


def test_the_layer_that_stands_out_is_ringed_in_the_table(page):
    rings = [a for a in page.named("span") if a.get("class") == "ring" and a.get("title")]
    assert len(rings) == 2  # one of each file that has such a layer


def test_what_the_edges_of_the_curve_mean(page, make_verification, candidates):
    notes = {"at the upper edge: exact", "where a line is broken: NaN"}
    assert notes <= set(page.texts)
    plain = Page(html_page(make_verification(candidates["swapped"])))
    assert notes.isdisjoint(plain.texts)


def test_tolerances_come_with_their_reasons(page):
    assert "8-bit weights & activations: swapped channels measured < 4 dB" in page.texts
    assert "SQNR of the logits at least 12.0 dB" in page.texts


def test_what_ran_is_said(page):
    for text in ("ai-edge-litert 2.3.0", "XNNPACK", "keras 3.15.1"):
        assert text in page.texts
    assert any("42.8 s of it in the runtimes" in text for text in page.texts)


def test_what_there_is_nothing_of_is_left_out(page, bare):
    everything = {"Files", "What was found", "Layer by layer", "Logits", "Worst images"}
    assert everything <= set(page.texts)
    assert everything & set(bare.texts) == {"Files"}
    assert "The file is within tolerance." in bare.texts
    assert bare.named("img") == []


@pytest.mark.parametrize("part", ["layers", "scatter", "worst"])
def test_one_part_may_be_missing(make_verification, candidates, part):
    bare = getattr(candidates["bare"], part)
    candidate = dataclasses.replace(candidates["swapped"], **{part: bare})
    page = Page(html_page(make_verification(candidate, candidates["bare"])))
    assert page.wrong == []


def test_the_head_names_what_failed_and_the_limit_that_it_missed(verification, page):
    for clause in verification.failures:
        assert page.texts.index(clause) < page.texts.index("Files")


def test_short_heads_of_columns_are_not_broken(verification):
    assert ">top-5</th>" in html_page(verification)


def test_every_chart_has_letters_of_11_pixels(page):
    """A chart of 1000 pixels in 350 has letters of 4, on the smallest tablet of 7."""
    smallest = 641 - 2 * 20  # of a page that shows the wide one, without its margins
    assert charts._STYLE["font.size"] * 96 / 72 * smallest / charts.WIDE_PX >= 11
    widths = [
        [int(s["width"]) for s in page.named(tag) if "width" in s] for tag in ("img", "source")
    ]
    assert charts.WIDE_PX in widths[0]
    assert widths[1] == [charts.NARROW_PX] * 2 * widths[0].count(charts.WIDE_PX)
    assert {w for w in widths[0] if w > charts.NARROW_PX} == {charts.WIDE_PX}


def test_the_head_says_what_to_do(make_verification, candidates):
    swapped = candidates["swapped"]
    (_, trial) = swapped.diagnosis.trials
    trial = dataclasses.replace(trial, preprocessing=CONVENTIONS["unit"])
    diagnosis = dataclasses.replace(swapped.diagnosis, trials=(trial,))
    file = dataclasses.replace(swapped, diagnosis=diagnosis)
    head = html_page(make_verification(file, file)).partition("<h2>")[0]
    option = '<code class="option">--preprocessing</code>'  # whose hyphens no line ends after
    assert head.count(f"<p>Fix: export it again with {option} unit.</p>") == 1
    assert "Fix:" not in html_page(make_verification(candidates["nan"]))


def test_the_head_says_the_warnings_of_each_file(make_verification, candidates):
    """And nothing of others; a file that has some is nowhere green."""
    file = dataclasses.replace(candidates["healthy"], seen=3)
    head, _, rest = html_page(make_verification(file, candidates["bare"])).partition("<h2>")
    told = "calibration used 3 of these images, so the figures are better than on others.</p>"
    assert f'<p class="warning"><code>release/<wbr>vgg_<wbr>d.onnx</code>: {told}' in head
    warned = '<span class="warning">! passed, with warnings</span>'
    assert (head.count(warned), head.count("✓")) == (1, 0)
    assert (rest.count(warned), rest.count("✓")) == (2, 1)  # table and card; the other's row
    assert 'warning"' not in html_page(make_verification(candidates["bare"]))


def test_an_option_is_marked_whole_with_the_figures_in_its_name(make_verification, candidates):
    file = candidates["healthy"]
    changed = {"max_abs": 0.9, "choices": Choices(200, 199, (), is_constant=False)}
    metrics = dataclasses.replace(file.metrics, top1_agreement=0.995, **changed)
    loose = Tolerance("int8", min_logit_sqnr_db=-100.0)
    report = make_verification(dataclasses.replace(file, metrics=metrics, tolerance=loose))
    assert '<code class="option">--min-top1-agreement</code> asks for more' in html_page(report)


def test_eight_columns_are_a_table_on_a_tablet(verification):
    caption = "<caption>Every file against the reference, over all images</caption>"
    assert f"<table>\n{caption}" in html_page(verification)
