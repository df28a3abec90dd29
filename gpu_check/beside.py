"""What else is measured where it is installed: PyTorch and TensorRT, each in its own process.

They bring libraries of their own under the same names, and a crash costs their own row alone.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from gpu_check.measure import measured, timed
from vggexport.artifact import Artifact
from vggexport.metrics.parity import compare
from vggexport.network.layers import Layer, LayerKind
from vggexport.network.spec import VGGSpec
from vggexport.weights.mapping import Weights
from vggexport.weights.random import random_tensors

TENSORRT = "TensorrtExecutionProvider"
TORCH_SECONDS = 100
TORCH_BATCHES = (1, 64)


def tensorrt(path: Path, image: np.ndarray) -> dict[str, Any]:
    """ONNX Runtime's TensorRT provider on a file, batch 1."""
    if TENSORRT not in onnxruntime.get_available_providers():
        return {"absent": f"{TENSORRT} is not in this onnxruntime"}
    return measured(path, image, TENSORRT, {}, quick=False)


def pytorch(pack: Path) -> dict[str, Any]:
    """The same network in PyTorch, float16 and channels last."""
    if importlib.util.find_spec("torch") is None:
        return {"absent": "PyTorch is not installed"}
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; sys.dont_write_bytecode = True\n"
        "from gpu_check.start import stand_in_for_pillow\n"
        "stand_in_for_pillow()\n"
        "from pathlib import Path\n"
        "from gpu_check.beside import measure_pytorch\n"
        "measure_pytorch(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(pack)]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=TORCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        told = error.stdout or b""
        lines = told.decode().splitlines() if isinstance(told, bytes) else told.splitlines()
        return _merged(lines) | {"error": f"stopped after {TORCH_SECONDS} s"}
    found = _merged(answer.stdout.splitlines())
    if answer.returncode:
        said = answer.stderr.strip().splitlines() or [f"exit {answer.returncode}"]
        found["error"] = said[-1]
    return found


def _merged(lines: Sequence[str]) -> dict[str, Any]:
    """What the process told, a JSON object a line."""
    found: dict[str, Any] = {}
    for line in lines:
        if line.startswith("{"):
            found |= json.loads(line)
    return found


def measure_pytorch(pack: Path) -> None:
    """Prints an object a line, so that what was measured before a crash is kept."""
    import torch  # noqa: PLC0415  where it is installed

    told = json.loads((pack / "pack.json").read_text(encoding="utf-8"))["artifacts"]["float32"]
    artifact = Artifact.from_json(told)
    with np.load(pack / "expected.npz") as stored:
        images, expected = stored["images"], stored["float32"]
    seed = int(artifact.weights.source.partition(":")[2])
    weights = Weights(
        artifact.spec,
        random_tensors(artifact.spec, seed),
        source=artifact.weights.source,
        layout="native",
    )
    _tell({"version": torch.__version__, "cuda": torch.version.cuda})
    with torch.inference_mode():
        network = torch_network(torch, artifact.spec, weights)
        answers = network(_pixels(torch, images)).float().cpu().numpy()
        _tell({"logit_sqnr_db": round(compare(expected, answers).logit_sqnr_db, 2)})
        _ceilings(torch)
        for batch in TORCH_BATCHES:
            pixels = _pixels(torch, np.resize(images, (batch, *images.shape[1:])))
            _tell({f"eager, batch {batch}": _timed(torch, lambda p=pixels: network(p))})
            _tell({f"CUDA graph, batch {batch}": _timed(torch, _recorded(torch, network, pixels))})
        compiled = torch.compile(network, mode="reduce-overhead")
        for batch in TORCH_BATCHES:
            pixels = _pixels(torch, np.resize(images, (batch, *images.shape[1:])))
            _tell({f"compiled, batch {batch}": _timed(torch, lambda p=pixels: compiled(p))})


def torch_network(
    torch: Any, spec: VGGSpec, weights: Weights, device: str = "cuda", dtype: Any = None
) -> Callable[[Any], Any]:
    """The network as a function of NHWC pixels, (images, height, width, 3).

    Convolutions are channels last, as Tensor Cores take them. The mean subtraction and the softmax
    are in float32, as in our float16 files.
    """
    dtype = dtype or torch.float16
    functional = torch.nn.functional
    mean = torch.tensor(spec.mean_rgb, device=device)
    held = {name: torch.from_numpy(array).to(device, dtype) for name, array in weights.items()}

    def convolution(layer: Layer) -> tuple[Any, Any]:
        kernel = held[layer.kernel.name].permute(3, 2, 0, 1)
        return kernel.contiguous(memory_format=torch.channels_last), held[layer.bias.name]

    def matrix(layer: Layer) -> tuple[Any, Any]:
        return held[layer.kernel.name].t().contiguous(), held[layer.bias.name]

    made = {
        layer.name: (matrix if layer.is_matrix else convolution)(layer)
        for layer in spec.weighted_layers
    }

    def network(pixels: Any) -> Any:
        value = pixels
        for layer in spec.layers:
            value = _step(functional, layer, value, mean, made.get(layer.name, ()))
            value = functional.relu(value) if layer.relu else value
        return value

    return network


def _step(functional: Any, layer: Layer, value: Any, mean: Any, weights: Sequence[Any]) -> Any:
    """One layer, without its ReLU."""
    match layer.kind:
        case LayerKind.MEAN_SUBTRACTION:
            return (value.float() - mean).to(value.dtype).permute(0, 3, 1, 2)
        case LayerKind.CONVOLUTION:
            return functional.conv2d(value, *weights, padding="same")
        case LayerKind.MAX_POOLING:
            return functional.max_pool2d(value, 2)
        case LayerKind.FLATTEN:
            return value.permute(0, 2, 3, 1).flatten(1)
        case LayerKind.FULLY_CONNECTED:
            return functional.linear(value, *weights)
        case LayerKind.SOFTMAX:
            return functional.softmax(value.float(), -1)
    raise ValueError(f"layer {layer.name}: {layer.kind} is in no network of a pack")


def _pixels(torch: Any, images: np.ndarray) -> Any:
    return torch.from_numpy(images).to("cuda", torch.float16)


def _timed(torch: Any, run: Callable[[], object]) -> dict[str, Any]:
    def whole() -> None:
        run()
        torch.cuda.synchronize()

    return timed(whole, quick=False)


def _recorded(torch: Any, network: Callable[[Any], Any], pixels: Any) -> Callable[[], object]:
    """A CUDA graph of a run."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            network(pixels)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(pixels)
    replay: Callable[[], object] = graph.replay
    return replay


def _ceilings(torch: Any) -> None:
    """A matrix product and a copy, as PyTorch has them."""
    side = 8192
    left = torch.ones((side, side), dtype=torch.float16, device="cuda")
    right, result = torch.ones_like(left), torch.empty_like(left)
    product = _timed(torch, lambda: torch.mm(left, right, out=result))["min_ms"]
    source = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copy = _timed(torch, lambda: target.copy_(source))["min_ms"]
    _tell(
        {
            "float16 matrix product, TFLOP/s": 2 * side**3 / product / 1e9,
            "copy, GB/s read and written": 2 * 2**30 / copy / 1e6,
        }
    )


def _tell(found: dict[str, Any]) -> None:
    print(json.dumps(found), flush=True)
