"""What files say that they need."""

import pytest

from vggexport.results.requirements import Requirements


@pytest.mark.parametrize(
    ("precision", "format_", "words"),
    [
        ("float32", "tflite", "tflite-runtime 2.14.0, ai-edge-litert 1.0.1, mediapipe 0.10.14"),
        ("int8", "tflite", "tflite-runtime 2.14.0, ai-edge-litert 1.0.1, mediapipe 0.10.14"),
        ("dynamic-int8", "tflite", "ai-edge-litert 1.0.1, mediapipe 0.10.14"),
        ("int8-w4", "tflite", "ai-edge-litert 2.1.2, mediapipe 1.2.3"),
        ("int8-w4", "onnx", "onnxruntime 1.17.3"),
    ],
)
def test_the_oldest_runtime_is_named(make_request, precision, format_, words):
    artifact = make_request(precision, format=format_, batch=1).artifact
    assert Requirements.of(artifact).words == words


def test_what_will_not_take_a_file_is_said(make_request):
    said = " ".join(Requirements.of(make_request("int8").artifact).notes)
    assert "TensorRT takes symmetric int8 alone" in said
    assert "without VNNI set ONNX Runtime's session option session.x64quantprecision=1" in said
    lite = " ".join(Requirements.of(make_request("int8", format="tflite").artifact).notes)
    assert "without VNNI its probabilities differ by up to 0.11" in lite
    assert "full-integer" in said
    assert Requirements.of(make_request("float32").artifact).notes == ()
    assert Requirements.of(make_request("float32", format="tflite").artifact).notes == ()
    three = Requirements.of(make_request("float32", format="tflite", batch=3).artifact)
    assert three.notes == ("MediaPipe's ImageClassifier takes one image at a time, not 3",)
    assert "mediapipe" not in three.oldest_runtimes


def test_int8_w4_tflite_says_that_it_wants_xnnpack(make_request):
    notes = Requirements.of(make_request("int8-w4", format="tflite").artifact).notes
    assert any(note.startswith("without XNNPACK it answers wrongly") for note in notes)
    assert "XNNPACK" not in " ".join(Requirements.of(make_request("int8-w4").artifact).notes)


def test_float16_in_onnx_says_what_arm_makes_of_it(make_request):
    (note,) = Requirements.of(make_request("float16").artifact).notes
    assert note.startswith("on ARM processors with 16-bit floats ONNX Runtime sums in 16 bits: 38 ")
    assert Requirements.of(make_request("float16", format="tflite").artifact).notes == ()
