"""Times of nodes, put together by the layers whose names they bear."""

import pytest

from vggexport.metrics.layer_times import LayerTime, NodeTime, by_layer, times_of_profile
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks

SPEC = VGGSpec(
    "tiny", parse_blocks("conv3-4 | conv1-8"), classes=5, hidden=fully_connected(16, 16),
    input_size=(8, 8),
)  # fmt: skip


def event(name, microseconds, kind="Conv", index="0"):
    arguments = {"op_name": kind, "provider": "CPUExecutionProvider", "node_index": index}
    return {"name": f"{name}_kernel_time", "dur": microseconds, "args": arguments}


def test_a_nodes_time_is_the_median_of_all_runs_but_the_first():
    runs = [event("fc1", us, "Gemm") for us in (9000, 1000, 3000, 2000)]
    once = event("copy", 500, "MemcpyToHost", "1")
    begin = {"name": "session_initialization", "args": {}, "dur": 1}
    assert times_of_profile([begin, *runs, once]) == (
        NodeTime("fc1", "Gemm", 2.0),
        NodeTime("copy", "MemcpyToHost", 0.5),
    )


def test_nodes_are_put_together_by_layers():
    nodes = [
        NodeTime("block1_conv1", "Conv", 2.0),
        NodeTime("Reorder_7", "Reorder", 1.0),
        NodeTime("block1_conv1/relu", "Relu", 4.0),
        NodeTime("predictions", "Gemm", 1.0),
    ]
    assert by_layer(nodes, SPEC) == (
        LayerTime("block1_conv1", "Conv, Relu", 6.0, 0.75),
        LayerTime("Reorder_7", "Reorder", 1.0, 0.125),
        LayerTime("predictions", "Gemm", 1.0, 0.125),
    )
    assert by_layer([], SPEC) == ()
    assert sum(layer.share for layer in by_layer(nodes, SPEC)) == pytest.approx(1.0)
