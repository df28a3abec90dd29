import json
from contextlib import ExitStack

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.recorded_progress import Recorded
from vggexport.errors import Unavailable
from vggexport.formats.onnx import sessions
from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.metrics.placement import CPU_PROVIDER, CUDA_PROVIDER
from vggexport.network.preprocessing import Preprocessing
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.opening import models, recorded_weights
from vggexport.opening.models import open_model
from vggexport.opening.network import NetworkOptions
from vggexport.opening.run_options import RunOptions
from vggexport.system.digests import file_sha256
from vggexport.system.progress import Progress, Steps


@pytest.mark.parametrize(
    ("provider", "options", "notes"),
    [
        (CUDA_PROVIDER, {"use_tf32": "0"}, ["float32 on CUDA is computed in float32: TF32 is off"]),
        (CPU_PROVIDER, {}, []),
    ],
)
def test_what_is_compared_computes_float32_in_float32(
    export, monkeypatch, provider, options, notes
):
    asked = []

    def runner(path, **chosen):
        asked.append((chosen["provider"], chosen["provider_options"]))
        return OnnxRunner(path)

    monkeypatch.setattr(models, "load_runner", lambda *_names: runner)
    progress = Recorded()
    with ExitStack() as entered:
        run = RunOptions(provider=provider)
        models.open_models(entered, [str(export())], run, Steps(progress))
    assert (asked, progress.facts) == ([(provider, options)], notes)


def test_a_description_of_another_file_is_told(export):
    path, progress = export(), Recorded()
    beside = path.with_name(f"{path.name}.json")
    for told in (json.dumps({"sha256": file_sha256(path)}), '{"sha256": "ab"}', "[]", "no JSON"):
        beside.write_text(told)
        with ExitStack() as entered:
            models.open_models(entered, [str(path)], RunOptions(), Steps(progress))
    assert progress.notes == [
        f"{path} is not the file that {beside} describes: export it again, which writes both"
    ]


def test_recorded_answers_are_advised_where_tensorflow_is_missing(monkeypatch):
    """As on a board, where a file runs and what it was made from does not."""

    def missing(*_arguments, **_options):
        raise Unavailable("tensorflow is not installed", "pip install 'vggexport[cpu]'")

    monkeypatch.setattr(models, "reference_runner", missing)
    spec = VGGSpec("tiny", parse_blocks("conv1-2"), 3, (), (8, 8))
    known = NetworkOptions("random:0", request=spec)
    monkeypatch.setattr(recorded_weights, "_wanted", lambda *_: known)
    with ExitStack() as entered, pytest.raises(Unavailable) as raised:
        open_model(entered, "random:0", None, RunOptions(), Steps(Progress()))
    assert str(raised.value) == (
        "tensorflow is not installed: pip install 'vggexport[cpu]', or compare with answers that "
        "were recorded elsewhere, with golden"
    )


def test_the_other_onnxruntime_stands_instead_of_this_one(export, monkeypatch):
    monkeypatch.setattr(sessions.onnxruntime, "get_available_providers", lambda: [CPU_PROVIDER])
    with pytest.raises(Unavailable, match=r"pip uninstall onnxruntime, then .*stands instead"):
        OnnxRunner(export(), provider=CUDA_PROVIDER).__enter__()


def test_weights_of_another_layout_do_not_take_what_a_file_records_of_its_own(
    make_request, tmp_path
):
    """Native tensors have in them what is done to pixels: a mean is all that is left to record."""
    shapes = {
        "features.0": (4, 3, 3, 3),
        "features.2": (6, 4, 1, 1),
        "features.5": (8, 6, 3, 3),
        "classifier.0": (64, 128),
        "classifier.3": (64, 64),
        "classifier.6": (5, 64),
    }
    state = {f"{name}.weight": np.ones(shape, np.float32) for name, shape in shapes.items()}
    state |= {f"{name}.bias": np.ones(shape[0], np.float32) for name, shape in shapes.items()}
    save_file(state, path := tmp_path / "vgg.safetensors")
    mean = Preprocessing("custom", (123.675, 116.28, 103.53))
    known = make_request(preprocessing=mean).artifact
    network = recorded_weights.open_weights(str(path), known, None, Steps(Progress()))
    assert (network.weights.preprocessing.name, network.weights.preprocessing.known) == (
        "torch",
        False,
    )
