"""Graphs as the converter gave them, kept in the user's cache.

They are kilobytes, and with one of them an ONNX file is written without TensorFlow: 3 seconds and
0.4 GiB of each run. What is kept is what the converter gave, so that every use of it is compared
with the spec layer by layer as a new one is. An entry that is damaged, or that other versions of
TensorFlow, Keras, tf2onnx or of our own converter made, is not used.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from vggexport.network.spec import VGGSpec
from vggexport.system.lazy_imports import load
from vggexport.system.output_files import write_whole
from vggexport.system.process import package_versions
from vggexport.system.user_cache import user_cache

_CONVERTER = "vggexport.formats.onnx.converter"
_MADE_BY = ("tensorflow", "keras", "tf2onnx")
_SOURCES = ("formats/onnx/converter.py", "formats/keras/model.py")


def symbol(tensor_name: str) -> str:
    """A weight's name while it is traced: TensorFlow takes "/" for a scope."""
    return tensor_name.replace("/", "__")


@cache
def converted(spec: VGGSpec, opset: int) -> onnx.ModelProto:
    """The converter's graph, from the cache or made now.

    Raises:
        Unavailable: It is not in the cache, and TensorFlow or tf2onnx is not installed.
    """
    place = entry(user_cache("graphs"), spec, opset)
    if found := read(place):
        return found
    model: onnx.ModelProto = load({"converter": f"{_CONVERTER}:convert"}, "converter")(spec, opset)
    save(place, model)
    return model


def entry(folder: Path, spec: VGGSpec, opset: int) -> Path:
    """Where a graph is kept."""
    key = json.dumps([spec.to_json(), opset], sort_keys=True).encode()
    return folder / f"{hashlib.sha256(key).hexdigest()[:32]}.graph"


def read(place: Path) -> onnx.ModelProto | None:
    """The graph that was kept there; None where it is missing, damaged, or made by others."""
    try:
        head, _, body = place.read_bytes().partition(b"\n")
        told = json.loads(head)
        is_other = any(told.get(name) != version for name, version in _makers().items())
        if told["sha256"] != _digest(place, body) or is_other:
            return None
        model = onnx.ModelProto()
        model.ParseFromString(body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DecodeError):
        return None
    return model


def save(place: Path, model: onnx.ModelProto) -> None:
    """Keeps a graph; where the cache cannot be written it is made again next time."""
    body = model.SerializeToString(deterministic=True)
    head = {**_makers(), "sha256": _digest(place, body)}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, json.dumps(head).encode() + b"\n" + body)
    except OSError:
        return


def _digest(place: Path, body: bytes) -> str:
    """Of a graph and of the network that it is kept for, so that it serves no other."""
    return hashlib.sha256(place.name.encode() + body).hexdigest()


def _makers() -> dict[str, str]:
    """What a graph depends on beside the network: versions, and the source of our own part."""
    versions = package_versions()
    package = Path(__file__).parents[2]
    ours = hashlib.sha256(b"".join((package / name).read_bytes() for name in _SOURCES))
    return {name: versions[name] for name in _MADE_BY if name in versions} | {
        "converter": ours.hexdigest()
    }
