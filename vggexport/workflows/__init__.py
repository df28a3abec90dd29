"""The Python API: what each command does, as a function from options to a report.

Formats and runtimes are looked up by name, so importing this package imports none of them.
"""

from vggexport.workflows.answering import EngineOptions
from vggexport.workflows.benchmarking import BenchmarkOptions, benchmark
from vggexport.workflows.building import BuildOptions, FileOptions, build
from vggexport.workflows.bundling import BundleOptions, bundle
from vggexport.workflows.calibrating import CalibrationOptions, calibrate
from vggexport.workflows.checking_bundles import BundleCheckOptions, check_bundle
from vggexport.workflows.contestants import RunOptions
from vggexport.workflows.diffing import diff
from vggexport.workflows.evaluating import EvaluateOptions, evaluate
from vggexport.workflows.exporting import ExportOptions, export
from vggexport.workflows.inspecting import inspect
from vggexport.workflows.network import NetworkOptions, summarize
from vggexport.workflows.training import TrainOptions, train
from vggexport.workflows.verifying import VerifyOptions, verify

__all__ = [
    "BenchmarkOptions",
    "BuildOptions",
    "BundleCheckOptions",
    "BundleOptions",
    "CalibrationOptions",
    "EngineOptions",
    "EvaluateOptions",
    "ExportOptions",
    "FileOptions",
    "NetworkOptions",
    "RunOptions",
    "TrainOptions",
    "VerifyOptions",
    "benchmark",
    "build",
    "bundle",
    "calibrate",
    "check_bundle",
    "diff",
    "evaluate",
    "export",
    "inspect",
    "summarize",
    "train",
    "verify",
]
