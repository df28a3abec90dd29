"""What happens to pixels in front of a described network, by each convention's own definition."""

import numpy as np
import pytest

from vggexport.formats.keras.owner_runner import preprocessed
from vggexport.network.preprocessing import BGR, CONVENTIONS, Preprocessing

PIXEL = (10, 20, 30)


@pytest.mark.parametrize(
    ("preprocessing", "expected"),
    [
        (CONVENTIONS["vgg"], (-113.68, -96.779, -73.939)),
        (CONVENTIONS["caffe"], (-73.939, -96.779, -113.68)),
        (CONVENTIONS["torch"], (-1.9466560, -1.6855742, -1.2815686)),
        (CONVENTIONS["tf"], (-0.9215686, -0.8431373, -0.7647059)),
        (CONVENTIONS["unit"], (0.0392157, 0.0784314, 0.1176471)),
        (CONVENTIONS["raw"], (10, 20, 30)),
        (Preprocessing("custom", (1, 2, 3), (2, 4, 5), BGR), (5.4, 4.5, 4.5)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixels_by_convention(preprocessing, expected, dtype):
    images = np.full((1, 2, 2, 3), PIXEL, dtype)
    values = preprocessed(images, preprocessing)
    assert (values.dtype, values.shape) == (np.float32, images.shape)
    np.testing.assert_allclose(values, np.broadcast_to(expected, images.shape), rtol=1e-6)
    assert (images == PIXEL).all()
