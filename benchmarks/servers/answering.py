"""A model as a server runs it: rightly, or with a mistake that its name says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

IMAGES: Mapping[str, Callable[[Any], Any]] = {
    "bgr": lambda images: images[..., ::-1],
    "by-255": lambda images: images / np.float32(255),
}
"""What a server may do to pixels that the model does itself."""

ANSWERS: Mapping[str, Callable[[Any], Any]] = {
    "logits": np.log,
    "classes-moved": lambda answers: np.roll(answers, 1, axis=-1),
    "fewer-classes": lambda answers: answers[..., :-1],
    "nan": lambda answers: answers * np.float32("nan"),
}
"""And to probabilities."""

OUTPUTS: Mapping[str, str] = {"other-output": "logits"}
"""And what it may call them, where that is not "probabilities"."""

MISTAKES = (*IMAGES, *ANSWERS, *OUTPUTS)


class Answering:
    """A file in ONNX Runtime."""

    def __init__(self, path: Path, name: str) -> None:
        """Opens it.

        Args:
            path: The ONNX file.
            name: The model's on the server: of a mistake, or any other.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.x64quantprecision", "1")
        # Triton's own backend has no such option; this is what its "graph { level: 2 }" stands for.
        if name == "unoptimized":
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.add_session_config_entry("session.x64quantprecision", "0")
        self._session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self._name = name
        self.output = OUTPUTS.get(name, "probabilities")

    def __call__(self, images: Any) -> Any:
        """Answers of a batch, (images, classes) float32."""
        source = self._session.get_inputs()[0]
        dtype = np.uint8 if "uint8" in source.type else np.float32
        given = IMAGES.get(self._name, np.asarray)(np.asarray(images))
        (answers,) = self._session.run(None, {source.name: np.asarray(given, dtype)})
        return np.asarray(ANSWERS.get(self._name, np.asarray)(answers), np.float32)
