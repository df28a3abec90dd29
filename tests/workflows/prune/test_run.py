"""Pruning end to end on a small network; every other command reads what was written."""

import errno
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import vggexport
from tests.recorded_progress import Recorded
from vggexport.errors import CalibrationError, InputError, OutputError, Unfinished, WeightsError
from vggexport.metrics.timing import Turn
from vggexport.network.head import fully_connected
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.opening.alternated_latency import latencies
from vggexport.opening.measured_files import write_onnx
from vggexport.opening.network import NetworkOptions, open_network
from vggexport.system.machine import read_machine
from vggexport.system.progress import Progress, Steps
from vggexport.weights import SpecRequest, open_weights

WIDE = VGGSpec(
    "own",
    parse_blocks("conv3-16 conv3-16 | conv3-32"),
    classes=5,
    hidden=fully_connected(32),
    input_size=(16, 16),
)
LABELS = ("ant", "bee", "cat", "dog", "eel")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_weights):
    """Weights as a file of tensors alone, names of the classes, 60 images."""
    place = tmp_path_factory.mktemp("pruning")
    np.savez(place / "wide.npz", **make_weights(WIDE))
    (place / "labels.txt").write_text("\n".join(LABELS))
    random = np.random.default_rng(3)
    coarse = random.integers(0, 200, (60, 4, 4, 3)).repeat(4, axis=1).repeat(4, axis=2)
    pixels = (coarse + random.integers(0, 56, (60, 16, 16, 3))).astype(np.uint8)
    np.savez(place / "images.npz", images=pixels)
    return place


@pytest.fixture
def prune(folder, tmp_path, monkeypatch, closed_schema):
    """Options -> the report of a pruning, its document held to the schema."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    network = NetworkOptions(str(folder / "wide.npz"), labels=folder / "labels.txt")

    def run(progress=None, **options):
        defaults = {"network": network, "calibration_data": str(folder / "images.npz")}
        report = vggexport.prune(vggexport.PruneOptions(**{**defaults, **options}), progress)
        closed_schema("prune").validate(json.loads(json.dumps(report.to_json())))
        return report

    return run


def test_the_narrower_network_is_what_was_planned(prune, folder):
    report = prune(speedup=1.5)
    made, chosen = report.narrowed, report.chosen
    assert made.spec.macs == chosen.macs <= WIDE.macs / 1.5
    assert report.images == 48
    assert made.images == 12
    assert made.pruning.predicted_logit_sqnr_db == round(chosen.logit_sqnr_db, 2)
    assert made.pruning.promised_logit_sqnr_db == round(chosen.logit_sqnr_db - 1.5, 2)
    assert sorted(Path().iterdir()) == [Path("narrow.safetensors")]
    narrow = open_weights("narrow.safetensors", SpecRequest())
    whole = open_weights(str(folder / "wide.npz"), SpecRequest())
    assert (narrow.spec, narrow.labels, narrow.trained) == (made.spec, LABELS, True)
    assert narrow.pruning == made.pruning
    assert narrow.pruning.sha256 == whole.sha256
    assert narrow.pruning.blocks == (("conv3-16", "conv3-16"), ("conv3-32",))
    assert narrow.pruning.calibration.samples == 48 == len(narrow.pruning.calibration.image_digests)


def test_what_is_measured_is_what_the_networks_answer(prune, folder):
    report = prune(target_sqnr=12.0)
    assert report.chosen.logit_sqnr_db >= 12
    kept = report.narrowed
    seen = kept.pruning.calibration.image_digests
    with np.load(folder / "images.npz") as file:
        images = [one for one in file["images"] if calibration_digest(one) not in seen]
    Path("unseen.npz").touch()
    np.savez("unseen.npz", images=np.stack(images))
    parity = vggexport.verify(
        ["narrow.safetensors"],
        answers=answers_of(folder / "wide.npz", np.stack(images)),
    )
    (candidate,) = parity.candidates
    assert candidate.metrics.logit_sqnr_db == pytest.approx(kept.metrics.logit_sqnr_db, abs=0.05)


def calibration_digest(pixels):
    import calibration

    return calibration.array_digest(pixels)


def answers_of(weights, images):
    from vggexport.metrics.parity import probabilities_of
    from vggexport.network.forward import NumpyNetwork

    opened = open_weights(str(weights), SpecRequest())
    network = NumpyNetwork(opened.spec, opened)
    answers = probabilities_of(network.logits(network.enter(images)), WIDE.head_activation)
    np.savez("answers.npz", images=images, probabilities=answers)
    return Path("answers.npz")


def test_a_plan_writes_nothing_but_what_the_next_budget_needs(prune, monkeypatch):
    report = prune(plan=True, cache_dir=Path("kept"))
    assert (report.chosen, report.narrowed, report.passed) == (None, None, True)
    shares = [point.macs_share for point in report.curve]
    planned = [point.logit_sqnr_db for point in report.curve]
    assert shares == sorted(shares, reverse=True)
    assert planned == sorted(planned, reverse=True)
    assert all(point.size_bytes == 4 * point.parameters for point in report.curve)
    monkeypatch.setattr("vggexport.pruning.survey.Survey.run", None)
    monkeypatch.setattr("vggexport.pruning.survey.eliminate", None)
    monkeypatch.setattr("vggexport.workflows.prune.forecasting.measure", None)
    again = prune(speedup=2.0, cache_dir=Path("kept"))
    assert [*again.curve] == [*report.curve]
    assert again.chosen in report.curve
    assert Path("kept").is_dir()


def test_a_size_is_kept_with_or_without_a_speedup(prune):
    size = 4 * WIDE.parameters // 2
    alone = prune(plan=True, max_size=size, cache_dir=Path("kept"))
    both = prune(plan=True, max_size=size, speedup=3.0, cache_dir=Path("kept"))
    assert alone.chosen.size_bytes <= size < 4 * WIDE.parameters
    assert both.chosen.size_bytes <= size
    assert both.chosen.macs_share <= 1 / 3 < alone.chosen.macs_share
    assert all(point.size_bytes <= size for point in both.curve)


@pytest.mark.usefixtures("latencies_by_operations")
def test_a_share_of_the_latency_is_measured_and_recorded(prune):
    notes, size = Recorded(), 2 * WIDE.parameters
    report = prune(progress=notes, latency=0.6, max_size=size, cache_dir=Path("kept"))
    latency = report.chosen.latency
    assert latency.ratio_p50 == report.chosen.macs_share <= 0.6
    assert report.chosen.size_bytes <= size
    assert (latency.cpu_model, latency.busy) == ("A CPU", True)
    assert report.narrowed.spec.macs == report.chosen.macs
    assert open_weights("narrow.safetensors", SpecRequest()).pruning.latency == latency
    assert "load average 9.00 on 2 cores" in notes.facts[0]
    assert f"takes {latency.ratio_p50:.3f} of the latency" in " ".join(notes.facts)
    assert not list(Path("kept").rglob("*.onnx"))
    with pytest.raises(InputError, match=r"0\.001 of the latency is out of reach"):
        prune(plan=True, latency=0.001, cache_dir=Path("kept"))


@pytest.mark.usefixtures("latencies_by_operations")
def test_a_front_measures_the_files_of_several_networks(prune, monkeypatch):
    monkeypatch.setattr("vggexport.workflows.prune.budgets.FRONT_SPEEDUPS", (2.0, 400.0))
    notes = Recorded()
    report = prune(progress=notes, front=True, speedup=1.5, cache_dir=Path("kept"))
    front, made = report.front, report.narrowed
    assert front.images == 12
    assert [file.precision.value for file in front.files] == ["float32", "int8"] * 3
    floats, integers = front.files[::2], front.files[1::2]
    shares = [file.macs_share for file in floats]
    assert shares == [1.0, report.chosen.macs_share, min(shares)]
    assert min(shares) <= 0.5
    assert shares == [file.macs_share for file in integers]
    assert shares == [file.latency.ratio_p50 for file in floats]
    original, chosen, _ = floats
    assert (original.logit_sqnr_db, original.top1_agreement) == (math.inf, 1.0)
    assert original.planned_logit_sqnr_db == math.inf
    assert chosen.planned_logit_sqnr_db == report.chosen.logit_sqnr_db
    assert chosen.logit_sqnr_db == pytest.approx(made.metrics.logit_sqnr_db, abs=0.05)
    assert chosen.top1_agreement == made.metrics.top1_agreement
    assert 20 < integers[0].logit_sqnr_db < 60
    for one, other in zip(floats, integers, strict=True):
        assert other.logit_sqnr_db < one.logit_sqnr_db + 0.5  # rounding adds errors to it
        assert other.size_bytes < one.size_bytes
    assert "400x is out of reach: left out" in notes.facts
    assert "3 of 3 networks measured, the last" in notes.facts
    assert not list(Path("kept").rglob("*.onnx"))
    assert sorted(Path().iterdir()) == [Path("kept"), Path("narrow.safetensors")]
    monkeypatch.setattr("vggexport.workflows.prune.budgets.FRONT_SPEEDUPS", (400.0,))
    with pytest.raises(InputError, match="400x is out of reach: narrower convolutions give"):
        prune(front=True, cache_dir=Path("kept"))


def test_files_take_turns(monkeypatch, folder):
    monkeypatch.setattr("vggexport.opening.alternated_latency.SECONDS", 0.0)
    monkeypatch.setattr("vggexport.opening.alternated_latency.SETTLE_S", 0.0)
    network = open_network(NetworkOptions(str(folder / "wide.npz")), Steps(Progress()))
    paths = [Path("wide.onnx"), Path("again.onnx")]
    for path in paths:
        write_onnx(network, path)
    own, other = latencies(paths, WIDE.input_size, read_machine(), Steps(Progress()))
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


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"plan": True, "front": True}, InputError, "a plan makes no network"),
        ({"latency": 1.5}, InputError, "1.5 is no share of the original network's"),
        ({"latency": 0.5, "target_sqnr": 9.0}, InputError, "as narrow as that allows"),
        ({}, InputError, "no budget is given"),
        ({"speedup": 2.0, "target_sqnr": 10.0}, InputError, "as narrow as that allows"),
        ({"speedup": 2.0, "output": Path("x.npz")}, OutputError, "written as .safetensors"),
        (
            {"speedup": 500.0},
            InputError,
            "500x is out of reach: narrower convolutions give at most",
        ),
        ({"max_size": 1000}, InputError, "0.001 MB is out of reach"),
        ({"target_sqnr": 90.0}, InputError, "no narrower network is expected to keep 90 dB"),
        ({"speedup": 2.0, "calibration_data": "synthetic"}, InputError, "synthetic images"),
        ({"speedup": 2.0, "calibration_samples": 1}, CalibrationError, "block2_conv1 needs 7"),
        (
            {"speedup": 2.0, "calibration_samples": 999},
            CalibrationError,
            "999 were asked for, and none is left to measure on: pass fewer with",
        ),
        ({"speedup": 2.0, "network": NetworkOptions("random:0")}, WeightsError, "not trained"),
    ],
)
def test_what_cannot_be_done_is_said(options, error, said, prune, monkeypatch):
    monkeypatch.setattr("vggexport.workflows.prune.images.FEWEST_ROWS", 3)
    with pytest.raises(error, match=said):
        prune(**options)
    assert not Path("narrow.safetensors").exists()


def test_a_full_disk_and_a_folder_that_cannot_be_made_are_told(prune, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.posix_fallocate", full)
        for way in ({"speedup": 2.0}, {"plan": True}):
            notes = Recorded()
            with pytest.raises(Unfinished, match="the disk of kept is full: make room there"):
                prune(progress=notes, **way, cache_dir=Path("kept"))
            assert "kept keeps what was computed so far: the same command goes on with it" in (
                notes.facts
            )
    Path("file").touch()
    with pytest.raises(OutputError, match=r"file cannot be written: .*another folder with"):
        prune(plan=True, cache_dir=Path("file"))


def test_images_that_are_all_alike_are_refused(prune):
    pixels = np.zeros((60, 16, 16, 3), np.uint8)
    pixels[30:] = np.random.default_rng(4).integers(0, 256, (16, 16, 3))
    np.savez("alike.npz", images=pixels)
    with pytest.raises(CalibrationError, match="1 of 48 images are not the same as another"):
        prune(speedup=2.0, calibration_data="alike.npz")


def test_unreadable_pictures_are_left_out_until_none_is_left_to_measure_on(prune, folder):
    Path("photos").mkdir()
    with np.load(folder / "images.npz") as held:
        for number, pixels in enumerate(held["images"]):
            Image.fromarray(pixels).save(f"photos/{number:02}.png")
    for number in range(0, 60, 5):
        Path(f"photos/{number:02}.png").write_bytes(b"")
    choice = {"plan": True, "calibration_data": "photos"}
    with pytest.raises(CalibrationError, match=r"where 2 of 48 are tolerated.*max_unreadable"):
        prune(**choice)
    with pytest.raises(
        CalibrationError, match=r"12 unreadable images, and .* the 48 .*pass fewer with calib"
    ):
        prune(**choice, max_unreadable=0.3)
    report = prune(**choice, max_unreadable=0.3, calibration_samples=40)
    assert (report.images, len(report.unreadable)) == (40, 12)
    assert report.to_json()["unreadable"] == [*report.unreadable]


def test_a_network_that_breaks_its_promise_fails(prune):
    report = prune(speedup=1.5)
    record = replace(report.narrowed.pruning, promised_logit_sqnr_db=99.0)
    broken = replace(report, narrowed=replace(report.narrowed, pruning=record))
    (failure,) = broken.failures
    assert failure.endswith("dB where 99.0 dB were promised")


def exported(weights, name):
    """Its ONNX file."""
    network = NetworkOptions(str(weights), labels=weights.with_name("labels.txt"))
    if weights.suffix == ".safetensors":
        network = replace(network, labels=None)
    file, options = vggexport.FileOptions("onnx", Path(name)), vggexport.BuildOptions(check=False)
    return vggexport.build(network, vggexport.CalibrationOptions(), file, options).artifact


def test_every_command_knows_it_beside_its_ancestor(prune, folder):
    made = prune(target_sqnr=15.0).narrowed
    wide, narrow = folder / "wide.npz", "narrow.onnx"
    artifact = exported(Path("narrow.safetensors"), narrow)
    assert artifact.weights.pruning == made.pruning
    exported(wide, "wide.onnx")
    data = str(folder / "images.npz")
    for pair in ([str(wide), narrow], ["wide.onnx", "narrow.safetensors"], [narrow, "wide.onnx"]):
        report = vggexport.verify(
            pair, data=data, layers=True, save_golden=Path("g.npz"), force=True
        )
        (candidate,) = report.candidates
        assert candidate.tolerance.min_logit_sqnr_db == round(
            made.pruning.promised_logit_sqnr_db, 1
        )
        assert candidate.passed
        assert [layer.name for layer in candidate.layers] == [
            layer.name
            for layer, other in zip(WIDE.layers, made.spec.layers, strict=True)
            if layer.output_shape == other.output_shape
        ]
    assert report.reference_seen + candidate.seen == 48
    with np.load(data) as file:
        for number, pixels in enumerate(file["images"]):
            place = Path("sorted", LABELS[number % len(LABELS)])
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{number}.png")
    judged = vggexport.evaluate(artifacts=("wide.onnx", str(narrow)), data=Path("sorted"))
    (beside,) = judged.to_json()["comparisons"]
    assert (beside["a"], beside["b"], judged.images) == ("wide.onnx", "narrow.onnx", 60)
    assert beside["agreement"] > 0.8
    assert 0 <= beside["mcnemar_p"] <= 1
    (facts,) = (model.facts for model in vggexport.diff(Path("wide.onnx"), Path(narrow)).models)
    changes = {fact.name: (fact.old, fact.new) for fact in facts}
    assert changes["pruned from"] == (None, "wide.npz")
    assert changes["network blocks"][0] == [["conv3-16", "conv3-16"], ["conv3-32"]]
    vggexport.verify(["wide.onnx", narrow], data=data, save_golden=Path("g.npz"), force=True)
    packed = vggexport.bundle([Path(narrow)], output=Path("out"), golden=Path("g.npz"))
    assert packed.passed
    assert "pruned from wide.npz, SHA-256" in Path("out/MODEL_CARD.md").read_text()
    assert vggexport.check_bundle(Path("out")).passed
    golden = json.loads(next(Path("out").rglob("golden*.json")).read_text())
    assert golden["reference"]["name"] == "wide.onnx"


def test_an_ancestor_is_run_under_its_own_preprocessing(prune, folder):
    """The narrower weights have it in their first kernel: their file records a mean alone."""
    wide, data = str(folder / "wide.npz"), str(folder / "images.npz")
    torch = CONVENTIONS["torch"]
    made = prune(network=NetworkOptions(wide, preprocessing=torch), target_sqnr=15.0).narrowed
    assert made.pruning.preprocessing == torch
    exported(Path("narrow.safetensors"), "narrow.onnx")
    (candidate,) = vggexport.verify([wide, "narrow.onnx"], data=data).candidates
    assert candidate.metrics.logit_sqnr_db > made.pruning.promised_logit_sqnr_db
    assert candidate.passed
    whole = NetworkOptions(wide, preprocessing=torch)
    file = vggexport.FileOptions("onnx", Path("wide.onnx"))
    vggexport.build(whole, vggexport.CalibrationOptions(), file)
    assert vggexport.verify([wide, "wide.onnx", "narrow.onnx"], data=data).passed


def test_what_was_assumed_of_an_ancestor_stays_assumed(prune, folder):
    """Weights that were pruned from it say what is in them, which rests on the assumption."""
    prune(target_sqnr=15.0)
    path = Path("narrow.safetensors")
    with safe_open(path, "numpy") as file:
        told = file.metadata()
    ((name, described),) = told.items()
    document = json.loads(described)
    assert document["pruning"]["preprocessing"]["known"] is True
    document["pruning"]["preprocessing"] |= {"name": "torch", "known": False}
    save_file(load_file(path), path, {name: json.dumps(document)})
    progress = Recorded()
    open_network(NetworkOptions(str(path)), Steps(progress))
    said = "wide.npz, which narrow.safetensors was pruned from: torchvision's convention assumed"
    assert [note.partition(" (RGB")[0] for note in progress.notes if "pruned from" in note] == [
        said
    ]
    with pytest.raises(InputError, match="prune it again and state"):
        open_network(NetworkOptions(str(path), strict=True), Steps(Progress()))
    exported(path, "narrow.onnx")
    with pytest.raises(InputError, match=r"which it was pruned from, was assumed \(torch\)"):
        vggexport.bundle([Path("narrow.onnx")], output=Path("out"))


def test_a_network_of_another_ancestor_is_another_network(prune, folder, make_weights):
    prune(target_sqnr=15.0)
    other = {name: array * 2 for name, array in make_weights(WIDE).items()}
    np.savez("other.npz", **other)
    with pytest.raises(InputError, match=r"is for another network|are different networks"):
        vggexport.verify(["narrow.safetensors", "other.npz"], data=str(folder / "images.npz"))
