"""Downloads from a server on the loopback interface that can be told to misbehave."""

import errno
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from vggexport.errors import Unavailable, Unfinished, WeightsError
from vggexport.network.spec import VGGSpec
from vggexport.system.user_cache import user_cache
from vggexport.weights import SpecRequest, download, imagenet, imagenet_labels, open_weights
from vggexport.weights.download import RemoteFile, fetch

CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Server(ThreadingHTTPServer):
    """Serves ``content`` at every path and keeps the headers of the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.ranges = True
        self.status: int | None = None
        self.refuse_ranges = False
        self.location: str | None = None
        self.cut_at: int | None = None
        self.requests: list[dict[str, str]] = []

    def remote(self) -> RemoteFile:
        return RemoteFile(
            f"http://127.0.0.1:{self.server_port}/models/vgg.h5",
            len(CONTENT),
            hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(),
        )


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers))
        start = self._start()
        content = self.server.content
        if self.server.location:
            self._head(302, 0, Location=self.server.location)
        elif self.server.status or (start and self.server.refuse_ranges):
            self._head(self.server.status or 416, 0)
        elif start and self.server.ranges:
            last = len(content) - 1
            span = f"bytes {start}-{last}/{len(content)}"
            self._head(206, len(content) - start, **{"Content-Range": span})
            self.wfile.write(content[start : self.server.cut_at])
        else:
            self._head(200, len(content))
            self.wfile.write(content[: self.server.cut_at])

    def _start(self) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_arguments) -> None:
        """Says nothing."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def leave_part(cache: Path, content: bytes) -> Path:
    cache.mkdir()
    part = cache / "vgg.h5.part"
    part.write_bytes(content)
    return part


def test_a_whole_download(server, cache):
    calls = []
    path = fetch(server.remote(), cache, lambda done, total: calls.append((done, total)))

    assert path == cache / "vgg.h5"
    assert path.read_bytes() == CONTENT
    assert list(cache.iterdir()) == [path]
    assert calls == [(1 << 20, 3_000_000), (2 << 20, 3_000_000), (3_000_000, 3_000_000)]
    assert "Range" not in server.requests[0]
    assert server.requests[0]["User-Agent"].startswith("vggexport")


def test_the_second_time_nothing_is_fetched(server, cache):
    fetch(server.remote(), cache)
    fetch(server.remote(), cache)
    assert len(server.requests) == 1


def test_goes_on_where_it_broke_off(server, cache):
    leave_part(cache, CONTENT[:1000])
    assert fetch(server.remote(), cache).read_bytes() == CONTENT
    assert [request["Range"] for request in server.requests] == ["bytes=1000-"]


def test_a_complete_part_is_only_checked(server, cache):
    leave_part(cache, CONTENT)
    assert fetch(server.remote(), cache).read_bytes() == CONTENT
    assert server.requests == []


def test_starts_over_where_the_server_knows_no_ranges(server, cache):
    server.ranges = False
    leave_part(cache, b"x" * 1000)
    assert fetch(server.remote(), cache).read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_starts_over_where_the_server_refuses_the_range(server, cache):
    server.refuse_ranges = True
    leave_part(cache, b"x" * 1000)
    assert fetch(server.remote(), cache).read_bytes() == CONTENT
    assert [request.get("Range") for request in server.requests] == ["bytes=1000-", None]


def test_starts_over_where_the_part_is_too_long(server, cache):
    leave_part(cache, b"x" * (len(CONTENT) + 1))
    assert fetch(server.remote(), cache).read_bytes() == CONTENT
    assert "Range" not in server.requests[0]


def test_a_changed_file_is_fetched_from_its_beginning_and_refused(server, cache):
    server.content = CONTENT + b"more"
    part = leave_part(cache, CONTENT[:1000])
    with pytest.raises(WeightsError, match="more than the published 3000000 bytes"):
        fetch(server.remote(), cache)
    assert [request.get("Range") for request in server.requests] == ["bytes=1000-", None]
    assert not part.exists()


def test_a_transfer_that_breaks_off_is_kept_and_resumed(server, cache):
    server.cut_at = 1_500_000
    with pytest.raises(Unfinished, match="broke off after 1500000 of 3000000 bytes: run again"):
        fetch(server.remote(), cache)
    assert (cache / "vgg.h5.part").read_bytes() == CONTENT[:1_500_000]
    assert not (cache / "vgg.h5").exists()

    server.cut_at = None
    assert fetch(server.remote(), cache).read_bytes() == CONTENT
    assert server.requests[1]["Range"] == "bytes=1500000-"


def test_a_connection_that_fails_in_between(server, cache, monkeypatch):
    def reset(_self, _size):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr("http.client.HTTPResponse.read", reset)
    with pytest.raises(Unfinished, match="broke off after 0 of 3000000 bytes"):
        fetch(server.remote(), cache)


def test_tampered_content_is_deleted(server, cache):
    server.content = b"x" + CONTENT[1:]
    actual = hashlib.md5(server.content, usedforsecurity=False).hexdigest()
    with pytest.raises(WeightsError, match=f"MD5 {actual}, expected {server.remote().md5}"):
        fetch(server.remote(), cache)
    assert list(cache.iterdir()) == []


def test_a_damaged_part_is_found_out_and_deleted(server, cache):
    leave_part(cache, b"x" * 1000)
    with pytest.raises(WeightsError, match="run again to fetch it again"):
        fetch(server.remote(), cache)
    assert list(cache.iterdir()) == []
    assert fetch(server.remote(), cache).read_bytes() == CONTENT


@pytest.mark.parametrize("damaged", [b"x" + CONTENT[1:], CONTENT[:-1], b""])
def test_a_damaged_cache_is_fetched_again(server, cache, damaged):
    path = fetch(server.remote(), cache)
    path.write_bytes(damaged)
    assert fetch(server.remote(), cache).read_bytes() == CONTENT
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_does_not_give_the_file(server, cache, status):
    server.status = status
    with pytest.raises(Unavailable, match=f"answered {status} .*pass weights FILE"):
        fetch(server.remote(), cache)


def test_no_network(server, cache):
    remote = server.remote()
    server.server_close()
    with pytest.raises(Unavailable) as caught:
        fetch(remote, cache)
    assert remote.url in str(caught.value)
    assert "pass weights FILE" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://example.org/vgg.h5", "ftp://127.0.0.1/vgg.h5", "file:///vgg.h5", "vgg.h5"]
)
def test_only_https_leaves_this_machine(cache, url):
    with pytest.raises(WeightsError, match="over HTTPS only"):
        fetch(RemoteFile(url, 1, "0"), cache)
    assert not cache.exists()


def test_a_redirection_to_plain_http_is_refused(server, cache):
    server.location = "http://example.org/vgg.h5"
    with pytest.raises(WeightsError, match=r"http://example\.org/vgg\.h5 is not an https"):
        fetch(server.remote(), cache)


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "cannot be used")]
)
def test_a_disk_that_takes_nothing(server, cache, monkeypatch, number, says):
    def refuse(*_arguments, **_options):
        raise OSError(number, "no")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(Unfinished, match=says):
        fetch(server.remote(), cache)


@pytest.fixture
def published(tmp_path, server, monkeypatch, cache) -> RemoteFile:
    """A file of Keras' layout for D, a few kilobytes since its zeros are never written out."""
    spec = VGGSpec.named("D", classes=10, fc_units=(8, 8), input_size=(32, 32))
    path = tmp_path / "published.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name for layer in spec.weighted_layers]
        for layer in spec.weighted_layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = ["kernel:0", "bias:0"]
            group.create_dataset("kernel:0", layer.kernel.shape, "f4")
            group.create_dataset("bias:0", layer.bias.shape, "f4")
    server.content = path.read_bytes()
    digest = hashlib.md5(server.content, usedforsecurity=False).hexdigest()
    remote = RemoteFile(server.remote().url, len(server.content), digest)
    monkeypatch.setattr(imagenet, "KERAS_VGG16", remote)
    monkeypatch.setenv("VGGEXPORT_CACHE_DIR", str(cache))
    return remote


def test_imagenet_is_fetched_once_and_opened(published, server, cache):
    weights = open_weights("imagenet", SpecRequest(input_size=(32, 32)))
    assert (weights.source, weights.layout, weights.trained) == ("imagenet", "keras", True)
    assert weights.spec == VGGSpec.named("D", classes=10, fc_units=(8, 8), input_size=(32, 32))
    assert weights.sha256 == hashlib.sha256(server.content).hexdigest()
    assert weights["block1_conv1/kernel"].shape == (3, 3, 3, 64)
    open_weights("imagenet", SpecRequest(input_size=(32, 32)), sha256=weights.sha256)
    assert len(server.requests) == 1
    with pytest.raises(WeightsError, match="the pin is"):
        open_weights("imagenet", SpecRequest(input_size=(32, 32)), sha256="0" * 64)


@pytest.fixture
def class_index(server, monkeypatch, cache):
    """ImageNet's list at an address of its own, in the place of the published one."""
    index = {str(number): [f"n{number:08}", f"name {number}"] for number in range(1000)}
    content = json.dumps(index).encode()
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(imagenet_labels, "CLASS_INDEX_URL", server.remote().url + ".json")
    monkeypatch.setattr(imagenet_labels, "CLASS_INDEX_MD5", digest)
    monkeypatch.setenv("VGGEXPORT_CACHE_DIR", str(cache))
    server.content = content
    return content


def test_imagenets_labels_are_fetched_once(class_index, server, cache):
    assert imagenet_labels.cached_labels() == ()
    labels = imagenet_labels.fetch_labels()
    assert (len(labels), labels[999]) == (1000, "n00000999 name 999")
    assert imagenet_labels.fetch_labels() == imagenet_labels.cached_labels() == labels
    assert len(server.requests) == 1
    assert [path.name for path in cache.iterdir()] == ["vgg.h5.json"]


@pytest.mark.parametrize("content", [b"{}", b"x" * (1 << 20)])
def test_another_list_than_the_published_one_is_refused(class_index, server, cache, content):
    server.content = content
    with pytest.raises(WeightsError, match="not the file that was published"):
        imagenet_labels.fetch_labels()
    assert list(cache.iterdir()) == []


def test_weights_without_their_labels_are_noted(class_index, server):
    weights = SimpleNamespace(labels=(), notes=())
    imagenet._name_classes(weights)
    assert weights.labels[0] == "n00000000 name 0"
    for path in user_cache().iterdir():
        path.unlink()
    server.status = 404
    weights = SimpleNamespace(labels=(), notes=())
    imagenet._name_classes(weights)
    assert weights.labels == ()
    assert "names of ImageNet's classes are not available" in weights.notes[0]
    assert "404" in weights.notes[0]


def test_imagenet_is_of_configuration_d(tiny):
    for request in (SpecRequest("E"), tiny):
        with pytest.raises(WeightsError, match="imagenet weights are of configuration D, not"):
            open_weights("imagenet", request)


def test_imagenet_takes_no_argument():
    with pytest.raises(WeightsError, match="imagenet takes nothing after it"):
        open_weights("imagenet:1", SpecRequest())


def test_a_download_has_a_time_limit(server, cache, monkeypatch):
    seen = []
    build = download.urllib.request.build_opener

    def spy(*handlers):
        opener = build(*handlers)
        original = opener.open
        opener.open = lambda request, timeout: (seen.append(timeout), original(request))[1]
        return opener

    monkeypatch.setattr(download.urllib.request, "build_opener", spy)
    fetch(server.remote(), cache)
    assert seen == [download.TIMEOUT_S]
