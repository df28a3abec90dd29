"""Every wrong preprocessing fails the golden check, and every right runtime passes it.

Judged by what receivers run: the self-test, check-bundle, and verify with a golden file. A mistake
is made where an app makes it: as it decodes a picture, as it scales one, or as it fills the input.
"""

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import vggexport
from calibration import decoding
from vggexport.bundles import golden_run
from vggexport.bundles.golden_files import prepared_pictures
from vggexport.bundles.golden_pictures import LEVELS
from vggexport.bundles.preprocessing import Preprocessing
from vggexport.bundles.static import static_files
from vggexport.formats.golden.runner import GoldenRunner
from vggexport.formats.tflite import runner as litert
from vggexport.metrics.parity import compare, sigmoid
from vggexport.network.head import HeadActivation
from vggexport.network.pictures import Pictures
from vggexport.opening.run_options import RunOptions
from vggexport.workflows import check_bundle
from vggexport.workflows.verify import comparison
from vggexport.workflows.verify.options import VerifyOptions

MEAN = np.array([123.68, 116.779, 103.939], np.float32)
FED = {
    "BGR": lambda pixels: pixels[..., ::-1],
    "mean subtracted twice": lambda pixels: pixels - MEAN,
    "divided by 255": lambda pixels: pixels / 255,
}
"""What an input is filled with in place of RGB 0...255."""

FILES = [
    *(("onnx", precision) for precision in ("float32", "float16", "int8", "int8-w4")),
    *(("tflite", p) for p in ("float32", "float16", "dynamic-int8", "int8", "int8-w4")),
]
MODELS = {*(f"models/{precision}.{name}" for name, precision in FILES), "models/full.tflite"}
WANTS_XNNPACK = {"models/int8-w4.tflite"}

KERNELS = {
    "XNNPACK, optimized graph": None,
    "builtin, graph as written": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference, graph as written": OpResolverType.BUILTIN_REF,
}


class AsWritten(onnxruntime.SessionOptions):
    """Of a session that leaves the graph as it is."""

    def __init__(self):
        super().__init__()
        self.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL


@pytest.fixture(scope="module")
def files(export, tmp_path_factory):
    """One of each format and precision."""
    folder = tmp_path_factory.mktemp("files")
    made = {f"{p}.{name}": export(p, batch=1, format=name) for name, p in FILES}
    made["full.tflite"] = export("int8", "uint8", 1, format="tflite", full_integer=True)
    return [shutil.copyfile(path, folder / name) for name, path in made.items()]


@pytest.fixture(scope="module")
def bundled(files, tmp_path_factory):
    """A folder of them all, with synthetic golden images."""
    folder = tmp_path_factory.mktemp("bundle") / "all"
    assert vggexport.bundle(tuple(files), folder, seed=1).failures == ()
    return folder


@pytest.fixture
def kernels(request, monkeypatch):
    """Has the runtimes of a test take these; None for their own."""
    resolver = KERNELS[request.param]
    if resolver:
        other = partial(Interpreter, experimental_op_resolver_type=resolver)
        monkeypatch.setattr("ai_edge_litert.interpreter.Interpreter", other)
        monkeypatch.setattr(litert, "Interpreter", other)
        monkeypatch.setattr(onnxruntime, "SessionOptions", AsWritten)
    return resolver


def fed(spoil, pixels, dtype="float32"):
    """What fills the input: an app cuts off what integers cannot hold."""
    values = spoil(pixels.astype(np.float32))
    return np.clip(np.rint(values), 0, 255) if dtype == "uint8" else values


def feeding(spoil, read):
    """``read`` of an app that fills the input so; recorded answers are what they are."""

    def read_spoilt(runner, pixels, *further):
        wrong = pixels if isinstance(runner, GoldenRunner) else fed(spoil, pixels)
        return read(runner, wrong, *further)

    return read_spoilt


@pytest.fixture
def self_test(bundled, capsys):
    """Runs it with some of its names changed: what it says did not pass, models and pictures."""

    def run(folder=bundled, **changed):
        names = {"__name__": "self_test", "__file__": str(folder / "self_test.py")}
        exec(static_files()["self_test.py"], names)
        names |= {name: change(names[name]) for name, change in changed.items()}
        code, lines = names["main"](), capsys.readouterr().out.splitlines()
        failed = {line.split()[1] for line in lines if line.startswith("FAILED   models/")}
        pictures = {line.split()[3] for line in lines if "FAILED   preprocessing" in line}
        assert code == bool(failed | pictures)
        return {name for name in failed if not name.endswith(":")}, pictures

    return run


@pytest.mark.parametrize("kernels", KERNELS, indirect=True)
def test_the_self_test(self_test, kernels):
    assert self_test() == (WANTS_XNNPACK if kernels else set(), set())
    for name, spoil in FED.items():
        failed, _ = self_test(
            in_front=lambda _, spoil=spoil: (
                lambda pixels, model: fed(spoil, pixels, model["input"]["dtype"])
            )
        )
        assert failed == MODELS, name


@pytest.mark.parametrize("kernels", KERNELS, indirect=True)
def test_check_bundle(bundled, kernels, monkeypatch):
    def failed():
        return {check.path for check in vggexport.check_bundle(bundled).answers if check.failures}

    assert failed() == (WANTS_XNNPACK if kernels else set())
    read = golden_run.read
    for name, spoil in FED.items():
        monkeypatch.setattr(golden_run, "read", feeding(spoil, read))
        assert failed() == MODELS, name


@pytest.mark.parametrize("runtime", [None, "openvino"])
def test_verify_with_a_golden_file(files, runtime, tmp_path, monkeypatch):
    """OpenVINO is held to floats: its int8 saturates where the processor has no VNNI."""
    golden, paths, vivid = tmp_path / "golden.npz", list(map(str, files)), tmp_path / "vivid.npz"
    np.savez(vivid, images=[p.pixels for p in prepared_pictures(Preprocessing((16, 16)))])
    record = VerifyOptions((paths[0], paths[4]), data=str(vivid), save_golden=golden)
    assert vggexport.verify(record).passed
    chosen = [path for path in paths if runtime is None or "float" in path]
    held = VerifyOptions(chosen, golden=golden, run=RunOptions(runtime=runtime), diagnose=False)
    assert [c.failures for c in vggexport.verify(held).candidates] == [()] * len(chosen)
    read = comparison.read
    for name, spoil in FED.items():
        monkeypatch.setattr(comparison, "read", feeding(spoil, read))
        assert all(c.failures for c in vggexport.verify(held).candidates), name


OF_PICTURES = {
    "Display P3 read as sRGB": ({"display_p3.jpg", "display_p3.png"}, {
        "to_srgb": lambda _: lambda image, _profile: image
    }),
    "EXIF ignored": ({"turned.jpg", *(f"orientation_{value}.jpg" for value in range(2, 9))}, {
        "decode": lambda decode: lambda name, step: decode(name, step | AS_IT_LIES)
    }),
    "EXIF of 3 and 6 alone": ({f"orientation_{value}.jpg" for value in (2, 4, 5, 7, 8)}, {
        "decode": lambda decode: lambda name, step: decode(
            name, step | (AS_IT_LIES if name[-5] in "24578" else {})
        )
    }),
    "stretched": ({"turned.jpg", "wide.png", "transparent.png"}, {
        "prepare": lambda prepare: lambda pixels, told: prepare(pixels, stretching(told))
    }),
}  # fmt: skip
"""By mistake: pictures that show it, and what an app has in place of the self-test's functions."""

AS_IT_LIES = {"orientation": "as it lies"}


def stretching(told):
    return {"steps": [step | {"mode": "stretch"} for step in told["steps"]]}


@pytest.mark.parametrize("mistake", OF_PICTURES)
def test_the_self_test_of_pictures(self_test, mistake):
    """Whatever the kernels: the pixels themselves are held to the golden ones."""
    shown, changed = OF_PICTURES[mistake]
    failed, pictures = self_test(**changed)
    assert failed == set()
    assert {f"golden/pictures/{name}:" for name in shown} <= pictures
    if mistake != "stretched":
        assert len(pictures) == len(shown)


@pytest.mark.parametrize("mistake", [lambda n: n[1:] + n[:1], lambda n: ["label", *n]])
def test_the_self_test_of_labels(self_test, mistake):
    """Off by one, or with a line too many: the probabilities are right."""
    assert self_test(read_labels=lambda read: lambda: mistake(read())) == (MODELS, set())


def test_check_bundle_of_pictures(bundled, monkeypatch):
    def level():
        return vggexport.check_bundle(bundled).preprocessing.picture_levels

    assert level() <= LEVELS
    with monkeypatch.context() as wrong:
        wrong.setattr(decoding, "to_srgb", lambda image, _profile: image)
        assert level() > 4 * LEVELS
    decode, apply = check_bundle.decode, Preprocessing.apply
    with monkeypatch.context() as wrong:
        wrong.setattr(
            check_bundle, "decode", lambda file, p: decode(file, replace(p, ignore_exif=True))
        )
        assert level() > 4 * LEVELS
    monkeypatch.setattr(
        Preprocessing,
        "apply",
        lambda self, pixels: apply(replace(self, pictures=Pictures("stretch")), pixels),
    )
    assert level() > 4 * LEVELS


def test_gray_golden_images_leave_bgr_to_the_pictures(files, tmp_path, self_test):
    """No order of channels shows on them; the golden pictures are vivid whatever they are."""
    gray = np.random.default_rng(1).integers(0, 256, (8, 16, 16, 1), np.uint8)
    np.savez(tmp_path / "gray.npz", images=np.repeat(gray, 3, axis=-1))
    options = {"data": str(tmp_path / "gray.npz"), "golden_licence": "CC0"}
    folder = tmp_path / "gray"
    assert vggexport.bundle((files[0],), folder, **options).failures == ()
    failed, _ = self_test(folder, in_front=lambda _: lambda pixels, _model: pixels[..., ::-1])
    assert failed == {"models/float32.onnx"}


@pytest.mark.parametrize("activation", HeadActivation)
def test_the_self_test_judges_as_check_bundle_does(activation):
    """Sure answers included, at whose ends runtimes stop at numbers of their own."""
    names = {"__name__": "self_test", "__file__": "self_test.py"}
    exec(static_files()["self_test.py"], names)
    random = np.random.default_rng(1)
    expected = sigmoid(random.normal(0, 9, (8, 5))).astype(np.float64)
    actual = np.clip(expected + random.normal(0, 1e-3, (8, 5)), 0, 1)
    metrics, logits = compare(expected, actual, activation), names["LOGITS"][activation.value]
    for smallest, value in (
        ((), metrics.logit_sqnr_db),
        ((names["HALF_STEP"],), metrics.coarse_logit_sqnr_db),
        ((names["HALVES_END"][activation.value],), metrics.half_logit_sqnr_db),
    ):
        found = names["decibels"](logits(expected, *smallest), logits(actual, *smallest))
        assert found == pytest.approx(value, rel=1e-9)
