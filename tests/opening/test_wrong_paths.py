"""A wrong path is told at once: TensorFlow takes seconds to load, a large network longer."""

from pathlib import Path

import numpy as np
import pytest

import vggexport
from tests.recorded_progress import Recorded
from vggexport.errors import InputError

TWO = ("random:0", "random:1")


@pytest.mark.parametrize(
    ("artifacts", "options", "said"),
    [
        (("random:0", "typo.onnx"), {}, "typo.onnx does not exist"),
        (("random:0", "typo.keras"), {}, "typo.keras does not exist"),
        (("random:0", "empty.npz"), {}, "empty.npz is empty"),
        (("random:0", "empt.npz"), {}, "empt.npz does not exist: did you mean empty.npz?"),
        (("random:0", "empty.npy"), {}, "empty.npy does not exist: did you mean empty.npz?"),
        (
            ("random:0", "none_at_all"),
            {},
            r"'none_at_all' are no file here: expected random\[:SEED\], imagenet",
        ),
        (("random:0", "mytraine"), {}, "mytraine does not exist: did you mean mytrained?"),
        (("random:0", "a.npz"), {}, "a.npz holds images .*: pass it with answers"),
        (("random:0", "g.npz"), {}, "g.npz holds images .*: pass it with golden"),
        (TWO, {"data": "typo"}, "data 'typo' does not exist"),
        (TWO, {"data": "none"}, "data 'none' has no image"),
    ],
)
def test_verify_loads_nothing_where_a_path_is_wrong(
    tmp_path, monkeypatch, artifacts, options, said
):
    monkeypatch.chdir(tmp_path)
    Path("none").mkdir()
    Path("empty.npz").touch()
    Path("mytrained").touch()
    answers = {"images": np.zeros(1), "probabilities": np.zeros(1)}
    np.savez("a.npz", **answers)
    np.savez("g.npz", **answers, manifest=np.zeros(1))
    told = Recorded()
    with pytest.raises(InputError, match=said):
        vggexport.verify(vggexport.VerifyOptions(artifacts, **options), told)
    assert told.steps == []


@pytest.mark.parametrize(
    ("artifacts", "options", "said"),
    [
        (("random:0", "typo.onnx"), {}, "typo.onnx does not exist"),
        (("random:0", "typo.keras"), {}, "typo.keras does not exist"),
        (TWO, {"data": Path("typo")}, "labelled data 'typo' is not a folder"),
        (TWO, {"table": Path("typo.csv")}, "typo.csv"),
        (TWO, {"labels": Path("typo.txt")}, "labels file typo.txt does not exist"),
    ],
)
def test_evaluate_loads_nothing_where_a_path_is_wrong(
    tmp_path, monkeypatch, photographs, artifacts, options, said
):
    monkeypatch.chdir(tmp_path)
    told = Recorded()
    chosen = {"data": photographs} | options
    with pytest.raises(InputError, match=said):
        vggexport.evaluate(vggexport.EvaluateOptions(artifacts, **chosen), told)
    assert told.steps == []


def test_an_array_is_opened_first_and_sized_later(tmp_path, export):
    """Its images have the networks' size only once that is known."""
    images = np.random.default_rng(3).integers(0, 256, (4, 20, 24, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images)
    files = str(export()), str(export("float16"))
    report = vggexport.verify(
        vggexport.VerifyOptions(files, data=str(tmp_path / "images.npz"), diagnose=False)
    )
    assert (report.images, report.source) == (4, "images.npz")
