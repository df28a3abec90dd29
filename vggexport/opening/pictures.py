"""How networks that run on the same images want pictures: as they record it, and all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vggexport.artifact import Artifact
from vggexport.errors import Advice
from vggexport.network.pictures import UNSTATED, PictureRequest, Pictures, Size, check_same_pixels
from vggexport.opening.network import Network
from vggexport.system.progress import Steps
from vggexport.weights.sources import is_word


def note_assumed(network: Network, steps: Steps) -> None:
    """Says how pictures become pixels where a file of trained weights does not, and nobody did."""
    pictures, weights = network.pictures, network.weights
    if pictures.known or not network.record.trained or is_word(weights.source):
        return
    steps.progress.note(
        f"pictures: {pictures.words(weights.spec.input_size)}, as nothing says how training made "
        "pixels of them",
        Advice("state it with {}", "resize"),
    )


@dataclass(frozen=True, slots=True)
class AgreedPictures:
    """How pictures become the pixels of several networks.

    Attributes:
        pictures: How.
        size: Height and width of their input.
        said_by: Who says so: a path; empty for nobody.
        silent: Paths of those that record nothing.
    """

    pictures: Pictures
    size: Size
    said_by: str = ""
    silent: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """All of it in one line."""
        said = self.pictures.words(self.size)
        if not self.pictures.known:
            return f"{said}: the defaults, as nothing is recorded"
        if not self.said_by:
            return f"{said}, as asked for"
        verb = "records" if len(self.silent) == 1 else "record"
        silent = f"; {', '.join(self.silent)} {verb} nothing" if self.silent else ""
        return f"{said}, as {self.said_by} records{silent}"


def agreed_pictures(artifacts: Sequence[Artifact], request: PictureRequest) -> AgreedPictures:
    """What all of some networks want.

    Raises:
        InputError: Two record different pictures, or something else is asked for than is recorded.
    """
    size = artifacts[0].spec.input_size
    known = [artifact for artifact in artifacts if artifact.pictures.known]
    for other in known[1:]:
        check_same_pixels(
            known[0].pictures, other.pictures, size,
            f"{known[0].path} records pictures", f"recorded in {other.path}",
            "run them one by one",
        )  # fmt: skip
    owner = known[0] if known else None
    recorded = owner.pictures if owner else UNSTATED
    silent = tuple(artifact.path for artifact in artifacts if not artifact.pictures.known)
    found = request.within(recorded, size, owner.path if owner else "")
    return AgreedPictures(found, size, owner.path if owner else "", silent)
