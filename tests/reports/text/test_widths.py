"""Every table at 60, 80 and 120 columns: no figure cut, no column lost, no name squeezed."""

import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from vggexport.artifact import Artifact
from vggexport.metrics.accuracy import Accuracy, Interval, PairedCounts
from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.tolerance import Tolerance
from vggexport.metrics.verdict import Verdict
from vggexport.network.provenance import CalibrationRecord, PruningRecord, WeightsRecord
from vggexport.network.spec import VGGSpec
from vggexport.network.training_recipe import PAPER
from vggexport.precision import Precision
from vggexport.quantization.audit import Operator
from vggexport.reports import text
from vggexport.results.accuracy_gate import GateCheck
from vggexport.results.build import (
    BuildReport,
    CalibrationReport,
    CheckReport,
    ExportReport,
    Inspection,
    TensorDescription,
)
from vggexport.results.bundle import (
    AnswerCheck,
    BundleCheckReport,
    BundleReport,
    FileSize,
    Integrity,
    LayerSize,
    PreprocessingCheck,
    SizeGate,
)
from vggexport.results.calibration_curve import CurvePoint
from vggexport.results.diff import (
    Change,
    DifferenceReport,
    Figure,
    LayerChange,
    ModelDifference,
    RangeChange,
)
from vggexport.results.doctor import Ability, DoctorReport, Room, RuntimeState
from vggexport.results.evaluate import Comparison, EvaluationReport, EvaluationResult
from vggexport.results.prune import Narrowed, PlanPoint, PruningReport, RefittedLayer
from vggexport.results.summary import SummaryReport
from vggexport.results.train import Beginning, Epoch, TrainingReport
from vggexport.results.verify import RunnerRecord

WIDTHS = (60, 80, 120)
GOLDEN = Path(__file__).parent / "golden"
FOLDER = "/builds/mobile/release_2026-05-03/candidates"
FILES = [f"{FOLDER}/{name}" for name in ("vgg_d.onnx", "vgg_d_int8.onnx", "vgg_d_int8.tflite")]
MEASURED = tuple(zip(FILES, ("float32", "int8", "int8"), (812.5, 211.25, 187.0), strict=True))
NETWORK = VGGSpec.named("D")
RECORD = WeightsRecord("finetuned_flowers.keras", "ab" * 32, trained=True, layout="keras")
PHOTOS = "photos/training"
CALIBRATION = CalibrationRecord("photos/training", 128, "mse", "0123456789abcdef" * 4)
METRICS = ParityMetrics(
    max_abs=0.00123,
    rel_l2=0.01,
    sqnr_db=30.25,
    logit_sqnr_db=25.04,
    cosine=0.999,
    top1_agreement=0.875,
    top5_agreement=1.0,
    finite=True,
)
TOLERANCE = Tolerance("8-bit weights and activations", min_logit_sqnr_db=20.0)
COST = {"load": 2.25, "run": 101.5}
PEAK = 3 * 2**29


def artifact(path, precision=Precision.INT8):
    kind = path.rpartition(".")[2]
    return Artifact(
        path,
        kind,
        precision,
        NETWORK,
        RECORD,
        CALIBRATION,
        tools={"vggexport": "1.0.0", "onnx": "1.19.0"},
        size_bytes=139_300_000,
        sha256="cd" * 32,
    )


def inspection():
    names = [f"vgg_d/{layer.name}/Relu;vgg_d/{layer.name}/BiasAdd" for layer in NETWORK.layers]
    operators = [
        Operator(name, "CONV_2D", ("int8", "int8"), ("int8",), "int8") for name in names[:-1]
    ]
    operators.append(Operator(names[-1], "SOFTMAX", ("float32",), ("float32",), None))
    images = TensorDescription("images", "float32", (1, 224, 224, 3))
    answers = TensorDescription("probabilities", "float32", (1, 1000))
    return Inspection(
        artifact(FILES[2]), (images,), (answers,), tuple(operators), 138_357_544, 139_300_000
    )


def evaluation():
    labels = ("dahlia", "common dandelion", "black-eyed Susan", "rose", "tulip")
    answers = np.repeat(np.arange(5), 40)
    results = []
    for number, path in enumerate(FILES):
        wrong = np.where(np.arange(200) % 40 < 3 * number, (answers + 1) % 5, answers)
        best = np.array([wrong, np.roll(wrong, 1)], np.int32).T
        counts = PairedCounts.of(answers, answers[:, None], wrong[:, None])
        results.append(
            EvaluationResult(
                RunnerRecord(path, "onnxruntime 1.32.0", "CPU", Precision.INT8, 1.5),
                Accuracy.of(answers, best, 5),
                labels,
                comparison=Comparison(FILES[0], path, counts) if number else None,
            )
        )
    checks = [
        GateCheck(path, "top-1 drop", 0.02, Interval(-0.01, 0.05), 0.005, verdict)
        for path, verdict in zip(FILES[1:], (Verdict.FAIL, Verdict.INCONCLUSIVE), strict=True)
    ]
    return EvaluationReport(
        tuple(results), "photos/unseen", 200, (), tuple(checks), False, "local", COST, PEAK
    )


def tried_conventions():
    """One file under each convention, as labels are asked for theirs."""
    known = evaluation()
    names = ("vgg", "caffe", "torch", "tf", "unit", "raw", "torch;bgr")
    results = [
        replace(
            known.results[0],
            runner=replace(known.results[0].runner, path=f"{FOLDER}/flowers.weights.h5 ({name})"),
        )
        for name in names
    ]
    return replace(known, results=tuple(results), checks=())


def benchmark(make_benchmark, make_result):
    results = [
        make_result(path, precision, ms=ms / threads, runs=1500, threads=threads)
        for path, precision, ms in MEASURED
        for threads in (1, 2, 4)
    ]
    return make_benchmark(*results)


def difference():
    models = tuple(
        ModelDifference(
            artifact(path),
            replace(artifact(path), sha256="ef" * 32),
            facts=(
                Change("weights.source", "finetuned_flowers.keras", "finetuned_flowers_2.keras"),
                Change("calibration.samples", 128, 512),
                Change("spec.labels", "dahlia, common dandelion, rose", "dahlia, rose, tulip"),
            ),
            layers=tuple(LayerChange(x.name, 41.5, 38.25, 1.2e-3) for x in NETWORK.layers[1:5]),
            layers_compared=16,
            ranges=(RangeChange("block1_conv1", (0.0, 612.5), (0.0, 598.25)),),
            operators=(Change("QuantizeLinear", 32, 34),),
            figures=(
                Figure("top-1", "1,000 images of photos/unseen", "%", 91.25, 90.75),
                Figure("p50", "2 threads, batch 1", "ms", 211.25, 187.5),
            ),
        )
        for path in FILES[1:]
    )
    facts = (Change("licence", "CC BY 4.0", "Apache License, version 2.0"),)
    return DifferenceReport(
        f"{FOLDER}/old", f"{FOLDER}/new", models, facts=facts, seconds=COST, peak_rss_bytes=PEAK
    )


def doctor(machine):
    runtimes = (
        RuntimeState(
            "onnxruntime", ("onnx",), "1.32.0", "", {"CPUExecutionProvider": "",
            "CUDAExecutionProvider": "libcudnn.so.9: cannot open shared object file"},
        ),
        RuntimeState("litert", ("tflite",), None, "not installed: pip install ai-edge-litert", {}),
    )  # fmt: skip
    abilities = (
        Ability("onnx", (), ""),
        Ability("evaluate --engine ray", ("ray",), "pip install 'vggexport[distributed]'"),
    )
    rooms = (Room("memory", 2**34, 2**32), Room("disk", 2**30, 2**31))
    return DoctorReport(machine, None, runtimes, abilities, rooms, (), {"look": 1.0})


def answers():
    providers = ("onnxruntime 1.32.0", "onnxruntime 1.32.0", "ai-edge-litert 2.3.0")
    return tuple(
        AnswerCheck(
            f"models/{path.rpartition('/')[2]}", "onnx", "int8", name, "CPU", METRICS, TOLERANCE
        )
        for path, name in zip(FILES, providers, strict=True)
    )


def bundle():
    layers = [LayerSize(x.name, x.parameters + 1000) for x in NETWORK.layers if x.parameters]
    sizes = {Precision.FLOAT32: 553_000_000, Precision.INT8: 138_000_000}
    files = tuple(FileSize(path, 139_300_000, tuple(layers), sizes) for path in FILES)
    gate = SizeGate(files, 140_000_000)
    return BundleReport(
        f"{FOLDER}/bundle.zip", None, gate, answers(), 24, 10**8, "cd" * 32, False, COST, PEAK
    )


def check_bundle():
    path = f"{FOLDER}/bundle.zip"
    integrity = Integrity(24, is_signed=True, is_verified=False, problems=())
    prepared = PreprocessingCheck(4, 1, 2, 3, 8)
    return BundleCheckReport(path, integrity, None, prepared, 8, answers(), COST, PEAK)


def pruning():
    whole = VGGSpec.named("D")

    def widths(part):
        """Of each convolution."""
        return {x.name: round(x.output_shape[-1] * part) for x in whole.layers if "conv" in x.name}

    def point(part, db):
        parameters = round(whole.parameters * part)
        return PlanPoint(
            round(whole.macs * part), part, parameters, 4 * parameters, db, widths(part)
        )

    curve = (point(0.75, 31.25), point(0.5, 24.5), point(0.25, 12.75))
    return PruningReport("vgg_d.keras", whole, 128, curve, curve[1], None, COST, PEAK)


def pruned():
    blocks = NETWORK.blocks
    record = PruningRecord("vgg_d.keras", "ab" * 32, blocks, CALIBRATION, 24.5, 20.5)
    layers = tuple(RefittedLayer(f"block{n}_conv1", 40 * n, 0.0125) for n in (1, 2, 3))
    made = Narrowed(f"{FOLDER}/vgg_d_narrow.npz", "cd" * 32, NETWORK, record, layers, 64, METRICS)
    return replace(pruning(), narrowed=made)


def calibration():
    ranges = {x.name: (0.0, 123.456 + len(x.name)) for x in NETWORK.layers if x.parameters}
    curve = tuple(
        CurvePoint(images, 20.5 + images / 100, 0.875, 0.0625, "block5_conv3")
        for images in (16, 32, 64, 128)
    )
    return CalibrationReport(
        f"{FOLDER}/ranges.json", CALIBRATION, ranges, (), COST, PEAK, curve=curve
    )


def training():
    epochs = tuple(
        Epoch(n, 0.01 / 10 ** (n // 2), 2.5 / n, 2.75 / n, 0.5 + n / 10, 101.25) for n in (1, 2, 3)
    )
    return TrainingReport(
        f"{FOLDER}/vgg_d.npz", "cd" * 32, NETWORK, PAPER, ("rose", "tulip"), "block4_pool", 800,
        200, f"{FOLDER}/vgg_d.validation.csv", epochs, 3, COST, PEAK,
    )  # fmt: skip


def taught():
    epochs = tuple(Epoch(n, 0.001, 1.5 / n, 1.75 / n, None, 101.25, 0.8 + n / 20) for n in (1, 2))
    changed = {"teacher": "vgg_d.keras", "before": Beginning(2.25, None, 0.825), "best": 2}
    return replace(training(), epochs=epochs, validation_table=None, frozen=None, **changed)


def build(path):
    check = CheckReport("float32 ONNX file", 8, METRICS, TOLERANCE)
    seconds = {"weights": 0.24, "export": 1.55}
    return BuildReport(artifact(path), seconds, PEAK, check, beside=(f"{path}.json",))


@pytest.fixture(scope="module")
def reports(verification, make_benchmark, make_result, machine, front):
    """By command, what it prints."""
    return {
        "summary": text.summary(SummaryReport(NETWORK)),
        "summary --training": text.summary(SummaryReport(NETWORK, PAPER)),
        "onnx": text.build(build(FILES[1]), RECORD.source, PHOTOS),
        "export": text.export(
            ExportReport(tuple(map(build, FILES)), {"weights": 0.24}, PEAK), RECORD.source, PHOTOS
        ),
        "calibrate": text.calibration(calibration(), f" --weights {RECORD.source}"),
        "inspect": text.inspection(inspection()),
        "verify --layers": text.verification(verification, verbose=True),
        "benchmark": text.latency(benchmark(make_benchmark, make_result)),
        "evaluate": text.evaluation(evaluation()),
        "evaluate --try-preprocessing": text.evaluation(tried_conventions()),
        "diff": text.difference(difference()),
        "doctor": text.doctor(doctor(machine)),
        "bundle": text.bundle(bundle()),
        "check-bundle": text.bundle_check(check_bundle()),
        "prune --plan": text.pruning(pruning(), PHOTOS),
        "prune": text.pruning(pruned(), PHOTOS),
        "prune --front": text.pruning(replace(pruning(), front=front), PHOTOS),
        "train": text.training(training(), Path(PHOTOS), None),
        "train --unlabelled": text.training(taught(), Path(PHOTOS), None),
    }


def rendered(shown, width):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(shown, crop=False)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


DIGEST = re.compile("[0-9a-f]{64}")
BREAKABLE = re.compile(r"[/_-]")
FIGURE = re.compile(r"[-<(+]*\d[\d.,:%e+x-]*[\d%)]*")


def unbroken(lines):
    """Figures, and words that no width may break."""
    words = {word.strip(",;") for line in lines for word in line.split()}
    return {w for w in words if FIGURE.fullmatch(w) or (len(w) <= 16 and not BREAKABLE.search(w))}


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut(reports, width):
    for name, shown in reports.items():
        whole, found = rendered(shown, 1000), rendered(shown, width)
        assert max(len(line) for line in found if not DIGEST.fullmatch(line)) <= width, name
        assert "…" not in "".join(found), name
        assert unbroken(whole) <= unbroken(found), name


@pytest.mark.parametrize("width", WIDTHS)
def test_golden(reports, width, request):
    shown = [
        line
        for name, report in reports.items()
        for line in ("", f"$ vggexport {name}", *rendered(report, width))
    ]
    place = GOLDEN / f"columns_{width}.txt"
    assert shown == place.read_text("utf-8").splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_digests_are_whole(reports, width):
    """Who copies one wants it in one piece."""
    for name, shown in reports.items():
        whole, found = ("\n".join(rendered(shown, columns)) for columns in (1000, width))
        assert DIGEST.findall(found) == DIGEST.findall(whole), name


def test_a_figure_and_its_interval_are_in_one_table(reports):
    for width in WIDTHS:
        lines = rendered(reports["evaluate"], width)
        assert any("100.00% (98.1...100.0)" in line for line in lines)
    assert any("2.00 points (-1.0...5.0)" in line for line in rendered(reports["evaluate"], 80))
