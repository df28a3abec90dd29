"""The half of ``gpu-check`` that needs TensorFlow: all that a GPU's machine needs, in a folder.

Weights are not in it: they are drawn from their seed there, and their digest is compared.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import calibration
import vggexport
from vggexport.artifact import Artifact
from vggexport.formats.onnx.architecture import DEFAULT_OPSET
from vggexport.formats.onnx.converted_graphs import converted, entry, save
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.precision import Precision
from vggexport.system.process import package_versions

IMAGES = 4
SAMPLES = 8
PRECISIONS = (Precision.FLOAT32, Precision.FLOAT16, Precision.INT8)
HERE = Path(__file__).resolve().parent


def pack(folder: Path, network: vggexport.NetworkOptions) -> dict[str, object]:
    """Writes the folder; what it says of the files is what was written and run here.

    Args:
        folder: Made if it is missing; what is in it is replaced.
        network: Random weights from a seed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = vggexport.CalibrationOptions(samples=SAMPLES)
    ranges = folder / "ranges.json"
    ranges.unlink(missing_ok=True)
    vggexport.calibrate(network, options, ranges)
    with tempfile.TemporaryDirectory(prefix="vggexport-") as files:
        report = vggexport.export(
            network,
            options,
            vggexport.ExportOptions(("onnx",), PRECISIONS, Path(files)),
            vggexport.BuildOptions(ranges=ranges, check=False),
        )
        artifacts = [build.artifact for build in report.kept]
        answers = _answers(artifacts)
    spec = artifacts[0].spec
    save(entry(folder / "graphs", spec, DEFAULT_OPSET), converted(spec, DEFAULT_OPSET))
    np.savez_compressed(folder / "expected.npz", **answers)
    _write_sources(folder / "source.zip")
    shutil.copyfile(HERE / "start.py", folder / "run.py")
    told = {
        "artifacts": {a.precision.value: _without_folder(a) for a in artifacts},
        "versions": package_versions(),
    }
    (folder / "pack.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return told


def _without_folder(artifact: Artifact) -> dict[str, object]:
    return {**artifact.to_json(), "path": Path(artifact.path).name}


def _answers(artifacts: Iterable[Artifact]) -> dict[str, np.ndarray]:
    """Images, and what each file answers on the CPU here."""
    answers: dict[str, np.ndarray] = {}
    for artifact in artifacts:
        size = artifact.spec.input_size
        images = np.stack([calibration.synthetic_image(0, i, size) for i in range(IMAGES)])
        with OnnxRunner(Path(artifact.path)) as runner:
            answers[artifact.precision.value] = runner.predict(images)
        answers["images"] = images
    return answers


def _write_sources(path: Path) -> None:
    """The packages, and the scripts of the other half."""
    root = HERE.parent
    found = [*root.glob("vggexport/**/*.py"), *root.glob("calibration/*.py")]
    found += HERE.glob("*.py")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as sources:
        for file in sorted(found):
            sources.write(file, file.relative_to(root))
