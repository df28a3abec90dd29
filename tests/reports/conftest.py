"""A verification with everything in it that a rendering can stumble over, and benchmarks."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from vggexport.artifact import Artifact
from vggexport.metrics.latency import Measurement
from vggexport.metrics.latency_ratio import Ratio
from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.timing import Scenario, Turn
from vggexport.metrics.tolerance import Tolerance
from vggexport.network.head import fully_connected
from vggexport.network.provenance import LatencyRecord, WeightsRecord
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.precision import Precision
from vggexport.reports.html import charts
from vggexport.results.benchmark import BenchmarkComparison, BenchmarkReport
from vggexport.results.benchmark_figures import Ceiling
from vggexport.results.benchmark_result import BenchmarkResult
from vggexport.results.diagnosis import Diagnosis, SuspiciousLayer, Trial
from vggexport.results.prune import Front, FrontFile
from vggexport.results.verify import (
    CandidateReport,
    Guess,
    ImageParity,
    LayerParity,
    RunnerRecord,
    VerifyReport,
)
from vggexport.system.machine import FEATURES, Machine
from vggexport.system.power import PowerSource

INFINITE, NAN = float("inf"), float("nan")

_draw = charts._drawn


@pytest.fixture(scope="session", autouse=True)
def charts_once():
    """What is drawn with the same code and equal values is drawn once: it takes half a second.

    Values that cannot be pickled are drawn each time.
    """
    known = {}

    def drawn(plot, theme, size):
        values = [cell.cell_contents for cell in plot.__closure__ or ()]
        try:
            key = pickle.dumps((plot.__code__.co_code, plot.__qualname__, values, theme, size))
        except (pickle.PicklingError, AttributeError, TypeError):
            return _draw(plot, theme, size)
        if key not in known:
            known[key] = _draw(plot, theme, size)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "_drawn", drawn)
        yield


@pytest.fixture
def drawn_anew(monkeypatch):
    """Every chart of a test is drawn, for tests of the drawing."""
    monkeypatch.setattr(charts, "_drawn", _draw)


LAYERS = (
    *("mean_subtraction", "block1_conv1", "block1_pool", "block2_conv1", "block2_pool"),
    *("flatten", "fc1", "fc2", "predictions", "probabilities"),
)

HEALTHY = ParityMetrics(
    max_abs=1.7e-5,
    rel_l2=1e-5,
    sqnr_db=101.2,
    logit_sqnr_db=96.04,
    cosine=1.0,
    top1_agreement=1.0,
    top5_agreement=0.9975,
    finite=True,
)
POOR = ParityMetrics(
    max_abs=0.84,
    rel_l2=0.9,
    sqnr_db=1.2,
    logit_sqnr_db=3.96,
    cosine=0.4,
    top1_agreement=0.255,
    top5_agreement=0.5,
    finite=True,
)
EQUAL = ParityMetrics(
    max_abs=0.0,
    rel_l2=0.0,
    sqnr_db=INFINITE,
    logit_sqnr_db=INFINITE,
    cosine=1.0,
    top1_agreement=1.0,
    top5_agreement=1.0,
    finite=True,
)
BROKEN = ParityMetrics(
    max_abs=NAN,
    rel_l2=NAN,
    sqnr_db=NAN,
    logit_sqnr_db=NAN,
    cosine=NAN,
    top1_agreement=0.1,
    top5_agreement=0.2,
    finite=False,
)

FLOAT = Tolerance("they differ by the order of summation alone", 1e-4, 80.0)
INTEGER = Tolerance("8-bit weights & activations: swapped channels measured < 4 dB", None, 12.0)

SWAPPED = Trial(
    "channels-swapped",
    "the file takes BGR where RGB is fed",
    "SQNR of the logits",
    3.96,
    27.5,
    explains=True,
    fix="export it again from weights whose first kernel is RGB",
)
STALE = Trial(
    "stale-weights",
    "the layer's weights are not those of the reference",
    "SQNR of the kernel",
    5.0,
    INFINITE,
    explains=True,
    fix="export it again from the weights of the reference",
    layer="block2_conv1",
)
MEAN_TWICE = Trial(
    "mean-twice",
    "the mean is subtracted twice",
    "SQNR of the logits",
    3.96,
    2.1,
    explains=False,
    fix="leave the mean to the file",
)
NOT_FINITE = Trial(
    "range-01",
    "the file takes 0...1",
    "SQNR of the logits",
    NAN,
    NAN,
    explains=False,
    fix="scale images",
)


def image(label, sqnr_db, expected, actual, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return ImageParity(label, sqnr_db, expected, actual, pixels)


def curve(values):
    pairs = zip(LAYERS, values, strict=True)
    return tuple(LayerParity(name, value, 0.5 if value < 90 else 0.0) for name, value in pairs)


def points(spread):
    random = np.random.default_rng(3)
    reference = random.normal(0, 4, 60)
    actual = reference + random.normal(0, spread, 60)
    return np.stack([reference, actual], axis=1).astype(np.float32)


HEALTHY_FILE = CandidateReport(
    RunnerRecord(
        "release/vgg_d.onnx", "onnxruntime 1.32.0", "CPUExecutionProvider", Precision.FLOAT32
    ),
    HEALTHY,
    FLOAT,
    (image("dahlia/003.jpg", 92.5, Guess(2, "dahlia", 0.97), Guess(2, "dahlia", 0.969), 1),),
    points(0.01),
    curve([INFINITE, 118.2, 117.9, 112.0, 111.8, 111.8, 105.5, 101.0, 96.04, 101.2]),
)
SWAPPED_FILE = CandidateReport(
    RunnerRecord(
        "phone/vgg_d_int8.tflite", "ai-edge-litert 2.3.0", "XNNPACK", Precision.INT8, 9.25
    ),
    POOR,
    INTEGER,
    (
        image(
            "löwen|zahn/#1 `a`.jpg",
            -2.5,
            Guess(0, "<b>rose</b> & co", 0.5),
            Guess(1, "Löwenzahn", 0.9),
            2,
        ),
        image(
            "<script>alert(1)</script>.jpg", 0.4, Guess(1, "Löwenzahn", 0.8), Guess(3, "蓮", 0.3), 3
        ),
    ),
    points(3.0),
    curve([48.5, 9.1, 9.0, 7.5, 7.7, 7.7, 5.2, 4.9, 3.96, 1.2]),
    SuspiciousLayer("block1_conv1", 9.1, 24.0),
    Diagnosis((MEAN_TWICE, SWAPPED), 16),
    seen=12,
)
STALE_FILE = CandidateReport(
    RunnerRecord(
        "/builds/team|mobile/vgg_`nightly`/" + "very-long-folder-name/" * 4 + "vgg_d_[x].onnx",
        "onnxruntime 1.32.0",
        "CPUExecutionProvider",
        Precision.FLOAT32,
    ),
    POOR,
    FLOAT,
    (),
    points(2.0),
    curve([INFINITE, INFINITE, INFINITE, 11.0, 10.8, 10.8, 8.0, 6.1, 3.96, 1.2]),
    SuspiciousLayer("block2_conv1", 11.0, 100.0),
    Diagnosis((MEAN_TWICE, STALE), 16),
)
NAN_FILE = CandidateReport(
    RunnerRecord(
        "nan_<float16>.onnx", "onnxruntime 1.32.0", "CPUExecutionProvider", Precision.FLOAT16
    ),
    BROKEN,
    Tolerance("11-bit significands", None, 45.0),
    (image("tulip/1.jpg", -INFINITE, Guess(4, "tulip", 0.7), Guess(0, "rose", NAN), 4),),
    np.empty((0, 2), np.float32),
    curve([60.0, 55.0, 55.0, NAN, NAN, NAN, NAN, NAN, NAN, NAN]),
    None,
    Diagnosis((NOT_FINITE, MEAN_TWICE), 16),
)
BARE_FILE = CandidateReport(
    RunnerRecord("vgg_d_saved_model", "tensorflow 2.21.0", "CPU", Precision.FLOAT32), EQUAL, FLOAT
)


def make_report(*candidates):
    return VerifyReport(
        RunnerRecord("vgg_d.npz", "keras 3.15.1", "CPU", Precision.FLOAT32, 33.5),
        200,
        "photos_unseen",
        tuple(replace(c, layer_images=16) if c.layers else c for c in candidates),
        {"load": 2.25, "verify": 101.5, "diagnose": 6.0},
        2**31,
        {"numpy": "2.4.6", "vggexport": "1.2.3"},
    )


@pytest.fixture(scope="session")
def make_verification():
    """Candidates -> the report on them."""
    return make_report


@pytest.fixture(scope="session")
def candidates():
    """By what is the matter with each."""
    return {
        "healthy": HEALTHY_FILE,
        "swapped": SWAPPED_FILE,
        "stale": STALE_FILE,
        "nan": NAN_FILE,
        "bare": BARE_FILE,
    }


@pytest.fixture(scope="session")
def verification(candidates):
    """All of them in one report."""
    return make_report(*candidates.values())


CPU = "CPUExecutionProvider"
SPEC = VGGSpec(
    "tiny",
    parse_blocks("conv3-4 | conv1-8"),
    classes=5,
    hidden=fully_connected(16, 16),
    input_size=(8, 8),
)
RECORD = WeightsRecord("random:0", "ab" * 32, trained=False, layout="native")
CEILING = Ceiling(CPU, 1, {"float32": 100.0, "int8": 400.0}, 20.0)
MACHINE = Machine(
    system="Linux 6.1",
    architecture="x86_64",
    cpu_model="EPYC [x]",
    cpu_features={name: name in ("vnni", "avx2") for name in FEATURES},
    physical_cores=2,
    logical_cores=8,
    affinity=(0, 1, 2, 3),
    governor="performance",
    frequency_mhz=2500.0,
    temperature_c=None,
    memory_bytes=2**34,
    load_average=0.1,
    python="3.11.7",
    packages={"onnxruntime": "1.32.0"},
    thread_settings={"OMP_NUM_THREADS": "2"},
)


def benchmark_result(path="out/a_b.onnx", precision="float32", ms=2.0, runs=70, **changes):
    artifact = Artifact(path, "onnx", Precision(precision), SPEC, RECORD, size_bytes=9_300_000)
    turn = Turn((round(ms * 1e6),) * runs, runs, round(ms * 1e6) * runs)
    measurement = Measurement(Scenario.SINGLE_STREAM, ((turn,),))
    made = BenchmarkResult(
        artifact,
        "onnxruntime 1.32.0",
        CPU,
        CPU,
        threads=1,
        batch=1,
        measurement=measurement,
        load_ms=123.456,
        first_ms=5.5,
        peak_rss_bytes=3 * 2**29,
        ceiling=CEILING,
    )
    return replace(made, **changes)


def benchmark_report(*results, **changes):
    comparisons = tuple(
        BenchmarkComparison(results[0], other, Ratio(0.5, 0.49, 0.51)) for other in results[1:]
    )
    seconds, power = {"load": 1.23456}, PowerSource(None, "there is no sensor")
    made = BenchmarkReport(
        MACHINE, None, results, comparisons, (CEILING,), None, ("read <this>",), seconds, power
    )
    return replace(made, **changes)


@pytest.fixture(scope="session")
def make_result():
    """``make_result("a.onnx", precision="int8", ms=2.0, runs=70, batch=8)``."""
    return benchmark_result


@pytest.fixture(scope="session")
def make_benchmark():
    """``make_benchmark(*results, gate=...)``: each compared with the first, a note that is HTML."""
    return benchmark_report


@pytest.fixture(scope="session")
def machine():
    return MACHINE


@pytest.fixture(scope="session")
def front():
    """The original and a network of half its operations, each in float32 and int8."""

    def file(precision, part, size, db, ratio):
        where = ("onnxruntime 1.23.2", 1, "AMD EPYC 7763", True)
        interval = None if ratio == 1 else (ratio - 0.0125, ratio + 0.0125)
        latency = LatencyRecord(ratio, interval, 612.5 * ratio, *where)
        planned = INFINITE if part == 1 else 14.5
        return FrontFile(precision, part, planned, size, db, 0.9375, latency)

    return Front(
        48,
        (
            file(Precision.FLOAT32, 1.0, 553_430_596, INFINITE, 1.0),
            file(Precision.INT8, 1.0, 138_800_000, 25.25, 0.525),
            file(Precision.FLOAT32, 0.5, 276_700_000, 15.75, 0.53125),
            file(Precision.INT8, 0.5, 69_300_000, 14.75, 0.28125),
        ),
    )
