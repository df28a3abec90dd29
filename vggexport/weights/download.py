"""One file over HTTPS into a cache: resumed where it broke off, and used only when it is right."""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vggexport.errors import Advice, Unavailable, Unfinished, WeightsError
from vggexport.weights.open_options import DownloadProgress

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0
"""For the connection and for each read, not for the whole."""
USER_AGENT = "vggexport"
PART_ENDING = ".part"
BY_HAND = Advice("download by hand and pass {} FILE", "weights")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A published file.

    Attributes:
        url: Its address, HTTPS.
        size: In bytes.
        md5: The digest that its publisher states. It guards against damage and mix-ups; HTTPS
            and a pinned digest guard against tampering.
    """

    url: str
    size: int
    md5: str

    @property
    def name(self) -> str:
        """Last part of the address."""
        return urlsplit(self.url).path.rpartition("/")[2]


def fetch(remote: RemoteFile, cache_dir: Path, progress: DownloadProgress | None = None) -> Path:
    """The file's place in the cache, after a download if need be; it is checked either way.

    Raises:
        WeightsError: The address is not HTTPS, or the content is not what was published.
        Unavailable: There is no way to the server, or it does not give the file.
        Unfinished: The transfer broke off or the disk is full; the next call goes on from there.
    """
    _check_address(remote.url)
    path = cache_dir / remote.name
    part = path.with_name(path.name + PART_ENDING)
    with _storing(cache_dir):
        if path.is_file():
            if path.stat().st_size == remote.size and _md5(path) == remote.md5:
                return path
            path.unlink()
        cache_dir.mkdir(parents=True, exist_ok=True)
        _complete(remote, part, progress)
        _check_digest(remote, part)
        part.replace(path)
    return path


def fetch_small(url: str, md5: str, cache_dir: Path) -> Path:
    """The place in the cache of a file of less than a megabyte whose size is not published.

    Raises:
        WeightsError: The address is not HTTPS, or the content is not what was published.
        Unavailable: There is no way to the server, or it does not give the file.
        Unfinished: It cannot be kept.
    """
    _check_address(url)
    remote = RemoteFile(url, CHUNK_BYTES, md5)
    path = cache_dir / remote.name
    if is_whole(path, md5):
        return path
    with _storing(cache_dir), _request(remote, 0) as response:
        cache_dir.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + PART_ENDING)
        part.write_bytes(b"".join(_chunks(response, remote, 0)))
        _check_digest(remote, part)
        part.replace(path)
    return path


def is_whole(path: Path, md5: str) -> bool:
    """Whether a file is there with that digest."""
    try:
        return _md5(path) == md5
    except OSError:
        return False


def _check_address(url: str) -> None:
    address = urlsplit(url)
    if address.scheme == "https" or (address.scheme == "http" and _is_loopback(address.hostname)):
        return
    raise WeightsError(f"{url} is not an https address: weights are fetched over HTTPS only")


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"


class _StaysHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but not to an address that would have been refused itself."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> urllib.request.Request | None:
        request = super().redirect_request(*args, **kwargs)
        if request is not None:
            _check_address(request.full_url)
        return request


@contextmanager
def _storing(cache_dir: Path) -> Iterator[None]:
    """Errors of the disk; those of the network are translated before they come here."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Unfinished(f"{cache_dir}: the disk is full: free space and run again") from error
        raise Unfinished(
            f"{cache_dir} cannot be used ({error.strerror})", "make it writable", BY_HAND
        ) from error


def _complete(remote: RemoteFile, part: Path, progress: DownloadProgress | None) -> None:
    """Brings ``part`` to the published size."""
    done = part.stat().st_size if part.exists() else 0
    if done > remote.size:
        part.unlink()
        done = 0
    if done == remote.size:
        return
    response, done = _answer(remote, done)
    with response, part.open("ab" if done else "wb") as file:
        for chunk in _chunks(response, remote, done):
            file.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, remote.size)
    _check_size(remote, part, done)


def _answer(remote: RemoteFile, start: int) -> tuple[HTTPResponse, int]:
    """The server's answer and the byte of the file that it begins with: ``start`` or 0.

    It begins anew where the server cannot go on, or has another file at this address by now.
    """
    response = _request(remote, start)
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        return response, 0
    if response.headers["Content-Range"] == f"bytes {start}-{remote.size - 1}/{remote.size}":
        return response, start
    response.close()
    return _request(remote, 0), 0


def _request(remote: RemoteFile, start: int) -> HTTPResponse:
    headers = {"User-Agent": USER_AGENT}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(remote.url, headers=headers)  # noqa: S310 (checked above)
    try:
        opener = urllib.request.build_opener(_StaysHttps)
        response: HTTPResponse = opener.open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if start and error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _request(remote, 0)
        raise _unavailable(remote, f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _unavailable(remote, str(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise _unavailable(remote, repr(error)) from error
    return response


def _unavailable(remote: RemoteFile, reason: str) -> Unavailable:
    return Unavailable(f"{remote.url} cannot be downloaded ({reason})", BY_HAND)


def _chunks(response: HTTPResponse, remote: RemoteFile, start: int) -> Iterator[bytes]:
    """The body, no further than one chunk past the published size."""
    done = start
    try:
        while done <= remote.size and (chunk := response.read(CHUNK_BYTES)):
            done += len(chunk)
            yield chunk
    except (OSError, HTTPException) as error:
        raise _broken_off(remote, done) from error


def _broken_off(remote: RemoteFile, done: int) -> Unfinished:
    return Unfinished(
        f"{remote.url}: the transfer broke off after {done} of {remote.size} bytes: run again, it "
        "goes on from there"
    )


def _check_size(remote: RemoteFile, part: Path, done: int) -> None:
    if done < remote.size:
        raise _broken_off(remote, done)
    if done > remote.size:
        part.unlink()
        raise WeightsError(
            f"{remote.url} has more than the published {remote.size} bytes: it is not the file "
            "that was published"
        )


def _check_digest(remote: RemoteFile, part: Path) -> None:
    actual = _md5(part)
    if actual != remote.md5:
        part.unlink()
        raise WeightsError(
            f"{remote.url} has MD5 {actual}, expected {remote.md5}: it is not the file that was "
            "published, and was deleted; run again to fetch it again"
        )


def _md5(path: Path) -> str:
    # Also on systems whose policy forbids MD5 for security.
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
