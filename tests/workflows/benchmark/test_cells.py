"""Who takes turns with whom, for how long, and what really ran, with models that are acted."""

from itertools import count

import pytest

from vggexport.errors import InputError, Unavailable
from vggexport.metrics.timing import SETTLE_S, Share, Turn
from vggexport.system.progress import Progress, Steps
from vggexport.workflows.benchmark import turns
from vggexport.workflows.benchmark.cells import DEVICE_WARM_UP_S, measure_cell
from vggexport.workflows.benchmark.options import BenchmarkOptions
from vggexport.workflows.benchmark.turns import MachineState, TimedTurn, by_minute, plan, take_turns

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
MS = 10**6


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.onnx", "b.onnx", "c.tflite"):
        (tmp_path / name).touch()


def measure(*artifacts, **options):
    chosen = BenchmarkOptions(
        artifacts, threads=(1,), **{"runs": 6, "duration_s": 0.0, "launches": 1} | options
    )
    (cell,) = chosen.cells()
    return measure_cell(cell, chosen, Steps(Progress()), {})


def test_each_has_its_own_timings(stage):
    stage.run_ms = {"a.onnx": 1.0, "b.onnx": 2.0}
    first, second = measure("a.onnx", "b.onnx")
    assert (first.latency.p50, second.latency.p50) == (1.0, 2.0)
    assert (first.measurement.runs, first.artifact.path) == (6, "a.onnx")
    assert (first.load_ms, first.first_ms, first.peak_rss_bytes) == (30.0, 5.0, 2**20)
    assert first.minutes == ()


def test_the_same_artifact_twice_is_two_models(stage):
    ticks = count()
    stage.machine_ms = lambda: next(ticks)
    first, second = measure("a.onnx", "a.onnx", runs=2)
    # a b b a: neither is always the first in a round
    assert [s - 1 for s in first.measurement.samples_ms] == [0, 3]
    assert [s - 1 for s in second.measurement.samples_ms] == [1, 2]


def test_a_drift_of_the_machine_hits_both_alike(stage):
    ticks = count()
    stage.machine_ms = lambda: next(ticks)
    first, second = measure("a.onnx", "b.onnx", runs=40)
    assert first.latency.mean == second.latency.mean


def test_nothing_is_loaded_while_another_is_imported(stage):
    measure("a.onnx", "b.onnx")
    methods = [method for _, method in stage.calls]
    begin = ["made", "made", "made", "made", "load", "forget", "load", "forget"]
    assert methods[:10] == [*begin, "run_once", "run_once"]
    assert methods.index("warm_up") < methods.index("take_turn")
    assert methods[-6:] == ["cost", "cost", "placement", "placement", "close", "close"]


def test_runs_are_divided_among_launches(stage):
    ticks = count(1)
    stage.machine_ms = lambda: next(ticks) // 100
    first, second = measure("a.onnx", "b.onnx", runs=12, launches=5)
    assert [len(launch) for launch in first.measurement.rounds] == [2, 2, 3, 2, 3]
    assert (first.measurement.runs, second.measurement.runs) == (12, 12)
    assert [source for source, method in stage.calls if method == "forget"] == ["a.onnx", "b.onnx"]
    assert (first.load_ms, first.cold_start.load_ms) == (20.0, 30.0)  # of the others, of the first
    assert (first.cold_start.imports_ms, first.cold_start.cached_share) == (7.0, 0.25)
    assert (first.base_rss_bytes, first.model_rss_bytes) == (2**19, 2**19)
    loads = [source for source, method in stage.calls if method == "load"]
    assert loads == ["a.onnx", "b.onnx", "b.onnx", "a.onnx"] * 2 + ["a.onnx", "b.onnx"]
    assert [method for _, method in stage.calls].count("close") == 10


def test_fewer_rounds_than_launches(stage):
    (result,) = measure("a.onnx", runs=2, launches=5)
    assert result.measurement.rounds == ((1,), (1,))


def test_a_batch_to_come_is_looked_at_before_anything_is_measured(stage):
    """What was measured by then would be lost."""
    stage.batch = 1
    options = BenchmarkOptions(("a.onnx",), threads=(1,), batches=(1, 8))
    with pytest.raises(
        InputError, match=r"a\.onnx takes 1 images at a time and not 8: measure it with batch 1"
    ):
        measure_cell(options.cells()[0], options, Steps(Progress()), {})
    assert "run_once" not in [method for _, method in stage.calls]


def test_weights_are_loaded_behind_files_whose_network_they_are_of(stage):
    first, second = measure("random:0", "a.onnx")
    assert [source for source, method in stage.calls if method == "load"] == ["a.onnx", "random:0"]
    assert (first.artifact.path, second.artifact.path) == ("random:0", "a.onnx")


def test_a_place_that_is_known_is_not_asked_for_again(stage):
    options = BenchmarkOptions(("a.onnx",), threads=(1,), batches=(1, 2), runs=5, duration_s=0.0)
    placements = {}
    for cell in options.cells():
        (result,) = measure_cell(cell, options, Steps(Progress()), placements)
        assert result.placement.complete
    assert [method for _, method in stage.calls].count("placement") == 1


def test_a_provider_that_does_not_start_is_unavailable_before_anything_is_measured(stage):
    with pytest.raises(Unavailable, match="there is no device"):
        measure("a.onnx", device="cuda")
    assert "take_turn" not in [method for _, method in stage.calls]
    assert stage.calls[-1] == ("a.onnx", "close")


def test_a_provider_that_does_not_start_may_be_replaced_if_that_is_said(stage):
    (result,) = measure("a.onnx", device="cuda", allow_fallback=True)
    assert (result.provider_requested, result.provider) == (CUDA, CPU)
    assert result.fallback == "there is no device"


def test_a_part_on_the_provider_is_unavailable(stage):
    stage.offered, stage.elsewhere = (CPU, CUDA), ("Softmax",)
    with pytest.raises(Unavailable) as raised:
        measure("a.onnx", device="cuda")
    assert str(raised.value) == (
        "a.onnx: CUDAExecutionProvider runs 83.3% of the nodes, 100.0% of the MACs; node types "
        "without a kernel there: Softmax on CPUExecutionProvider: measure it anyway with "
        "allow_fallback"
    )
    assert "take_turn" not in [method for _, method in stage.calls]


def test_a_session_that_says_cuda_and_runs_on_the_cpu_is_unavailable(stage):
    stage.offered, stage.elsewhere = (CPU, CUDA), ("Softmax", "Conv")
    with pytest.raises(Unavailable, match=r"runs 0\.0% of the nodes, 0\.0% of the MACs"):
        measure("a.onnx", device="cuda")


def test_a_part_on_the_provider_is_measured_if_that_is_said(stage):
    stage.offered, stage.elsewhere = (CPU, CUDA), ("Softmax",)
    (result,) = measure("a.onnx", device="cuda", allow_fallback=True)
    assert (result.provider, result.transfer_ms) == (CUDA, 0.5)
    assert not result.placement.complete


def test_all_on_the_provider(stage):
    stage.offered = (CPU, CUDA)
    (result,) = measure("a.onnx", device="cuda")
    assert (result.provider, result.placement.mac_share, result.fallback) == (CUDA, 1.0, "")
    # a process that found out where it runs, and then a fresh one that measures
    assert [method for _, method in stage.calls][:4] == ["load", "placement", "close", "made"]


def test_several_at_once_beside_one_alone(stage):
    stage.run_ms = {"a.onnx": 2.0}
    (result,) = measure("a.onnx", runs=10, processes=3)
    together = result.together
    assert (together.processes, together.alone_throughput_per_s) == (3, pytest.approx(500))
    assert (together.throughput_per_s, together.throughput_ratio) == (
        pytest.approx(1500), pytest.approx(3)
    )  # fmt: skip
    assert (together.latency_ms.p50, together.alone_latency_ms.p50) == (2.0, 2.0)
    assert measure("a.onnx")[0].together is None


def test_power_is_the_mean_over_the_turns_and_energy_that_of_a_run(stage, monkeypatch):
    watts = iter([10.0, 30.0])

    class Meter:
        def over(self, call):
            return call(), next(watts)

    monkeypatch.setattr(turns, "PowerMeter", Meter)
    stage.run_ms = {"a.onnx": 2.0}
    (result,) = measure("a.onnx", runs=2, batches=(4,))
    assert (result.energy.watts, result.energy.joules_per_image) == (20.0, pytest.approx(0.01))


@pytest.mark.parametrize(("device", "seconds"), [("cpu", 0.0), ("cuda", DEVICE_WARM_UP_S)])
def test_a_device_is_warmed_up_by_time_too(stage, device, seconds):
    stage.offered = (CPU, CUDA)
    measure("a.onnx", device=device, warm_up=3)
    assert ("a.onnx", f"3 runs, {seconds} s") in stage.calls


@pytest.mark.parametrize(("models", "settle_s"), [(1, 0), (2, SETTLE_S), (5, SETTLE_S)])
def test_a_turn_begins_with_runs_that_do_not_count_where_another_ran_before(models, settle_s):
    options = BenchmarkOptions(("a.onnx",), runs=50, duration_s=2.0)
    rounds = [share for part in plan(options, models, Steps(Progress())) for share in part]
    assert sum(share.runs for share in rounds) == 50
    assert {share.settle_s for share in rounds} == {settle_s}


def test_a_sustained_run_goes_on_until_its_time_is_over():
    clock = iter(range(0, 1000, 7)).__next__
    options = BenchmarkOptions(("a.onnx",), sustained_minutes=1)
    (launch,) = plan(options, 1, Steps(Progress()), clock)
    rounds = list(launch)
    assert len(rounds) == 8  # begins at 7, ..., 56 seconds
    assert {share.runs for share in rounds} == {1}


def test_turns_are_put_into_the_minute_that_they_began_in():
    clock = iter([0, 1, 59, 60, 130]).__next__
    state = iter([MachineState(2000.0, 40.0 + n) for n in range(4)]).__next__
    runs = iter([10, 20, 30, 90])

    def call(method, share):
        assert (method, share) == ("take_turn", Share(1, 0))
        return Turn((next(runs) * MS,), 1, 1)

    (turns,) = take_turns([call], [Share(1, 0)] * 4, clock, state)
    assert [timed.minute for timed in turns] == [0, 0, 1, 2]
    minutes = by_minute(turns)
    assert [minute.p50_ms for minute in minutes] == [15.0, 30.0, 90.0]
    assert [minute.temperature_c for minute in minutes] == [41.0, 42.0, 43.0]
    assert minutes[0].frequency_mhz == 2000.0


def test_all_have_the_minutes_that_rounds_began_in():
    """The last turn of a round may begin in the next minute, and be alone there."""
    clock = iter([0, 50]).__next__
    calls = [lambda _method, _share: Turn((MS,), 1, 1)] * 2
    assert [[t.minute for t in turns] for turns in take_turns(calls, [Share(1, 0)], clock)] == [
        [0], [0]
    ]  # fmt: skip


def test_a_minute_is_the_median_of_its_runs():
    turns = [TimedTurn(Turn((1 * MS, 9 * MS), 2, 1), 0, MachineState())] * 2
    assert by_minute(turns)[0].p50_ms == 5.0
