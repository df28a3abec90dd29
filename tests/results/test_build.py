"""Results as values: verdicts and JSON are derived from them."""

import dataclasses
import json

import pytest

from vggexport.artifact import Artifact
from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.provenance import WeightsRecord
from vggexport.network.spec import VGGSpec
from vggexport.precision import Precision
from vggexport.quantization.audit import Operator
from vggexport.results.build import BuildReport, CheckReport, Inspection
from vggexport.results.summary import SummaryReport

METRICS = ParityMetrics(
    max_abs=0.5,
    rel_l2=0.1,
    sqnr_db=float("inf"),
    logit_sqnr_db=30.0,
    cosine=1.0,
    top1_agreement=1.0,
    top5_agreement=1.0,
    finite=True,
)
CHECK = CheckReport("Keras network", 4, METRICS, Tolerance("why", max_abs=0.5))
ARTIFACT = Artifact(
    "x.onnx",
    "onnx",
    Precision.FLOAT32,
    VGGSpec.named("A"),
    WeightsRecord("random:0", "ab" * 32, trained=False, layout="native"),
)
ISLAND = Operator("conv", "Conv", ("float32", "float32"), ("float32",), "float32")
INTEGER = Operator("qconv", "QLinearConv", ("int8",) * 8, ("int8",), "int8")
SOFTMAX = Operator("softmax", "Softmax", ("float32",), ("float32",))


def test_a_check_passes_at_its_limit():
    assert CHECK.failures == ()
    assert CHECK.to_json()["passed"] is True


def test_a_check_fails_beyond_its_limit():
    check = dataclasses.replace(CHECK, tolerance=Tolerance("why", max_abs=0.49))
    assert check.failures == ("max abs 0.5 is above 0.49",)
    assert check.to_json()["passed"] is False
    assert check.to_json()["failures"] == ["max abs 0.5 is above 0.49"]


def test_an_island_fails_a_check_whatever_its_metrics():
    check = dataclasses.replace(CHECK, islands=(ISLAND, dataclasses.replace(ISLAND, name="fc")))
    assert check.failures == ("computed in float: conv, fc",)
    assert check.to_json()["float_islands"] == ["conv", "fc"]


def test_everything_wrong_is_named():
    check = dataclasses.replace(
        CHECK, tolerance=Tolerance("why", max_abs=0.1, min_logit_sqnr_db=40.0), islands=(ISLAND,)
    )
    assert len(check.failures) == 3


def test_json_has_no_infinity():
    document = CHECK.to_json()
    assert document["metrics"]["sqnr_db"] is None
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.parametrize(("check", "passed"), [(None, True), (CHECK, True), ("failing", False)])
def test_a_build_passes_by_its_check(check, passed):
    if check == "failing":
        check = dataclasses.replace(CHECK, islands=(ISLAND,))
    report = BuildReport(ARTIFACT, {"export": 1.23456}, 7, check)
    document = report.to_json()
    assert (report.failures == ()) is document["passed"] is passed
    assert (document["check"] is None) is (check is None)
    assert document["artifact"] == ARTIFACT.to_json()
    assert document["seconds"] == {"export": 1.235}
    assert (document["schema"], document["peak_rss_bytes"]) == (1, 7)


def inspection(*operators):
    return Inspection(None, (), (), operators, 0, 0)


def test_int8_needs_integer_weights_and_no_island():
    assert inspection(INTEGER, SOFTMAX).not_integer() == ()
    assert inspection(SOFTMAX).not_integer() == ("no operator has int8 weights",)
    assert inspection().not_integer() == ("no operator has int8 weights",)
    assert inspection(INTEGER, ISLAND).not_integer() == ("conv (Conv) computes in float",)
    assert len(inspection(ISLAND).not_integer()) == 2


def test_an_inspection_as_json():
    document = inspection(INTEGER, ISLAND).to_json()
    assert document["artifact"] is None
    assert document["float_islands"] == ["conv"]
    assert [operator["name"] for operator in document["operators"]] == ["qconv", "conv"]
    assert document["opset"] is None


def test_a_summary_as_json_is_json():
    document = SummaryReport(VGGSpec.named("D")).to_json()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["layers"][1]["name"] == "block1_conv1"


def test_results_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CHECK.images = 5
