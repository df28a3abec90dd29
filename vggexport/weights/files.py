"""Weights from a file: which reader its name asks for, whether its content agrees, then the fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Protocol

from vggexport.errors import Advice, WeightsError
from vggexport.network.pictures import UNSTATED, Pictures
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing, mean_subtraction
from vggexport.network.provenance import PruningRecord
from vggexport.network.spec import DEFAULT_CLASSES, DEFAULT_INPUT_SIZE, MEAN_RGB, VGGSpec
from vggexport.system.digests import file_sha256
from vggexport.system.lazy_imports import resolve
from vggexport.system.near_names import nearest, not_there
from vggexport.weights.content import Content, content_of
from vggexport.weights.description import Description
from vggexport.weights.keras.fit import check_once, described_fit
from vggexport.weights.keras.network import read_network
from vggexport.weights.layouts import Layout, choose_layout
from vggexport.weights.mapping import Weights
from vggexport.weights.open_options import Options
from vggexport.weights.pin import check_pin
from vggexport.weights.published import is_published
from vggexport.weights.random import random_tensors
from vggexport.weights.stored import Archive, reading
from vggexport.weights.tensor_matching import Fit, require_fit


class Reader(Protocol):
    """Lists the tensors of one kind of file; the values are read later, one by one."""

    def __call__(self, path: Path) -> Archive:
        """Opens ``path``, or raises WeightsError."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """One kind of file.

    Attributes:
        reader: "module:function", a ``Reader``.
        contents: What the file may be by its first bytes.
        layout: What "auto" takes unless the names are torchvision's.
        metadata: "module:function" from a path to text by name, where the kind carries some.
        place: "module:function" from a path to the key under which its tensors lie, or None.
    """

    reader: str
    contents: tuple[Content, ...]
    layout: str = "native"
    metadata: str | None = None
    place: str | None = None


_KERAS = FileFormat(
    "vggexport.weights.keras.archive:read_keras", (Content.HDF5, Content.KERAS), layout="keras"
)
_TORCH = FileFormat(
    "vggexport.weights.torch_file:read_torch",
    (Content.TORCH, Content.PICKLE),
    layout="torchvision",
    place="vggexport.weights.torch_file:state_dict_key",
)
FORMATS = {
    ".npz": FileFormat("vggexport.weights.npz:read_npz", (Content.NPZ,)),
    ".safetensors": FileFormat(
        "vggexport.weights.safetensors_file:read_safetensors",
        (Content.SAFETENSORS,),
        metadata="vggexport.weights.safetensors_file:read_metadata",
    ),
    ".h5": _KERAS,
    ".hdf5": _KERAS,
    ".keras": _KERAS,
    ".pth": _TORCH,
    ".pt": _TORCH,
}
"""Every file format by its suffix; ``.weights.h5`` ends in ``.h5``."""


def open_file(path: Path, options: Options, source: str) -> Weights:
    """Weights from ``path``.

    Raises:
        WeightsError: The file is missing, of another kind, damaged, or does not fit the network.
        Unavailable: The package that reads it is not installed.
    """
    file_format = _format_of(path)
    _check_content(path, file_format)
    digest = cache(partial(weights_sha256, path))  # pinned and recorded, read once
    if options.pin is not None:
        check_pin(options.pin, digest(), str(path))
    opened = _described(path, options, file_format, digest) or _named(
        path, options, file_format, digest
    )
    fit, drawn = opened.fit, random_tensors(opened.fit.spec, options.seed)
    weights = Weights(
        fit.spec,
        fit.tensors | {name: drawn[name] for name in fit.missing},
        source=source,
        layout=opened.layout.name,
        preprocessing=opened.preprocessing,
        initialized=tuple(fit.missing),
        digest=digest,
        labels=opened.labels,
    )
    weights.pictures = opened.pictures
    weights.pruning = opened.pruning
    weights.failures = opened.failures
    weights.size_assumed = fit.size_assumed
    failed = (f"not trained: {failure}" for failure in opened.failures)
    weights.notes = (*_notes(path, file_format), *fit.notes, *failed)
    weights.described = path if opened.by_description and not fit.missing else None
    return weights


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a file holds, and how it was taken."""

    fit: Fit
    layout: Layout
    preprocessing: Preprocessing
    labels: tuple[str, ...] = ()
    pictures: Pictures = UNSTATED
    by_description: bool = False
    pruning: PruningRecord | None = None
    failures: tuple[str, ...] = ()


def _named(
    path: Path, options: Options, file_format: FileFormat, digest: Callable[[], str]
) -> _Opened:
    """A network by the names of its tensors, and by what a file of ours says of itself."""
    reader: Reader = resolve(file_format.reader)
    archive = reader(path)
    layout = choose_layout(options.layout, archive, file_format.layout)
    told = described(path) if layout.name == "native" else None
    request = told.narrowed(options.request) if told else options.request
    preprocessing = _preprocessing(options, layout, told, path, digest)
    fit = require_fit(
        archive, request, layout, preprocessing, str(path), init_missing=options.init_missing
    )
    labels = told.labels if told and told.spec.classes == fit.spec.classes else ()
    if fit.spec.classes == DEFAULT_CLASSES and _is_known_by_digest(options, layout, preprocessing):
        labels = resolve("vggexport.weights.imagenet_labels:cached_labels")()
    pruning = told.pruning if told and told.spec.blocks == fit.spec.blocks else None
    pictures = told.pictures if told and told.pictures else UNSTATED
    failures = told.failures if told else ()
    return _Opened(fit, layout, preprocessing, labels, pictures, pruning=pruning, failures=failures)


def _described(
    path: Path, options: Options, file_format: FileFormat, digest: Callable[[], str]
) -> _Opened | None:
    """The network that a Keras file describes; None for a file of tensors alone."""
    if file_format is not _KERAS:
        return None
    filled = options.init_missing
    size = options.request.input_size or (DEFAULT_INPUT_SIZE if filled else None)
    network = read_network(path, size, headless=filled)
    if network is None:
        return None
    if options.layout == "torchvision":
        raise WeightsError(
            f"{path} describes its network as Keras has it, not in torchvision's layout",
            Advice("leave out {}", "weights_layout"),
            Advice("say {} torch if that is what was meant", "preprocessing"),
        )
    layout = choose_layout(options.layout, {}, file_format.layout)
    if network.preprocesses:
        preprocessing = options.preprocessing or CONVENTIONS["raw"]
        check_once(preprocessing, network, str(path))
    else:
        preprocessing = _preprocessing(options, layout, None, path, digest)
    fit = described_fit(network, options.request, preprocessing, str(path))
    return _Opened(fit, layout, preprocessing, by_description=True)


def _notes(path: Path, file_format: FileFormat) -> Iterator[str]:
    """Where in the file its tensors lie."""
    if file_format.place and (key := resolve(file_format.place)(path)) is not None:
        yield f"state dict: the one under the key {key!r}"


def _preprocessing(
    options: Options,
    layout: Layout,
    told: Description | None,
    path: Path,
    digest: Callable[[], str],
) -> Preprocessing:
    """What was stated, or the file says, or its layout's convention."""
    stated, request = options.preprocessing, options.request
    if layout.name == "native" and (told or stated is None):
        known = told.spec if told else request
        own = mean_subtraction(known.mean_rgb if isinstance(known, VGGSpec) else MEAN_RGB)
        if stated and stated.affine != own.affine:
            raise WeightsError(
                f"{path} says that its network subtracts {own.mean_rgb} from RGB and does nothing "
                f"else, not {stated.name!r}: leave the preprocessing to the file"
            )
        return own
    if stated:
        return stated
    convention = CONVENTIONS[layout.convention]
    return convention if is_published(path, layout.name, digest()) else convention.assumed


def _is_known_by_digest(options: Options, layout: Layout, preprocessing: Preprocessing) -> bool:
    """Whether a file that states no preprocessing was found to be a published one."""
    return options.preprocessing is None and layout.name != "native" and preprocessing.known


def prepares_pixels(path: Path, size: tuple[int, int]) -> bool:
    """Whether a file describes a network that itself does what its pixels need.

    The size, height and width, is for where the file leaves them open.

    Raises:
        WeightsError: It is damaged, or a layer of it is not exported.
    """
    if _format_of(path) is not _KERAS:
        return False
    network = read_network(path, size, headless=True)
    return network is not None and network.preprocesses


def described(path: Path) -> Description | None:
    """What a file says of itself; None for one that is not ours, or carries no text.

    Raises:
        WeightsError: It is damaged.
        Unavailable: The package that reads it is not installed.
    """
    file_format = FORMATS.get(path.suffix.lower())
    if file_format is None or file_format.metadata is None or not path.is_file():
        return None
    _check_content(path, file_format)
    return Description.of(resolve(file_format.metadata)(path), path)


def check_file(path: Path) -> None:
    """Refuses what is no weights file, by its name and its first bytes.

    Raises:
        WeightsError: It is not there, or something else.
    """
    _check_content(path, _format_of(path))


def weights_sha256(path: Path) -> str:
    """SHA-256 of a weights file, in hexadecimal.

    Raises:
        WeightsError: It cannot be read.
    """
    with reading(path):
        return file_sha256(path)


def _format_of(path: Path) -> FileFormat:
    suffix = path.suffix.lower()
    if suffix in FORMATS:
        return FORMATS[suffix]
    if path.is_file() and (advice := _renaming(content := content_of(path))):
        raise WeightsError(f"{path} is {content}{advice}")
    if not path.exists() and nearest(path):
        raise WeightsError(not_there(path))
    missing = "" if path.exists() else " are no file here"
    raise WeightsError(
        f"weights {str(path)!r}{missing}: expected random[:SEED], imagenet, or a file that ends in "
        f"{', '.join(FORMATS)}"
    )


def _check_content(path: Path, file_format: FileFormat) -> None:
    if path.is_dir():
        raise WeightsError(f"{path} is a directory: name a file in it")
    if not path.exists():
        raise WeightsError(not_there(path))
    with reading(path):
        if path.stat().st_size == 0:
            raise WeightsError(f"{path} is empty: fetch or export it again")
    content = content_of(path)
    if content not in file_format.contents:
        raise WeightsError(
            f"{path} is {content}, expected {file_format.contents[0]}{_renaming(content)}"
        )


def _renaming(content: Content) -> str:
    """Advice for a file of this kind under another's name, "" where it is of no use."""
    fitting = [suffix for suffix, other in FORMATS.items() if content in other.contents]
    return f": rename it to end in {fitting[0]}" if fitting else ""
