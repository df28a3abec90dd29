"""Export and edge deployment of VGG networks: every command as a function.

Each returns the result that the command prints, a frozen value; ``to_json()`` is its ``--json``.

>>> from pathlib import Path
>>> import vggexport
>>> files = vggexport.export(
...     vggexport.NetworkOptions(weights="weights.safetensors"),
...     vggexport.CalibrationOptions(data="images", samples=16),
...     vggexport.ExportOptions(formats=("onnx", "tflite"), folder=Path("out")),
... )
>>> [file.artifact.path for file in files.kept]
['out/vgg_d.onnx', 'out/vgg_d_int8.onnx', 'out/vgg_d.tflite', 'out/vgg_d_int8.tflite']
>>> parity = vggexport.verify(["out/vgg_d.onnx", "out/vgg_d_int8.tflite"], data="images")
>>> parity.passed, parity.candidates[0].runner.precision.value
(True, 'int8')
>>> speed = vggexport.benchmark(["out/vgg_d.onnx"], runs=3, duration_s=0.0, launches=1)
>>> speed.to_json()["results"][0]["latency_ms"]["p50"] > 0
True

A function whose options are one value, such as :class:`VerifyOptions`, takes its fields as well, as
here; with the value itself it takes a ``progress`` beside it, and is silent without one. Whatever
cannot be done raises a :class:`VggExportError` with one clear line. ``to_json()`` of a result keeps
to ``json_schema("verify")`` and the like.

Importing this package imports no TensorFlow, ONNX Runtime or LiteRT, nor numpy; each name is
imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vggexport.errors import VggExportError as VggExportError

if TYPE_CHECKING:
    from vggexport.metrics.tolerance import Tolerance as Tolerance
    from vggexport.network.pictures import PictureRequest as PictureRequest
    from vggexport.network.preprocessing import CONVENTIONS as CONVENTIONS
    from vggexport.network.preprocessing import Preprocessing as Preprocessing
    from vggexport.network.spec import MEAN_RGB as MEAN_RGB
    from vggexport.network.spec import VGGSpec as VGGSpec
    from vggexport.opening.calibration_images import CalibrationOptions as CalibrationOptions
    from vggexport.opening.network import NetworkOptions as NetworkOptions
    from vggexport.opening.network import summarize as summarize
    from vggexport.opening.run_options import RunOptions as RunOptions
    from vggexport.precision import Precision as Precision
    from vggexport.results.schemas import json_schema as json_schema
    from vggexport.weights.request import SpecRequest as SpecRequest
    from vggexport.workflows.benchmark.options import BenchmarkOptions as BenchmarkOptions
    from vggexport.workflows.benchmark.run import benchmark as benchmark
    from vggexport.workflows.build.options import BuildOptions as BuildOptions
    from vggexport.workflows.build.options import FileOptions as FileOptions
    from vggexport.workflows.build.run import build as build
    from vggexport.workflows.build.several import ExportOptions as ExportOptions
    from vggexport.workflows.build.several import export as export
    from vggexport.workflows.bundle.options import BundleOptions as BundleOptions
    from vggexport.workflows.bundle.run import bundle as bundle
    from vggexport.workflows.calibrate.run import calibrate as calibrate
    from vggexport.workflows.check_bundle import BundleCheckOptions as BundleCheckOptions
    from vggexport.workflows.check_bundle import check_bundle as check_bundle
    from vggexport.workflows.diff.run import diff as diff
    from vggexport.workflows.doctor.run import doctor as doctor
    from vggexport.workflows.evaluate.predictions import EngineOptions as EngineOptions
    from vggexport.workflows.evaluate.run import EvaluateOptions as EvaluateOptions
    from vggexport.workflows.evaluate.run import evaluate as evaluate
    from vggexport.workflows.inspect import inspect as inspect
    from vggexport.workflows.prune.options import PruneOptions as PruneOptions
    from vggexport.workflows.prune.run import prune as prune
    from vggexport.workflows.train.options import TrainOptions as TrainOptions
    from vggexport.workflows.train.run import train as train
    from vggexport.workflows.verify.options import VerifyOptions as VerifyOptions
    from vggexport.workflows.verify.run import verify as verify

__version__ = "0.1.0"

_PLACES = {
    "Tolerance": "metrics.tolerance",
    "PictureRequest": "network.pictures",
    "CONVENTIONS": "network.preprocessing",
    "Preprocessing": "network.preprocessing",
    "MEAN_RGB": "network.spec",
    "VGGSpec": "network.spec",
    "Precision": "precision",
    "json_schema": "results.schemas",
    "RunOptions": "opening.run_options",
    "NetworkOptions": "opening.network",
    "summarize": "opening.network",
    "SpecRequest": "weights.request",
    "BenchmarkOptions": "workflows.benchmark.options",
    "benchmark": "workflows.benchmark.run",
    "BuildOptions": "workflows.build.options",
    "FileOptions": "workflows.build.options",
    "build": "workflows.build.run",
    "ExportOptions": "workflows.build.several",
    "export": "workflows.build.several",
    "BundleOptions": "workflows.bundle.options",
    "bundle": "workflows.bundle.run",
    "CalibrationOptions": "opening.calibration_images",
    "calibrate": "workflows.calibrate.run",
    "BundleCheckOptions": "workflows.check_bundle",
    "check_bundle": "workflows.check_bundle",
    "diff": "workflows.diff.run",
    "doctor": "workflows.doctor.run",
    "EngineOptions": "workflows.evaluate.predictions",
    "EvaluateOptions": "workflows.evaluate.run",
    "evaluate": "workflows.evaluate.run",
    "inspect": "workflows.inspect",
    "PruneOptions": "workflows.prune.options",
    "prune": "workflows.prune.run",
    "TrainOptions": "workflows.train.options",
    "train": "workflows.train.run",
    "VerifyOptions": "workflows.verify.options",
    "verify": "workflows.verify.run",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for, and keeps it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value
