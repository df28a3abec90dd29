"""What receivers run: the self-test, and the examples for phones."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from threading import Thread

import numpy as np
import pytest
import tree_sitter_kotlin
import tree_sitter_swift
from tree_sitter import Language, Parser

import calibration
import vggexport
from vggexport.bundles.checksums import measure_path
from vggexport.bundles.preprocessing import Preprocessing
from vggexport.bundles.static import STATIC, static_files
from vggexport.formats.registry import load_exporter
from vggexport.network.pictures import Pictures
from vggexport.system.digests import render_checksums

GRAMMARS = {".kt": tree_sitter_kotlin, ".swift": tree_sitter_swift}
PHONES = [name for name in STATIC if name.endswith((*GRAMMARS, ".kts"))]

RUN_ALONE = """
import importlib.abc, runpy, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused}:
            raise ImportError(name + " is not installed")
sys.meta_path.insert(0, Refuse())
sys.argv = ["self_test.py"]
runpy.run_path({script!r}, run_name="__main__")
"""

EVERYTHING_ELSE = {
    *("vggexport", "calibration", "tensorflow", "keras", "onnx", "click", "rich", "jinja2"),
    *("cryptography", "flatbuffers", "safetensors", "h5py", "tf2onnx"),
}


def self_test(folder, *missing):
    script = RUN_ALONE.format(
        refused=EVERYTHING_ELSE | set(missing), script=str(folder / "self_test.py")
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False
    )


def test_the_self_test_passes_with_numpy_pillow_and_the_runtimes(unpacked):
    ran = self_test(unpacked)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1] == "passed: 3 models, 4 golden images"


@pytest.mark.parametrize(("missing", "count"), [("onnxruntime", 1), ("ai_edge_litert", 2)], ids=str)
def test_the_self_test_needs_one_runtime_only(unpacked, missing, count):
    ran = self_test(unpacked, missing, "tflite_runtime")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("skipped") == 3 - count
    assert f"passed: {count} models" in ran.stdout


def test_the_self_test_fails_without_any_runtime(unpacked):
    ran = self_test(unpacked, "onnxruntime", "ai_edge_litert", "tflite_runtime")
    assert ran.returncode == 1
    assert "no model was run" in ran.stdout


def test_the_self_test_opens_nothing_that_is_not_what_was_packed(unpacked):
    (unpacked / "models/tiny.onnx").write_bytes(b"cut off")
    (unpacked / "golden/golden.json").unlink()
    (unpacked / "SHA256SUMS.old").touch()
    ran = self_test(unpacked)
    assert ran.returncode == 1
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
        "FAILED   SHA256SUMS.old is not in SHA256SUMS",
        "FAILED   golden/golden.json is missing",
        "FAILED   models/tiny.onnx was changed",
        "failed",
    ]
    (unpacked / "SHA256SUMS").unlink()
    assert "SHA256SUMS is missing" in self_test(unpacked).stdout


def fit(folder):
    """Makes the list of digests fit what was changed."""
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()]
    digests = {n: measure_path(folder / n).sha256 for n in names if not n.startswith("SHA256SUMS")}
    (folder / "SHA256SUMS").write_text(render_checksums(digests))


def test_the_self_test_leaves_out_a_format_that_it_does_not_know(unpacked):
    manifest = json.loads((unpacked / "MANIFEST.json").read_text())
    manifest["artifacts"][0]["artifact"]["format"] = "nnef"
    name = manifest["artifacts"][0]["artifact"]["path"]
    (unpacked / "MANIFEST.json").write_text(json.dumps(manifest))
    fit(unpacked)
    ran = self_test(unpacked)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"skipped  {name}: this script runs no nnef, vggexport check-bundle does" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "passed: 2 models, 4 golden images"


@pytest.mark.parametrize(
    "pictures",
    [
        {"resize_to": 300, "interpolation": "lanczos"},
        {"resize_to": 16, "interpolation": "bicubic"},
        {"resize": "stretch", "interpolation": "nearest"},
        {"resize": "pad", "background": (9, 8, 7), "interpolation": "area"},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(16, 16), (16, 20)], ids=str)
def test_the_self_test_makes_the_pixels_that_are_described(pictures, size):
    """Its own preparation, of files that no bundle of this test was packed with."""
    described = Preprocessing(size, calibration.PictureOptions(**pictures))
    names = {"__name__": "self_test", "__file__": "self_test.py"}
    exec(static_files()["self_test.py"], names)
    prepare = names["prepare"]
    for height, width in ((31, 47), (50, 22), (9, 12)):
        pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
        actual = prepare(pixels, described.to_json({}))
        np.testing.assert_array_equal(actual, described.apply(pixels))


def test_a_bundle_of_padded_pictures_describes_and_tests_them(make_request, tmp_path):
    request = make_request()
    padded = Pictures("pad", interpolation="area", background=(9, 8, 7), ignore_exif=True)
    model, output = tmp_path / "tiny.onnx", tmp_path / "bundle"
    artifact = replace(request.artifact, pictures=padded)
    load_exporter("onnx").export(replace(request, artifact=artifact), model)
    assert vggexport.bundle((model,), output, images=2).failures == ()
    _, resize = json.loads((output / "preprocessing.json").read_text())["steps"]
    assert (resize["mode"], resize["background"]) == ("pad", [9, 8, 7])
    said = (output / "README.md").read_text()
    assert "scale until it fits, area **with antialiasing**" in said
    assert "transparent on the background in `preprocessing.json`: **not BGR**" in said
    assert "x64quantprecision" not in said
    assert "each value of EXIF's orientation" not in said
    assert not list(output.glob("golden/pictures/orientation_*"))
    assert 'noCompress += listOf("onnx") }' in said
    ran = self_test(output)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    checked = vggexport.check_bundle(output)
    assert checked.failures == ()
    assert checked.preprocessing.levels == 0


def test_the_guide_says_what_the_bundles_files_need(unpacked):
    said = (unpacked / "README.md").read_text()
    assert "**converted to\n   sRGB**, what is transparent on white: **not BGR**" in said
    assert "`session.x64quantprecision` set to `1`" in said
    assert 'noCompress += listOf("tflite", "onnx") }' in said
    assert "shasum -a 256 --check SHA256SUMS" in said
    assert "one for each value of EXIF's orientation, all of which become\nthe same pixels" in said


def test_the_self_test_sees_what_is_wrong(unpacked):
    """Another model under a model's name, one that no runtime reads, images in another order."""
    models = unpacked / "models"
    shutil.copyfile(models / "tiny_int8.onnx", models / "tiny.onnx")
    (models / "tiny_int8.onnx").write_bytes(b"cut off")
    (unpacked / "golden/inputs/000.png").write_bytes(
        (unpacked / "golden/inputs/001.png").read_bytes()
    )
    shutil.copyfile(
        unpacked / "golden/sources/small_prepared.png",
        unpacked / "golden/sources/portrait_prepared.png",
    )
    fit(unpacked)
    ran = self_test(unpacked)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    for said in (
        "FAILED   models/tiny.onnx",
        "models/tiny_int8.onnx: cannot be run here",
        "preprocessing of golden/sources/portrait.png",
        "models/tiny_int8.tflite: min_logit_sqnr_db is 18, found",
    ):
        assert said in ran.stdout


@pytest.mark.parametrize("name", PHONES)
def test_examples_for_phones_are_of_right_syntax(name):
    suffix = name[name.rindex(".") :].removesuffix("s")
    parser = Parser(Language(GRAMMARS[suffix].language()))
    source = static_files()[name]
    assert not parser.parse(source).root_node.has_error
    without_last, _, rest = source.rpartition(b")")
    assert parser.parse(without_last + rest).root_node.has_error


@pytest.mark.parametrize("name", [name for name in PHONES if "GoldenCheck" in name])
def test_examples_for_phones_take_logits_to_the_same_ends(name):
    names = {"__name__": "self_test", "__file__": "self_test.py"}
    exec(static_files()["self_test.py"], names)
    numbers = set(map(float, re.findall(rb"[ (](1e-\d+)", static_files()[name])))
    assert numbers == {names["SMALLEST"], names["CERTAIN"]}
    fractions = re.findall(rb" = 1\.0 / (\d+)\n", static_files()[name])
    ends = names["HALF_STEP"], *names["HALVES_END"].values()
    assert [1 / int(number) for number in fractions] == list(ends)


@pytest.mark.parametrize("name", ["self_test.py", *(n for n in PHONES if "OnnxClass" in n)])
def test_whatever_runs_onnx_files_sets_the_option_that_int8_needs(name):
    """Always, as README.md says."""
    assert re.search(rb'"session.x64quantprecision", (value: )?"1"', static_files()[name])


def test_an_app_carries_no_golden_images_and_its_test_does():
    build = static_files()["examples/android/app/build.gradle.kts"].decode()
    main, test = re.findall(r"(?s)tasks\.register<Sync>.*?\n}", build)
    assert ("models/**" in main, "golden" in main) == (True, False)
    assert ("golden/**" in test, "models" in test) == (True, False)
    for source_set, folder in (("main", "bundled"), ("androidTest", "golden")):
        file = f'layout.buildDirectory.dir("{folder}").get().asFile'
        assert f'sourceSets["{source_set}"].assets.srcDir({file})' in build


class Server(BaseHTTPRequestHandler):
    """Triton and TensorFlow Serving as far as the client knows them, with recorded answers."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        row = [self.server.answers[next(self.server.turn) % len(self.server.answers)]]
        if self.path == "/v2/models/vgg/infer":
            (given,) = asked["inputs"]
            assert (given["name"], given["datatype"]) == ("images", "FP32")
            assert np.prod(given["shape"]) == len(given["data"])
            output = {
                "name": "probabilities",
                "shape": np.shape(row),
                "data": np.ravel(row).tolist(),
            }
            answer = {"outputs": [output]}
        elif self.path == "/v1/models/vgg:predict":
            assert np.shape(asked["instances"])[0] == 1
            answer = {"predictions": row}
        elif self.path in self.server.others:
            answer = self.server.others[self.path]
        else:
            self.send_error(404, "no such model")
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_arguments):
        """Nothing."""


@pytest.fixture
def server(unpacked):
    golden = json.loads((unpacked / "golden/golden.json").read_text())
    made = HTTPServer(("127.0.0.1", 0), Server)
    first, made.others = golden["artifacts"][0], {}
    made.answers, made.turn = first["probabilities"] + first["picture_probabilities"], count()
    thread = Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def client(folder, server, kind, *further, file="models/tiny.onnx", name="vgg"):
    url = f"http://127.0.0.1:{server.server_port}/"
    command = [sys.executable, str(folder / "examples/server/client.py"), "--url", url, *further]
    command += ["--server", kind, "--model", name, *(["--file", file] if file else [])]
    told = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=told)
    assert "Traceback" not in ran.stderr
    return ran


@pytest.mark.parametrize("kind", ["triton", "tensorflow"])
def test_the_client_of_servers_holds_answers_to_the_bundles(unpacked, server, kind):
    ran = client(unpacked, server, kind)
    assert (ran.returncode, ran.stdout[:23]) == (0, "passed: 4 golden images")
    server.answers = server.answers[::-1]
    ran = client(unpacked, server, kind)
    assert (ran.returncode, "min_logit_sqnr_db is 80, found" in ran.stdout) == (1, True)


def test_the_client_of_servers_names_classes_as_the_bundle_does(unpacked, server):
    labels = unpacked / "labels.txt"
    names = labels.read_text().split()
    labels.write_text("\n".join(names[1:] + names[:1]))
    ran = client(unpacked, server, "triton")
    assert (ran.returncode, "FAILED   class " in ran.stdout) == (1, True)


def test_the_client_of_servers_classifies_pictures(unpacked, server):
    picture = unpacked / "golden/pictures/turned.jpg"
    lines = client(unpacked, server, "triton", str(picture)).stdout.splitlines()
    assert len(lines) == 5
    best = max(server.answers[0])
    assert f"{best:.1%}" in lines[0]
    wrong = client(unpacked, server, "triton", "--url", "http://127.0.0.1:1")
    assert (wrong.returncode, wrong.stdout[:29]) == (1, "FAILED   http://127.0.0.1:1: ")


def test_the_client_of_servers_holds_graphics_processors_to_their_tolerance(unpacked, server):
    noise = np.random.default_rng(1).normal(1, 1e-3, np.shape(server.answers))
    server.answers = (np.array(server.answers) * noise).tolist()
    as_cpu = client(unpacked, server, "triton")
    assert (as_cpu.returncode, "min_logit_sqnr_db is 80, found" in as_cpu.stdout) == (1, True)
    assert client(unpacked, server, "triton", "--device", "accelerator").returncode == 0


@pytest.mark.parametrize(
    ("further", "file", "said"),
    [
        ((), None, "say with --file which model the server has: models/tiny.onnx, models/"),
        ((), "tiny", "--file tiny is not in the bundle, which has models/tiny.onnx, models/"),
        (("--device", "gpu"), "models/tiny.onnx", "--device gpu: golden.json has tolerances of "),
    ],
)
def test_the_client_of_servers_refuses_what_does_not_fit(unpacked, server, further, file, said):
    ran = client(unpacked, server, "triton", *further, file=file)
    assert (ran.returncode, ran.stderr[: len(said)]) == (2, said)


LOGITS = {"name": "logits", "shape": [1, 5], "data": [0.0] * 5}


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        ("triton", {"outputs": [LOGITS]}, "the model gives logits, expected an output named"),
        ("triton", ["outputs"], "a%20b/infer: an answer without 'outputs': [\"outputs\"]"),
        ("tensorflow", {"predictions": [{"logits": [0.0] * 5}]}, "the model gives logits"),
        ("tensorflow", {"predictions": [[None] * 5]}, "NaN or infinity in the output"),
    ],
)
def test_the_client_of_servers_names_answers_of_another_kind(unpacked, server, kind, answer, said):
    server.others = {"/v2/models/a%20b/infer": answer, "/v1/models/a%20b:predict": answer}
    ran = client(unpacked, server, kind, name="a b")
    assert (ran.returncode, said in ran.stdout) == (1, True), ran.stdout


def test_the_client_of_servers_names_what_cannot_be_asked_at_all(unpacked, server):
    ran = client(unpacked, server, "triton", "labels.txt")
    said = "labels.txt cannot be read as a picture: "
    assert (ran.returncode, ran.stdout, ran.stderr[: len(said)]) == (2, "", said)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        Thread(target=speak_http_2, args=[listening]).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        ran = client(unpacked, server, "triton", "--url", url)
    assert (ran.returncode, "is it the port of gRPC?" in ran.stdout) == (1, True)


def speak_http_2(listening):
    """As gRPC's port does: a frame of settings, whatever it is asked."""
    connection, _ = listening.accept()
    with connection:
        connection.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):  # closed with bytes unread, it would be reset
            pass


def test_the_client_of_servers_leaves_nothing_in_the_bundle(unpacked, server):
    assert client(unpacked, server, "triton").returncode == 0
    assert self_test(unpacked).returncode == 0


def test_all_files_of_the_templates_are_used(bundled):
    """Nothing is forgotten in the list, and nothing in the package's data."""
    from importlib import resources

    folder = resources.files("vggexport.bundles").joinpath("templates")
    found = {p.name for p in folder.rglob("*") if p.is_file() and p.suffix not in {".j2", ".pyc"}}
    assert found == {source.rpartition("/")[2] for source in STATIC.values()}
    with zipfile.ZipFile(bundled) as archive:
        assert set(STATIC) <= set(archive.namelist())
