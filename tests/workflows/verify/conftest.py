"""Files of the tiny network in every format, which may be changed."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import vggexport
from vggexport.metrics.tolerance import Tolerance
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.precision import Precision
from vggexport.workflows.build.options import BuildOptions
from vggexport.workflows.build.several import ExportOptions


@pytest.fixture(scope="session")
def built(network, tmp_path_factory) -> Path:
    """float32 and int8 of every format."""
    few = CalibrationOptions(samples=4)
    options = ExportOptions(folder=tmp_path_factory.mktemp("built"))
    assert vggexport.export(network, few, options, BuildOptions(check=False)).failures == ()
    return options.folder


@pytest.fixture
def files(built, tmp_path, monkeypatch, tolerate) -> None:
    """A copy of them in ``out/``, which may be changed."""
    shutil.copytree(built, tmp_path / "work" / "out")
    monkeypatch.chdir(tmp_path / "work")
    tolerate(Tolerance("", min_logit_sqnr_db=5.0), Precision.INT8.profile)


@pytest.fixture
def changed():
    """Writes a copy of the float32 ONNX file with one weight changed by a function."""

    def change(name, function):
        model = onnx.load("out/vgg_tiny.onnx")
        for tensor in model.graph.initializer:
            if tensor.name == name:
                array = function(numpy_helper.to_array(tensor))
                tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), name))
        onnx.save(model, "broken.onnx")
        return "broken.onnx"

    return change
