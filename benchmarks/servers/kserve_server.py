"""Serves ONNX files by KServe, by both of its protocols, on 127.0.0.1: PORT NAME=FILE..."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

from answering import Answering
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.protocol.rest.server import RESTServer
from kserve.utils.utils import generate_uuid


class Served(Model):
    """One of them."""

    def __init__(self, name: str, path: Path) -> None:
        """Opens the file."""
        super().__init__(name)
        self._answering = Answering(path, name)
        self.ready = True

    def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """By the Open Inference Protocol, or else as TensorFlow Serving."""
        name = self._answering.output
        if not isinstance(payload, InferRequest):
            rows = self._answering(payload["instances"]).tolist()
            alone = name == "probabilities"
            return {"predictions": rows if alone else [{name: row} for row in rows]}
        answers = self._answering(payload.inputs[0].as_numpy())
        output = InferOutput(name, list(answers.shape), "FP32")
        output.set_data_from_numpy(answers, binary_data=False)
        return InferResponse(payload.id or generate_uuid(), self.name, [output])


def main() -> None:
    """KServe itself listens on all addresses unless it is given a socket."""
    port, *models = sys.argv[1:]
    server = ModelServer(enable_grpc=False)
    for name, _, path in (told.partition("=") for told in models):
        server.register_model(Served(name, Path(path)))
    rest = RESTServer(
        "kserve.model_server:app", server.dataplane, server.model_repository_extension, int(port)
    )
    rest.run(sockets=[socket.create_server(("127.0.0.1", int(port)))])


if __name__ == "__main__":
    main()
