"""Graphs that are kept are used when they are whole and of this converter, and at no other time."""

import json
from dataclasses import replace

import onnx
import pytest

from vggexport.errors import Unavailable
from vggexport.formats.onnx import converted_graphs
from vggexport.formats.onnx.converted_graphs import converted, entry, read, save
from vggexport.formats.onnx.converter import convert


@pytest.fixture(scope="module")
def graph(tiny) -> onnx.ModelProto:
    return convert(tiny, 17)


@pytest.fixture
def place(tiny, graph, tmp_path):
    kept = entry(tmp_path, tiny, 17)
    save(kept, graph)
    return kept


@pytest.fixture
def conversions(monkeypatch, graph, tmp_path):
    """How often the converter is asked, from a cache of one's own."""
    asked = []
    monkeypatch.setattr(converted_graphs, "user_cache", lambda part: tmp_path)
    monkeypatch.setattr(converted_graphs, "load", lambda *_: lambda *k: asked.append(k) or graph)
    converted.cache_clear()
    yield asked
    converted.cache_clear()


def test_what_is_kept_is_what_the_converter_gave(place, graph):
    assert read(place) == graph
    assert place.stat().st_size < 50_000


def test_a_process_that_finds_it_converts_nothing(tiny, place, conversions):
    assert (converted(tiny, 17).graph.node[0].op_type, conversions) == ("Sub", [])


@pytest.mark.parametrize("where", [3, 40, -1])
def test_a_damaged_entry_is_made_again(tiny, place, conversions, where, graph):
    data = bytearray(place.read_bytes())
    data[where] ^= 1
    place.write_bytes(bytes(data))
    assert converted(tiny, 17) == graph
    assert len(conversions) == 1
    assert read(place) == graph  # and kept


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"[]\nx", b"null\n", b"\xff\n\xff"])
def test_what_is_no_entry_is_not_read(place, content):
    place.write_bytes(content)
    assert read(place) is None


def test_an_entry_of_another_network_is_not_read(tiny, place, tmp_path):
    other = entry(tmp_path, replace(tiny, classes=6), 17)
    other.write_bytes(place.read_bytes())
    assert read(other) is None


@pytest.mark.parametrize("name", ["tf2onnx", "keras", "tensorflow", "converter"])
def test_an_entry_of_other_versions_is_not_read(place, name):
    head, _, body = place.read_bytes().partition(b"\n")
    told = json.loads(head) | {name: "0.1"}
    place.write_bytes(json.dumps(told).encode() + b"\n" + body)
    assert read(place) is None


def test_where_there_is_no_converter_an_entry_serves(place, graph, monkeypatch):
    monkeypatch.setattr(converted_graphs, "package_versions", lambda: {"numpy": "2"})
    assert read(place) == graph


def test_without_an_entry_and_a_converter_the_package_is_named(tiny, monkeypatch, tmp_path):
    def refuse(*_):
        raise Unavailable("tf2onnx is not installed")

    monkeypatch.setattr(converted_graphs, "user_cache", lambda part: tmp_path)
    monkeypatch.setattr(converted_graphs, "load", refuse)
    converted.cache_clear()
    with pytest.raises(Unavailable, match="tf2onnx"):
        converted(tiny, 17)


def test_a_cache_that_cannot_be_written_is_no_error(tiny, graph, tmp_path):
    (tmp_path / "file").touch()
    save(entry(tmp_path / "file", tiny, 17), graph)
