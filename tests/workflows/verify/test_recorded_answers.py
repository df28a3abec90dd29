"""Golden files and answers of the owner's program as references."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import vggexport
from tests.recorded_progress import Recorded
from vggexport.errors import ArtifactError, CalibrationError, InputError
from vggexport.formats.onnx import sessions
from vggexport.metrics.parity import ParityMetrics
from vggexport.metrics.placement import CPU_PROVIDER, QNN_PROVIDER
from vggexport.network.head import fully_connected
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.models import RunOptions
from vggexport.precision import Precision, profile_of
from vggexport.system.machine import processor
from vggexport.weights import open_weights
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.verify.options import VerifyOptions

FEW = CalibrationOptions(samples=4)
FILES = ("out/vgg_tiny.onnx", "out/vgg_tiny.tflite", "out/vgg_tiny_saved_model")


def verified(*artifacts, **options):
    return vggexport.verify(VerifyOptions(artifacts, **{"images": 10} | options))


@pytest.mark.usefixtures("files")
def test_an_npu_is_held_to_the_tolerance_of_accelerators(monkeypatch):
    """Against the same integers on a CPU; against another file to that of both."""
    real, int8 = sessions.open_session, "out/vgg_tiny_int8.onnx"
    verified(int8, FILES[0], save_golden=Path("int8.npz"), images=2)
    verified(FILES[0], int8, save_golden=Path("float32.npz"), images=2)
    monkeypatch.setattr(
        sessions, "open_session", lambda path, opts, _npu, own: real(path, opts, CPU_PROVIDER, own)
    )
    npu = RunOptions(provider=QNN_PROVIDER)
    reports = [verified(int8, golden=Path(f"{n}.npz"), run=npu) for n in ("int8", "float32")]
    tolerances = [report.candidates[0].tolerance for report in reports]
    profile = Precision.INT8.profile
    assert tolerances == [profile.on_accelerator, profile.tolerance]
    assert profile.on_accelerator.min_half_logit_sqnr_db == 15


@pytest.mark.usefixtures("files")
def test_with_16_bits_an_npu_has_a_cpus_answers(monkeypatch, export):
    """What pixels of another colour profile change passed in 8 bits: 16 dB."""
    wide, narrow = (
        str(export("int8", batch=1, target="snapdragon", activation_bits=bits)) for bits in (16, 8)
    )
    verified(wide, narrow, save_golden=Path("wide.npz"), images=6)
    real = sessions.open_session
    monkeypatch.setattr(
        sessions, "open_session", lambda path, opts, _npu, own: real(path, opts, CPU_PROVIDER, own)
    )
    npu = RunOptions(provider=QNN_PROVIDER)
    told = Recorded()
    options = VerifyOptions((wide, narrow), golden=Path("wide.npz"), run=npu)
    report = vggexport.verify(options, told)
    assert report.images == 4
    assert any("4 images on QNNExecutionProvider, whose" in note for note in told.notes)
    same, other = (candidate.tolerance for candidate in report.candidates)
    assert same == profile_of(Precision.INT8, activation_bits=16).on_accelerator
    assert same.min_half_logit_sqnr_db == 40
    assert other == Precision.INT8.profile.tolerance  # other integers: as between two files


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("precision", ["", "_int8"])
def test_a_golden_file_stands_for_reference_and_images(precision):
    candidate = f"out/vgg_tiny{precision}.tflite"
    live = verified(FILES[0], candidate, save_golden=Path("golden.npz"))
    recorded = verified(candidate, golden=Path("golden.npz"))
    assert recorded.reference.runtime == (
        f"recorded from {live.reference.runtime} on {processor()}"
    )
    assert (recorded.images, recorded.source) == (10, "golden.npz")
    assert recorded.candidates[0].tolerance == live.candidates[0].tolerance
    before, again = (report.candidates[0].metrics for report in (live, recorded))
    for name in (*ParityMetrics.json_keys.split(), "finite", "logit_rms_error"):
        # In another order of the images.
        assert getattr(again, name) == pytest.approx(getattr(before, name), rel=1e-9), name
    assert again.choices == before.choices


@pytest.mark.usefixtures("files")
def test_a_mistake_is_named_by_a_golden_file_too(changed):
    path = changed("mean_subtraction/mean_rgb", lambda mean: 0 * mean)
    verified(*FILES[:2], save_golden=Path("golden.npz"))
    (candidate,) = verified(path, golden=Path("golden.npz")).candidates
    assert candidate.diagnosis.named.fault == "mean-missing"
    unknown = changed("fc1/kernel", lambda kernel: np.roll(kernel, 1, axis=1))
    (candidate,) = verified(unknown, golden=Path("golden.npz")).candidates
    assert candidate.failures
    assert candidate.diagnosis.named is None  # without a reference there are no layers to compare


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reference": FILES[1]}, "leave out reference and data"),
        ({"data": "photos"}, "leave out reference and data"),
        ({"layers": True}, "leave out layers"),
    ],
)
def test_what_a_golden_file_brings_is_not_given_again(options, said):
    with pytest.raises(InputError, match=said):
        verified(FILES[0], golden=Path("golden.npz"), **options)


@pytest.mark.usefixtures("files")
def test_a_golden_file_of_other_weights_is_told(network):
    """Those of a training that went on may be near enough to pass."""
    verified(*FILES[:2], save_golden=Path("golden.npz"))
    other = dataclasses.replace(network, weights="random:1")
    vggexport.build(other, FEW, FileOptions("onnx", Path("1.onnx")), BuildOptions(check=False))
    told = Recorded()
    options = VerifyOptions(("1.onnx", FILES[0]), golden=Path("golden.npz"), diagnose=False)
    vggexport.verify(options, told)
    (note,) = (note for note in told.notes if "other weights" in note)
    assert re.fullmatch(
        r"1\.onnx was made of other weights than golden\.npz, random:1 \(\w{12}\.\.\.\) and not "
        r"random:0 \(\w{12}\.\.\.\): make it again with verify save_golden",
        note,
    )


@pytest.mark.usefixtures("files")
def test_a_golden_file_of_another_network_is_refused(network):
    verified(*FILES[:2], save_golden=Path("golden.npz"))
    other = dataclasses.replace(
        network, request=dataclasses.replace(network.request, hidden=fully_connected(32, 32))
    )
    vggexport.build(other, FEW, FileOptions("onnx", Path("other.onnx")))
    with pytest.raises(
        ArtifactError, match="different networks: fc_units is 64 and 32: make it again"
    ):
        verified("other.onnx", golden=Path("golden.npz"))


@pytest.mark.usefixtures("files")
def test_no_golden_file_is_left_when_the_images_cannot_be_used():
    with pytest.raises(CalibrationError):
        verified(*FILES[:2], data="missing", save_golden=Path("golden.npz"))
    assert not list(Path().glob("*golden*"))


@pytest.fixture
def owned(files, network, pixels, numpy_network):
    """What the owner of the tiny network gets, by plain numpy, saved with changes."""
    weights = open_weights("random:0", network.request)
    probabilities = numpy_network(weights.spec, dict(weights), pixels)["probabilities"]

    def save(**changes):
        np.savez("answers.npz", **({"images": pixels, "probabilities": probabilities} | changes))
        return Path("answers.npz")

    return save


def test_the_owners_own_answers_are_a_reference(owned):
    report = verified(*FILES, answers=owned())
    assert (report.reference.path, report.reference.runtime) == (
        "answers.npz",
        "recorded from the owner's own answers",
    )
    assert report.images == 10
    assert report.failures == ()


@pytest.mark.parametrize(("images", "said"), [(8, ["8 answers only"]), (16, [])])
def test_of_few_answers_it_is_said_how_little_they_tell(owned, pixels, images, said):
    with np.load(owned()) as own:
        repeated = {name: own[name][np.arange(images) % 10] for name in own.files}
    told = Recorded()
    vggexport.verify(VerifyOptions(FILES, answers=owned(**repeated)), told)
    assert [note.partition(":")[0] for note in told.notes if "answer" in note] == said


def test_answers_of_another_preprocessing_fail_and_it_is_named(owned, pixels):
    """Images that the owner's program read as BGR."""
    (candidate,) = verified(FILES[0], answers=owned(images=pixels[..., ::-1])).candidates
    assert candidate.failures
    assert candidate.diagnosis.named.fault == "channels-swapped"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"images": np.zeros((10, 8, 8, 3), np.uint8)}, "images are of shape"),
        ({"images": np.zeros((10, 16, 16, 3), np.float32)}, "float32"),
        ({"probabilities": np.zeros((10, 4), np.float32)}, "of shape .* for 5 classes"),
        ({"probabilities": np.zeros((6, 5))}, r"\(10 images, 6 rows of probabilities\)"),
        ({"probabilities": np.full((10, 5), 3.0)}, "apply softmax or sigmoid first"),
        ({"probabilities": np.full((10, 5), np.nan)}, "apply softmax or sigmoid first"),
        ({"probabilities": np.zeros((10, 5), np.int64)}, "int64"),
    ],
)
def test_what_are_no_answers_is_refused(owned, changes, says):
    with pytest.raises(ArtifactError, match=says):
        verified(FILES[0], answers=owned(**changes))


@pytest.mark.parametrize(
    "options", [{"golden": Path("golden.npz")}, {"data": "photos"}, {"layers": True}]
)
def test_what_answers_bring_is_not_given_again(options):
    with pytest.raises(InputError):
        verified("a.onnx", answers=Path("answers.npz"), **options)


@pytest.mark.parametrize(
    "options",
    [
        {"format": "tflite", "input_dtype": "uint8", "full_integer": True},
        {"target": "snapdragon", "activation_bits": 16},
    ],
    ids=str,
)
def test_answers_are_floats_whatever_the_file_is(tmp_path, images, export, options):
    """They took over what the file alone is: "full integer is int8, not float32"."""
    answers = tmp_path / "answers.npz"
    np.savez(answers, images=images, probabilities=np.full((6, 5), 0.2, np.float32))
    report = verified(str(export("int8", batch=1, **options)), answers=answers, diagnose=False)
    assert report.reference.precision is Precision.FLOAT32
    assert not report.passed
