from contextlib import ExitStack

import pytest

from vggexport.formats.onnx.runner import OnnxRunner
from vggexport.metrics.placement import CPU_PROVIDER, CUDA_PROVIDER
from vggexport.opening import models
from vggexport.opening.models import RunOptions
from vggexport.system.progress import Progress, Steps


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (RunOptions(provider=CUDA_PROVIDER), {"use_tf32": "0"}),
        (RunOptions(provider=CUDA_PROVIDER, tf32=True), {}),
        (
            RunOptions(provider=CUDA_PROVIDER, cuda_graph=True),
            {"use_tf32": "0", "enable_cuda_graph": "1"},
        ),
        (RunOptions(provider=CPU_PROVIDER), {}),
        (RunOptions(), {}),
    ],
)
def test_the_options_of_cuda(options, expected):
    assert options.provider_options == expected


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
    asked, told = [], []

    def runner(path, **chosen):
        asked.append((chosen["provider"], chosen["provider_options"]))
        return OnnxRunner(path)

    monkeypatch.setattr(models, "load_runner", lambda *_names: runner)
    progress = Progress()
    monkeypatch.setattr(progress, "note", lambda *parts: told.append(parts[0]))
    with ExitStack() as entered:
        run = RunOptions(provider=provider)
        models.open_models(entered, [str(export())], run, Steps(progress))
    assert (asked, told) == ([(provider, options)], notes)
