"""What changed from one file or bundle to another."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from rich.console import Console

import vggexport
from vggexport.artifact import METADATA_KEY
from vggexport.errors import ArtifactError
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import load_exporter
from vggexport.network.head import fully_connected
from vggexport.network.pictures import Pictures
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing
from vggexport.network.spec import MEAN_RGB
from vggexport.reports import text
from vggexport.reports.difference_tables import headline, summary
from vggexport.reports.markdown.difference import difference
from vggexport.results.diff import DifferenceReport, ModelDifference
from vggexport.workflows.bundle.options import BundleOptions


def shown(report) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(text.difference(report))
    return console.export_text()


@pytest.fixture
def changed(export, tmp_path):
    """A copy of the float32 ONNX file with one kernel value moved."""

    def change(name="fc2/kernel", by=0.5):
        model = onnx.load(export("float32"))
        tensor = next(t for t in model.graph.initializer if t.name == name)
        array = numpy_helper.to_array(tensor).copy()
        array.flat[3] += by
        tensor.CopyFrom(numpy_helper.from_array(array, name))
        path = tmp_path / "changed.onnx"
        onnx.save(model, path)
        return path

    return change


@pytest.fixture
def pack(tmp_path, export):
    def pack(name, *paths, reports=(), **options):
        output = tmp_path / name
        found = BundleOptions(paths, output, reports=tuple(reports), images=2, **options)
        assert vggexport.bundle(found).failures == ()
        return output

    return pack


def test_a_file_and_itself(export):
    path = export("int8")
    report = vggexport.diff(path, path)
    assert report.is_same
    (model,) = report.models
    assert (model.facts, model.layers, model.ranges, model.operators) == ((), (), (), ())
    assert "Nothing changed" in shown(report)
    assert "Nothing changed" in difference(report)


def test_one_changed_value_is_found(export, changed):
    report = vggexport.diff(export("float32"), changed())
    (model,) = report.models
    (layer,) = model.layers
    assert (layer.name, layer.bias_db) == ("fc2", float("inf"))
    assert layer.max_abs == pytest.approx(0.5)
    assert 0 < layer.kernel_db < 60
    assert model.layers_compared == 6
    assert (model.ranges, model.operators) == ((), ())
    assert "weights of 1 of 6 layers changed" in shown(report)


def test_a_changed_bias_and_a_nan_are_found(export, changed):
    (model,) = vggexport.diff(export("float32"), changed("fc1/bias")).models
    assert [(layer.name, layer.kernel_db) for layer in model.layers] == [("fc1", float("inf"))]
    (model,) = vggexport.diff(export("float32"), changed("fc1/kernel", np.nan)).models
    assert [layer.name for layer in model.layers] == ["fc1"]
    assert model.to_json()["layers"][0]["kernel_db"] is None


def test_from_float32_to_int8(export):
    report = vggexport.diff(export("float32"), export("int8"))
    (model,) = report.models
    facts = {fact.name: (fact.old, fact.new) for fact in model.facts}
    assert facts["precision"] == ("float32", "int8")
    assert facts["calibration samples"] == (None, 2)
    assert "weights SHA-256" not in facts
    assert len(model.layers) == 6
    assert all(layer.kernel_db > 30 for layer in model.layers)
    assert {change.name for change in model.ranges} == {
        *("block1_conv1", "block1_conv2", "block2_conv1", "fc1", "fc2"),
    }
    operators = {change.name: (change.old, change.new) for change in model.operators}
    assert operators["QuantizeLinear"][0] == 0
    assert "not quantized" in shown(report)


def test_another_preprocessing_is_named(export, tmp_path):
    """Both fold into the same tensors here: what is stated differs, and one was assumed."""
    paths = []
    for number, one in enumerate((CONVENTIONS["vgg"], CONVENTIONS["caffe"].assumed)):
        paths.append(shutil.copytree(export("float32").parent, tmp_path / str(number)))
        paths[-1] = paths[-1] / export("float32").name
        model = onnx.load(paths[-1])
        kept = next(entry for entry in model.metadata_props if entry.key == METADATA_KEY)
        kept.value = json.dumps(json.loads(kept.value) | {"preprocessing": one.to_json()})
        onnx.save(model, paths[-1])
    report = vggexport.diff(*paths)
    (model,) = report.models
    begin = "preprocessing vgg -> caffe; 1 of 1 models changed: same weights, different prepro"
    assert headline(report).startswith(begin)
    facts = {fact.name: (fact.old, fact.new) for fact in model.facts if "size" not in fact.name}
    assert facts == {
        "preprocessing name": ("vgg", "caffe"),
        "preprocessing channel_order": ("rgb", "bgr"),
        "preprocessing known": (True, False),
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pictures": Pictures("stretch")}, "pictures crop -> stretch; "),
        ({"pictures": Pictures(background=(0, 0, 0))},
         "pictures' background (255, 255, 255) -> (0, 0, 0); "),
        ({"labels": tuple("edcba")}, "labels changed; "),
        ({"pictures": Pictures("pad"), "labels": ()}, "pictures crop -> pad; labels changed; "),
        ({"preprocessing": Preprocessing("vgg", MEAN_RGB, channel_order="bgr")},
         "preprocessing vgg, RGB -> vgg, BGR; "),
        ({"preprocessing": None}, ""),
    ],
)  # fmt: skip
def test_the_head_begins_with_what_happens_before_and_behind_the_network(
    make_request, changes, said
):
    old = replace(make_request("float32").artifact, preprocessing=CONVENTIONS["vgg"], sha256="ab")
    model = ModelDifference(old, replace(old, sha256="cd", **changes), layers_compared=6)
    assert headline(DifferenceReport("a", "b", (model,))).startswith(f"{said}1 of 1 models")
    assert summary(model).startswith(f"{said}same weights")


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((65_682, 51_000), "65.7 kB to 51.0 kB, -22.4%"),
        ((9_300_000, 990_000), "9.3 MB to 990.0 kB, -89.4%"),
    ],
)
def test_sizes_of_small_files_tell_them_apart(make_request, sizes, said):
    artifact = make_request("float32").artifact
    pair = (replace(artifact, size_bytes=size, sha256=f"{size}") for size in sizes)
    assert summary(ModelDifference(*pair, layers_compared=6)).endswith(f"; {said}")


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_onnx_and_tflite_carry_the_same(export, precision):
    report = vggexport.diff(export(precision), export(precision, format="tflite"))
    (model,) = report.models
    assert [c.name for c in model.ranges] == []
    # TFLite's last layer, which writes int16, is the only one whose bias may be rounded otherwise.
    assert {layer.name for layer in model.layers} <= {"predictions"}
    assert {"CONV_2D", "Conv"} <= {change.name for change in model.operators}


def test_a_saved_model(export):
    report = vggexport.diff(export("float32", format="savedmodel"), export("float32"))
    assert report.models[0].layers == ()
    assert report.models[0].layers_compared == 6


def test_bundles(export, pack, changed, tmp_path):
    first = Path(shutil.copyfile(export("float32"), tmp_path / "net.onnx"))
    second = Path(shutil.copyfile(export("int8"), tmp_path / "net_int8.onnx"))
    third = Path(
        shutil.copyfile(export("float32", batch=1, format="tflite"), tmp_path / "n.tflite")
    )

    def reports(top1, p50, folder):
        (tmp_path / folder).mkdir()
        evaluated, measured = tmp_path / folder / "e.json", tmp_path / folder / "b.json"
        row = {"path": "net.onnx", "images": 480, "top1": top1, "top5": None}
        evaluated.write_text(json.dumps({"schema": 1, "results": [row]}))
        row = {"path": "net.onnx", "provider": "CPU", "threads": 2, "batch": 1,
               "latency_ms": {"p50": p50, "p90": None}}  # fmt: skip
        measured.write_text(json.dumps({"schema": 1, "environment": {}, "results": [row]}))
        return evaluated, measured

    old = pack("old.zip", first, second, reports=reports(0.785, 40.0, "r1"), licence="CC BY 4.0")
    shutil.copyfile(changed(by=0.01), first)
    new = pack("new", first, third, reports=reports(0.79, 44.0, "r2"), licence="MIT")
    report = vggexport.diff(old, new)
    assert not report.is_same
    assert [m.new.path for m in report.models] == ["models/net.onnx"]
    assert [artifact.path for artifact in report.removed] == ["models/net_int8.onnx"]
    assert [artifact.path for artifact in report.added] == ["models/n.tflite"]
    assert [(f.name, f.old, f.new) for f in report.facts] == [("licence", "CC BY 4.0", "MIT")]
    figures = {f.name: (f.old, f.new, f.unit) for f in report.models[0].figures}
    assert figures["top-1"] == (pytest.approx(78.5), pytest.approx(79.0), "%")
    assert figures["latency p50"] == (40.0, 44.0, "ms")
    page = difference(report)
    assert "| `top-1` | 480 images | 78.50 % | 79.00 % | +0.50 percentage points |" in page
    conditions = "provider CPU, threads 2, batch 1"
    assert f"| `latency p50` | {conditions} | 40.00 ms | 44.00 ms | +10.0% |" in page
    assert "1 of 1 models changed, 1 removed, 1 added." in shown(report)
    json.dumps(report.to_json(), allow_nan=False)


def test_other_networks_have_no_weights_to_compare(
    export, make_request, tiny, tmp_path, make_weights
):
    other = replace(tiny, hidden=fully_connected(32, 32))
    artifact = replace(make_request("float32").artifact, spec=other)
    path = tmp_path / "other.onnx"
    load_exporter("onnx").export(ExportRequest(artifact, make_weights(other)), path)
    (model,) = vggexport.diff(export("float32"), path).models
    assert (model.layers, model.layers_compared) == ((), 0)
    assert "the layers differ" in model.note
    assert {fact.name for fact in model.facts} >= {"network fc units"}


def test_ort_files_are_not_read(export, pack):
    old = pack("old", export("float32"), layout="ort-mobile")
    new = pack("new", export("int8"), layout="ort-mobile")
    (model,) = vggexport.diff(old, new).models
    assert model.note == "weights and graph of the format ort are not read"
    assert {fact.name for fact in model.facts} >= {"precision"}


def test_what_cannot_be_compared(export, pack, tmp_path):
    bundle = pack("old", export("float32"), export("int8"))
    with pytest.raises(ArtifactError, match="no model of one format and precision"):
        vggexport.diff(bundle, export("float32", format="tflite"))
    (bundle / "labels.txt").write_text("changed")
    with pytest.raises(ArtifactError, match=r"is refused: labels\.txt was changed"):
        vggexport.diff(bundle, bundle)
    with pytest.raises(ArtifactError, match="does not exist"):
        vggexport.diff(tmp_path / "missing.onnx", export("float32"))


def test_models_of_one_kind_are_paired_by_name_first(export, pack, changed, tmp_path):
    """The second keeps its name: it is not what became of the first, which was renamed."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    first, second = (shutil.copyfile(export("float32"), tmp_path / f"old/{n}.onnx") for n in "ab")
    kept = shutil.copyfile(second, tmp_path / "new/b.onnx")
    renamed = shutil.copyfile(changed(), tmp_path / "new/c.onnx")
    report = vggexport.diff(pack("old.zip", first, second), pack("new.zip", kept, renamed))
    assert [(m.old.path, m.new.path, m.is_same_file) for m in report.models] == [
        ("models/a.onnx", "models/c.onnx", False),
        ("models/b.onnx", "models/b.onnx", True),
    ]


def test_latencies_of_two_processors_are_not_set_beside_each_other(export, pack, tmp_path):
    path = Path(shutil.copyfile(export("float32"), tmp_path / "net.onnx"))

    def measured(folder, processor, p50):
        (tmp_path / folder).mkdir()
        row = {"path": "net.onnx", "provider": "CPU", "threads": 2, "batch": 1,
               "latency_ms": {"p50": p50}}  # fmt: skip
        data = {"schema": 1, "environment": {"cpu_model": processor}, "results": [row]}
        (tmp_path / folder / "b.json").write_text(json.dumps(data))
        return [tmp_path / folder / "b.json"]

    old = pack("old.zip", path, reports=measured("r1", "fast", 10.0))
    new = pack("new.zip", path, reports=measured("r2", "slow", 90.0))
    figures = vggexport.diff(old, new).models[0].figures
    conditions = "provider CPU, threads 2, batch 1"
    assert [(f.condition, f.old, f.new) for f in figures] == [
        (f"{conditions}, fast", 10.0, None),
        (f"{conditions}, slow", None, 90.0),
    ]


def test_another_calibration_is_told_from_other_weights(make_request, ranges, tmp_path):
    """Biases are rounded to the step of their layer's input, which calibration gives."""
    for suffix, name, batch in ((".onnx", "onnx", None), (".tflite", "tflite", 1)):
        request = make_request("int8", batch=batch, format=name)
        wider = replace(
            ranges, ranges={n: (1.3 * a, 1.3 * b) for n, (a, b) in ranges.ranges.items()}
        )
        record = replace(request.artifact.calibration, fingerprint="12" * 32)
        artifact = replace(request.artifact, calibration=record)
        paths = [tmp_path / f"{place}{suffix}" for place in ("old", "new")]
        load_exporter(name).export(request, paths[0])
        load_exporter(name).export(ExportRequest(artifact, request.weights, wider), paths[1])
        report = vggexport.diff(*paths)
        (model,) = report.models
        assert len(model.layers) > len(model.changed_layers) == 0
        assert all(0 < layer.bias_steps <= 1.1 for layer in model.layers)
        page = shown(report)
        assert "1 of 1 models changed: same weights, different calibration." in page
        rounded = f"biases of {len(model.layers)} layers rounded to another step"
        assert f"same weights, different calibration; {rounded}; " in summary(model)
        assert ("-inf" in page, " steps" in page) == (False, True)


def test_a_bias_that_was_zero_is_said_to_have_been(export, changed):
    (model,) = vggexport.diff(export("float32"), changed("fc1/bias")).models
    layer = replace(model.layers[0], bias_db=float("-inf"))
    page = difference(DifferenceReport("a", "b", (replace(model, layers=(layer,)),)))
    assert "| exact | was all zero | 0 |" in page


def test_labels_are_those_of_the_bundle(make_request, export, pack, tmp_path):
    """One file carries them, the other was bundled with a list of the same: nothing changed."""
    request = make_request("float32")
    path = tmp_path / "net.onnx"
    load_exporter("onnx").export(
        ExportRequest(replace(request.artifact, labels=()), request.weights), path
    )
    names = tmp_path / "names.txt"
    names.write_text("ant\nbee\ncat\ndog\neel\n")
    (tmp_path / "named").mkdir()
    named = Path(shutil.copyfile(export("float32"), tmp_path / "named/net.onnx"))
    report = vggexport.diff(pack("old", path, labels=names), pack("new", named))
    assert {fact.name for fact in report.models[0].facts} <= {"size in bytes"}
    assert report.facts == ()
