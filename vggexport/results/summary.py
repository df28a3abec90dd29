"""What ``summary`` finds out."""

from __future__ import annotations

from dataclasses import dataclass

from vggexport.network.preprocessing import Preprocessing
from vggexport.network.spec import VGGSpec
from vggexport.network.training_recipe import Recipe
from vggexport.results.document import Document


@dataclass(frozen=True, slots=True)
class SummaryReport(Document):
    """The network as a table.

    Attributes:
        spec: The network.
        recipe: How it is trained, where that was asked for.
        preprocessing: What happens to RGB 0...255 before the network that a weights file holds;
            None where there is none.
    """

    json_keys = """
        schema spec layers=spec.layers{name kind kernel_size stride output_shape parameters macs
        receptive_field} parameters=spec.parameters macs=spec.macs training?=recipe
        preprocessing?
    """

    spec: VGGSpec
    recipe: Recipe | None = None
    preprocessing: Preprocessing | None = None
