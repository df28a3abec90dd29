"""Golden files: what goes in comes out, and a changed one is refused."""

import dataclasses
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import calibration
from tests.written_anew import write_anew
from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError
from vggexport.formats.golden import golden_file
from vggexport.formats.golden.golden_file import GoldenFile, GoldenImages, GoldenWriter
from vggexport.formats.golden.runner import GoldenRunner
from vggexport.precision import Precision
from vggexport.system.machine import processor

CLASSES = 5


@pytest.fixture
def artifact(tiny, weights_record) -> Artifact:
    return Artifact("vgg.onnx", "onnx", Precision.FLOAT32, tiny, weights_record)


@pytest.fixture
def sources(images) -> list[calibration.SourceImage]:
    return [
        calibration.SourceImage(f"folder/{i}.jpg", f"{i:064x}", pixels)
        for i, pixels in enumerate(images)
    ]


@pytest.fixture
def answers(images) -> np.ndarray:
    random = np.random.default_rng(5).random((len(images), CLASSES))
    return (random / random.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def write(artifact, sources, answers):
    def write(path: Path, step: int = 4) -> Path:
        with GoldenWriter(
            path, artifact, runtime="onnxruntime 1", provider="CPU", count=len(sources)
        ) as writer:
            for start in range(0, len(sources), step):
                writer.add(sources[start : start + step], answers[start : start + step])
        return path

    return write


@pytest.fixture
def file(write, tmp_path) -> Path:
    return write(tmp_path / "golden_file.npz")


def test_what_was_written_is_read(file, artifact, sources, answers, images):
    read = GoldenFile.read(file)
    assert read.artifact == artifact
    assert (read.runtime, read.provider) == ("onnxruntime 1", "CPU")
    assert np.array_equal(read.probabilities, answers)
    assert np.array_equal(read.images, images)
    found = GoldenImages(read)
    assert (found.name, len(found)) == ("golden_file.npz", len(sources))
    for index, source in enumerate(sources):
        image = found.read(index)
        assert (image.label, image.digest) == (source.label, source.digest)
        assert np.array_equal(image.pixels, source.pixels)


def test_the_same_content_gives_the_same_bytes(write, tmp_path):
    one, other = write(tmp_path / "a.npz", step=6), write(tmp_path / "b.npz", step=1)
    assert one.read_bytes() == other.read_bytes()


def test_numpy_reads_it_without_pickles(file, answers):
    with np.load(file, allow_pickle=False) as arrays:
        assert set(arrays) == {"images", "probabilities", "manifest"}
        assert np.array_equal(arrays["probabilities"], answers)


def test_the_runner_gives_each_image_its_answer(file, images, answers):
    with GoldenRunner(GoldenFile.read(file)) as runner:
        assert runner.runtime == f"recorded from onnxruntime 1 on {processor()}"
        assert np.array_equal(runner.predict(images[[3, 0]]), answers[[3, 0]])
        assert np.array_equal(runner.predict(images[:2].astype(np.float32)), answers[:2])
        assert runner.artifact.format == "golden"


def test_the_runner_computes_nothing(file, images):
    runner = GoldenRunner(GoldenFile.read(file))
    with pytest.raises(ArtifactError, match="no answer for an image that is not in it"):
        runner.predict(255 - images[:1])
    with pytest.raises(ArtifactError, match="holds probabilities only, not fc1"):
        runner.activations(images[:1], ["fc1"])


def changed(file: Path, name: str, array: np.ndarray) -> None:
    with np.load(file, allow_pickle=False) as arrays:
        everything = dict(arrays) | {name: array}
    np.savez(file, **everything)


def manifest(file: Path) -> dict:
    with np.load(file, allow_pickle=False) as arrays:
        return json.loads(arrays["manifest"].tobytes())


def test_changed_answers_are_refused(file, answers):
    changed(file, "probabilities", answers[::-1])
    with pytest.raises(ArtifactError, match="probabilities are not those that were saved"):
        GoldenFile.read(file)


def test_a_changed_image_is_refused(file, images):
    other = images.copy()
    other[2, 0, 0, 0] ^= 1
    changed(file, "images", other)
    found = GoldenImages(GoldenFile.read(file))
    assert found.read(1).label == "folder/1.jpg"
    with pytest.raises(ArtifactError, match=r"folder/2.jpg is not the one that was saved"):
        found.read(2)


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("images", np.zeros((6, 8, 8, 3), np.uint8), "images are of shape"),
        ("images", np.zeros((6, 16, 16, 3), np.float32), "float32"),
        ("probabilities", np.zeros((6, 4), np.float32), "probabilities are of shape"),
        ("manifest", np.frombuffer(b"{}", np.uint8), "artifact"),
        ("manifest", np.frombuffer(b"no json", np.uint8), "Expecting value"),
        ("manifest", np.array([{}], dtype=object), "pickles are never opened"),
    ],
)
def test_what_is_not_a_golden_file_is_refused(file, name, array, said):
    changed(file, name, array)
    with pytest.raises(ArtifactError, match=said) as error:
        GoldenFile.read(file)
    assert "is not a golden file, or is damaged" in str(error.value)
    assert str(error.value).endswith("): make it again with verify save_golden")


def test_other_files_are_refused(tmp_path, file):
    np.savez(tmp_path / "weights.npz", kernel=np.zeros(3))
    (tmp_path / "text.npz").write_text("text")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({}))
    cut = tmp_path / "cut.npz"
    cut.write_bytes(file.read_bytes()[:-100])
    for name in ("weights", "text", "pickle", "cut", "missing"):
        with pytest.raises(ArtifactError, match="is not a golden file"):
            GoldenFile.read(tmp_path / f"{name}.npz")


def test_a_flipped_bit_is_noticed_wherever_it_is(file, tmp_path):
    """In what zip checks, and in its own tables; what none of them notices changes nothing."""
    whole = file.read_bytes()
    before = GoldenFile.read(file)
    broken = tmp_path / "broken.npz"
    noticed = 0
    for position in range(0, len(whole), 97):
        data = bytearray(whole)
        data[position] ^= 4
        write_anew(broken, data)
        try:
            read = GoldenFile.read(broken)
            pixels = [GoldenImages(read).read(i).pixels for i in range(len(read.known))]
        except ArtifactError:
            noticed += 1
            continue
        assert np.array_equal(np.stack(pixels), before.images)
        assert np.array_equal(read.probabilities, before.probabilities)
    assert noticed > 0.9 * len(whole) / 97


def test_a_huge_manifest_is_not_read(file, monkeypatch):
    monkeypatch.setattr(golden_file, "MAX_MANIFEST_BYTES", 100)
    with pytest.raises(ArtifactError, match="manifest is too large"):
        GoldenFile.read(file)


def test_an_interrupted_one_is_not_whole(artifact, sources, answers, tmp_path):
    path = tmp_path / "broken.npz"
    writer = GoldenWriter(path, artifact, runtime="r", provider="p", count=6)
    writer.add(sources[:3], answers[:3])
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    with pytest.raises(ArtifactError, match="it has no manifest, probabilities"):
        GoldenFile.read(path)


def test_the_spec_travels(file, tiny):
    assert GoldenFile.read(file).artifact.spec == tiny
    other = dataclasses.replace(tiny, classes=6)
    text = manifest(file)
    text["artifact"]["spec"] = other.to_json()
    changed(file, "manifest", np.frombuffer(json.dumps(text).encode(), np.uint8))
    with pytest.raises(ArtifactError, match="probabilities are of shape"):
        GoldenFile.read(file)


def test_images_are_mapped_and_not_loaded(file):
    assert isinstance(GoldenFile.read(file).images, np.memmap)
    with zipfile.ZipFile(file) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
