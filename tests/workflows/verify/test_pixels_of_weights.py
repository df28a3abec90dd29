"""What happens to pixels before the network of weights that files are held to."""

import dataclasses
import io
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers
from PIL import Image
from rich.console import Console

import vggexport
from tests.diagnosis.faulty_files import changed
from tests.recorded_progress import Recorded
from vggexport.diagnosis import preprocessing_trials
from vggexport.errors import ArtifactError, InputError, WeightsError
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.models import RunOptions
from vggexport.opening.network import NetworkOptions
from vggexport.precision import Precision
from vggexport.reports import text
from vggexport.reports.html.verification import verification as html
from vggexport.reports.markdown.verification import verification as markdown
from vggexport.reports.verification_words import doubtful_pixels, findings
from vggexport.weights import SpecRequest, open_weights
from vggexport.workflows.build.options import BuildOptions, FileOptions
from vggexport.workflows.verify.options import VerifyOptions

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras under numpy 2

SIZE = (8, 8)
POOLED = SpecRequest(input_size=SIZE, pooling="average")


def network(*front):
    members = [
        layers.Conv2D(4, 3, padding="same", activation="relu", name="block1_conv1"),
        *(layers.MaxPooling2D(), layers.GlobalAveragePooling2D()),
        layers.Dense(3, "softmax", name="predictions"),
    ]
    model = keras.Sequential([keras.Input((*SIZE, 3)), *front, *members])
    random = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(random.standard_normal(variable.shape))
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``mine.keras``, which divides by 255, and its weights alone: of files of both, ``right.onnx``
    and ``by_weights.onnx`` are the network, ``caffe.onnx`` and ``doubled.onnx`` are not."""
    place = tmp_path_factory.mktemp("pixels")
    model = network(layers.Rescaling(1 / 255))
    model.save(place / "mine.keras")
    model.save_weights(place / "mine.weights.h5")
    weights = place / "mine.weights.h5"
    divided_again = Preprocessing("custom", std_rgb=(255.0,) * 3)
    network().save(place / "bare.keras")
    for name, source, request, pixels in (
        ("assumed", place / "bare.keras", SpecRequest(), None),
        ("right", place / "mine.keras", SpecRequest(), None),
        ("doubled", place / "mine.keras", SpecRequest(), divided_again),
        ("by_weights", weights, POOLED, CONVENTIONS["unit"]),
        ("caffe", weights, POOLED, CONVENTIONS["caffe"]),
        ("caffe_int8", weights, POOLED, CONVENTIONS["caffe"]),
        ("raw", weights, POOLED, CONVENTIONS["raw"]),
        ("raw_int8", weights, POOLED, CONVENTIONS["raw"]),
        ("scaled", weights, POOLED, Preprocessing("custom", std_rgb=(58.0, 57.0, 57.0))),
    ):
        options = NetworkOptions(str(source), preprocessing=pixels, request=request)
        precision = Precision.INT8 if "int8" in name else Precision.FLOAT32
        file = FileOptions("onnx", place / f"{name}.onnx", precision)
        vggexport.build(options, CalibrationOptions(), file, BuildOptions(check=False))
    return place


@pytest.fixture(autouse=True)
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)


def passed(*artifacts, **options):
    options = VerifyOptions(artifacts, images=4, **options)
    return [not candidate.failures for candidate in vggexport.verify(options).candidates]


@pytest.mark.parametrize("files", [("by_weights", "doubled"), ("doubled", "by_weights")])
def test_a_network_that_prepares_pixels_is_not_told_how_by_the_files_held_to_it(files):
    names = [f"{name}.onnx" for name in files]
    found = passed("mine.keras", *names)
    assert found == [name == "by_weights" for name in files]


def test_what_was_stated_in_numbers_is_held_to_the_network_that_the_file_records():
    assert passed("doubled.onnx", reference="keras") == [True]


@pytest.mark.parametrize("convention", ["unit", "tf", "torch", "caffe", "vgg"])
def test_a_convention_in_front_of_it_is_refused(convention):
    with pytest.raises(WeightsError, match="itself before its first convolution, and"):
        open_weights("mine.keras", SpecRequest(), preprocessing=CONVENTIONS[convention])
    stated = Preprocessing("custom", (1.0,) * 3)
    for own in (CONVENTIONS["raw"], stated):
        assert open_weights("mine.keras", SpecRequest(), preprocessing=own).preprocessing == own


@pytest.mark.parametrize(
    ("front", "refused"),
    [
        (layers.Rescaling(2.0, -1.0), False),
        (layers.Normalization(mean=(0.4, 0.5, 0.4), variance=(0.05,) * 3), False),
        (layers.Normalization(mean=(110.0, 120.0, 90.0), variance=(4000.0,) * 3), True),
        (layers.Normalization(mean=(110.0, 120.0, 90.0), variance=(1.0,) * 3), True),
    ],
    ids=["of 0...1", "normalized 0...1", "normalized 0...255", "mean of 0...255"],
)
def test_what_takes_0_to_1_may_have_a_division_in_front(front, refused, tmp_path):
    path = tmp_path / "front.keras"
    network(front).save(path)
    if refused:
        with pytest.raises(WeightsError, match="and unit in front of it would do so twice"):
            open_weights(str(path), SpecRequest(), preprocessing=CONVENTIONS["unit"])
    else:
        open_weights(str(path), SpecRequest(), preprocessing=CONVENTIONS["unit"])


def test_weights_that_do_not_say_are_not_held_to_the_first_of_two_files_that_differ():
    files = ("by_weights.onnx", "caffe.onnx")
    with pytest.raises(InputError, match=r"as unit, caffe\.onnx for caffe, and mine\.weights"):
        passed(*files, reference="mine.weights.h5")


def test_it_can_be_stated():
    run = RunOptions(preprocessing_of={"mine.weights.h5": CONVENTIONS["unit"]})
    weights = {"reference": "mine.weights.h5", "run": run}
    assert passed("by_weights.onnx", **weights) == [True]
    with pytest.raises(
        ArtifactError, match=r"mean_rgb is .* made for different pixels, .* verify answers$"
    ):
        passed("caffe.onnx", **weights)


def test_no_convention_is_tried_on_it(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
        Image.new("RGB", SIZE).save(tmp_path / name / "one.png")
    options = vggexport.EvaluateOptions(("mine.keras",), tmp_path, try_preprocessing=True)
    with pytest.raises(InputError, match=r"prepares RGB 0\.\.\.255 itself.*no convention to try"):
        vggexport.evaluate(options)


def test_a_size_that_nothing_tells_is_noted_and_marked():
    network = NetworkOptions(
        "mine.weights.h5", preprocessing=CONVENTIONS["unit"], request=SpecRequest(pooling="average")
    )
    told, file = Recorded(), FileOptions("onnx", Path("unsized.onnx"), Precision.FLOAT32)
    options = BuildOptions(check=False)
    built = vggexport.build(network, CalibrationOptions(), file, options, told)
    (note,) = (note for note in told.notes if "pixels assumed" in note)
    assert note.startswith("mine.weights.h5 does not tell the size of its images: 224")
    assert built.artifact.to_json()["weights"]["size_assumed"] is True


def test_a_stated_size_is_no_assumption():
    artifact = vggexport.inspect(Path("by_weights.onnx")).artifact
    assert "size_assumed" not in artifact.to_json()["weights"]


def test_a_convention_that_both_sides_assume_is_told_in_every_report():
    """Nothing in the comparison can tell whether it is right."""
    report = vggexport.verify(VerifyOptions(("assumed.onnx",), reference="bare.keras", images=4))
    assert report.failures == ()
    assert report.assumed_pixels == "caffe, BGR"
    assert report.to_json()["reference"]["pixels"]["known"] is False
    said = "caffe, BGR is assumed, by the reference and the files alike"
    console = Console(width=300, file=io.StringIO())
    console.print(text.verification(report))
    for shown in (console.file.getvalue(), markdown(report), html(report)):
        assert said in shown
    known = vggexport.verify(VerifyOptions(("right.onnx",), reference="mine.keras", images=4))
    assert (known.assumed_pixels, known.pixels) == ("", CONVENTIONS["raw"])
    assert "is assumed" not in html(known)


def test_strict_refuses_what_both_sides_assume():
    options = VerifyOptions(("assumed.onnx",), reference="bare.keras", images=4, strict=True)
    with pytest.raises(
        InputError, match=r"bare\.keras assumes caffe, BGR for pixels.*answers, or "
    ):
        vggexport.verify(options)
    options = dataclasses.replace(options, artifacts=("bare.keras",), reference="assumed.onnx")
    with pytest.raises(InputError, match="export it again and state it with onnx preprocessing"):
        vggexport.verify(options)


@pytest.fixture
def answers(tmp_path):
    """What ``right.onnx`` gives for images, saved as the answers for other images perhaps."""

    def save(images, shown=None):
        session = onnxruntime.InferenceSession("right.onnx")
        fed = {session.get_inputs()[0].name: images.astype(np.float32)}
        (probabilities,) = session.run(None, fed)
        path = tmp_path / "answers.npz"
        np.savez(path, images=images if shown is None else shown, probabilities=probabilities)
        return path

    return save


def noise(*shape):
    return np.random.default_rng(5).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("name", ["caffe", "caffe_int8"])
def test_answers_tell_what_a_file_should_have_been_made_for(name, answers):
    options = VerifyOptions((f"{name}.onnx",), answers=answers(noise(12, *SIZE, 3)))
    (candidate,) = vggexport.verify(options).candidates
    named = candidate.diagnosis.named
    assert (named.fault, named.preprocessing) == ("other-preprocessing", CONVENTIONS["unit"])
    assert named.with_db > candidate.tolerance.min_logit_sqnr_db
    assert f"{name}.onnx was made for caffe, BGR; with unit, RGB its weights" in named.description
    assert "the same best class on 8 of 8 images)" in named.description
    found = findings(candidate)
    assert found["fix"] == "export it again with --preprocessing unit"
    assert "on the 8 worst images" in found["figure"]


@pytest.mark.parametrize("kind", ["reference", "golden"])
def test_files_of_the_same_weights_for_other_pixels_are_told(kind, tmp_path):
    """They had "stale weights", or pixels "in [-1, 1]"."""
    shown = {"reference": "scaled.onnx", "images": 8}
    if kind == "golden":
        golden = tmp_path / "golden.npz"
        vggexport.verify(VerifyOptions(("raw.onnx",), save_golden=golden, **shown))
        shown = {"golden": golden}
    report = vggexport.verify(VerifyOptions(("raw.onnx", "raw_int8.onnx"), **shown))
    for candidate in report.candidates:
        named = candidate.diagnosis.named
        assert named.fault == "other-preprocessing"
        told = "was made for raw, RGB; with custom, RGB, as for the reference, its weights agree"
        assert told in named.description
        assert findings(candidate)["fix"].startswith("ask which of the two its training used, and")


def test_other_weights_beside_other_pixels_are_told_with_them(tmp_path):
    """The first layer's differ by the pixels alone."""
    model = onnx.load("raw.onnx")
    changed("predictions/kernel", lambda kernel: kernel[::-1])(model)
    onnx.save(model, tmp_path / "stale.onnx")
    options = VerifyOptions((str(tmp_path / "stale.onnx"),), reference="scaled.onnx", images=8)
    (candidate,) = vggexport.verify(options).candidates
    named = candidate.diagnosis.named
    assert (named.fault, named.layer) == ("stale-weights", "predictions")
    assert named.description.endswith(
        "other weights than the reference in predictions; it was made for other pixels, too"
    )


def test_answers_judge_files_that_were_made_for_other_pixels_in_one_run(answers):
    files = ("right.onnx", "caffe.onnx")
    right, other = vggexport.verify(
        VerifyOptions(files, answers=answers(noise(12, *SIZE, 3)))
    ).candidates
    assert right.passed
    assert other.diagnosis.named.preprocessing == CONVENTIONS["unit"]


@pytest.mark.parametrize(
    "change",
    [lambda images: 255 - images, lambda images: np.roll(images, 4, 0)],
    ids=["inverted", "other images"],
)
def test_answers_that_no_convention_brings_near_name_none(change, answers):
    images = noise(12, *SIZE, 3)
    options = VerifyOptions(("caffe.onnx",), answers=answers(images, change(images)))
    (candidate,) = vggexport.verify(options).candidates
    assert candidate.diagnosis.named is None


def test_answers_that_do_not_tell_two_apart_name_both_and_favour_none(answers):
    grey = noise(12, *SIZE, 1).repeat(3, axis=-1)
    options = VerifyOptions(("caffe.onnx",), answers=answers(grey))
    (candidate,) = vggexport.verify(options).candidates
    named = candidate.diagnosis.named
    assert (named.fault, named.preprocessing) == ("other-preprocessing", None)
    assert "with unit in BGR or unit in RGB its weights agree" in named.description
    assert named.description.endswith("of 8 images), and these answers cannot tell which")
    fix = "ask which of them its training used, and export it again with that one"
    assert findings(candidate)["fix"] == fix


def test_answers_that_a_files_own_convention_fits_as_well_do_not_name_another(answers, monkeypatch):
    monkeypatch.setattr(preprocessing_trials, "APART_DB", 1e3)
    options = VerifyOptions(("caffe.onnx",), answers=answers(noise(12, *SIZE, 3)))
    (candidate,) = vggexport.verify(options).candidates
    assert "other-preprocessing" not in [t.fault for t in candidate.diagnosis.trials if t.explains]


def test_how_pictures_were_resized_is_told(tmp_path):
    for number in range(4):
        Image.fromarray(noise(20, 12, 3)).save(tmp_path / f"{number}.png")
    options = VerifyOptions(("right.onnx",), reference="mine.keras", data=str(tmp_path))
    report = vggexport.verify(options)
    assert report.picture_line.startswith("scaled to a short side of 9, the centre 8x8 cut out")
    console = Console(width=300, file=io.StringIO())
    console.print(text.verification(report))
    for shown in (console.file.getvalue(), markdown(report), html(report)):
        assert report.picture_line in shown
    assert vggexport.verify(VerifyOptions(("right.onnx",), reference="mine.keras")).pictures is None


@pytest.mark.parametrize(
    ("file", "reference", "said"),
    [
        ("caffe", "mine.weights.h5", "both sides use caffe, BGR, as stated at the export; nothing"),
        ("caffe", "keras", "both sides use caffe, BGR, as stated at the export; nothing"),
        ("right", "mine.keras", ""),  # which has the division inside
        ("right", "keras", ""),
    ],
)
def test_a_convention_that_was_stated_alone_is_told_in_every_report(file, reference, said):
    report = vggexport.verify(VerifyOptions((f"{file}.onnx",), reference=reference, images=4))
    assert report.failures == ()
    assert doubtful_pixels(report).startswith(said)
    assert bool(doubtful_pixels(report)) == bool(said)
    assert ("as stated at the export" in html(report)) == bool(said)
    assert 'class="verdict"' in html(report)  # which is nothing to warn of
