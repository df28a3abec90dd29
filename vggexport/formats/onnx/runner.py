"""ONNX Runtime.

A file of ours has one output, the probabilities. Other layers are read from a copy of it
(``vggexport.formats.onnx.tapped_copy``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from vggexport.artifact import Artifact
from vggexport.errors import ArtifactError, one_line
from vggexport.formats.foreign import feed, not_taken, scores
from vggexport.formats.onnx import sessions
from vggexport.formats.onnx.foreign import read_foreign
from vggexport.formats.onnx.mapped_file import OnnxFile
from vggexport.formats.onnx.tapped_copy import LayerOutput, Reading, readable
from vggexport.formats.runner import Images, Prepared, Runner, check_ends, does_not_run, ends_of
from vggexport.metrics.layer_times import NodeTime, times_of_profile
from vggexport.metrics.parity import probabilities_of
from vggexport.metrics.placement import CPU_PROVIDER, QNN_PROVIDER, PlacedNode, nodes_of_profile
from vggexport.network.ends import Ends
from vggexport.network.layers import LOGITS_NAME, OUTPUT_NAME
from vggexport.system.output_files import temporary_folder


class OnnxRunner(Runner):
    """An ``.onnx`` file in ONNX Runtime.

    The first time that layers are asked for, and each time that further ones are, the session is
    replaced by one on a tapped copy of the file: best ask for all of them at once. Threads are
    those inside an operator, with 0 one a core; the provider and its options go by ONNX Runtime's
    names.

    Raises:
        ArtifactError: ONNX Runtime cannot read the file, or it is not one of ours.
        Unavailable: The execution provider is not to be had here.
    """

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 0,
        provider: str = CPU_PROVIDER,
        provider_options: Mapping[str, str] | None = None,
    ) -> None:
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        self.provider = provider
        self.threads = threads
        self.artifact: Artifact | None = None
        self._provider_options = dict(provider_options or {})
        self._path = path
        self._session: Any = None
        self._ends: Ends
        self._own: frozenset[str] = frozenset()
        self._reading = Reading()
        self._layers: Mapping[str, LayerOutput] = {}

    def __enter__(self) -> Self:
        foreign = self._read_foreign()  # before ONNX Runtime sees it
        session = self._open()
        inputs, outputs = session.get_inputs(), session.get_outputs()
        if foreign:
            self.artifact, self._layers = foreign
        else:
            check_ends(self._path, [value.name for value in (*inputs, *outputs[:1])])
            metadata = session.get_modelmeta().custom_metadata_map
            self.artifact = Artifact.found_in(metadata, self._path)
            if self.artifact is None:
                raise not_taken(self._path, "its graph cannot be read")
            self._reading, self._layers = readable(self.artifact)
        self._ends = ends_of(self.artifact)
        self._own = frozenset(output.name for output in outputs)
        self._session = session
        return self

    def close(self) -> None:
        """Lets go of the network and its memory."""
        self._session = None

    def _read_foreign(self) -> tuple[Artifact, dict[str, LayerOutput]] | None:
        """What a file of another converter is; None for ours, and for what is no ONNX file."""
        try:
            described = OnnxFile(self._path).artifact()
        except ArtifactError:
            return None  # ONNX Runtime says what is wrong, or reads its own format
        return None if described else read_foreign(self._path)

    def _open(self) -> Any:
        return sessions.open_session(
            self._path,
            sessions.session_options(self.threads),
            self.provider,
            self._provider_options,
        )

    def activations(self, images: Images, names: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        """Outputs of layers by the names of the spec, in the order asked for.

        Raises:
            ArtifactError: There is no such layer, its precision or graph is one that no layers are
                read from, or the images do not fit.
            Unfinished: There is no room for a copy of the file in the folder for temporary files.
        """
        wanted = list(names)
        if not wanted:
            return {}  # ONNX Runtime would take it for all
        if unknown := [name for name in wanted if name not in self._layers]:
            raise ArtifactError(
                f"{self._path} has no layer {', '.join(unknown)} that can be read: it has "
                f"{', '.join(self._layers)}"
            )
        layers = {name: self._layers[self._read_as(name)] for name in wanted}
        outputs = list(dict.fromkeys(layer.output for layer in layers.values()))
        self._add_outputs(outputs)
        values = self._run(images, outputs)
        found = {name: layer.value(values[layer.output]) for name, layer in layers.items()}
        if OUTPUT_NAME in found:
            found[OUTPUT_NAME] = self._probabilities(found[OUTPUT_NAME])
        return found

    def _probabilities(self, read: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of what was read for the output."""
        if self.artifact is None or self._read_as(OUTPUT_NAME) == OUTPUT_NAME:
            return scores(read, self._ends)
        return probabilities_of(read, self.artifact.spec.head_activation)

    def _read_as(self, name: str) -> str:
        """The layer that is read for another: on Qualcomm's NPU the logits for the output.

        The softmax has half precision there, whose zeros say nothing of logits.
        """
        on_npu = self.provider == QNN_PROVIDER and LOGITS_NAME in self._layers
        return LOGITS_NAME if on_npu and name == OUTPUT_NAME else name

    def prepare(self, images: Images) -> Prepared:
        """``session.run``; on a device the same with input and output bound there."""
        pixels = feed(images, self._ends)
        shape = self._session.get_inputs()[0].shape  # a free dimension is a name
        pairs = zip(shape, pixels.shape, strict=False)
        if len(shape) != pixels.ndim or any(w != g for w, g in pairs if isinstance(w, int)):
            raise does_not_run(self._path, images, f"it takes ({', '.join(map(str, shape))})")
        if device := sessions.DEVICES.get(self._session.get_providers()[0]):
            return sessions.bound_to(self._session, device, pixels, self._ends)
        run = partial(self._session.run, [self._ends.output], {self._ends.input: pixels})
        return Prepared(run, lambda: scores(run()[0], self._ends))

    def placed_nodes(self, images: Images) -> tuple[PlacedNode, ...]:
        """Every node with its execution provider, from the profile of a session of its own."""
        return nodes_of_profile(self._profile(images, 1))

    def node_times(self, images: Images, runs: int) -> tuple[NodeTime, ...]:
        """From the same profile; the first run does not count."""
        return times_of_profile(self._profile(images, 1 + runs))

    def _profile(self, images: Images, runs: int) -> list[dict[str, Any]]:
        options = sessions.session_options(self.threads)
        options.enable_profiling = True
        with temporary_folder() as folder:
            options.profile_file_prefix = str(folder / "profile")
            asked = {k: v for k, v in self._provider_options.items() if k != sessions.CUDA_GRAPH}
            session = sessions.open_session(self._path, options, self.provider, asked)
            for _ in range(runs):
                session.run([self._ends.output], {self._ends.input: feed(images, self._ends)})
            profile = Path(session.end_profiling())
            events: list[dict[str, Any]] = json.loads(profile.read_text(encoding="utf-8"))
            return events

    def provider_options(self) -> dict[str, str]:
        """ONNX Runtime's, of the provider that was asked for."""
        options: dict[str, str] = self._session.get_provider_options()[self.provider]
        return options

    def _add_outputs(self, outputs: Iterable[str]) -> None:
        """Makes sure that the session has them, beside those that were asked for before."""
        given = {output.name for output in self._session.get_outputs()}
        if given.issuperset(outputs):
            return
        added = given.union(outputs) - self._own
        taps = {layer.output: layer.tensor for layer in self._layers.values()}
        self._tap([tensor for output, tensor in taps.items() if output in added])

    def _tap(self, names: Sequence[str]) -> None:
        """Replaces the session by one that has the tensors of further layers as outputs."""
        self._session = None  # there is never more than one network in memory
        try:
            self._session = self._reading.open_copy(
                self._path,
                names,
                threads=self.threads,
                provider=self.provider,
                provider_options=self._provider_options,
            )
        except ArtifactError as error:
            raise ArtifactError(
                f"{self._path} does not let {', '.join(names)} be read: {error}"
            ) from error
        finally:
            if self._session is None:
                self._session = self._open()

    def _run(self, images: Images, outputs: list[str]) -> dict[str, NDArray[Any]]:
        """Values of the session's outputs by their names."""
        pixels = feed(images, self._ends)
        try:
            values = self._session.run(outputs, {self._ends.input: pixels})
        except sessions.RUNTIME_ERRORS as error:
            raise does_not_run(self._path, images, one_line(error)) from error
        return dict(zip(outputs, values, strict=True))
