"""What is said of which figures, and of which nothing."""

from dataclasses import replace

import pytest

from vggexport.metrics.placement import PlacedNode, place
from vggexport.results.benchmark_figures import ColdStart
from vggexport.workflows.benchmark.notes import notes_on

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.fixture
def old(machine):
    """Without any instructions for int8."""
    return replace(machine, cpu_features=dict.fromkeys(machine.cpu_features, False))


@pytest.fixture
def modern(machine):
    return replace(machine, cpu_features=dict.fromkeys(machine.cpu_features, True))


def test_a_quiet_modern_machine_needs_no_note(modern, make_result):
    assert notes_on(modern, [make_result(), make_result(precision="int8")], None) == ()


def test_a_busy_machine(modern, make_result):
    (note,) = notes_on(replace(modern, load_average=99.0), [make_result()], None)
    assert note.startswith("the machine was busy at the start (load average 99.00 on")


def test_a_description_of_another_file_beside_it(modern, make_result, tmp_path):
    (tmp_path / "a.onnx.json").write_text('{"sha256": "01"}')
    results = [make_result(str(tmp_path / name)) for name in ("a.onnx", "b.onnx")]
    known = [replace(r, artifact=replace(r.artifact, sha256="02")) for r in results]
    (note,) = notes_on(modern, known, None)
    assert note == (
        f"{tmp_path / 'a.onnx'} is not the file that {tmp_path / 'a.onnx.json'} describes: export "
        "it again, which writes both"
    )


def test_a_load_that_was_not_cold(modern, make_result):
    starts = [ColdStart(1.0, 1.0, 1.0, share) for share in (0.0, None, 0.4)]
    results = [make_result(f"{n}.onnx", cold_start=start) for n, start in enumerate(starts)]
    (note,) = notes_on(modern, results, None)
    assert note == (
        "2.onnx: 40% of the file stayed in memory, which the system did not let go of: its cold "
        "load is not cold"
    )


def test_int8_on_an_old_cpu_is_told_by_what_was_measured(old, make_result):
    """In the table, by threads: a note with a ratio of its own said it once more, otherwise."""
    results = [make_result("f.onnx", [[[10.0]]]), make_result("i.onnx", [[[9.5]]], "int8")]
    (note,) = notes_on(old, results, None)
    assert note == (
        "this CPU has neither VNNI nor dot product, so int8 may not be faster than float32: the "
        "rows of both tell"
    )


def test_int8_is_compared_with_what_was_measured_in_the_same_way(old, make_result):
    results = [
        make_result("f.onnx", [[[10.0]]], threads=2),
        make_result("i.onnx", precision="int8"),
    ]
    (note,) = notes_on(old, results, None)
    assert note.endswith("measure a float32 file beside it")


def test_float_on_an_old_cpu_needs_no_note(old, make_result):
    assert notes_on(old, [make_result()], None) == ()


@pytest.mark.parametrize(
    ("precision", "options", "said"),
    [
        ("float32", {"use_tf32": "1"}, "is computed in TF32"),
        ("float32", {"use_tf32": "0"}, "is computed without TF32"),
        ("int8", {}, "the fast file is a float16 one"),
        ("int8-w4", {}, "the fast file is a float16 one"),
    ],
)
def test_what_cuda_computes_in(modern, make_result, precision, options, said):
    on_cuda = {"provider": CUDA, "provider_requested": CUDA, "provider_options": options}
    (note,) = notes_on(modern, [make_result(precision=precision, **on_cuda)], None)
    assert said in note
    assert notes_on(modern, [make_result(precision="float16", **on_cuda)], None) == ()


def test_a_recorded_run_is_told(modern, make_result):
    options = {"use_tf32": "0", "enable_cuda_graph": "1"}
    on_cuda = {"provider": CUDA, "provider_requested": CUDA, "provider_options": options}
    assert notes_on(modern, [make_result(precision="float16", **on_cuda)], None) == (
        "CUDA repeats a run that was recorded once (a CUDA graph)",
    )


def test_a_fallback_and_a_part(modern, make_result, artifact):
    nodes = [PlacedNode("fc1", "Gemm", CUDA), PlacedNode("probabilities", "Softmax", CPU)]
    part = place(nodes, artifact.spec, CUDA)
    fell = make_result("a.onnx", provider_requested=CUDA, fallback="there is no device")
    partly = make_result("b.onnx", precision="float16", provider=CUDA, placement=part)
    first, second = notes_on(modern, [fell, partly], None)
    assert first == f"a.onnx ran on {CPU} and not on {CUDA}: there is no device"
    assert second.startswith(f"b.onnx: {CUDA} ran 50.0% of the nodes only; node types without")


def test_a_note_is_made_once(old, make_result):
    results = [make_result("i.onnx", precision="int8", batch=batch) for batch in (1, 8)]
    assert len(notes_on(old, results, None)) == 1
