"""What Triton's Python backend runs: ``model.onnx`` beside it, by the inputs of config.pbtxt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import triton_python_backend_utils as backend
from answering import Answering


class TritonPythonModel:
    """The class that the backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the file of the version that is asked for."""
        folder = Path(args["model_repository"]) / args["model_version"]
        self._answering = Answering(folder / "model.onnx", args["model_name"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """One answer a request."""
        given = [backend.get_input_tensor_by_name(r, "images").as_numpy() for r in requests]
        name = self._answering.output
        tensors = [backend.Tensor(name, self._answering(images)) for images in given]
        return [backend.InferenceResponse([tensor]) for tensor in tensors]
