"""The Python API: what each command does, as a function from options to a report.

Formats and runtimes are looked up by name, so importing this package imports none of them.
"""

from vggexport.workflows.building import OnnxOptions, build_onnx
from vggexport.workflows.calibrating import CalibrationOptions, calibrate
from vggexport.workflows.inspecting import inspect
from vggexport.workflows.network import NetworkOptions, summarize

__all__ = [
    "CalibrationOptions",
    "NetworkOptions",
    "OnnxOptions",
    "build_onnx",
    "calibrate",
    "inspect",
    "summarize",
]
