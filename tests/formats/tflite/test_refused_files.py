"""Files that LiteRT cannot run as ours: each is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.written_anew import write_anew
from vggexport.errors import ArtifactError
from vggexport.formats.tflite.runner import TfliteRunner


def open_it(path: Path) -> None:
    with TfliteRunner(path):
        pass


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_file_that_is_cut_is_refused_in_one_line(tflite, tmp_path, precision, capfd):
    data = tflite(precision).read_bytes()
    path = tmp_path / "broken.tflite"
    for size in (*range(0, len(data) - 400, 997), data.index(b"PK\x03\x04") - 1):
        write_anew(path, data[:size])
        with pytest.raises(ArtifactError, match=r"broken\.tflite is") as raised:
            open_it(path)
        assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.tflite", tmp_path):
        with pytest.raises(ArtifactError, match=f"{path} cannot be read"):
            open_it(path)


@pytest.mark.parametrize(("end", "name"), [("inputs", b"pixels"), ("outputs", b"scores")])
def test_a_foreign_model_is_refused(tflite, edited, end, name):
    def rename(model):
        getattr(model.signatureDefs[0], end)[0].name = name

    path = edited(tflite(), rename)
    with pytest.raises(ArtifactError, match="does not map images to probabilities: not made by"):
        open_it(path)


def test_a_model_with_a_second_input_is_refused(tflite, edited):
    def add(model):
        extra = schema.TensorMapT()
        extra.name, extra.tensorIndex = b"mask", 0
        model.signatureDefs[0].inputs.append(extra)

    with pytest.raises(ArtifactError, match="does not map images to probabilities"):
        open_it(edited(tflite(), add))


def test_a_file_without_our_metadata_is_read_as_another_converters(
    tflite, edited, images, expected
):
    def without(model):
        model.metadata = None

    with TfliteRunner(edited(tflite(), without)) as runner:
        np.testing.assert_allclose(
            runner.predict(images), expected["probabilities"], rtol=0, atol=1e-6
        )
        assert runner.artifact.foreign
        names = [name for name in expected if name != "mean_subtraction"]
        found = runner.activations(images, names)
        with pytest.raises(ArtifactError, match="has no layer mean_subtraction: it has"):
            runner.activations(images, ["mean_subtraction"])
    for name in names:
        limit = 1e-5 * np.abs(expected[name]).max()
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=limit, err_msg=name)


def custom(model):
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = b"Lambda"


def enormous(model):
    model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]].shape = [1 << 20, 1 << 20]
    model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]].shapeSignature = None


def second_input(model):
    model.subgraphs[0].inputs = [*model.subgraphs[0].inputs, 0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (custom, "it has the custom operator Lambda"),
        (enormous, "probabilities has 8,796,093,022,208 bytes, above"),
        (second_input, "it has 2 inputs"),
    ],
)
def test_a_file_of_another_converter_that_is_not_run_is_refused(tflite, edited, change, reason):
    def foreign(model):
        model.metadata = None
        change(model)

    with pytest.raises(ArtifactError, match=reason) as raised:
        open_it(edited(tflite(), foreign))
    assert "\n" not in str(raised.value)


def test_an_operator_that_litert_does_not_know_is_refused_in_one_line(tflite, edited, capfd):
    def raise_version(model):
        model.operatorCodes[0].version = 99

    path = edited(tflite(), raise_version)
    with pytest.raises(ArtifactError, match=r"LiteRT cannot run .*version '99'") as raised:
        open_it(path)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
