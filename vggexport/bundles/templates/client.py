#!/usr/bin/env python3
"""Classifies pictures on Triton or TensorFlow Serving over HTTP, or holds the server to the bundle.

    pip install numpy pillow
    python client.py --url http://localhost:8000 --server triton --model vgg \
        --file triton/vgg/1/model.onnx [PICTURE...]
    python client.py --url http://localhost:8501 --server tensorflow --model vgg \
        --file tf-serving/vgg/1 [PICTURE...]

Without pictures the golden images are sent. The exit code is 1 if answers are out of tolerance or
missing, 2 where the command line does not fit the bundle or a picture cannot be read. Decoding,
scaling and the comparison are those of self_test.py, which lies in the bundle.
"""

from __future__ import annotations

import argparse
import http.client
import importlib
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

BUNDLE = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True  # a file that SHA256SUMS does not list fails the bundle's check
sys.path.insert(0, str(BUNDLE))
self_test: Any = importlib.import_module("self_test")

SECONDS = 60
BEST = 5


def main() -> int:
    options = arguments()
    golden = self_test.read_json("golden/golden.json")
    description = self_test.read_json("preprocessing.json")
    artifact = chosen(options.file)
    answers = answers_on(options.device, artifact["path"], golden)
    model = description["models"][artifact["path"]]
    ask = SERVERS[options.server]
    try:
        if options.pictures:
            for picture in options.pictures:
                show(picture, ask(options, pixels_of(picture, description), model))
            return 0
        images = self_test.golden_images(golden)
        actual = np.stack([ask(options, image, model) for image in images])
    except (OSError, ValueError, LookupError, TypeError) as error:
        print(f"FAILED   {options.url}: {error}")
        return 1
    activation = (artifact["spec"] or artifact["ends"]).get("head_activation", "softmax")
    problems = self_test.check_answers(actual, answers, activation)
    code: int = self_test.conclude(
        problems, f"{len(golden['images'])} golden images on {options.url}"
    )
    return code


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pictures", nargs="*", help="files to classify")
    parser.add_argument("--url", required=True, help="http://host:port")
    parser.add_argument("--server", required=True, choices=list(SERVERS))
    parser.add_argument("--model", required=True, help="its name on the server")
    parser.add_argument(
        "--file", help="the file of the bundle that the model is of, where there are several"
    )
    help_of_device = "apply the tolerances of this device: cpu, or accelerator for a GPU"
    parser.add_argument("--device", default="cpu", help=help_of_device)
    return parser.parse_args()


def chosen(name: str | None) -> Any:
    """The model that the server has, of those in the bundle."""
    found = [entry["artifact"] for entry in self_test.read_json("MANIFEST.json")["artifacts"]]
    named = [artifact for artifact in found if name in (None, artifact["path"])]
    known = ", ".join(artifact["path"] for artifact in found)
    if not named:
        refuse(f"--file {name} is not in the bundle, which has {known}")
    if len(named) > 1:
        refuse(f"say with --file which model the server has: {known}")
    return named[0]


def answers_on(device: str, name: str, golden: Any) -> Any:
    """A model's golden answers; the device's tolerances stand where self_test looks for "cpu"."""
    answers = next(a for a in golden["artifacts"] if a["name"] == name)
    rows = {row["device"]: row for row in answers["tolerances"]}
    if device not in rows:
        refuse(f"--device {device}: golden.json has tolerances of {name} for {', '.join(rows)}")
    return {**answers, "tolerances": [{**rows[device], "device": "cpu"}]}


def pixels_of(picture: str, description: Any) -> Any:
    """A file as the models take it."""
    try:
        decoded = self_test.decode(Path(picture).resolve(), description["steps"][0])
    except Exception as error:  # noqa: BLE001  decoders' errors share no class of their own
        refuse(f"{picture} cannot be read as a picture: {error}")
    return self_test.prepare(decoded, description)


def refuse(problem: str) -> NoReturn:
    """Ends on a command line that does not fit."""
    print(problem, file=sys.stderr)
    sys.exit(2)


def ask_triton(options: argparse.Namespace, pixels: Any, model: Any) -> Any:
    """By the KServe protocol, version 2."""
    source, result = model["input"], model["output"]
    values = self_test.quantized(pixels, source)
    types = {"float32": "FP32", "uint8": "UINT8", "int8": "INT8"}
    given = {
        "name": source["name"],
        "shape": list(values.shape),
        "datatype": types[source["dtype"]],
        "data": values.ravel().tolist(),
    }
    outputs = post(options, "/v2/models/{}/infer", {"inputs": [given]}, "outputs")
    output = named({o["name"]: o for o in outputs}, result["name"])
    return self_test.dequantized(numbers(output["data"]).reshape(output["shape"]), result)


def ask_tensorflow(options: argparse.Namespace, pixels: Any, model: Any) -> Any:
    """By TensorFlow Serving's REST API."""
    source, result = model["input"], model["output"]
    instances = self_test.quantized(pixels, source).tolist()
    rows = post(options, "/v1/models/{}:predict", {"instances": instances}, "predictions")
    # A model of several outputs gives them by name; of one, the values alone.
    values = [named(row, result["name"]) if isinstance(row, dict) else row for row in rows]
    return self_test.dequantized(numbers(values), result)


SERVERS = {"triton": ask_triton, "tensorflow": ask_tensorflow}


def post(options: argparse.Namespace, place: str, content: Any, key: str) -> Any:
    """What a server answers under a key; its own words where it refuses."""
    if not options.url.startswith(("http://", "https://")):
        raise ValueError("the address does not begin with http:// or https://")
    place = place.format(urllib.parse.quote(options.model))
    request = urllib.request.Request(
        options.url.rstrip("/") + place,
        json.dumps(content).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        said = error.read(500).decode(errors="replace")
        raise ValueError(f"{place}: {error}: {said}") from error
    except http.client.HTTPException as error:
        raise ValueError(f"no answer in HTTP, {error!r}: is it the port of gRPC?") from error
    if not isinstance(found, dict) or key not in found:
        raise ValueError(f"{place}: an answer without {key!r}: {json.dumps(found)[:200]}")
    return found[key]


def named(outputs: Any, name: str) -> Any:
    """One output of those that a server gives."""
    if name not in outputs:
        raise ValueError(f"the model gives {', '.join(outputs)}, expected an output named {name}")
    return outputs[name]


def numbers(values: Any) -> Any:
    """JSON's numbers; null, which stands for none, is NaN."""
    return np.array(values, np.float64)


def show(picture: str, probabilities: Any) -> None:
    """The best classes by name."""
    for label, probability in self_test.ranked(probabilities, self_test.read_labels())[:BEST]:
        print(f"{picture}: {probability:6.1%} {label}")


if __name__ == "__main__":
    sys.exit(main())
