"""What a format is: one row, from which everything that differs by format is taken.

Whatever writes, runs, reads or inspects a format is named by a "module:attribute" string, so that
nothing heavy is imported before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vggexport.errors import Advice, ArtifactError, InputError
from vggexport.precision import Precision
from vggexport.system import lazy_imports
from vggexport.system.near_names import not_there

if TYPE_CHECKING:
    from vggexport.formats.exporter import Exporter
    from vggexport.formats.model_weights import ModelWeights
    from vggexport.formats.runner import Runner
    from vggexport.results.build import Inspection


@dataclass(frozen=True, slots=True)
class Runtime:
    """One that runs files of a format.

    Attributes:
        name: What users call it.
        package: What a receiver installs for it.
        runner: Place of a class of ``vggexport.formats.runner.Runner`` objects.
        providers: Place of a function that tries its execution providers, which are asked for by
            name: by name, why one does not start here. Empty where it has none.
        times_nodes: Whether its runner has ``node_times``.
    """

    name: str
    package: str
    runner: str
    providers: str = ""
    times_nodes: bool = False

    @property
    def has_providers(self) -> bool:
        """Whether it runs on execution providers."""
        return bool(self.providers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One kind of model file.

    An artifact is one file, known by the end of its name, or one directory with as many files as
    the format has, known by a file that is in every one of them.

    Attributes:
        name: What users call it.
        suffix: How the name of a file or directory ends; empty for a network that is in no file.
        marker: The file by which a directory is known; None for formats of one file.
        runtimes: What runs it; the first unless another is asked for.
        precisions: What it is written in.
        batch: Images at a time where nothing else is asked for; None for any number.
        exporter: Place of a class of ``vggexport.formats.exporter.Exporter`` objects; empty where
            none is written, and nobody hands one in but in a bundle.
        weight_reader: Place of a class of ``vggexport.formats.model_weights.ModelWeights`` objects.
        inspector: Place of a function from a path to a ``vggexport.results.build.Inspection``.
    """

    name: str
    suffix: str = ""
    marker: str | None = None
    runtimes: tuple[Runtime, ...]
    precisions: tuple[Precision, ...] = ()
    batch: int | None = None
    exporter: str = ""
    weight_reader: str = ""
    inspector: str = ""

    def runtime(self, name: str | None = None) -> Runtime:
        """What runs it: the first of its runtimes, or the one of that name.

        Raises:
            InputError: None of its runtimes has that name.
        """
        for runtime in self.runtimes:
            if name in (None, runtime.name):
                return runtime
        known = ", ".join(runtime.name for runtime in self.runtimes)
        raise InputError(f"{name} does not run {self.name} here: choose from {known}")

    def runs_in(self, names: Collection[str | None]) -> tuple[Runtime, ...]:
        """Those of its runtimes that have one of these names, else the first."""
        return tuple(r for r in self.runtimes if r.name in names) or self.runtimes[:1]

    def is_in(self, folder: Path) -> bool:
        """Whether a directory is of this format, or holds versions of it as servers keep them."""
        if self.marker is None:
            return False
        return (folder / self.marker).is_file() or any(folder.glob(f"[0-9]*/{self.marker}"))


ONNX_RUNTIME = Runtime(
    "onnxruntime",
    "onnxruntime",
    "vggexport.formats.onnx.runner:OnnxRunner",
    "vggexport.formats.onnx.providers:try_providers",
    times_nodes=True,
)


def _openvino(runner: str) -> Runtime:
    return Runtime("openvino", "openvino", f"vggexport.formats.{runner}", times_nodes=True)


_ROWS = (
    Format(
        name="savedmodel",
        suffix="_saved_model",
        marker="saved_model.pb",
        runtimes=(
            Runtime(
                "tensorflow", "tensorflow", "vggexport.formats.saved_model.runner:SavedModelRunner"
            ),
        ),
        precisions=(Precision.FLOAT32,),
        exporter="vggexport.formats.saved_model.exporter:SavedModelExporter",
        weight_reader="vggexport.formats.saved_model.weight_reader:SavedModelWeights",
        inspector="vggexport.formats.saved_model.inspector:inspect_saved_model",
    ),
    Format(
        name="onnx",
        suffix=".onnx",
        runtimes=(ONNX_RUNTIME, _openvino("onnx.openvino_runner:OnnxOpenVinoRunner")),
        precisions=(Precision.FLOAT32, Precision.FLOAT16, Precision.INT8, Precision.INT8_W4),
        exporter="vggexport.formats.onnx.exporter:OnnxExporter",
        weight_reader="vggexport.formats.onnx.weight_reader:OnnxWeights",
        inspector="vggexport.formats.onnx.inspector:inspect_onnx",
    ),
    Format(
        name="tflite",
        suffix=".tflite",
        runtimes=(
            Runtime("litert", "ai-edge-litert", "vggexport.formats.tflite.runner:TfliteRunner"),
            _openvino("tflite.openvino_runner:TfliteOpenVinoRunner"),
        ),
        precisions=(
            Precision.FLOAT32,
            Precision.FLOAT16,
            Precision.DYNAMIC_INT8,
            Precision.INT8,
            Precision.INT8_W4,
        ),
        batch=1,  # phones see one at a time, and delegates do best with shapes that are known
        exporter="vggexport.formats.tflite.exporter:TfliteExporter",
        weight_reader="vggexport.formats.tflite.weight_reader:TfliteWeights",
        inspector="vggexport.formats.tflite.inspector:inspect_tflite",
    ),
    Format(name="ort", suffix=".ort", runtimes=(ONNX_RUNTIME,)),
    Format(
        name="keras",
        runtimes=(
            Runtime("keras", "tensorflow", "vggexport.formats.keras.runner:KerasRunner"),
            Runtime("owner", "tensorflow", "vggexport.formats.keras.owner_runner:OwnerRunner"),
        ),
    ),
)

FORMATS: Mapping[str, Format] = {row.name: row for row in _ROWS}
"""By name, in the order in which several are written."""

WRITTEN: Mapping[str, Format] = {row.name: row for row in _ROWS if row.exporter}
"""Those that are written here, and that users hand in."""

COMPILERS: Mapping[str, str] = {
    "snapdragon": "vggexport.formats.onnx.qualcomm:compile_context",
}
"""What compiles a file for a target ahead of time, by ``vggexport.artifact.TARGETS``."""

RUNTIMES = frozenset(runtime.name for row in _ROWS if row.suffix for runtime in row.runtimes)
"""Names of all that run files."""

BUNDLED: Mapping[str, Format] = {row.name: row for row in _ROWS if row.suffix}
"""Those that are in bundles."""

OWNER = "owner"
"""The runtime of a network that its weights file describes, by that description."""

KERAS = "keras"
"""The network of weights that are in no model file; its runner is made from a spec and weights."""


def command_for(name: str) -> str:
    """The command that writes a format; for one that is not written here, that writes several."""
    return name if name in WRITTEN else "export"


def load_runner(name: str, runtime: str | None = None) -> Callable[..., Runner]:
    """The class of what runs a format, in its first runtime or in the one of that name.

    Raises:
        InputError: There is no such format, or none with such a part or runtime.
        Unavailable: A package that it needs is not installed.
    """
    runner: Callable[..., Runner] = _load(
        name, lambda row: row.runtime(runtime if row.name == name else None).runner
    )
    return runner


def load_exporter(name: str) -> Exporter:
    """What writes a format; raises as :func:`load_runner`."""
    exporter: Exporter = _load(name, lambda row: row.exporter)()
    return exporter


def load_weight_reader(name: str) -> Callable[[Path], ModelWeights]:
    """What reads weights and graph out of a format's files; raises as :func:`load_runner`."""
    reader: Callable[[Path], ModelWeights] = _load(name, lambda row: row.weight_reader)
    return reader


def load_inspector(name: str) -> Callable[[Path], Inspection]:
    """What says what a format's files are; raises as :func:`load_runner`."""
    inspector: Callable[[Path], Inspection] = _load(name, lambda row: row.inspector)
    return inspector


def _load(name: str, part: Callable[[Format], str]) -> Any:
    return lazy_imports.load({row.name: place for row in _ROWS if (place := part(row))}, name)


def check_runtimes(names: Iterable[str], sources: Iterable[str]) -> None:
    """Refuses a runtime by which none of these files is run.

    Raises:
        ArtifactError: There is no such file.
        InputError: No format of theirs has a runtime of this name.
    """
    formats = {format_of(Path(source)) for source in sources if is_model(source)}
    known = {runtime.name: None for row in sorted(formats) for runtime in FORMATS[row].runtimes}
    if idle := [name for name in names if name not in known]:
        raise InputError(
            f"{', '.join(idle)} runs none of the files given",
            Advice(f"choose {{}} from {', '.join(known) or 'none'}", "runtime"),
        )


def is_model(source: str | Path) -> bool:
    """Whether it is named like a model file, or is a directory, rather than a source of weights."""
    path = Path(source)
    return path.is_dir() or any(path.name.endswith(row.suffix) for row in WRITTEN.values())


def format_or_keras(source: str) -> str:
    """The format of a file, or :data:`KERAS` of weights.

    Raises:
        ArtifactError: There is no such file.
    """
    return format_of(Path(source)) if is_model(source) else KERAS


def known_format(path: Path) -> str:
    """As :func:`format_of`, of what exists; empty for what is of none."""
    for row in WRITTEN.values():
        if row.is_in(path) if path.is_dir() else not row.marker and path.suffix == row.suffix:
            return row.name
    return ""


def format_of(path: Path) -> str:
    """The format of a model file by the end of its name, of a directory by what is in it.

    Raises:
        ArtifactError: It does not exist, or is of no known format.
    """
    if not path.exists():
        raise ArtifactError(not_there(path))
    if name := known_format(path):
        return name
    if path.suffix.lower() in lazy_imports.resolve("vggexport.weights.files:FORMATS"):
        raise ArtifactError(
            f"{path} is a file of weights, not a model",
            Advice(f"see its network by {{}} {path}", "weights", command="summary"),
            Advice(f"make models of it by {{}} {path}", "weights", command="export"),
        )
    suffixes = " or ".join(row.suffix for row in WRITTEN.values() if not row.marker)
    markers = " or ".join(row.marker for row in WRITTEN.values() if row.marker)
    raise ArtifactError(
        f"{path} is of no known format: expected a directory with {markers} in it, or a file that "
        f"ends in {suffixes}"
    )
