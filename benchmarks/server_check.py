"""Does the client of a bundle pass on real servers, and fail on servers that answer wrongly?

    python3.11 -m venv servers
    servers/bin/pip install "numpy<2" "onnxruntime<1.24" kserve==0.21.0
    servers/bin/pip install --no-deps nvidia-pytriton==0.7.0
    python -m benchmarks.server_check --servers servers/bin/python

nvidia-pytriton holds Triton Inference Server 2.51.0 for Linux on x86-64 (glibc 2.35 or later), with
its Python backend alone. Triton gets a bundle's model repository: ``config.pbtxt`` as it is but for
the name of the backend, and beside ``model.onnx`` a program that runs it in ONNX Runtime. KServe
serves the same files by the same protocol, and by TensorFlow Serving's REST protocol. Some models
have a mistake each, by ``servers/answering.py``. All listen on 127.0.0.1.

Prints a Markdown table of what the client said. Exit code 1 if it passed a wrong model, failed a
right one, or ended otherwise than it says; 3 if a server cannot be started.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn

from benchmarks.measure import vggexport
from benchmarks.servers.answering import MISTAKES, OUTPUTS

SMALL = ("--config", "A", "--input-size", "32", "--fc-units", "none", "--classes", "5")
FILES: Mapping[str, tuple[str, ...]] = {
    "vgg": (),
    "int8": ("--precision", "int8", "--input-dtype", "uint8", "--calibration-samples", "8"),
    "pair": ("--batch", "2"),
}
"""By name of the model: options of the command that writes it."""

PROGRAMS = Path(__file__).parent / "servers"
SECONDS = 120
FOUND = """
import importlib.util, sys, sysconfig
places = importlib.util.find_spec("pytriton").submodule_search_locations
print([places[0], "%d.%d" % sys.version_info[:2], sysconfig.get_config_var("LIBDIR")])
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What the client is asked to do.

    Attributes:
        model: The server's.
        file: The model of the bundle that it should be.
        is_right: Whether the check should pass.
        server: The protocol.
    """

    model: str
    file: str = "vgg"
    is_right: bool = False
    server: str = "triton"

    def tried(self, url: str, bundle: Path) -> tuple[int, str]:
        """Exit code, -1 for one in disorder, and the line that says what is wrong."""
        client = [sys.executable, str(bundle / "examples/server/client.py"), "--url", url]
        told = ["--server", self.server, "--model", self.model]
        told += ["--file", f"triton/{self.file}/1/model.onnx"]
        ran = subprocess.run([*client, *told], capture_output=True, text=True, check=False)
        if ran.stderr:  # a command line that does not fit, or a traceback
            return -1, ran.stderr.splitlines()[-1]
        lines = ran.stdout.splitlines()
        return ran.returncode, next((line for line in lines if "FAILED" in line), lines[-1])


def cases(server: str) -> Iterator[Case]:
    """What is asked of whoever speaks a protocol."""
    for name in FILES:
        yield Case(name, name, is_right=True, server=server)
    yield Case("unoptimized", "int8", is_right=True, server=server)
    for name in ("other-weights", *MISTAKES, "pair", "absent"):
        yield Case(name, server=server)


OF_TRITON = (*cases("triton"), Case("vgg/versions/1", is_right=True), Case("vgg", "int8"))
"""Triton holds requests to the types of ``config.pbtxt``, too."""


def main() -> None:
    """Starts the servers, asks them, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", required=True, help="the Python that has the servers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = bundled(folder)
        print("| server | protocol | model | file | should | ended with | said |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        wrong = 0
        with triton(options.servers, bundle, folder) as (url, grpc):
            wrong += asked("Triton", url, bundle, OF_TRITON)
            wrong += asked("Triton", f"{url}/", bundle, [Case("vgg", is_right=True)])
            wrong += asked("Triton", url, bundle, [Case("vgg", server="tensorflow")])
            wrong += asked("Triton's gRPC", grpc, bundle, [Case("vgg")])
        wrong += asked("none", url, bundle, [Case("vgg"), Case("vgg", server="tensorflow")])
        with kserve(options.servers, bundle, folder) as url:
            for protocol in ("triton", "tensorflow"):
                wrong += asked("KServe", url, bundle, cases(protocol))
    raise SystemExit(1 if wrong else 0)


def asked(server: str, url: str, bundle: Path, of: Iterable[Case]) -> int:
    """Prints a line a case; how many ended otherwise than they should."""
    wrong = 0
    for case in of:
        code, said = case.tried(url, bundle)
        expected = 0 if case.is_right else 1
        told = "passes" if case.is_right else "fails"
        said = said.replace(url, "URL").replace("|", "/")[:110]
        fault = "" if code == expected else " **WRONG**"
        print(f"| {server} | {case.server} | {case.model} | {case.file} | {told} ", end="")
        print(f"| {code}{fault} | {said} |", flush=True)
        wrong += code != expected
    return wrong


def bundled(folder: Path) -> Path:
    """A bundle of small networks, laid out for Triton; beside it a file of other weights."""
    paths = [folder / f"{name}.onnx" for name in FILES]
    for path, told in zip(paths, FILES.values(), strict=True):
        silent(vggexport("onnx", *SMALL, *told, "--no-check", "-o", path))
    other = folder / "other-weights.onnx"
    silent(vggexport("onnx", *SMALL, "--weights", "random:1", "--no-check", "-o", other))
    output = folder / "bundle"
    told = ("--layout", "triton", "--allow-untrained", "-o", output)
    silent(vggexport("bundle", *paths, *told))
    return output


def silent(command: list[str]) -> None:
    """Runs a command that has nothing to say, unless it fails."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def files(bundle: Path, folder: Path) -> dict[str, Path]:
    """By name of a model on a server, the file that it runs."""
    places = {name: bundle / f"triton/{name}/1/model.onnx" for name in FILES}
    wrong = dict.fromkeys(MISTAKES, places["vgg"])
    other = {"other-weights": folder / "other-weights.onnx", "unoptimized": places["int8"]}
    return places | wrong | other


@contextlib.contextmanager
def triton(python: str, bundle: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Runs Triton; the addresses of HTTP and of gRPC."""
    found = subprocess.run([python, "-c", FOUND], capture_output=True, text=True, check=False)
    if found.returncode:
        refuse(f"nvidia-pytriton is not installed for {python}: {__doc__}")
    package, version, libraries = ast.literal_eval(found.stdout)
    place = Path(package) / "tritonserver"
    backends = folder / "backends"
    shutil.copytree(place / "backends", backends)
    stub = place / f"python_backend_stubs/{version}/triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    repository = repository_of(bundle, folder)
    site = place.parent.parent
    environment = {
        "LD_LIBRARY_PATH": f"{site / 'nvidia_pytriton.libs'}:{libraries}",
        "PATH": f"{Path(python).absolute().parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(site),
    }
    http, grpc = free_port(), free_port()
    command = [place / "bin/tritonserver", f"--model-repository={repository}"]
    command += [f"--backend-directory={backends}", "--allow-metrics=false"]
    for kind, port in (("http", http), ("grpc", grpc)):
        command += [f"--{kind}-address=127.0.0.1", f"--{kind}-port={port}"]
    with started(command, http, folder / "triton.log", environment) as url:
        yield url, f"http://127.0.0.1:{grpc}"


def repository_of(bundle: Path, folder: Path) -> Path:
    """The bundle's, in another backend, and with copies of models under other names."""
    repository = folder / "repository"
    for name, file in files(bundle, folder).items():
        model = "int8" if name == "unoptimized" else name if name in FILES else "vgg"
        (repository / name / "1").mkdir(parents=True)
        shutil.copy(file, repository / name / "1/model.onnx")
        for source, target in (("triton_model.py", "model.py"), ("answering.py",) * 2):
            shutil.copy(PROGRAMS / source, repository / name / "1" / target)
        text = (bundle / f"triton/{model}/config.pbtxt").read_text()
        text = text.replace('backend: "onnxruntime"', 'backend: "python"')
        text = text.replace(f'name: "{model}"', f'name: "{name}"')
        if name == "fewer-classes":
            text = text.replace("dims: [5]", "dims: [4]")
        if name == "unoptimized":  # as the guide advises
            text += "optimization { graph { level: 2 } }\n"
        if name in OUTPUTS:
            text = text.replace('name: "probabilities"', f'name: "{OUTPUTS[name]}"')
        (repository / name / "config.pbtxt").write_text(text)
    return repository


@contextlib.contextmanager
def kserve(python: str, bundle: Path, folder: Path) -> Iterator[str]:
    """Runs KServe; its address."""
    port = free_port()
    models = [f"{name}={path}" for name, path in files(bundle, folder).items()]
    command = [python, PROGRAMS / "kserve_server.py", str(port), *models]
    with started(command, port, folder / "kserve.log", {}) as url:
        yield url


def free_port() -> int:
    """One that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextlib.contextmanager
def started(
    command: Sequence[str | Path], port: int, log: Path, environment: Mapping[str, str]
) -> Iterator[str]:
    """A server from when it is ready; exit code 3 if it ends before, or takes too long."""
    url = f"http://127.0.0.1:{port}"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        ) as process,
    ):
        try:
            end = time.monotonic() + SECONDS
            while not is_ready(url):
                if process.poll() is not None or time.monotonic() > end:
                    refuse(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
                time.sleep(0.5)
            yield url
        finally:
            process.terminate()


def is_ready(url: str) -> bool:
    """Whether a server has all its models."""
    try:
        ready = f"{url}/v2/health/ready"
        with urllib.request.urlopen(ready, timeout=5) as answer:  # noqa: S310  it is http:
            status: int = answer.status
            return status == HTTPStatus.OK
    except OSError:
        return False


def refuse(problem: str) -> NoReturn:
    """Ends where there is no server to ask."""
    print(problem, file=sys.stderr)
    raise SystemExit(3)


if __name__ == "__main__":
    main()
