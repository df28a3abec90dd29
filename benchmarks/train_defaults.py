"""How good ``train`` with its defaults is on few photographs, beside learning rates tried by hand.

    python -m benchmarks.train_defaults --data FLOWERS --weights CONV.npz [--cache DIR]
        [--sizes 48,120,264,360] [--seeds 3] [--rates 1e-2,3e-3,1e-3,3e-4,1e-4] [--log FILE]

Each training takes some photographs of every class, splits its own off to judge by, as ``train``
does, and is judged on the photographs that it did not take.

The trainer is the product's own, on the product's own features, turned into other axes: of the
25,088 inputs of fc1 the photographs span as many dimensions as there are views of them, so that a
rotation to these axes loses nothing. The weights of fc1 along all others meet no input, get no
gradient and only decay; along these they are drawn from the same distribution, since a rotated
isotropic normal distribution is the same. A step then costs a sixth.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import calibration
from calibration.seeding import generator
from calibration.splitting import stratified_split
from vggexport.errors import Unfinished
from vggexport.formats.exporter import ExportRequest
from vggexport.formats.registry import load_exporter, load_runner
from vggexport.network.head import fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.network.training_recipe import Recipe
from vggexport.opening.network import NetworkOptions, open_network
from vggexport.precision import Precision
from vggexport.system.progress import Progress, Steps
from vggexport.training.checkpoint import Checkpoint, Course, Tensors
from vggexport.training.features import Features, Frozen
from vggexport.training.head_rate import head_rate
from vggexport.training.image_views import Views
from vggexport.training.initial_weights import open_initial_weights
from vggexport.training.job import Sample, TrainingJob
from vggexport.training.patience import patience
from vggexport.training.trainer import train
from vggexport.weights import SpecRequest
from vggexport.weights.random import training_tensors

VIEWS = range(2)
HOLD_OUT = 0.25
LAST = "block5_pool"

Inputs = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class InMemory(Checkpoint):
    """The best weights, kept where they cost no time."""

    best_weights: dict[str, Any] = field(default_factory=dict)

    def save(self, course: Course, weights: Tensors, velocities: Tensors) -> None:
        """Keeps an epoch."""
        del velocities
        if course.best is course.history[-1]:
            self.best_weights.update({name: np.asarray(one) for name, one in weights.items()})


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of folders by class")
    parser.add_argument("--weights", required=True, help="trained convolutions")
    parser.add_argument("--cache", type=Path, default=Path("features"))
    parser.add_argument("--sizes", default="48,120,264,360")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", default="1e-2,3e-3,1e-3,3e-4,1e-4")
    parser.add_argument("--change", default="{}", help="fields of the recipe, as JSON")
    parser.add_argument("--log", type=Path, help="a line a training, as JSON")
    options = parser.parse_args()
    images = calibration.open_labelled(options.data, size=224)
    inputs = rotated(features(images, options))
    recipe = replace(Recipe(), **json.loads(options.change))
    for size in map(int, options.sizes.split(",")):
        compare(images, inputs, size, recipe, options)


def compare(
    images: calibration.LabelledImages,
    inputs: Inputs,
    size: int,
    recipe: Recipe,
    options: argparse.Namespace,
) -> None:
    """The defaults on every seed; each rate on the first seed, and the best of them on all."""

    def tried(name: str, rate: float | None, seed: int) -> float:
        by_hand = {} if rate is None else {"learning_rate": rate, "restarts": 0}
        chosen = replace(recipe, seed=seed, **by_hand)
        share, course, failed = trained(images, inputs, size, chosen, suited=rate is None)
        line = {"photographs": size, "rate": name, "seed": seed, "share": share, "failed": failed}
        line |= {"epochs": len(course.history), "last_rate": course.learning_rate}
        print(json.dumps(line), flush=True)
        if options.log:
            with options.log.open("a") as file:
                file.write(json.dumps(line) + "\n")
        return share

    seeds = range(options.seeds)
    own = [tried("default", None, seed) for seed in seeds]
    rates = [rate for rate in options.rates.split(",") if rate]
    if not rates:
        return
    first = {rate: tried(rate, float(rate), 0) for rate in rates}
    best = max(first, key=lambda rate: first[rate])
    by_hand = [first[best], *(tried(best, float(best), seed) for seed in seeds[1:])]
    print(f"{size:4} photographs: {summary(own, by_hand, best, len(images) - size)}", flush=True)


def summary(own: list[float], by_hand: list[float], best: str, judged: int) -> str:
    """Both means, and the 95 % interval of their difference: of the seeds, and of the images."""
    difference = np.subtract(own, by_hand)
    sampling = 2 * np.mean(own) * (1 - np.mean(own)) / judged
    spread = difference.var(ddof=1) if len(own) > 1 else 0.0
    reach = 1.96 * np.sqrt((spread + sampling) / len(own))
    mean = difference.mean()
    return (
        f"default {np.mean(own):.1%}, by hand {np.mean(by_hand):.1%} at {best}, difference "
        f"{100 * mean:.1f} ({100 * (mean - reach):.1f} to {100 * (mean + reach):.1f}) points on "
        f"{judged} others"
    )


def features(images: calibration.LabelledImages, options: argparse.Namespace) -> Inputs:
    """What the head takes of every view: (images, views, inputs)."""
    steps = Steps(Progress())
    start, _ = open_initial_weights(
        network(options.weights), images, steps, reinit=(), initializer="paper"
    )
    layer = start.spec.head_input
    frozen = Frozen(start.spec, layer, start.up_to(layer))
    computed = Features(frozen, Views(images.source, Recipe()), options.cache)
    every = [(index, view) for index in range(len(images)) for view in VIEWS]
    with tempfile.TemporaryDirectory() as folder:
        for _ in computed.compute(every, Convolutions(options.weights, folder)):
            pass
    return np.stack([[computed.read(i, view) for view in VIEWS] for i in range(len(images))])


def network(weights: str) -> NetworkOptions:
    """The convolutions with the smallest head."""
    return NetworkOptions(weights, init_missing=True, request=SpecRequest(fc_units=(8, 8)))


class Convolutions:
    """The frozen layers in ONNX Runtime, which takes half of the time that TensorFlow does."""

    def __init__(self, weights: str, folder: str) -> None:
        opened = open_network(network(weights), Steps(Progress()))
        path = Path(folder, "convolutions.onnx")
        artifact = opened.artifact(path, "onnx", Precision.FLOAT32)
        load_exporter("onnx").export(ExportRequest(artifact, opened.weights, taps=(LAST,)), path)
        self._runner = load_runner("onnx")(path, threads=1)

    def __enter__(self) -> Any:
        self._runner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.close()

    def activations(self, images: NDArray[np.uint8], names: list[str]) -> dict[str, Inputs]:
        """What the last pooling gives, in the order in which the head takes it."""
        found = self._runner.activations(images, [LAST])[LAST]
        return {names[0]: found.reshape(len(images), -1)}


def rotated(inputs: Inputs) -> Inputs:
    """The same in as many dimensions as there are views: all products of two are kept."""
    flat = inputs.reshape(-1, inputs.shape[-1]).astype(np.float64)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    turned = vectors * np.sqrt(np.maximum(values, 0))
    return turned.reshape(*inputs.shape[:2], -1).astype(np.float32)


def trained(
    images: calibration.LabelledImages,
    inputs: Inputs,
    size: int,
    recipe: Recipe,
    *,
    suited: bool = False,
) -> tuple[float, Course, str]:
    """Share of the photographs not used that the best epoch gets right; and how it went."""
    used, others = chosen(images, size, recipe.seed)
    learn, judge = stratified_split(images.chosen(used), HOLD_OUT, seed=recipe.seed)
    spec = VGGSpec(
        "turned",
        parse_blocks(f"conv1-{inputs.shape[-1]}"),
        len(images.classes),
        fully_connected(4096, 4096),
        (2, 2),
    )
    weights = {
        name: tensor.read()
        for name, tensor in training_tensors(spec, recipe.seed, recipe.initializer).items()
    }
    samples = [
        Sample(part, images.targets[part], lambda index, view: inputs[index, view])
        for part in (used[learn], used[judge])
    ]
    job = TrainingJob(spec, spec.head_input, weights, len(VIEWS), *samples)
    course = replace(Course.begin(recipe), patience=patience(job, recipe))
    checkpoint = InMemory(Path())
    failed = ""
    if suited:
        course = replace(course, learning_rate=head_rate(job, recipe.learning_rate))
    try:
        for after in train(job, course, checkpoint):
            course = after
    except Unfinished as error:
        failed = error.fact
    if not checkpoint.best_weights:
        return 0.0, course, failed
    best = answers(inputs[others, 0], checkpoint.best_weights)
    return float((best == images.targets[others]).mean()), course, failed


def chosen(
    images: calibration.LabelledImages, size: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """So many photographs, as many of each class; and all others."""
    each = size // len(images.classes)

    def of_each() -> Iterator[NDArray[np.intp]]:
        for target in range(len(images.classes)):
            members = np.flatnonzero(images.targets == target)
            yield generator(seed, target).permutation(members)[:each]

    used = np.sort(np.concatenate(list(of_each())))
    return used, np.setdiff1d(np.arange(len(images)), used)


def answers(inputs: Inputs, weights: dict[str, Any]) -> NDArray[np.intp]:
    """The best class of each."""
    for layer in ("fc1", "fc2"):
        inputs = np.maximum(inputs @ weights[f"{layer}/kernel"] + weights[f"{layer}/bias"], 0)
    logits = inputs @ weights["predictions/kernel"] + weights["predictions/bias"]
    found: NDArray[np.intp] = logits.argmax(axis=1)
    return found


if __name__ == "__main__":
    main()
