"""The page of a pruning: the front, and the plan behind it."""

import re
from dataclasses import replace

from vggexport.network.spec import VGGSpec
from vggexport.reports.html.pruning import pruning
from vggexport.results.prune import PlanPoint, PruningReport

WHOLE = VGGSpec.named("D")
WIDTHS = {layer.name: 8 for layer in WHOLE.layers if "conv" in layer.name}
POINT = PlanPoint(WHOLE.macs // 2, 0.5, 1000, 4000, 14.5, WIDTHS)
REPORT = PruningReport("wide.npz", WHOLE, 128, (POINT,), None, None, {"survey": 2.0}, 2**30)


def test_a_front_is_a_chart_and_a_table(front):
    page = pruning(replace(REPORT, front=front))
    assert [alt for alt in re.findall(r'alt="(.*?)"', page) if "latency" in alt] == [
        "measured SQNR of the logits of 3 files by their latency"
    ]
    assert re.findall(r"<td[^>]*>(0\.\d{3}) \(", page) == ["0.525", "0.531", "0.281"]
    assert "onnxruntime 1.23.2, 1 thread, AMD EPYC 7763, used by others" in page
    legend = re.search(r'<ul class="legend">(.*?)</ul>', page, re.DOTALL)[1]
    assert re.findall(r"</span>\s*(\w+)", legend) == ["float32", "int8"]


def test_without_a_front_there_is_the_plan_alone():
    page = pruning(REPORT)
    assert page.count("<img ") == 1
    assert "Latency against error" not in page
