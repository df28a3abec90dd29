"""LiteRT, the runtime of TFLite files, with its XNNPACK kernels."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError, one_line
from vggexport.formats.foreign import feed, scores
from vggexport.formats.runner import Images, Prepared, Runner, check_ends, does_not_run, ends_of
from vggexport.formats.tflite.file_reader import TfliteFile, TfliteTensor
from vggexport.formats.tflite.foreign import read_foreign
from vggexport.network.ends import Ends
from vggexport.network.layers import MEAN_SUBTRACTION_NAME, OUTPUT_NAME
from vggexport.system.output_files import temporary_folder
from vggexport.system.process import usable_cores
from vggexport.system.stderr_capture import silenced_stderr

PROVIDER = "CPU (XNNPACK)"


class TfliteRunner(Runner):
    """A ``.tflite`` file in LiteRT; with 0 threads on one a core that this process may use.

    Raises:
        ArtifactError: On entering: LiteRT cannot read the file, or it is not one of ours.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self.runtime = f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}"
        self.provider = PROVIDER
        self.threads = threads
        self.artifact: Artifact | None = None
        self._path = path
        self._interpreter: Any = None
        self._ends: Ends
        self._layers: dict[str, TfliteTensor] = {}
        self._readable: dict[str, TfliteTensor] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def __enter__(self) -> Self:
        file = TfliteFile(self._path)
        self.artifact = file.artifact()
        if self.artifact is None:
            self.artifact, self._layers = read_foreign(file)
            output = self._layers[OUTPUT_NAME]
        else:
            check_ends(self._path, file.signature)
            self._layers = _layers(file, self.artifact)
            output = file.signature[OUTPUT_NAME]
        self._ends = ends_of(self.artifact)
        layers = self.artifact.spec.layers
        self._shapes = {layer.name: layer.output_shape for layer in layers}
        self._interpreter = self._open(self._path)
        self._readable = {OUTPUT_NAME: output}
        return self

    def close(self) -> None:
        """Lets go of the network and its memory."""
        self._interpreter = None
        self._layers, self._readable = {}, {}

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs of layers by their names.

        Those that the file does not put out are read from a copy of it that does, on the same
        kernels; the copy is in a temporary folder while it is read, and in memory afterwards.
        """
        wanted = list(names)
        if missing := [name for name in wanted if name not in self._readable]:
            self._tap(missing)
        if not wanted:
            return {}
        self._run(images)
        found = {name: self._value(self._readable[name]) for name in wanted}
        shaped = {n: v.reshape(len(v), *self._shapes[n]) for n, v in found.items()}
        if OUTPUT_NAME in shaped:
            shaped[OUTPUT_NAME] = scores(shaped[OUTPUT_NAME], self._ends)
        return shaped

    def _open(self, path: Path) -> Any:
        threads = self.threads or usable_cores()
        try:
            with silenced_stderr():  # it tells which delegate it took
                interpreter = Interpreter(str(path), num_threads=threads)
                interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(f"LiteRT cannot run {self._path}: {one_line(error)}") from error
        return interpreter

    def _tap(self, names: list[str]) -> None:
        """Opens the file anew, these layers among its outputs."""
        if unknown := [name for name in names if name not in self._layers]:
            raise ArtifactError(
                f"{self._path} has no layer {', '.join(unknown)}: it has "
                f"{', '.join(self._layers) or 'none that can be read'}"
            )
        readable = self._readable | {name: self._layers[name] for name in names}
        with temporary_folder() as folder:
            copy = folder / "tapped.tflite"
            TfliteFile(self._path).write_with_outputs(readable.values(), copy)
            self._interpreter = None  # before the next: both would be in memory
            self._interpreter = self._open(copy)
        self._readable = readable

    def prepare(self, images: Images) -> Prepared:
        """``Interpreter.invoke`` on images that are in the input tensor already."""
        self._fill(images)
        output = self._readable[OUTPUT_NAME]

        def probabilities() -> NDArray[np.float32]:
            self._interpreter.invoke()
            return scores(self._value(output), self._ends)

        return Prepared(self._interpreter.invoke, probabilities)

    def _run(self, images: Images) -> None:
        self._fill(images)
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise does_not_run(self._path, images, one_line(error)) from error

    def _fill(self, images: Images) -> None:
        """Puts the images into the input tensor, which gets their number."""
        source = self._interpreter.get_input_details()[0]
        pixels = feed(images, self._ends)
        self._check_shape(pixels.shape, tuple(map(int, source["shape_signature"])))
        try:
            if source["shape"][0] != len(images):
                self._interpreter.resize_tensor_input(source["index"], pixels.shape)
                self._interpreter.allocate_tensors()
            self._interpreter.set_tensor(source["index"], pixels)
        except (ValueError, RuntimeError) as error:
            raise does_not_run(self._path, images, one_line(error)) from error

    def _check_shape(self, given: tuple[int, ...], declared: tuple[int, ...]) -> None:
        """LiteRT would take another size of image, and make further images of it to flatten it."""
        free = declared[0] < 0
        if len(given) != len(declared) or given[free:] != declared[free:]:
            shape = ("batch", *declared[1:]) if free else declared
            raise ArtifactError(
                f"{self._path} takes images of shape ({', '.join(map(str, shape))}), not {given}"
            )

    def _value(self, tensor: TfliteTensor) -> NDArray[np.float32]:
        """A copy of a tensor's value, dequantized."""
        try:
            value: NDArray[Any] = self._interpreter.get_tensor(tensor.index)
        except ValueError as error:  # of a damaged file, in which nothing computes it
            raise ArtifactError(
                f"{self._path}: {tensor.name} cannot be read: {one_line(error)}"
            ) from error
        if not tensor.scales.size:
            return value.astype(np.float32, copy=False)
        integers = value.astype(np.float32) - np.float32(tensor.zero_points[0])
        real: NDArray[np.float32] = integers * tensor.scales[0]
        return real


def _layers(file: TfliteFile, artifact: Artifact) -> dict[str, TfliteTensor]:
    """The tensors that the layers of one of our files compute, by the layers' names.

    Of the mean subtraction that is the int8 one where there is one: the next layer reads it.
    """
    tensors = {tensor.name: tensor for tensor in file.tensors}
    names = [layer.name for layer in artifact.spec.layers]
    found = {name: tensors[name] for name in names if name in tensors}
    if read := tensors.get(f"{MEAN_SUBTRACTION_NAME}/int8"):
        found[MEAN_SUBTRACTION_NAME] = read
    return found
