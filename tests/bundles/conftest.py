"""A bundle of a tiny network, and copies of it that were changed."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

import vggexport
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import load_exporter
from vggexport.system.digests import sha256
from vggexport.workflows.bundle.options import BundleOptions


@pytest.fixture(scope="session")
def make_key(tmp_path_factory) -> Callable[[str], tuple[Path, Path]]:
    """name -> a private and a public key in PEM; one pair a name."""
    folder = tmp_path_factory.mktemp("keys")

    def make(name: str) -> tuple[Path, Path]:
        private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
        if not private.exists():
            key = Ed25519PrivateKey.generate()
            pem = Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            private.write_bytes(key.private_bytes(*pem))
            info = Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            public.write_bytes(key.public_key().public_bytes(*info))
        return private, public

    return make


@pytest.fixture(scope="session")
def models(export, tmp_path_factory) -> dict[str, Path]:
    """float32 ONNX, int8 ONNX and int8 TFLite of the tiny network, under names of their own."""
    folder = tmp_path_factory.mktemp("models")
    made = {
        "tiny.onnx": export("float32"),
        "tiny_int8.onnx": export("int8"),
        "tiny_int8.tflite": export("int8", batch=1, format="tflite"),
    }
    return {name: Path(shutil.copyfile(path, folder / name)) for name, path in made.items()}


@pytest.fixture(scope="session")
def verification(models, tmp_path_factory) -> Path:
    """What verify wrote with --json, of the two ONNX files."""
    metrics = {"logit_sqnr_db": 27.5, "top1_agreement": 0.975}
    digests = {name: sha256(path) for name, path in models.items()}
    data = {
        "schema": 1,
        "reference": {"path": "tiny.onnx", "sha256": digests["tiny.onnx"]},
        "images": 200,
        "candidates": [
            {
                "path": "tiny_int8.onnx",
                "sha256": digests["tiny_int8.onnx"],
                "metrics": metrics,
            }
        ],
        "passed": True,
    }
    path = tmp_path_factory.mktemp("reports") / "verify.json"
    path.write_text(json.dumps(data))
    return path


@pytest.fixture(scope="session")
def bundled(models, make_key, verification, tmp_path_factory) -> Path:
    """A signed archive; not to be changed."""
    output = tmp_path_factory.mktemp("bundled") / "tiny.zip"
    report = vggexport.bundle(
        BundleOptions(
            tuple(models.values()),
            output,
            reports=(verification,),
            images=4,
            licence="CC BY 4.0",
            sign=make_key("ours")[0],
        )
    )
    assert report.failures == ()
    return output


@pytest.fixture
def unpacked(bundled, tmp_path) -> Path:
    """The same as a folder, which may be changed."""
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(bundled) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def members(bundled) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(bundled) as archive:
        return archive.infolist()


@pytest.fixture
def pack(models, tmp_path):
    """Packs the tiny files, or others, and gives the report."""

    def pack(*artifacts, output="out.zip", **options):
        paths = tuple(artifacts or models.values())
        return vggexport.bundle(BundleOptions(paths, tmp_path / output, **{"images": 3} | options))

    return pack


@pytest.fixture
def exported(make_request, tmp_path):
    """Exports the tiny network with some of its artifact's fields changed."""

    def write(name="other.onnx", record=None, **changes):
        request = make_request("float32")
        changes |= {"weights": record} if record else {}
        artifact = replace(request.artifact, **changes)
        path = tmp_path / name
        load_exporter("onnx").export(ExportRequest(artifact, request.weights), path)
        return path

    return write
