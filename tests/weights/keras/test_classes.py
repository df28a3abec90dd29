"""Classes that do nothing at inference."""

import keras
import numpy as np
import pytest
from keras import layers

from vggexport.weights.keras.classes import PASSED_OVER

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras under numpy 2


SHAPE = (12, 8, 3)


@pytest.mark.parametrize("name", sorted(PASSED_OVER - {"RandomHeight", "RandomWidth"}))
def test_passed_over_classes_do_nothing_at_inference(name):
    """Keras' own word for it, on values on both sides of 0...255. Two classes were Keras 2's."""
    needed = {
        "RandomTranslation": (0.3, 0.3),
        "RandomPosterization": (4,),
        "ActivityRegularization": (),
        "Identity": (),
    }
    optional = {"RandomFlip", "RandomGrayscale", "RandomInvert", "RandomErasing", "RandomShear"}
    optional |= {"AugMix", "RandAugment", "RandomColorJitter", "RandomElasticTransform"}
    optional |= {"RandomGaussianBlur", "RandomPerspective"}
    arguments = needed.get(name, () if name in optional else (0.3,))
    layer = getattr(layers, name)(*arguments)
    pixels = np.random.default_rng(0).uniform(-300, 600, (2, *SHAPE)).astype(np.float32)
    model = keras.Sequential([keras.Input(SHAPE), layer])
    assert np.array_equal(model(pixels, training=False), pixels)
