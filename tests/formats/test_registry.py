"""The table of formats: what it names is there, and files are known by it."""

from dataclasses import replace

import pytest

from vggexport.errors import ArtifactError, InputError
from vggexport.formats import registry
from vggexport.formats.registry import (
    BUNDLED,
    FORMATS,
    KERAS,
    ONNX_RUNTIME,
    WRITTEN,
    Runtime,
    format_of,
    is_model,
    load_exporter,
    load_inspector,
    load_runner,
    load_weight_reader,
)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_what_runs_it(name):
    for runtime in FORMATS[name].runtimes:
        loaded = load_runner(name, runtime.name)
        for method in ("__enter__", "predict", "activations", "prepare"):
            assert hasattr(loaded, method)


@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_that_is_written_is_read_and_inspected(name):
    assert hasattr(load_exporter(name), "export")
    assert hasattr(load_weight_reader(name), "operators")
    assert callable(load_inspector(name))
    assert FORMATS[name].precisions


def test_the_table():
    assert list(WRITTEN) == ["savedmodel", "onnx", "tflite"]
    assert list(BUNDLED) == [*WRITTEN, "ort"]
    assert list(FORMATS) == [*BUNDLED, KERAS]
    assert {name: row.runtime().package for name, row in FORMATS.items()} == {
        "savedmodel": "tensorflow",
        "onnx": "onnxruntime",
        "tflite": "ai-edge-litert",
        "ort": "onnxruntime",
        "keras": "tensorflow",
    }
    assert [name for name, row in FORMATS.items() if row.runtime().has_providers] == ["onnx", "ort"]
    assert {name: row.batch for name, row in WRITTEN.items() if row.batch} == {"tflite": 1}


def test_what_a_format_has_not_is_named():
    for load in (load_exporter, load_weight_reader, load_inspector):
        with pytest.raises(InputError, match="'ort' is not known: choose from savedmodel, onnx"):
            load("ort")
    with pytest.raises(InputError, match="'nnef' is not known: choose from savedmodel, onnx"):
        load_runner("nnef")
    with pytest.raises(InputError, match="litert does not run onnx here: choose from onnxruntime"):
        load_runner("onnx", "litert")


def test_a_file_may_be_run_by_another_runtime(monkeypatch, tmp_path):
    (tmp_path / "other_runtime.py").write_text("class OtherRunner: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    other = Runtime("other", "other-runtime", "other_runtime:OtherRunner")
    row = replace(FORMATS["onnx"], runtimes=(ONNX_RUNTIME, other))
    monkeypatch.setattr(registry, "_ROWS", (row,))
    assert load_runner("onnx").__name__ == "OnnxRunner"
    assert load_runner("onnx", "onnxruntime").__name__ == "OnnxRunner"
    assert load_runner("onnx", "other").__name__ == "OtherRunner"


def make(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def test_files_are_known_by_how_they_end_and_directories_by_what_is_in_them(tmp_path):
    for name in ("a.onnx", "a.tflite", "plain/saved_model.pb", "served/12/saved_model.pb"):
        make(tmp_path / name)
    for name, expected in {
        "a.onnx": "onnx",
        "a.tflite": "tflite",
        "plain": "savedmodel",
        "served": "savedmodel",
    }.items():
        assert is_model(tmp_path / name)
        assert format_of(tmp_path / name) == expected


@pytest.mark.parametrize(
    "name", ["weights.csv", "a.ort", "a_saved_model", "x.onnx.txt", "photos/cat.jpg", "d.onnx/note"]
)
def test_anything_else_is_refused(tmp_path, name):
    make(tmp_path / name)
    with pytest.raises(ArtifactError) as raised:
        format_of(tmp_path / name.split("/")[0])
    assert (
        "is of no known format: expected a directory with saved_model.pb in it, or a file that "
        "ends in .onnx or .tflite"
    ) in str(raised.value)


def test_a_missing_file_is_no_format(tmp_path):
    with pytest.raises(ArtifactError, match=r"missing\.onnx does not exist"):
        format_of(tmp_path / "missing.onnx")


def test_weights_are_no_model(tmp_path):
    for source in ("random:0", "imagenet", "weights.npz", str(tmp_path / "weights.safetensors")):
        assert not is_model(source)
