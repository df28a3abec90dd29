"""Whatever version 0.1.0 wrote is read, verified, compared and written again by this one."""

import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as tflite
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from safetensors.numpy import load_file

from vggexport.cli import main
from vggexport.workflows.benchmark import run as benchmark_run
from vggexport.workflows.benchmark.peak_throughput import measure_peak_throughput

CORPUS = Path(__file__).parent / "0.1.0"
MODELS = {
    "models/vgg_d.onnx": "export",
    "models/vgg_d_float16.onnx": "export",
    "models/vgg_d_int8.onnx": "export",
    "models/vgg_d_int8-w4.onnx": "export",
    "models/vgg_d.tflite": "export",
    "models/vgg_d_float16.tflite": "export",
    "models/vgg_d_dynamic-int8.tflite": "export",
    "models/vgg_d_int8.tflite": "export",
    "models/vgg_d_int8-w4.tflite": "export",
    "models/vgg_d_saved_model": "export",
    "variants/uint8.onnx": "onnx",
    "variants/full_integer.tflite": "tflite",
    "variants/serving/1": "savedmodel",
}
"""By path, with the line that wrote it."""
DESCRIPTION = "vggexport.artifact"
"""Name of what model files say of themselves."""
VERSIONS = {
    "vggexport": "0.1.0", "tensorflow": "2.21.0", "keras": "3.15.1", "tf2onnx": "1.17.0",
    "onnx": "1.23.2", "onnxruntime": "1.32.0", "ai-edge-litert": "2.3.0", "numpy": "2.4.6",
}  # fmt: skip
"""Of the packages that made the corpus, as its files say."""
OUTPUTS = ("-o", "--save-golden")
STABLE = (
    "summary", "inspect-onnx", "inspect-tflite", "inspect-savedmodel", "diff", "diff-bundles",
)  # fmt: skip
"""Documents with nothing measured in them but what is in MEASURED."""
MEASURED = {"seconds", "peak_rss_bytes"}
INT4_VERSION = 14
"""Of FULLY_CONNECTED, in TFLite files with int4 weights."""

ADDED = frozenset(
    {
        ".preprocessing",
        ".symmetric",
        *(f".preprocessing.{key}" for key in ("mean_rgb", "std_rgb", "channel_order")),
        *(".preprocessing.name", ".preprocessing.known"),
        ".pictures",
        *(f".pictures.{key}" for key in ("resize", "resize_to", "interpolation", "ignore_exif")),
        *(f".pictures.{key}" for key in ("background", "bit_depth", "known")),
        *(".spec.hidden_relu", ".spec.last_pooling", ".spec.pooling", ".spec.head_activation"),
    }
)
"""What later versions say of a model file besides, as ``.spec.pooling``; all else is as it was."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of ``commands.sh``: what stands behind ``vggexport``, and how it ended."""

    arguments: tuple[str, ...]
    code: int

    def written(self, folder: Path) -> list[Path]:
        """Files and folders that it wrote there beside the JSON, and what lies beside them."""
        pairs = zip(self.arguments, self.arguments[1:], strict=False)
        outputs = (Path(value).with_suffix("") for option, value in pairs if option in OUTPUTS)
        return [path for output in outputs for path in folder.glob(f"{output}*")]


def read_lines() -> dict[str, Line]:
    lines = {}
    for written in (CORPUS / "commands.sh").read_text("utf-8").splitlines():
        command, into, rest = written.partition(" > json/")
        if into:
            name, _, allowed = rest.partition(".json")
            lines[name] = Line(tuple(shlex.split(command)[1:]), 1 if allowed else 0)
    return lines


LINES = read_lines()
"""By the name of the JSON document that each wrote."""


@dataclass(frozen=True, slots=True)
class Again:
    """A line that was run again: how it ended, and the folder with what it wrote."""

    result: Result
    folder: Path

    @property
    def json(self) -> Any:
        return json.loads(self.result.stdout)


def run(*arguments: object) -> Result:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def old_document(name: str) -> Any:
    return json.loads((CORPUS / "json" / f"{name}.json").read_bytes())


@pytest.fixture(autouse=True, scope="module")
def clean_environment() -> Iterator[None]:
    """No variable of the machine that the command line depends on."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("VGGEXPORT_")]:
            patch.delenv(name)
        yield


@pytest.fixture(autouse=True, scope="module")
def ceilings_once() -> Iterator[None]:
    """What the machine can do at most is measured, once: it takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark_run, "measure_peak_throughput", cache(measure_peak_throughput))
        yield


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A copy of the corpus, which is the working folder."""
    copy = shutil.copytree(CORPUS, tmp_path / "corpus")
    monkeypatch.chdir(copy)
    return copy


def version(name: str, _installed: Callable[[str], str] = metadata.version) -> str:
    return VERSIONS[name] if name in VERSIONS else _installed(name)


@pytest.fixture(scope="module")
def again(tmp_path_factory) -> Callable[[str], Again]:
    """(name of a JSON document) -> its line, run once in a copy that lacks what the line wrote.

    It names the packages that made the corpus, since their versions are in every file.
    """
    private_key = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

    @cache
    def repeat(name: str) -> Again:
        copy = shutil.copytree(CORPUS, tmp_path_factory.mktemp(name) / "corpus")
        for path in LINES[name].written(copy):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (copy / "key.pem").write_bytes(private_key)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(copy)
            patch.setattr(metadata, "version", version)
            return Again(run(*LINES[name].arguments), copy)

    return repeat


def key_paths(document: Any, path: str = "") -> Iterator[str]:
    """Every key of a JSON document with those that lead to it, as ``.results[].latency_ms.p50``."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield f"{path}.{key}"
            yield from key_paths(value, f"{path}.{key}")
    elif isinstance(document, list):
        for value in document:
            yield from key_paths(value, f"{path}[]")


def changes(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Where ``new`` does not say what ``old`` does; further keys are no change."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() - MEASURED:
            yield from changes(old[key], new.get(key), f"{path}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from changes(one, other, f"{path}[{number}]")
    elif old != new:
        yield f"{path} was {old!r} and is {new!r}"


def bytes_written(name: str, folder: Path) -> dict[str, bytes]:
    """What a line wrote there, by path."""
    files = (f for path in LINES[name].written(folder) for f in (path, *path.rglob("*")))
    return {str(f.relative_to(folder)): f.read_bytes() for f in files if f.is_file()}


def apart(path: str, data: bytes) -> tuple[Any, bytes]:
    """A file's description, and all else in it."""
    match Path(path).suffix:
        case ".onnx":
            model = onnx.ModelProto.FromString(data)
            (entry,) = (e for e in model.metadata_props if e.key == DESCRIPTION)
            told, entry.value = entry.value, ""
            return json.loads(told), model.SerializeToString(deterministic=True)
        case ".tflite":
            model = tflite.ModelT.InitFromPackedBuf(data, 0)
            (entry,) = (e for e in model.metadata if e.name == DESCRIPTION.encode())
            told, model.buffers[entry.buffer].data = model.buffers[entry.buffer].data, None
            if model.metadata[-1].name == b"min_runtime_version":  # which 0.1.0 did not say
                assert model.metadata.pop().buffer == len(model.buffers) - 1
                model.buffers.pop()
            for used in model.operatorCodes:  # 0.1.0 claimed less than int4 weights need
                is_matrix = used.builtinCode == tflite.BuiltinOperator.FULLY_CONNECTED
                used.version = 1 if is_matrix and used.version == INT4_VERSION else used.version
            builder = flatbuffers.Builder()
            builder.Finish(model.Pack(builder))
            return json.loads(bytes(told)), bytes(builder.Output())
        case ".json":  # beside the file it has its size and digest, too
            return json.loads(data) | {"size_bytes": None, "sha256": None}, b""
    return {}, data


def test_every_command_is_in_it():
    assert {line.arguments[0] for line in LINES.values()} >= {
        *("summary", "savedmodel", "onnx", "tflite", "export", "calibrate", "inspect", "verify"),
        *("benchmark", "evaluate", "train", "bundle", "check-bundle", "diff"),
    }


@pytest.mark.parametrize("name", LINES)
def test_no_key_is_renamed_or_gone_or_in_another_place(name, again):
    done = again(name)
    assert done.result.exit_code == LINES[name].code, done.result.stderr
    old, new = (list(dict.fromkeys(key_paths(d))) for d in (old_document(name), done.json))
    assert set(old) - set(new) == set()
    assert [path for path in new if path in old] == old


def declared(document: Any, schema: Any, definitions: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects of a document, each with its keys that the schema requires, once a list."""
    schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    for choice in schema.get("anyOf", ()):
        yield from declared(document, choice, definitions)
    if isinstance(document, dict) and "properties" in schema:
        for key in schema["required"]:
            yield document, key
            yield from declared(document[key], schema["properties"][key], definitions)
    elif isinstance(document, list) and document and isinstance(schema.get("items"), dict):
        yield from declared(document[0], schema["items"], definitions)


@pytest.mark.parametrize("name", LINES)
def test_a_document_is_as_its_schema_says(name, again, closed_schema):
    validator, document = closed_schema(LINES[name].arguments[0]), again(name).json
    validator.validate(document)
    keys = list(declared(document, validator.schema, validator.schema["$defs"]))
    assert len(keys) > len(document)
    for owner, key in keys:
        value = owner.pop(key)
        assert not validator.is_valid(document), f"without {key} of {list(owner)}"
        owner[key] = value


@pytest.mark.parametrize("name", STABLE)
def test_a_document_says_the_same(name, again):
    assert list(changes(old_document(name), again(name).json)) == []


@pytest.mark.parametrize("name", dict.fromkeys(MODELS.values()))
def test_the_same_weights_and_ranges_give_the_same_bytes(name, again):
    old, new = bytes_written(name, CORPUS), bytes_written(name, again(name).folder)
    assert new.keys() == old.keys()
    for path in [path for path, data in old.items() if new[path] != data]:
        assert ADDED, f"{path} has other bytes"
        (told, rest), (tells, other) = apart(path, old[path]), apart(path, new[path])
        assert list(changes(told, tells)) == [], path
        assert set(key_paths(tells)) - set(key_paths(told)) <= ADDED, path
        assert rest == other, path


@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_described_as_it_was(model, folder):
    outcome = run("inspect", model, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    old = json.loads(Path(f"{model}.json").read_bytes())
    assert list(changes(old, json.loads(outcome.stdout)["artifact"])) == []


@pytest.mark.usefixtures("folder")
def test_all_models_agree_with_the_weights_and_with_the_golden_file():
    for arguments in (("weights.safetensors", "--data", "images"), ("--golden", "golden.npz")):
        outcome = run("verify", *arguments, *MODELS, "--json")
        assert outcome.exit_code == 0, outcome.stderr
        document = json.loads(outcome.stdout)
        assert [candidate["path"] for candidate in document["candidates"]] == list(MODELS)


@pytest.mark.parametrize(("model", "name"), MODELS.items())
def test_old_and_new_models_are_the_same_to_diff(model, name, again):
    outcome = run("diff", CORPUS / model, again(name).folder / model, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    (difference,) = json.loads(outcome.stdout)["models"]
    assert {fact["name"] for fact in difference["facts"]} <= {"size in bytes"}  # by what is ADDED
    assert (difference["layers"], difference["ranges"], difference["operators"]) == ([], [], [])
    assert difference["layers_compared"] or difference["same_file"]


def test_an_old_report_is_a_baseline(again, folder):
    """It is refused on another machine, or with another runtime: it is given those of this one."""
    old, new = old_document("benchmark"), again("benchmark").json
    old["environment"] = new["environment"]
    runtimes = {result["path"]: result["runtime"] for result in new["results"]}
    for result in old["results"]:
        result["runtime"] = runtimes[result["path"]]
    Path("old.json").write_text(json.dumps(old))
    options = ("--threads", "1", "--runs", "4", "--duration", "0", "--launches", "1", "--json")
    outcome = run("benchmark", "models/vgg_d_int8.onnx", "--baseline", "old.json", *options)
    assert outcome.exit_code in {0, 1}, outcome.stderr
    gate = json.loads(outcome.stdout)["gate"]
    assert [gated["path"] for gated in gate["results"]] == ["models/vgg_d_int8.onnx"]


@pytest.mark.usefixtures("folder")
def test_an_interrupted_training_goes_on_to_the_same_weights():
    *options, output, _ = (a for a in LINES["train"].arguments if a != "--json")
    outcome = run(*options, output, "interrupted.safetensors", "--resume", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert "epoch 1 of 10" not in outcome.stderr
    assert "epoch 10 of 10" in outcome.stderr
    resumed, old = load_file("interrupted.safetensors"), load_file("weights.safetensors")
    assert resumed.keys() == old.keys()
    for name, array in old.items():
        np.testing.assert_allclose(resumed[name], array, atol=1e-5)
