import numpy as np
import pytest

from vggexport.errors import InputError
from vggexport.network.preprocessing import CONVENTIONS, Preprocessing
from vggexport.network.spec import MEAN_RGB

PIXEL = np.array([10.0, 100.0, 200.0])


def applied(preprocessing: Preprocessing, rgb: np.ndarray) -> np.ndarray:
    """By its definition: subtract, divide, then put the channels in the network's order."""
    values = (rgb - preprocessing.mean_rgb) / preprocessing.std_rgb
    return values if preprocessing.channel_order == "rgb" else values[::-1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vgg", [10 - 123.68, 100 - 116.779, 200 - 103.939]),
        ("caffe", [200 - 103.939, 100 - 116.779, 10 - 123.68]),
        ("torch", [-1.9467, -0.2850, 1.6814]),  # (v / 255 - mean) / std by hand, four digits
        ("tf", [10 / 127.5 - 1, 100 / 127.5 - 1, 200 / 127.5 - 1]),
        ("unit", [10 / 255, 100 / 255, 200 / 255]),
        ("raw", [10, 100, 200]),
    ],
)  # fmt: skip
def test_conventions(name, expected):
    assert applied(CONVENTIONS[name], PIXEL) == pytest.approx(expected, rel=1e-4)


def test_each_convention_is_known_until_it_is_assumed():
    assert all(convention.known for convention in CONVENTIONS.values())
    assert not CONVENTIONS["caffe"].assumed.known


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_layer_behind_it(name):
    scale, offset = (2.0, -0.5, 4.0), (1.0, 2.0, -3.0)
    both = CONVENTIONS[name].followed_by(scale, offset)
    expected = applied(CONVENTIONS[name], PIXEL) * scale + offset
    assert applied(both, PIXEL) == pytest.approx(expected, rel=1e-12)


def test_bgr_is_not_rgb():
    scale, offset = (1.0, 2.0, 4.0), (0.0, 0.0, 0.0)
    both = [CONVENTIONS[name].followed_by(scale, offset) for name in ("vgg", "caffe")]
    assert both[0].std_rgb == (1, 1 / 2, 1 / 4)
    assert both[1].std_rgb == (1 / 4, 1 / 2, 1)
    assert both[1].mean_rgb == MEAN_RGB


@pytest.mark.parametrize(
    "values",
    [
        {"std_rgb": (1.0, 0.0, 1.0)},
        {"mean_rgb": (float("nan"), 0.0, 0.0)},
        {"std_rgb": (float("inf"), 1.0, 1.0)},
        {"channel_order": "gbr"},
    ],
)
def test_what_cannot_be_folded_is_refused(values):
    with pytest.raises(InputError):
        Preprocessing("custom", **values)


def test_a_channel_multiplied_by_zero_is_refused():
    with pytest.raises(InputError, match="by 0"):
        CONVENTIONS["raw"].followed_by((1.0, 0.0, 1.0), (0.0, 0.0, 0.0))
