"""How networks run: threads, execution provider, runtime, and what is done to pixels first."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vggexport.errors import Advice, InputError
from vggexport.formats.registry import FORMATS, format_of, is_model
from vggexport.metrics.placement import CUDA_PROVIDER
from vggexport.network.preprocessing import Preprocessing
from vggexport.system.typed_options import TypedOptions


@dataclass(frozen=True, slots=True)
class RunOptions(TypedOptions):
    """How networks run.

    Attributes:
        threads: Threads of each runtime; 0 where the runtime chooses.
        provider: ONNX Runtime's execution provider, or None for its CPU's.
        runtime: What runs the files that several can run; None for the first of each format.
        preprocessing_of: Of files of other converters: what each wants done to RGB 0...255, by its
            path.
        tf32: Let CUDA compute float32 in TF32, with 10-bit significands, as it does by itself.
        cuda_graph: Have CUDA record a run once and repeat it: for :meth:`Runner.prepare` alone.
    """

    threads: int = 0
    provider: str | None = None
    runtime: str | None = None
    preprocessing_of: Mapping[str, Preprocessing] = field(default_factory=dict)
    tf32: bool = False
    cuda_graph: bool = False

    @property
    def provider_options(self) -> dict[str, str]:
        """Of the execution provider, by ONNX Runtime's names; empty for its defaults."""
        if self.provider != CUDA_PROVIDER:
            return {}
        asked = {"use_tf32": "0"} if not self.tf32 else {}
        return asked | ({"enable_cuda_graph": "1"} if self.cuda_graph else {})


def check_provider_used(
    sources: Sequence[str], provider: str | None, runtimes: Collection[str | None] = ()
) -> None:
    """Refuses an execution provider that nothing is run by.

    Files that none of the runtimes asked for runs are run by their own, weights by Keras.

    Raises:
        InputError: None of them is run by a runtime that has providers.
    """
    formats = (FORMATS[format_of(Path(source))] for source in sources if is_model(source))
    runs = (runtime for row in formats for runtime in row.runs_in(runtimes))
    if provider and not any(runtime.has_providers for runtime in runs):
        raise InputError(
            f"{provider} is ONNX Runtime's, which runs none of {', '.join(sources)}",
            Advice("leave out {}, or name an ONNX file", "provider"),
        )
