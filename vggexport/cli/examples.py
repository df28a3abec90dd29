"""One or two uses of each command, as its help shows them and a test reads them."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "summary": (
        "vggexport summary --weights flowers.keras",
        "vggexport summary --config E --classes 12",
    ),
    "savedmodel": ("vggexport savedmodel --weights vgg16.safetensors -o vgg16_saved_model",),
    "onnx": (
        "vggexport onnx --quantize --weights vgg16.safetensors --calibration-data photos/",
        "vggexport onnx --weights flowers.keras --preprocessing caffe -o flowers.onnx",
    ),
    "tflite": ("vggexport tflite --quantize --weights flowers.keras --calibration-data photos/",),
    "export": ("vggexport export --precisions float32,int8 --weights vgg16.safetensors -o out/",),
    "calibrate": ("vggexport calibrate --weights vgg16.safetensors --calibration-data photos/",),
    "inspect": ("vggexport inspect vgg_d_int8.onnx --require int8",),
    "verify": (
        "vggexport verify vgg_d.onnx vgg_d_int8.onnx vgg_d_int8.tflite --data photos/ --layers",
        "vggexport verify vgg_d.onnx old.onnx --preprocessing-of old.onnx=torch",
    ),
    "benchmark": (
        "vggexport benchmark vgg_d_int8.onnx --threads 1,2 --baseline last.onnx",
        "vggexport benchmark vgg_d.onnx --runtime onnxruntime --runtime openvino",
    ),
    "evaluate": ("vggexport evaluate vgg_d.onnx vgg_d_int8.onnx --data labelled/ --max-drop 1%",),
    "train": ("vggexport train --data flowers/ --weights imagenet --reinit predictions",),
    "prune": ("vggexport prune --weights vgg.safetensors --calibration-data photos/ --speedup 2x",),
    "bundle": ("vggexport bundle vgg_d_int8.tflite --licence MIT --sign key.pem -o release.zip",),
    "check-bundle": ("vggexport check-bundle release.zip --public-key key.pub.pem",),
    "diff": ("vggexport diff last.zip release.zip --markdown changes.md",),
    "doctor": ("vggexport doctor onnx verify",),
    "schema": ("vggexport schema verify",),
}
"""Command lines by command; each has at least one."""


def epilog(command: str) -> str:
    """The end of a command's help, whose lines Click leaves as they are."""
    lines = EXAMPLES[command]
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(("\b", title, *(f"  {line}" for line in lines)))
