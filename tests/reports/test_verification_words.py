"""What a verification says in words."""

import dataclasses
import math

import pytest

from vggexport.metrics.choices import Choices
from vggexport.metrics.tolerance import Tolerance
from vggexport.reports import verification_words
from vggexport.results.diagnosis import Diagnosis
from vggexport.results.verify import Guess


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["healthy"], "The file is within tolerance."),
        (["healthy", "bare"], "All 2 files are within tolerance."),
        (["swapped"], "1 of 1 file is out of tolerance."),
        (["healthy", "swapped"], "1 of 2 files is out of tolerance."),
        (["nan", "healthy", "swapped"], "2 of 3 files are out of tolerance."),
    ],
)
def test_the_headline(make_verification, candidates, names, said):
    assert verification_words.headline(make_verification(*map(candidates.get, names))) == said


@pytest.mark.parametrize(("classes", "shown"), [(0, True), (1, False), (5, False), (6, True)])
def test_five_best_of_five_classes_are_no_figure(candidates, classes, shown):
    file = dataclasses.replace(candidates["healthy"], classes=classes)
    figure = verification_words.FIGURES["top-5"](file)
    assert figure == (f"{file.metrics.top5_agreement:.2%}" if shown else "-")


def test_of_a_healthy_file_nothing_is_said(candidates):
    assert verification_words.findings(candidates["healthy"]) == {}
    assert verification_words.findings(candidates["bare"]) == {}


def test_the_fault_is_named_with_its_figures_and_the_fix(candidates):
    found = verification_words.findings(candidates["swapped"])
    assert found == {
        "out of tolerance": "SQNR of the logits 4.0 dB is below 12 dB",
        "fault": "channels-swapped: the file takes BGR where RGB is fed",
        "figure": "SQNR of the logits: 4.0 dB as the file is, 27.5 dB with the mistake undone",
        "fix": "export it again from weights whose first kernel is RGB",
        "suspect layer": "block1_conv1 has 9.1 dB, and the layers around it suggest 24.0 dB",
        "seen images": "calibration used 12 of these images, so the figures are better than on "
        "others",
    }


def test_the_layer_at_fault_is_named(candidates):
    fault = verification_words.findings(candidates["stale"])["fault"]
    assert fault.startswith("stale-weights in block2_conv1: ")


def test_a_verdict_on_one_line_has_the_mistake_in_words(candidates):
    assert candidates["swapped"].verdict.endswith(
        "SQNR of the logits 4.0 dB is below 12 dB; the file takes BGR where RGB is fed"
    )


def test_where_nothing_is_left_when_a_mistake_is_undone_there_is_no_figure_for_it(candidates):
    trial = candidates["swapped"].diagnosis.trials[0]
    told = verification_words.figure(dataclasses.replace(trial, with_db=math.nan))
    assert told == "SQNR of the logits: 4.0 dB as the file is"


def test_where_no_mistake_explains_it_the_nearest_is_said(candidates):
    found = verification_words.findings(candidates["nan"])
    assert found["fault"] == (
        "no known mistake explains it; nearest, on the 16 worst images: mean-twice (2.1 dB "
        "instead of 4.0 dB)"
    )
    assert "fix" not in found
    tried = verification_words.tried(candidates["nan"].diagnosis)
    assert tried == "on the worst 16 images: range-01 (NaN), mean-twice (2.1 dB)"


def test_of_many_mistakes_the_nearest_three_are_named(candidates):
    trial = candidates["swapped"].diagnosis.trials[0]
    trials = tuple(
        dataclasses.replace(trial, fault=f"tried-{db}", with_db=db) for db in (1.5, 7.0, 2.5, 5.0)
    )
    candidate = dataclasses.replace(candidates["nan"], diagnosis=Diagnosis(trials, 16))
    assert verification_words.findings(candidate)["fault"] == (
        "no known mistake explains it; nearest, on the 16 worst images: "
        "tried-7.0 (7.0 dB instead of 4.0 dB), tried-5.0 (5.0 dB instead of 4.0 dB), "
        "tried-2.5 (2.5 dB instead of 4.0 dB)"
    )


def test_where_nothing_was_tried_nothing_is_listed(candidates):
    candidate = dataclasses.replace(candidates["nan"], diagnosis=Diagnosis((), 16))
    assert verification_words.findings(candidate)["fault"] == "no known mistake explains it"
    candidate = dataclasses.replace(candidates["nan"], diagnosis=None)
    assert "fault" not in verification_words.findings(candidate)


def test_of_a_file_that_passed_a_layer_that_stands_out_is_said_all_the_same(candidates):
    suspicious = candidates["swapped"].suspicious
    candidate = dataclasses.replace(candidates["healthy"], suspicious=suspicious, seen=1)
    assert list(verification_words.findings(candidate)) == ["suspect layer", "seen images"]


def test_limits():
    everything = Tolerance("why", 1e-4, 80.0, 60.0, 0.99)
    assert verification_words.limits(everything) == (
        "max abs at most 1.0e-04",
        "SQNR of the logits at least 80.0 dB",
        "SQNR of the probabilities at least 60.0 dB",
        "top-1 agreement at least 99.00%",
    )
    assert verification_words.limits(Tolerance("why")) == ()


def test_a_limit_of_0_is_one():
    tolerance = Tolerance("why", max_abs=0.0, min_logit_sqnr_db=0.0)
    assert verification_words.limits(tolerance) == (
        "max abs at most 0",
        "SQNR of the logits at least 0.0 dB",
    )


def test_a_class_without_a_label_is_a_number():
    assert verification_words.guess(Guess(3, "3", 0.5)) == "class 3 50.0%"
    assert verification_words.guess(Guess(3, "tulip", 0.5)) == "tulip 50.0%"


def test_a_pass_with_something_to_know_says_so(candidates):
    seen = dataclasses.replace(candidates["bare"], seen=3)
    found = [verification_words.verdict(file) for file in (candidates["bare"], seen)]
    assert found == ["passed", "passed, with warnings"]
    assert verification_words.verdict(candidates["bare"], is_doubtful=True) == found[1]
    assert verification_words.verdict(candidates["swapped"], is_doubtful=True) == "FAILED"


@pytest.mark.parametrize(("max_abs", "said"), [(0.97, True), (0.03, False)])
def test_an_image_that_surely_changed_class_is_said_of_a_file_that_passed(
    candidates, max_abs, said
):
    file = candidates["healthy"]
    choices = Choices(40, 39, (), is_constant=False)
    changed = {"max_abs": max_abs, "top1_agreement": 39 / 40, "choices": choices}
    metrics = dataclasses.replace(file.metrics, **changed)
    passed = dataclasses.replace(file, metrics=metrics, tolerance=Tolerance("int8", None, 12.0))
    assert passed.failures == ()
    expected = (
        "1 of 40 images changed class, a probability by 0.97 at most, which the tolerance allows: "
        "--min-top1-agreement asks for more"
    )
    assert verification_words.findings(passed) == ({"best class": expected} if said else {})
