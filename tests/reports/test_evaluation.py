"""An evaluation in every rendering: the same figures, names escaped, verdicts seen."""

import dataclasses
import re

import junitparser
import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from vggexport.metrics.accuracy import Accuracy, Interval, PairedCounts, Verdict
from vggexport.metrics.assignment import OtherOrder
from vggexport.precision import Precision
from vggexport.reports import evaluation_words, text
from vggexport.reports.html import evaluation as html
from vggexport.reports.junit import evaluation as junit_evaluation
from vggexport.reports.markdown import evaluation as markdown
from vggexport.results.accuracy_gate import GateCheck
from vggexport.results.evaluate import Comparison, EvaluationReport, EvaluationResult, Mistake
from vggexport.results.verify import Guess, RunnerRecord

LABELS = ("ant", "<b>bee</b>", "cat|dog")
CHECKS = {
    verdict: GateCheck("int8.onnx", "top-1 drop", 0.02, Interval(-0.01, 0.05), 0.005, verdict)
    for verdict in Verdict
}


def make_result(path, answers, **options):
    targets = np.repeat(np.arange(3), 10)
    best = np.array([answers, np.roll(answers, 1)], np.int32).T
    accuracy = Accuracy.of(targets, best, 3)
    runner = RunnerRecord(path, "onnxruntime 1.32.0", "CPU", Precision.FLOAT32, 1.5)
    return EvaluationResult(runner, accuracy, LABELS, **options)


@pytest.fixture
def make_report():
    answers = np.repeat(np.arange(3), 10)
    wrong = np.where(np.arange(30) % 10 < 3, (answers + 1) % 3, answers)
    pixels = np.zeros((9, 9, 3), np.uint8)
    mistake = Mistake("ant/<i>.png", "ant", Guess(1, LABELS[1], 0.75), pixels)
    counts = PairedCounts.of(answers, answers[:, None], wrong[:, None])
    compared = Comparison("f.onnx", "int8.onnx", counts)
    results = (
        make_result("f.onnx", answers),
        make_result("int8.onnx", wrong, comparison=compared, seen=4, mistakes=(mistake,)),
    )

    def make(*checks, strict=False):
        return EvaluationReport(
            results,
            "data",
            30,
            ("x.png: no image",),
            checks,
            strict,
            "local",
            {"evaluate": 3.0},
            2**30,
            picture_line="centre crop to <224>, as the weights say",
        )

    return make


def rendered(report):
    console = Console(width=160, record=True)
    with console.capture() as capture:
        console.print(text.evaluation(report))
    return {
        "text": capture.get(),
        "markdown": markdown.evaluation(report),
        "junit": junit_evaluation.evaluation(report),
        "html": html.evaluation(report),
    }


def test_all_say_the_figures(make_report):
    report = make_report(CHECKS[Verdict.FAIL])
    for name, content in rendered(report).items():
        for figure in ("70.00%", "52.1...83.3", "f.onnx", "int8.onnx"):
            assert figure in content, (name, figure)
    assert report.results[1].accuracy.top1 == 0.7


def test_names_do_not_break_out(make_report):
    found = rendered(make_report())
    assert "<b>bee" not in found["html"]
    assert "&lt;b&gt;bee" in found["html"]
    page = MarkdownIt("commonmark").enable("table").render(found["markdown"])
    assert "<b>bee" not in page
    assert "<script" not in found["html"]


@pytest.mark.parametrize("strict", [False, True])
def test_verdicts(make_report, strict):
    for verdict, check in CHECKS.items():
        report = make_report(check, strict=strict)
        fails = verdict is Verdict.FAIL or (verdict is Verdict.INCONCLUSIVE and strict)
        assert bool(report.failures) == fails
        found = rendered(report)
        assert ("❌" in found["markdown"]) == fails
        (suite,) = junitparser.JUnitXml.fromstring(found["junit"].encode())
        assert (suite.tests, suite.failures) == (2, int(fails))
        assert ("✗ FAILED" in found["html"]) == fails
        assert report.to_json()["gate"]["verdict"] == verdict.value
        assert report.to_json()["passed"] is not fails


def test_one_is_not_many(make_report):
    report = make_report()
    assert evaluation_words.headline(report) == "2 networks on 30 images."
    one = dataclasses.replace(report, results=report.results[:1], images=1)
    assert evaluation_words.headline(one) == "1 network on 1 image."


def test_the_worst_verdict_is_that_of_all(make_report):
    assert make_report().verdict is None
    assert make_report(*CHECKS.values()).verdict is Verdict.FAIL
    good, doubtful = CHECKS[Verdict.PASS], CHECKS[Verdict.INCONCLUSIVE]
    assert make_report(good, doubtful).verdict is Verdict.INCONCLUSIVE
    assert make_report(good).verdict is Verdict.PASS


def test_the_page_shows_the_matrix_and_the_images(make_report):
    page = rendered(make_report())["html"]
    assert "confusion matrix of 3 classes; 70.0% of all are right" in page
    assert "data:image/jpeg" in page
    assert "calibration used 4 of these images" in page


def test_all_say_how_pictures_became_pixels_and_what_was_left_out(make_report):
    found = rendered(make_report())
    pictures = "centre crop to &lt;224&gt;, as the weights say"
    assert f"Pictures: {pictures}." in MarkdownIt("commonmark").render(found["markdown"])
    assert f"Pictures: {pictures}." in found["html"]
    assert f'name="pictures" value="{pictures}"' in found["junit"]
    assert "centre crop to <224>" in found["text"]
    for rendering in ("markdown", "html"):
        assert "; 1 image could not be read and left out." in found[rendering]
    everything = dataclasses.replace(make_report(), unreadable=(), picture_line="")
    for rendering in ("markdown", "html"):
        assert "could not be read" not in rendered(everything)[rendering]
        assert "Pictures" not in rendered(everything)[rendering]


def test_another_order_of_the_classes_fails_in_every_rendering_where_it_is_a_failure(make_report):
    report = make_report(strict=True)
    other = OtherOrder(3, 30, 30, (1, 2, 0))
    moved = dataclasses.replace(report.results[0], other_order=other)
    report = dataclasses.replace(report, results=(moved, report.results[1]))
    assert report.failures
    found = rendered(report)
    (suite,) = junitparser.JUnitXml.fromstring(found["junit"].encode())
    assert suite.failures == 1
    assert "❌" in found["markdown"]
    assert "✗ FAILED" in found["html"]
    for rendering in ("markdown", "html"):
        assert "Classes seem to be in another order." in found[rendering]
    lenient = rendered(dataclasses.replace(report, strict=False))
    (suite,) = junitparser.JUnitXml.fromstring(lenient["junit"].encode())
    assert suite.failures == 0


def test_of_many_classes_those_that_are_confused_have_a_matrix_on_a_phone(make_report):
    """As many as there is room for without scrolling, and a line says so."""
    labels = tuple(f"class {number}" for number in range(12))
    targets = np.repeat(np.arange(12), 4)
    best = np.where(targets == 9, 2, np.where(np.arange(48) == 20, 11, targets))
    accuracy = Accuracy.of(targets, best[:, None].astype(np.int32), 12)
    result = dataclasses.replace(make_report().results[0], labels=labels, accuracy=accuracy)
    assert html._most_confused(result, 3).tolist() == [2, 5, 9]  # 9 as 2 four times, 5 as 11 once
    assert html._most_confused(result, 5).tolist() == [0, 2, 5, 9, 11]
    page = html.evaluation(dataclasses.replace(make_report(), results=(result,)))
    sides = [int(n) for n in re.findall(r'<source media="[^"]*40rem[^>]* width="(\d+)"', page)]
    assert sides
    assert max(sides) <= 350
    line = '<span class="phone"> Classes that are confused less are left out: the table of classes'
    assert f"{line} has all 12.</span>" in page
    assert "are left out: the" not in html.evaluation(make_report())


def test_the_head_names_every_file_that_its_verdict_is_about(make_report):
    """One that is inconclusive was not named beside one that fails."""
    other = dataclasses.replace(CHECKS[Verdict.INCONCLUSIVE], path="f.onnx")
    report = make_report(CHECKS[Verdict.FAIL], other, CHECKS[Verdict.PASS])
    head = html.evaluation(report).partition("<h2>")[0].replace("<wbr>", "")
    assert '<p class="bad">FAILED: int8.onnx: top-1 drop 2.00' in head
    assert "<p>inconclusive: f.onnx: top-1 drop 2.00" in head
    assert head.count("top-1 drop") == 2
    moved = dataclasses.replace(report.results[0], other_order=OtherOrder(3, 30, 30, (1, 2, 0)))
    lenient = dataclasses.replace(make_report(), results=(moved, report.results[1]))
    head = html.evaluation(lenient).partition("<h2>")[0]
    assert "<p>f.onnx: classes seem to be in another order" in head


def test_a_file_has_one_name_on_a_page(make_report):
    """Columns of the table of classes had shorter ones; its path is told at the end alone."""
    report = make_report()
    runners = [dataclasses.replace(r.runner, path=f"out/{r.runner.path}") for r in report.results]
    results = [
        dataclasses.replace(result, runner=runner, comparison=None)
        for result, runner in zip(report.results, runners, strict=True)
    ]
    check = dataclasses.replace(CHECKS[Verdict.FAIL], path="out/int8.onnx")
    report = dataclasses.replace(report, results=tuple(results), checks=(check,))
    page = html.evaluation(report).replace("<wbr>", "")
    assert page.count("out/f.onnx") == page.count("out/int8.onnx") == 1
    assert page.index("out/f.onnx") > page.index("<h2>Environment</h2>")
    assert "FAILED: int8.onnx: top-1 drop" in page


def test_differences_of_percentages_are_points(make_report):
    found = rendered(make_report(CHECKS[Verdict.FAIL]))
    assert "2.00 points (-1.0...5.0)" in found["text"]
    assert "at most 0.50 points" in found["text"]
    clause = "top-1 drop 2.00 points (95 %: -1.00 to 5.00) where at most 0.5 points was asked for"
    assert clause in found["junit"]
    assert clause in found["markdown"]
    for name in ("text", "markdown", "html"):
        assert "drop, points" in found[name], name
    assert (
        "at most 1 point was asked" in dataclasses.replace(CHECKS[Verdict.FAIL], limit=0.01).clause
    )
    right = dataclasses.replace(CHECKS[Verdict.FAIL], what="top-1")
    assert "top-1 2.00 % (95 %: -1.00 to 5.00) where at least 0.5 % was asked" in right.clause


def test_json_has_no_infinity_and_the_mistakes(make_report):
    document = make_report().to_json()
    second = document["results"][1]
    assert second["confusions"][0]["images"] == 3
    assert second["mistakes"][0]["actual"]["label"] == LABELS[1]
    assert document["comparisons"][0]["only_a_right"] == 9
    assert [c["label"] for c in second["classes"]] == list(LABELS)


def test_a_class_that_is_never_the_answer_has_no_precision(make_report):
    result = make_result("x.onnx", np.zeros(30, int))
    assert [c["precision"] for c in result.to_json()["classes"]] == [1 / 3, None, None]
    nothing = dataclasses.replace(make_report(), results=(result,))
    assert rendered(nothing)


def test_five_best_of_three_classes_are_no_figure():
    result = make_result("f.onnx", np.repeat(np.arange(3), 10))
    assert evaluation_words.FIGURES["top-5"](result) == "-"
    of_six = dataclasses.replace(result, labels=tuple("abcdef"))
    assert evaluation_words.FIGURES["top-5"](of_six) == "100.00%"


def test_equal_networks_are_right_on_the_same_images(make_report):
    """Which is not put as "alone right on 0 images"."""
    second = make_report().results[1]
    same = dataclasses.replace(
        second, comparison=Comparison("f.onnx", "int8.onnx", PairedCounts(30, 29, 0, 0))
    )
    assert evaluation_words.findings(same)["against the first"] == (
        "both are right on the same images"
    )
    found = evaluation_words.findings(second)["against the first"]
    assert found == "f.onnx alone is right on 9 images, this one alone on 0"


def test_the_head_of_the_page_says_that_images_were_calibrated_on(make_report):
    """Figures on those are better than on others, whatever the verdict is."""
    head = html.evaluation(make_report()).partition("<h2>")[0]
    assert head.count('<p class="warning"><code>int8.onnx</code>: calibration used 4 of') == 1
