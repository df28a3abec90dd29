"""Labels say which preprocessing weights were trained with."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from PIL import Image

import vggexport
from tests.foreign_onnx import Style, torch_like
from tests.recorded_progress import Recorded
from vggexport.errors import InputError
from vggexport.network import table
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.network.spec import MEAN_RGB
from vggexport.opening.run_options import RunOptions

IMAGES = 300


@pytest.fixture
def labelled(tmp_path, tiny, tiny_weights, numpy_network, monkeypatch):
    """Images in folders by what a network answers that takes BGR minus the mean."""
    monkeypatch.setitem(table.TABLE_1, "D", "conv3-4 conv1-6 | conv3-8")
    monkeypatch.chdir(tmp_path)
    np.savez("w.npz", **tiny_weights)
    colours = np.random.default_rng(5).integers(0, 256, (IMAGES, 1, 1, 3), np.uint8)
    pixels = np.tile(colours, (1, 16, 16, 1))  # which no resizing changes
    prepared = (pixels - np.array(MEAN_RGB))[..., ::-1]
    bare = replace(tiny, mean_rgb=(0.0, 0.0, 0.0))
    answers = numpy_network(bare, tiny_weights, prepared)["probabilities"].argmax(1)
    for index, (image, answer) in enumerate(zip(pixels, answers, strict=True)):
        folder = tmp_path / "data" / str(answer)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{index}.png")
    return tmp_path / "data"


def test_the_right_one_has_all_images_right(labelled):
    notes = Recorded()
    options = vggexport.EvaluateOptions(
        ("w.npz",), labelled, class_order="index", try_preprocessing=True
    )
    report = vggexport.evaluate(options, notes)
    top1 = {result.runner.path: result.accuracy.top1 for result in report.results}
    assert list(top1) == [f"w.npz ({name})" for name in CONVENTIONS]
    assert top1.pop("w.npz (caffe)") == 1.0
    assert max(top1.values()) < 1.0
    told = "the labels favour w.npz (caffe): state it with export preprocessing"
    assert notes.notes[-1] == told
    assert report.comparisons == ()  # with whichever was tried first


def test_labels_that_do_not_decide(labelled):
    """Of two images, any convention may be right about both."""
    notes = Recorded()
    options = vggexport.EvaluateOptions(
        ("w.npz",), labelled, images=2, class_order="index", try_preprocessing=True
    )
    vggexport.evaluate(options, notes)
    assert notes.notes[-1].startswith("the labels cannot tell w.npz (vgg), w.npz (caffe)")
    assert notes.notes[-1].endswith(
        " and w.npz (raw) apart: ask which one its training used, and state it with export "
        "preprocessing"
    )


def test_labels_say_it_of_a_file_of_another_converter(labelled, tiny, tiny_weights):
    """Both orders are tried: it reads BGR minus the mean, which is caffe."""
    onnx.save(torch_like(tiny, tiny_weights, CONVENTIONS["caffe"], Style()), "old.onnx")
    notes = Recorded()
    options = vggexport.EvaluateOptions(
        ("old.onnx",), labelled, class_order="index", try_preprocessing=True
    )
    results = vggexport.evaluate(options, notes).results
    top1 = {result.runner.path: result.accuracy.top1 for result in results}
    assert len(top1) == 10
    assert top1.pop("old.onnx (caffe)") == 1.0
    assert max(top1.values()) < 1.0
    assert notes.notes[-1] == "the labels favour old.onnx (caffe): state it with preprocessing_of"
    run = RunOptions(preprocessing_of={"old.onnx": CONVENTIONS["raw"]})
    with pytest.raises(InputError, match="what is stated of pixels need not be tried"):
        replace(options, run=run)


def test_a_file_of_ours_has_nothing_to_try(labelled, export):
    with pytest.raises(InputError, match="was made by vggexport, and its preprocessing is inside"):
        vggexport.evaluate((str(export()),), data=labelled, try_preprocessing=True)


@pytest.mark.parametrize("artifacts", [("a.onnx",), ("w.npz", "v.npz")])
def test_only_one_source_of_weights_has_conventions_to_try(labelled, artifacts):
    labelled.joinpath("../a.onnx").write_bytes(b"")
    with pytest.raises(InputError):
        vggexport.evaluate(artifacts, data=labelled, try_preprocessing=True)
