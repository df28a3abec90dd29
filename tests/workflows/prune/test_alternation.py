"""Latencies of files that take turns, as a pruning measures them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.recorded_progress import Recorded
from vggexport.metrics.timing import Turn
from vggexport.opening.alternated_latency import latencies
from vggexport.opening.measured_files import write_onnx
from vggexport.opening.network import NetworkOptions, open_network
from vggexport.system.machine import read_machine
from vggexport.system.progress import Progress, Steps


def test_files_take_turns(monkeypatch, folder, whole_spec, tmp_path):
    monkeypatch.setattr("vggexport.opening.alternated_latency.SECONDS", 0.0)
    monkeypatch.setattr("vggexport.opening.alternated_latency.SETTLE_S", 0.0)
    network = open_network(NetworkOptions(str(folder / "wide.npz")), Steps(Progress()))
    paths = [tmp_path / "wide.onnx", tmp_path / "again.onnx"]
    for path in paths:
        write_onnx(network, path)
    own, other = latencies(paths, whole_spec.input_size, read_machine(), Steps(Progress()))
    assert own.ratio_p50 == 1.0
    assert other.ratio_ci95[0] <= other.ratio_p50 <= other.ratio_ci95[1]
    assert other.p50_ms > 0
    assert (other.threads, other.runtime) == (1, own.runtime)


@pytest.mark.parametrize(("spread", "launches"), [(0.01, 5), (1.0, 15)])
def test_files_are_launched_more_often_where_launches_differ(spread, launches, monkeypatch):
    random, seen = np.random.default_rng(0), []

    def launch(paths, _image, rounds):
        seen.append(paths)
        long = round(10**6 * 0.5 * np.exp(random.normal(0, spread)))
        return [tuple(Turn((ns,), 1, ns) for _ in rounds) for ns in (10**6, long)]

    monkeypatch.setattr("vggexport.opening.alternated_latency._launch", launch)
    machine = replace(read_machine(), load_average=0.0)
    notes = Recorded()
    _, other = latencies([Path("a.onnx"), Path("b.onnx")], (16, 16), machine, Steps(notes))
    assert any("differ by more than 10%" in fact for fact in notes.facts) is other.busy
    assert (len(seen), other.busy) == (launches, launches > 5)
    assert other.ratio_ci95[0] < 0.5 < other.ratio_ci95[1]
