"""JSON Schemas are made of the results' types. That outputs keep to them, their own tests show."""

import pytest
from jsonschema import Draft202012Validator

from vggexport.cli.group import COMMANDS, main
from vggexport.errors import InputError
from vggexport.results.schemas import DOCUMENTS, json_schema


def test_every_command_with_json_has_one():
    with_json = [
        name
        for name in COMMANDS
        if "json" in {parameter.name for parameter in main.get_command(None, name).params}
    ]
    assert list(DOCUMENTS) == with_json


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_is_a_schema_that_names_everything_it_refers_to(name):
    schema = json_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"JSON of vggexport {name}"
    assert schema["properties"]["schema"] == {"const": 1}
    references = {part["$ref"] for part in parts(schema) if "$ref" in part}
    assert references == {f"#/$defs/{name}" for name in schema["$defs"]}


def parts(schema):
    if isinstance(schema, dict):
        yield schema
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict | list):
            yield from parts(part)


def test_types_are_those_of_the_results():
    schema = json_schema("verify")
    layer = schema["$defs"]["LayerParity"]
    assert layer["properties"]["sqnr_db"] == {"type": ["number", "null"]}
    assert layer["required"] == ["name", "sqnr_db", "max_abs"]
    candidate = schema["$defs"]["CandidateReport"]["properties"]
    assert candidate["precision"]["enum"][0] == "float32"
    assert candidate["layers"]["items"] == {"$ref": "#/$defs/LayerParity"}
    assert candidate["diagnosis"]["anyOf"] == [{"$ref": "#/$defs/Diagnosis"}, {"type": "null"}]
    assert candidate["passed"]["type"] == "boolean"
    assert schema["properties"]["seconds"]["additionalProperties"] == {"type": "number"}


def test_intervals_have_two_ends():
    interval, none = json_schema("train")["properties"]["validation_accuracy_ci95"]["anyOf"]
    assert none == {"type": "null"}  # of images without classes
    assert (interval["minItems"], interval["items"]) == (2, False)
    assert interval["prefixItems"] == [{"type": "number"}] * 2


def test_a_batch_is_a_number_or_dynamic():
    batch = json_schema("onnx")["$defs"]["Artifact"]["properties"]["batch"]
    assert batch["anyOf"] == [{"type": "integer"}, {"const": "dynamic"}]


def test_keys_are_described_as_the_code_does():
    reference = json_schema("verify")["properties"]["reference"]["properties"]
    assert reference["provider"]["description"] == "What that computed on."


def test_what_is_left_out_is_not_required():
    schema = json_schema("summary")
    assert schema["properties"].keys() - schema["required"] == {"training", "preprocessing"}
    assert "Recipe" in schema["$defs"]


def test_a_command_that_writes_none_is_refused():
    with pytest.raises(InputError, match="did you mean 'verify'"):
        json_schema("veryfy")
