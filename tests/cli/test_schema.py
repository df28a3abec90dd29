"""``vggexport schema``."""

from vggexport.results.schemas import DOCUMENTS, json_schema


def test_without_a_name_they_are_listed(run):
    outcome = run("schema")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.splitlines() == list(DOCUMENTS)


def test_one_is_printed(run):
    outcome = run("schema", "check-bundle")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.json == json_schema("check-bundle")


def test_a_wrong_name_is_told_the_nearest(run):
    outcome = run("schema", "benchmarks")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert outcome.error == "Error: 'benchmarks' is not known: did you mean 'benchmark'?"


def test_a_name_like_none_is_told_all(run):
    assert "choose from summary, savedmodel" in run("schema", "x").error
