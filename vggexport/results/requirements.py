"""What a model file needs of where it runs, as far as that was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vggexport.artifact import SNAPDRAGON, Artifact
from vggexport.precision import NARROW_BITS, Precision
from vggexport.system.json_values import JsonValue

_ONNX = {"onnxruntime": "1.17.3"}
_OPSET_21 = {"onnxruntime": "1.18.0"}
_MEDIAPIPE = "mediapipe"
_TFLITE = {"tflite-runtime": "2.14.0", "ai-edge-litert": "1.0.1", _MEDIAPIPE: "0.10.14"}
_OLDEST: Mapping[str, Mapping[Precision, Mapping[str, str]]] = {
    "onnx": dict.fromkeys(Precision, _ONNX),
    "tflite": {
        **dict.fromkeys(Precision, _TFLITE),
        Precision.DYNAMIC_INT8: {"ai-edge-litert": "1.0.1", _MEDIAPIPE: "0.10.14"},
        Precision.INT8_W4: {"ai-edge-litert": "2.1.2", _MEDIAPIPE: "1.2.3"},
    },
}
"""By format and precision; docs/runtimes.md has what was tried, and when."""


@dataclass(frozen=True, slots=True)
class Requirements(JsonValue):
    """What a model file needs.

    Attributes:
        oldest_runtimes: The oldest version that ran such a file rightly when it was tried, by the
            name of the package; nothing where none was tried.
        notes: What will not take it, or answers otherwise, a sentence each.
    """

    oldest_runtimes: Mapping[str, str]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, artifact: Artifact) -> Requirements:
        """Those of a file."""
        ours = {} if artifact.foreign else _OLDEST.get(artifact.format, {})
        oldest = dict(ours.get(artifact.precision, {}))
        if oldest and artifact.activation_bits > NARROW_BITS:
            oldest = dict(_OPSET_21)
        if _has_more_at_a_time(artifact):
            oldest.pop(_MEDIAPIPE, None)
        return cls(oldest, tuple(_notes(artifact)))

    @property
    def words(self) -> str:
        """The runtimes: "tflite-runtime 2.14.0, ai-edge-litert 1.0.1"."""
        listed = ", ".join(f"{name} {version}" for name, version in self.oldest_runtimes.items())
        return listed or "not tried in older runtimes"


def _has_more_at_a_time(artifact: Artifact) -> bool:
    """Whether a file takes a fixed number of images, and not one."""
    return artifact.batch not in (1, None)


def _on_cpus(artifact: Artifact) -> str:
    if artifact.activation_bits > NARROW_BITS:
        return (
            "CPUs compute 16-bit activations in float, slower than a float32 file; ONNX Runtime "
            "rounds what fully connected layers read to 8 bits, unless its session option "
            "session.qdq_matmulnbits_accuracy_level is 1: 43 dB"
        )
    if artifact.format == "tflite":
        return (
            "on processors without VNNI its probabilities differ by up to 0.11 from those with it, "
            "measured with the same best class"
        )
    return (
        "on x86-64 CPUs without VNNI set ONNX Runtime's session option "
        "session.x64quantprecision=1: without it sums saturate, and a trained network gave "
        "another best class on 21% of 24 photographs"
    )


def _notes(artifact: Artifact) -> Iterator[str]:
    profile, is_tflite = artifact.profile, artifact.format == "tflite"
    if profile.needs_ranges:
        yield _on_cpus(artifact)
        if artifact.format in {"onnx", "ort"} and not artifact.symmetric:
            yield (
                "TensorRT takes symmetric int8 alone, and activations that have a zero point "
                "other than 0 are asymmetric"
            )
        if artifact.target == SNAPDRAGON:
            yield (
                "on Qualcomm's NPU the last layer and the softmax compute in half precision: "
                "probabilities below 4e-7 are 0 there"
            )
        elif not artifact.full_integer:
            yield "NPUs that compute in integers alone take full-integer TFLite files, not this one"
    if artifact.precision is Precision.FLOAT16 and not is_tflite:
        yield (
            "on ARM processors with 16-bit floats ONNX Runtime sums in 16 bits: 38 dB on the "
            "logits of 8 photographs under emulation, and up to 0.083 on a probability; files in "
            "float32 and int8 lose nothing there"
        )
    if is_tflite and artifact.precision is Precision.INT8_W4:
        yield (
            "without XNNPACK it answers wrongly and says nothing: LiteRT's other kernels gave "
            "-6 dB. Turn XNNPACK on (Android: Interpreter.Options.setUseXNNPACK(true); Swift: "
            "Interpreter.Options.isXNNPackEnabled, which is off by default), and run the golden "
            "check"
        )
    if is_tflite and _has_more_at_a_time(artifact):
        yield f"MediaPipe's ImageClassifier takes one image at a time, not {artifact.batch}"
    if is_tflite and artifact.spec.label_count > artifact.spec.classes:
        yield "MediaPipe names no class of a single output"
