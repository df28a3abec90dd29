"""Profiles as ONNX Runtime writes them, made up: all, a part and nothing on a device."""

import pytest

from vggexport.metrics.placement import PlacedNode, nodes_of_profile, place, reason_not_started
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
SPEC = VGGSpec(
    "tiny",
    parse_blocks("conv3-4 | conv1-8"),
    classes=5,
    hidden=fully_connected(16, 16),
    input_size=(8, 8),
)

NODES = {
    "mean_subtraction": "Sub",
    "InsertedPrecisionFreeCast_block1_conv1_nchwc": "Conv",
    "block1_pool": "MaxPool",
    "block2_conv1_token_45": "QLinearConv",
    "flatten": "Flatten",
    "fused fc1": "FusedGemm",
    "fc2/quantized": "QGemm",
    "predictions": "Gemm",
    "probabilities": "Softmax",
}
"""Names as optimizers change them."""


def placed(elsewhere=()):
    """All on CUDA but the nodes whose names contain one of these words."""
    return tuple(
        PlacedNode(name, kind, CPU if any(word in name for word in elsewhere) else CUDA)
        for name, kind in NODES.items()
    )


def event(name, provider=CUDA, kind="Conv", index="1", **more):
    arguments = {"op_name": kind, "provider": provider, "node_index": index}
    return {"cat": "Node", "name": f"{name}_kernel_time", "args": arguments} | more


def test_everything_on_the_provider():
    placement = place(placed(), SPEC, CUDA)
    assert (placement.node_share, placement.mac_share) == (1.0, 1.0)
    assert placement.complete
    assert placement.reason == ""


def test_a_part_on_the_provider_is_told_by_nodes_and_macs():
    placement = place(placed(elsewhere=("block2_conv1", "pool")), SPEC, CUDA)
    macs = {layer.name: layer.macs for layer in SPEC.weighted_layers}
    assert placement.node_share == pytest.approx(7 / 9)
    assert placement.mac_share == pytest.approx(1 - macs["block2_conv1"] / SPEC.macs)
    assert not placement.complete
    assert placement.elsewhere == {CPU: ("MaxPool", "QLinearConv")}
    assert placement.reason == (
        "node types without a kernel there: MaxPool, QLinearConv on CPUExecutionProvider"
    )


def test_a_silent_fallback_has_no_share():
    placement = place(placed(elsewhere=("",)), SPEC, CUDA)
    assert (placement.node_share, placement.mac_share, placement.complete) == (0.0, 0.0, False)


def test_no_nodes_are_no_placement():
    placement = place((), SPEC, CUDA)
    assert (placement.node_share, placement.complete) == (0.0, False)
    assert placement.reason == "the profile names no node"


@pytest.mark.parametrize(("elsewhere", "share"), [((), 1.0), (("fc2",), None)])
def test_compiled_nodes_tell_their_macs_only_where_nobody_else_took_part(elsewhere, share):
    nodes = (PlacedNode("TRTKernel_graph_0", "TRTKernel_0", CUDA), *placed(elsewhere)[-3:])
    assert place(nodes, SPEC, CUDA).mac_share == share


def test_a_layer_is_not_taken_for_another_whose_name_begins_like_it():
    spec = VGGSpec(
        "w", parse_blocks(" ".join(["conv1-4"] * 12)), 5, fully_connected(16, 16), (8, 8)
    )
    nodes = [PlacedNode(layer.name, "Conv", CUDA) for layer in spec.weighted_layers]
    nodes[0] = PlacedNode("block1_conv1", "Conv", CPU)
    macs = spec.layer("block1_conv1").macs
    for order in (nodes, nodes[::-1]):  # block1_conv10 in front of it or behind
        assert place(order, spec, CUDA).mac_share == pytest.approx(1 - macs / spec.macs)


def test_conversions_around_a_layer_do_not_have_its_macs():
    nodes = [PlacedNode("fc1/kernel/dequantized", "DequantizeLinear", CPU), *placed()]
    assert place(nodes, SPEC, CUDA).mac_share == 1.0


def test_nodes_of_a_profile_are_told_once_and_without_copies():
    events = [
        {"cat": "Session", "name": "session_initialization", "args": {}},
        {"cat": "Session", "name": "model_run"},
        event("fc1", kind="Gemm"),
        event("fc1", kind="Gemm"),  # another run
        event("fc1", kind="Gemm", index="2"),  # another node of that name
        event("Memcpy", kind="MemcpyToHost", index="3"),
        {"cat": "Node", "name": "fc1_fence_before", "args": {"op_name": "Gemm"}},
        event("probabilities", CPU, "Softmax", "4"),
    ]
    assert nodes_of_profile(events) == (
        PlacedNode("fc1", "Gemm", CUDA),
        PlacedNode("fc1", "Gemm", CUDA),
        PlacedNode("probabilities", "Softmax", CPU),
    )


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (
            "Failed to load X.so with error: libcublasLt.so.13: cannot open shared object file",
            "library libcublasLt.so.13 is not found",
        ),
        ("CUDA failure 100: no CUDA-capable device is detected ; GPU=-1", "there is no device"),
        (
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version",
            "the driver is too old or missing",
        ),
        ("Please install TensorRT libraries as mentioned", "TensorRT's libraries are not found"),
        ("CUDA failure 2: out of memory", "the device is out of memory"),
        ("something else", ""),
        ("", ""),
    ],
)
def test_what_a_provider_printed_as_it_failed(log, reason):
    assert reason_not_started(log) == reason
