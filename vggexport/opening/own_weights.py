"""A network's own weights under another convention for pixels than the one it was made for.

That is computed in float: an int8 file clips or rounds away what it is given in another range than
it was calibrated for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vggexport.metrics.parity import probabilities_of
from vggexport.network.forward import NumpyNetwork
from vggexport.network.preprocessing import Preprocessing
from vggexport.opening.foreign import TRIED
from vggexport.opening.models import OpenedModel
from vggexport.opening.preprocessed import preprocessed


class OwnWeights:
    """They are in memory, as float32.

    Attributes:
        conventions: The one that it was made for, and those that compute something else.

    Raises:
        ArtifactError: They cannot be read out of a file.
    """

    def __init__(self, model: OpenedModel, made_for: Preprocessing) -> None:
        self._network = NumpyNetwork(model.artifact.spec, dict(model.weights()))
        self._made_for = made_for
        others = (one for one in TRIED if one.affine != made_for.affine)
        self.conventions = (made_for, *others)

    def probabilities(
        self, images: NDArray[np.uint8], convention: Preprocessing
    ) -> NDArray[np.float32]:
        """float32 (images, classes) for RGB images, (images, height, width, 3).

        The convention is what was done to pixels in training, if it is right.
        """
        order = list(self._made_for.order)  # which is its own inverse
        seen = preprocessed(images, convention).astype(np.float32)[..., order]
        entering = seen * np.array(
            self._made_for.std_rgb, np.float32
        )  # which the kernel divides by
        logits = self._network.logits(entering)
        return probabilities_of(logits, self._network.spec.head_activation)
