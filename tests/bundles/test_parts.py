"""The parts of a bundle: digests, answers, evidence, sizes, signatures."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vggexport.artifact import Artifact
from vggexport.bundles.answers import GivenAnswers, GoldenAnswers, GoldenInput
from vggexport.bundles.checksums import parse_checksums
from vggexport.bundles.evidence import Evidence, number
from vggexport.bundles.signing import signer, verify
from vggexport.bundles.sizes import file_size
from vggexport.bundles.tolerances import (
    ACCELERATOR,
    CPU,
    XNNPACK,
    device_tolerances,
    tolerance_on,
)
from vggexport.errors import ArtifactError, InputError
from vggexport.metrics.parity import compare, probabilities_of
from vggexport.network.head import HeadActivation
from vggexport.network.spec import VGGSpec
from vggexport.precision import Precision
from vggexport.results.bundle import LayerSize
from vggexport.results.bundle_manifest import BundledArtifact, Manifest
from vggexport.system.digests import render_checksums


@pytest.fixture
def artifact(tiny, weights_record) -> Artifact:
    return Artifact("models/a.onnx", "onnx", Precision.INT8, tiny, weights_record)


def test_digests_are_read_as_they_were_written():
    digests = {"b c.txt": "ab" * 32, "a": "cd" * 32}
    text = render_checksums(digests)
    assert text == f"{'cd' * 32}  a\n{'ab' * 32}  b c.txt\n"
    assert parse_checksums(text) == digests


@pytest.mark.parametrize("change", [
    lambda text: text.rstrip("\n"),
    lambda text: text + text,
    lambda text: "".join(reversed(text.splitlines(keepends=True))),
    lambda text: text.upper(),
    lambda text: text.replace("  ", " *"),
    lambda text: text + "\n",
    lambda _text: "",
])  # fmt: skip
def test_other_lists_of_digests_are_refused(change):
    text = render_checksums({"b": "ab" * 32, "a": "cd" * 32})
    with pytest.raises(ArtifactError, match="list of digests"):
        parse_checksums(change(text))


NAMES = ("ant", "bee", "cat", "dog", "eel")


@pytest.fixture
def answers(artifact) -> GoldenAnswers:
    random = np.random.default_rng(0).random((2, 5)).astype(np.float32)
    reference = GivenAnswers("r", "float32", "runtime 1", "CPU", random)
    mine = replace(
        reference,
        name=artifact.path,
        tolerances=device_tolerances(artifact),
        picture_probabilities=random[:1],
    ).named(NAMES)
    inputs = (GoldenInput("golden/inputs/000.png", "a"), GoldenInput("x.png", "b"))
    pictures = (GoldenInput("golden/pictures/gray_jpg_prepared.png", "golden/pictures/gray.jpg"),)
    return GoldenAnswers("photos", inputs, (), reference, (mine,), pictures)


def test_answers_are_read_as_they_were_given(answers):
    data = json.loads(json.dumps(answers.to_json()))
    read = GoldenAnswers.of_bundle(data, 5)
    assert (read.source, read.images, read.sources) == ("photos", answers.images, ())
    given = read.of("models/a.onnx")
    assert np.array_equal(given.probabilities, answers.reference.probabilities)
    assert np.array_equal(given.picture_probabilities, given.probabilities[:1])
    assert (read.pictures, read.reference.picture_probabilities) == (answers.pictures, None)
    assert given.tolerances == answers.artifacts[0].tolerances
    with pytest.raises(ArtifactError, match="no golden answers of other"):
        read.of("other")


@pytest.mark.parametrize(("change", "classes"), [
    (lambda data: None, 6),
    (lambda data: data.pop("images"), 5),
    (lambda data: data["images"].clear(), 5),
    (lambda data: data["reference"]["probabilities"].pop(), 5),
    (lambda data: data["reference"]["probabilities"][0].__setitem__(0, None), 5),
    (lambda data: data["reference"]["probabilities"][0].__setitem__(0, "x"), 5),
    (lambda data: data["artifacts"][0]["tolerances"][0].pop("max_abs"), 5),
    (lambda data: data.__setitem__("artifacts", 3), 5),
    (lambda data: data["artifacts"][0].pop("picture_probabilities"), 5),
    (lambda data: data["artifacts"][0]["picture_probabilities"].pop(), 5),
    (lambda data: data["pictures"][0].__setitem__("file", "x.png"), 5),
    (lambda data: data["artifacts"][0]["best"][0].update(index=0), 5),
    (lambda data: data["artifacts"][0]["best"].pop(), 5),
    (lambda data: data["artifacts"][0]["picture_best"][0].update(index=-1), 5),
    (lambda data: data["artifacts"][0]["picture_best"][0].pop("label"), 5),
])  # fmt: skip
def test_other_answers_are_refused(answers, change, classes):
    data = json.loads(json.dumps(answers.to_json()))
    change(data)
    with pytest.raises(ArtifactError, match="golden answers are not readable"):
        GoldenAnswers.of_bundle(data, classes)


def test_answers_of_older_bundles_are_read(answers):
    """Without pictures, best classes and frames."""
    data = json.loads(json.dumps(answers.to_json()))
    del data["pictures"], data["frames"]
    for key in ("picture_probabilities", "best", "picture_best"):
        del data["artifacts"][0][key]
    read = GoldenAnswers.of_bundle(data, 5)
    assert (read.pictures, read.frames, read.misnamed(NAMES)) == ((), (), ())


def test_other_names_of_the_best_classes_are_told(answers):
    assert answers.misnamed(NAMES) == ()
    random = answers.reference.probabilities
    for names in (NAMES[1:] + NAMES[:1], NAMES[:1]):
        index = int(random[0].argmax())
        claim = f"labels.txt does not call class {index} {NAMES[index]!r}"
        assert answers.misnamed(names) == (f"{claim}, as the golden answers of models/a.onnx do",)


def test_one_output_has_two_classes():
    one = GivenAnswers("r", "float32", "runtime 1", "CPU", np.float32([[0.2], [0.5], [0.7]]))
    assert [best.label for best in one.named(("cat", "dog")).best] == ["cat", "dog", "dog"]


@pytest.mark.parametrize("precision", Precision)
def test_every_precision_has_tolerances_with_reasons(artifact, precision):
    found = device_tolerances(replace(artifact, precision=precision))
    assert [tolerance.device for tolerance in found] == [CPU, ACCELERATOR]
    for tolerance in found:
        assert tolerance.runtime == "onnxruntime"
        assert tolerance.tolerance.reason
        assert tolerance.tolerance.is_of_logits
    with pytest.raises(ArtifactError, match="no tolerance for abacus"):
        tolerance_on(found, "abacus")


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("activation", HeadActivation)
def test_right_answers_of_half_precision_keep_an_accelerators_tolerance(
    artifact, precision, activation
):
    """Sure ones, whose other probabilities end in 0 there; swapped channels would not."""
    logits = np.random.default_rng(4).normal(0, 14, (8, 5))
    right = probabilities_of(logits, activation)
    halves = right.astype(np.float16).astype(np.float32)
    found = device_tolerances(replace(artifact, precision=precision))
    accelerator = tolerance_on(found, ACCELERATOR)
    assert (halves == 0).any()
    assert compare(right, halves, activation).logit_sqnr_db < 15 or activation.value == "sigmoid"
    assert accelerator.violations(compare(right, halves, activation)) == ()
    others = probabilities_of(logits[:, ::-1], activation)
    assert accelerator.violations(compare(right, others, activation))


def test_tolerances_of_int8_tflite_go_by_the_kernels(artifact):
    """XNNPACK's and all others', of which a correct app may have either: measured 25.3 dB."""
    found = device_tolerances(replace(artifact, format="tflite", precision=Precision.INT8))
    assert [(t.device, t.tolerance.min_logit_sqnr_db) for t in found[:2]] == [
        (CPU, 18.0), (XNNPACK, 35.0)
    ]  # fmt: skip
    assert tolerance_on(found, ACCELERATOR).min_half_logit_sqnr_db == 15
    whole = replace(artifact, format="tflite", full_integer=True)
    assert [t.device for t in device_tolerances(whole)] == [CPU, ACCELERATOR]


@pytest.mark.parametrize(("file_format", "decibels"), [("onnx", 30), ("ort", 30), ("tflite", 45)])
def test_float16_in_onnx_may_be_summed_in_16_bits(artifact, file_format, decibels):
    """As ONNX Runtime does on ARM: 38.2 and 40.5 dB, where 45 were asked."""
    found = device_tolerances(replace(artifact, format=file_format, precision=Precision.FLOAT16))
    assert [t.device for t in found] == [CPU, ACCELERATOR]
    assert tolerance_on(found, CPU).min_logit_sqnr_db == decibels
    assert tolerance_on(found, ACCELERATOR).min_half_logit_sqnr_db == 30


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT8_W4])
def test_tolerances_of_integers_in_onnx_hold_without_optimizations(artifact, precision):
    """ONNX Runtime then sums in float32: 27.6 dB on 8 photographs in VGG-D, where 35 were asked."""
    found = device_tolerances(replace(artifact, precision=precision))
    assert tolerance_on(found, CPU).min_logit_sqnr_db == 20
    assert tolerance_on(found, ACCELERATOR).min_half_logit_sqnr_db == 15


def test_tolerances_refuse_swapped_classes_and_allow_the_same_answers(artifact):
    probabilities = np.full((4, 5), 0.02, np.float32)
    probabilities[:, :2] = 0.9, 0.04
    candidates = [replace(artifact, precision=p) for p in Precision]
    candidates.append(replace(artifact, format="tflite", full_integer=True))
    for candidate in candidates:
        for device in device_tolerances(candidate):
            same = compare(probabilities, probabilities)
            assert device.tolerance.violations(same) == ()
            assert device.tolerance.violations(compare(probabilities, probabilities[:, ::-1]))


def test_one_image_that_is_taken_for_another_class_is_too_far_for_whole_256ths(artifact):
    """As an image fed in BGR was, of eight of which a trained network was sure: 6.1 dB."""
    expected = np.full((8, 5), 1 / 256, np.float32)
    expected[:, 0] = 250 / 256
    actual = expected.copy()
    actual[0, :2] = actual[0, 1::-1]
    candidate = replace(artifact, format="tflite", full_integer=True)
    tolerance = tolerance_on(device_tolerances(candidate), CPU)
    assert tolerance.violations(compare(expected, actual))


def test_swapped_channels_are_too_far_for_whole_256ths_where_classes_are_nearly_equal(artifact):
    """Their probabilities had 14 to 21 dB of a small network, more than right kernels give here."""
    expected = np.array([[64, 60, 52, 44, 36], [60, 64, 44, 52, 36]] * 4, np.float32) / 256
    actual = expected[:, ::-1].copy()
    actual[:, 2] = expected[:, 2]
    candidate = replace(artifact, format="tflite", full_integer=True)
    metrics = compare(expected, 0.6 * expected + 0.4 * actual)
    assert metrics.sqnr_db > 14
    for device in device_tolerances(candidate):
        (violation,) = device.tolerance.violations(metrics)
        assert violation.startswith("SQNR of the logits in 256ths")


def test_a_manifest_is_read_as_it_was_written(artifact):
    bundled = BundledArtifact(replace(artifact, sha256="ab", size_bytes=3), ("models/a.onnx",), "a")
    manifest = Manifest("n", "plain", (bundled,), (), None, "s", 5, {"numpy": "2"}, ("r",))
    assert Manifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest
    for key in ("kind", "artifacts", "source_date_epoch"):
        data = manifest.to_json()
        del data[key]
        with pytest.raises(ArtifactError, match="manifest is not readable"):
            Manifest.from_json(data)
    with pytest.raises(ArtifactError, match="schema 2"):
        Manifest.from_json(manifest.to_json() | {"schema": 2})


def test_the_lineage_goes_from_the_weights_to_the_file(artifact, calibration_record):
    described = replace(artifact, calibration=calibration_record, sha256="ab", tools={"onnx": "1"})
    steps = BundledArtifact(described, ("a",), "a", converted_from="cd").lineage
    assert [(s["step"], s.get("sha256")) for s in steps] == [
        ("weights", artifact.weights.sha256),
        ("calibrate", None),
        ("export", "cd"),
        ("convert", "ab"),
    ]
    assert steps[1]["fingerprint"] == calibration_record.fingerprint


REPORTS = {
    "verify": {"candidates": [{"path": "d/a.onnx"}], "reference": {"path": "b"}, "passed": True},
    "evaluate": {"results": [{"path": "a.onnx", "top1": 0.8}], "passed": True},
    "benchmark": {"environment": {}, "results": [{"path": "a.onnx"}], "gate": None},
    "build": {"artifact": {"path": "a.onnx", "sha256": "ab"}, "passed": True},
    "export": {"files": [{"artifact": {"path": "a.onnx", "sha256": "ab"}}], "passed": True},
}


@pytest.mark.parametrize("kind", REPORTS)
def test_reports_are_told_by_their_keys(kind):
    evidence = Evidence.of(Path("r.json"), {"schema": 1} | REPORTS[kind])
    assert evidence.kind == kind
    assert len(evidence.rows("a.onnx")) == 1
    assert evidence.rows("other.onnx") == []
    assert evidence.failures == ()


def test_a_row_without_a_path_is_of_no_model():
    files = [{"artifact": {"path": "a.onnx", "sha256": "ab"}}, {"artifact": {"sha256": "cd"}}]
    evidence = Evidence.of(Path("r.json"), {"schema": 1, "files": files})
    assert evidence.rows("a.onnx") == evidence.rows("a.onnx", "ab") == [files[0]["artifact"]]
    assert evidence.rows("a.onnx", "cd") == []


@pytest.mark.parametrize(
    "data", [{"passed": False}, {"gate": {"verdict": "fail"}}, {"passed": False, "gate": None}]
)
def test_a_failed_report_says_so(data):
    report = {"schema": 1} | REPORTS["benchmark"] | data
    assert Evidence.of(Path("r.json"), report).failures


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": 2, "results": []}', '{"schema": 1}', "[" * 100_000,
     '{"schema": 1, "results": [3]}', '{"schema": 1, "candidates": [], "x": 1}', "\xff"],
)  # fmt: skip
def test_what_is_no_report_is_refused(tmp_path, text):
    (tmp_path / "r.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"report .*r\.json cannot be used"):
        Evidence.read(tmp_path / "r.json")


def test_a_missing_report_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"r\.json does not exist"):
        Evidence.read(tmp_path / "r.json")


def test_numbers_that_are_none():
    row = {"a": {"b": 1}, "t": True, "s": "1", "n": None, "i": float("nan"), "l": 10**400}
    assert number(row, "a", "b") == 1
    assert [number(row, key) for key in ("a", "t", "s", "n", "i", "l", "x")] == [None] * 7


def test_sizes_are_those_of_the_paper(weights_record):
    artifact = Artifact("a", "onnx", Precision.FLOAT32, VGGSpec.named("D"), weights_record)
    size = file_size(replace(artifact, size_bytes=553_500_000), Precision)
    assert size.precisions[Precision.FLOAT32] == 4 * 138_357_544
    fc1 = LayerSize("fc1", 4 * (25_088 * 4_096 + 4_096))
    assert fc1 in size.layers
    assert size.other_bytes == 553_500_000 - 4 * 138_357_544
    # Measured files of 138.5 and 82.1 MB (README, Files).
    assert size.precisions[Precision.INT8] == pytest.approx(138.4e6, rel=0.001)
    assert size.precisions[Precision.INT8_W4] == pytest.approx(80.5e6, rel=0.01)


def test_a_signature_is_its_owners(make_key):
    private, public = make_key("ours")
    signature = signer(private)(b"message")
    assert len(signature) == 64
    assert signature == signer(private)(b"message")
    assert verify(b"message", signature, public)
    assert not verify(b"massage", signature, public)
    assert not verify(b"message", signature, make_key("theirs")[1])
    assert not verify(b"message", signature[:-1], public)


def test_openssl_checks_the_same_signature(make_key, tmp_path):
    private, public = make_key("ours")
    (tmp_path / "message").write_bytes(b"message")
    (tmp_path / "signature").write_bytes(signer(private)(b"message"))
    subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin",
         "-in", "message", "-sigfile", "signature"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip


def test_other_keys_are_refused(make_key, tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    private, public = make_key("ours")
    other = tmp_path / "other.pem"
    for text in (b"", b"no key", public.read_bytes()):
        other.write_bytes(text)
        with pytest.raises(InputError, match="is not a private key in PEM"):
            signer(other)
    other.write_bytes(private.read_bytes())
    with pytest.raises(InputError, match="is not a public key in PEM"):
        verify(b"", b"", other)
    key = generate_private_key(SECP256R1())
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    other.write_bytes(key.private_bytes(pem, kind, serialization.NoEncryption()))
    with pytest.raises(InputError, match="not of Ed25519"):
        signer(other)
    locked = serialization.BestAvailableEncryption(b"secret")
    other.write_bytes(key.private_bytes(pem, kind, locked))
    with pytest.raises(InputError, match="without a password"):
        signer(other)
    missing = tmp_path / "missing.pem"
    with pytest.raises(
        InputError, match="does not exist: make one with openssl genpkey -algorithm"
    ):
        signer(missing)
    with pytest.raises(InputError, match=r"does not exist: .* with openssl pkey -in key\.pem -pub"):
        verify(b"", b"", missing)
    other.write_bytes(b"x" * 100_000)
    with pytest.raises(InputError, match="too large for a key"):
        verify(b"", b"", other)
