"""Layouts for servers and phones: where files go, and what is made of them."""

import json
import subprocess
import sys

import flatbuffers
import pytest

import vggexport
from vggexport.errors import ArtifactError, InputError
from vggexport.workflows.check_bundle import BundleCheckOptions


def test_triton(pack, models, tmp_path):
    pack(models["tiny_int8.onnx"], output="out", layout="triton")
    config = (tmp_path / "out/triton/tiny_int8/config.pbtxt").read_text()
    assert (tmp_path / "out/triton/tiny_int8/1/model.onnx").is_file()
    assert (tmp_path / "out/triton/tiny_int8/labels.txt").read_text().startswith("ant\n")
    for line in ('name: "tiny_int8"', "max_batch_size: 8", "dims: [16, 16, 3]", "dims: [5]"):
        assert line in config
    assert "graph { level: 2 }" in (tmp_path / "out/README.md").read_text()
    assert vggexport.check_bundle(BundleCheckOptions(tmp_path / "out")).failures == ()


def test_triton_with_a_fixed_batch(pack, export, tmp_path):
    pack(export("float32", input_dtype="uint8", batch=2), output="out", layout="triton")
    (config,) = (tmp_path / "out/triton").rglob("config.pbtxt")
    text = config.read_text()
    for line in ("max_batch_size: 0", "dims: [2, 16, 16, 3]", "dims: [2, 5]", "TYPE_UINT8"):
        assert line in text
    assert "dynamic_batching" not in text
    assert "graph { level: 2 }" not in (tmp_path / "out/README.md").read_text()
    assert vggexport.check_bundle(BundleCheckOptions(tmp_path / "out")).failures == ()


def test_ort_mobile(pack, models, tmp_path):
    pack(models["tiny_int8.onnx"], output="out", layout="ort-mobile")
    (bundled,) = json.loads((tmp_path / "out/MANIFEST.json").read_text())["artifacts"]
    assert bundled["artifact"]["format"] == "ort"
    assert [step["step"] for step in bundled["lineage"]][-1] == "convert"
    operators = tmp_path / "out/ort-mobile/tiny_int8.required_operators.config"
    assert "QLinearConv" in operators.read_text()
    assert "#" not in operators.read_text()
    report = vggexport.check_bundle(BundleCheckOptions(tmp_path / "out"))
    assert report.failures == ()
    assert report.answers[0].path == "ort-mobile/tiny_int8.ort"


def test_ort_files_have_the_same_bytes_in_every_process(models, tmp_path):
    """ONNX Runtime seeds the order of a table in every process, so there are two."""
    for name in ("one", "other"):
        command = [sys.executable, "-m", "vggexport", "bundle", str(models["tiny_int8.onnx"])]
        command += ["-o", str(tmp_path / name), "--layout", "ort-mobile", "--images", "1"]
        subprocess.run([*command, "--allow-untrained"], check=True, capture_output=True)
    first, second = (
        (tmp_path / name / "ort-mobile/tiny_int8.ort").read_bytes() for name in ("one", "other")
    )
    assert first == second


def test_sessions_of_an_unknown_kind_are_not_put_in_order(tmp_path):
    from vggexport.bundles.layouts.ort_order import order_kernel_types

    builder = flatbuffers.Builder()
    builder.StartObject(5)
    builder.PrependBoolSlot(4, True, False)
    builder.Finish(builder.EndObject(), file_identifier=b"ORTM")
    path = tmp_path / "later.ort"
    path.write_bytes(builder.Output())
    with pytest.raises(ArtifactError, match="version of ONNX Runtime"):
        order_kernel_types(path)
    assert path.read_bytes() == builder.Output()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("batch", [None, 1])
def test_tf_serving(pack, export, tmp_path, batch):
    path = export("float32", batch=batch, format="savedmodel")
    pack(path, output="out", layout="tf-serving")
    root = tmp_path / "out/tf-serving"
    assert (root / path.name / "1/saved_model.pb").is_file()
    assert f'base_path: "/models/{path.name}"' in (root / f"{path.name}.config").read_text()
    assert vggexport.check_bundle(BundleCheckOptions(tmp_path / "out")).failures == ()


@pytest.mark.parametrize("layout", ["triton", "tf-serving", "ort-mobile"])
def test_layouts_refuse_other_formats(pack, models, layout):
    with pytest.raises(InputError, match=f"layout {layout} takes"):
        pack(models["tiny_int8.tflite"], layout=layout)
