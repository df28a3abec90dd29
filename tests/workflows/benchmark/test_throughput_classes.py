"""Ceilings at small sizes: that what is timed is what is counted, and what there is none of."""

import numpy as np
import onnxruntime
import pytest

from vggexport.formats.onnx import peak_throughput as onnx
from vggexport.metrics.best_time import best_seconds
from vggexport.system import lazy_imports
from vggexport.workflows.benchmark import blas_throughput as blas
from vggexport.workflows.benchmark.peak_throughput import PEAK_THROUGHPUTS

CPU = "CPUExecutionProvider"


class Clock:
    """Seconds that runs take from a list."""

    def __init__(self, *seconds):
        self.now, self._seconds = 0.0, list(seconds)

    def __call__(self):
        return self.now

    def run(self):
        self.now += self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]


def test_the_best_of_several_runs_without_the_first():
    clock = Clock(0.01, 3.0, 1.0, 2.0, 9.0)
    assert best_seconds(clock.run, seconds=0.0, clock=clock) == 1.0


def test_it_goes_on_until_the_time_is_over():
    clock = Clock(9.0, 1.0, 1.0, 1.0, 1.0, 0.5)
    assert best_seconds(clock.run, seconds=4.2, clock=clock) == 0.5


@pytest.fixture
def small(monkeypatch):
    """Sizes of a test; a second a run."""
    monkeypatch.setattr(blas, "SIDE", 8)
    monkeypatch.setattr(blas, "ROWS", 4)
    monkeypatch.setattr(blas, "COLUMNS", 16)
    monkeypatch.setattr(onnx, "SIDES", {CPU: 8})
    monkeypatch.setattr(onnx, "READ", {CPU: (16, 32)})
    ran = []

    def one_second(run):
        ran.append(run())
        return 1.0

    monkeypatch.setattr(blas, "best_seconds", one_second)
    monkeypatch.setattr(onnx, "best_seconds", one_second)
    return ran


def test_every_ceiling_is_there():
    for name in PEAK_THROUGHPUTS:
        assert lazy_imports.load(PEAK_THROUGHPUTS, name)


def test_numpy(small):
    ceiling = blas.BlasThroughput()
    assert ceiling.compute("float32") == 2 * 8**3 / 1e9
    assert small[-1].dtype == np.float32
    assert ceiling.read() == 4 * 16 * 4 / 1e9
    assert small[-1].tolist() == [16.0] * 4  # all of the matrix was read
    assert ceiling.compute("int8") is None


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_onnx_runtime(dtype):
    ceiling = onnx.OnnxThroughput(CPU, threads=1)
    assert ceiling.compute(dtype) == 2 * 8**3 / 1e9
    assert ceiling.read() == 16 * 32 * 4 / 1e9


@pytest.mark.usefixtures("small")
def test_what_onnx_runtime_has_none_of():
    assert onnx.OnnxThroughput(CPU, 1).compute("dynamic-int8") is None


@pytest.mark.parametrize(
    ("operator", "left", "right", "value"),
    [("MatMul", np.float32, np.float32, 6.0), ("MatMulInteger", np.uint8, np.int8, 6)],
)
def test_the_graph_is_the_product(operator, left, right, value):
    graph = onnx._graph(operator, left, np.full((3, 2), 2, right), rows=4)
    session = onnxruntime.InferenceSession(graph, providers=[CPU])
    (product,) = session.run(None, {"left": np.ones((4, 3), left)})
    np.testing.assert_array_equal(product, np.full((4, 2), value))
