"""A verification as JUnit XML, read by a reader that is not ours."""

import dataclasses
from pathlib import Path

import junitparser
import pytest

from vggexport.reports.junit.verification import verification as junit

GOLDEN = Path(__file__).parent / "golden" / "verification.xml"


@pytest.fixture(scope="session")
def suites(verification):
    return junitparser.JUnitXml.fromstring(junit(verification).encode())


def test_all_of_it(verification):
    assert junit(verification) == GOLDEN.read_text(encoding="utf-8")


def test_counts_are_those_of_the_cases(suites):
    (suite,) = suites
    said = (suites.tests, suites.failures, suites.errors)
    assert said == (suite.tests, suite.failures, suite.errors) == (5, 3, 0)
    assert (len(suite), sum(case.is_failure for case in suite)) == (5, 3)
    assert suite.time == suites.time == 109.75
    assert [case.time for case in suite] == [0, 9.25, 0, 0, 0]


def test_properties(suites):
    (suite,) = suites
    properties = {entry.name: entry.value for entry in suite.properties()}
    assert properties["images"] == "200"
    assert properties["reference"] == "vgg_d.npz"
    assert properties["reference runtime"] == "keras 3.15.1, CPU"


def test_a_failure_says_what_and_why(suites):
    (suite,) = suites
    (failure,) = list(suite)[1].result
    assert failure.message == (
        "SQNR of the logits 4.0 dB is below 12 dB; channels-swapped: the file takes BGR where RGB "
        "is fed"
    )
    assert (
        "fix: export it again from weights whose first kernel is RGB" in failure.text.splitlines()
    )


def test_a_failure_that_was_not_looked_into(make_verification, candidates):
    candidate = dataclasses.replace(candidates["swapped"], diagnosis=None)
    text = junit(make_verification(candidate))
    (suite,) = junitparser.JUnitXml.fromstring(text.encode())
    (case,) = suite
    assert case.result[0].message == "SQNR of the logits 4.0 dB is below 12 dB"


def test_names_are_kept(suites):
    (suite,) = suites
    names = [case.name for case in suite]
    assert "nan_<float16>.onnx" in names
    assert any("team|mobile/vgg_`nightly`" in name for name in names)


@pytest.mark.parametrize("name", ["bell\x07.onnx", "byte\udcff.onnx", "nul\0.onnx"])
def test_a_name_that_xml_has_no_characters_for(make_verification, candidates, name):
    runner = dataclasses.replace(candidates["bare"].runner, path=name)
    candidate = dataclasses.replace(candidates["bare"], runner=runner)
    text = junit(make_verification(candidate))
    (suite,) = junitparser.JUnitXml.fromstring(text.encode())
    (case,) = suite
    assert case.name == name.encode("unicode_escape").decode()
