"""What labels say of the convention for pixels that a network was made for."""

from __future__ import annotations

from dataclasses import dataclass

from vggexport.network.preprocessing import Preprocessing
from vggexport.system.json_values import JsonValue


@dataclass(frozen=True, slots=True)
class OtherPixels(JsonValue):
    """Another convention, with which a network's weights are right clearly more often.

    Attributes:
        made_for: What the network was made for.
        preprocessing: The other one.
        hits: Images on which the weights are right with it.
        images: Those that it was tried on.
        own_hits: Images on which they are right with what the network was made for.
        rivals: Conventions that those images do not tell from the other one, in words.
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
        return (
            f"made for {self.made_for.told}; with {self.preprocessing.words} its weights are right "
            f"on {self.hits} of {self.images} images instead of {self.own_hits}"
        )

    @property
    def undecided(self) -> str:
        """What the images do not tell from the other convention; empty where they decide."""
        names = " and ".join(words.removesuffix(", RGB") for words in self.rivals)
        return f"{names} cannot be told apart from it on these images" if names else ""
