"""What labels say of the convention for pixels that a network was made for."""

from __future__ import annotations

from dataclasses import dataclass

from vggexport.network.preprocessing import Preprocessing, any_of
from vggexport.system.json_values import JsonValue
from vggexport.system.number_text import counted


@dataclass(frozen=True, slots=True)
class OtherPixels(JsonValue):
    """Another convention, with which a network's weights are right clearly more often.

    Attributes:
        made_for: What the network was made for.
        preprocessing: The other one; of several that the images do not tell apart, one.
        hits: Images on which the weights are right with it.
        images: Those that it was tried on.
        own_hits: Images on which they are right with what the network was made for.
        rivals: The others of those several, in words.
    """

    made_for: Preprocessing
    preprocessing: Preprocessing
    hits: int
    images: int
    own_hits: int
    rivals: tuple[str, ...] = ()

    @property
    def clause(self) -> str:
        """All of it in words."""
        hits = f"{self.own_hits} of {counted(self.images, 'image')}"
        tied = self.rivals and (
            f"up to {self.hits} with {any_of(self.preprocessing.words, *self.rivals)}, which these "
            "images cannot tell apart"
        )
        found = tied or f"{self.hits} with {self.preprocessing.words}"
        return (
            f"made for {self.made_for.told}; run in float32, its weights are right on {hits} with "
            f"that, and on {found}"
        )
