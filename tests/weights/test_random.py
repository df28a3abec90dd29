import hashlib

import numpy as np
import pytest

from vggexport.errors import InputError, WeightsError
from vggexport.network.head import Pooling, fully_connected
from vggexport.network.spec import VGGSpec
from vggexport.network.table import parse_blocks
from vggexport.weights import SpecRequest, open_weights
from vggexport.weights import random as random_module

GOLDEN = "494596062ce5f6bed213c27d0b87d861bd4c32df124477e4cbc3045f0e6b4695"
"""SHA-256 of ``random:0`` for ``tiny``: must never change, artifacts record it."""


def test_the_bytes_are_the_same_everywhere(tiny):
    assert open_weights("random:0", tiny).sha256 == GOLDEN


def test_the_order_of_access_does_not_matter(tiny):
    first, second = open_weights("random:5", tiny), open_weights("random:5", tiny)
    backwards = {name: second[name] for name in reversed(list(second))}
    for name, array in first.items():
        assert array.tobytes() == backwards[name].tobytes()
        assert array.dtype == np.float32


def test_the_size_of_chunks_does_not_matter(tiny, monkeypatch):
    monkeypatch.setattr(random_module, "CHUNK_VALUES", 10)
    assert open_weights("random:0", tiny).sha256 == GOLDEN


def test_seeds_and_tensors_differ(tiny):
    zero, one = open_weights("random:0", tiny), open_weights("random:1", tiny)
    assert zero.sha256 != one.sha256
    fc1, fc2 = zero["fc1/kernel"].ravel(), zero["fc2/kernel"].ravel()
    assert not np.array_equal(np.sign(fc1[: fc2.size]), np.sign(fc2))


def test_what_it_says_of_itself(tiny):
    weights = open_weights("random", tiny, seed=4)
    assert (weights.source, weights.layout, weights.trained) == ("random:4", "native", False)
    digest = hashlib.sha256(b"".join(weights[name].tobytes() for name in tiny.tensors))
    assert weights.sha256 == digest.hexdigest()


def test_defaults_of_the_paper_without_a_file():
    assert open_weights("random", SpecRequest("A", classes=10)).spec == VGGSpec.named(
        "A", classes=10
    )


def test_torchvisions_average_needs_a_kernel_that_it_is_folded_into():
    flat = SpecRequest(pooling="adaptive").with_defaults()
    assert flat == VGGSpec.named()  # 7x7 of a map of 7x7
    with pytest.raises(InputError, match="adaptive pooling of a map of 3 is folded") as refused:
        open_weights("random", SpecRequest(input_size=(96, 96), pooling="adaptive"))
    assert str(refused.value).endswith("leave out pooling, or choose input_size 224")


def test_pins_hold_for_random_weights_too(tiny):
    assert open_weights("random:0", tiny, sha256=GOLDEN).sha256 == GOLDEN
    with pytest.raises(WeightsError, match=f"random:1 has SHA-256 .* the pin is {GOLDEN}"):
        open_weights("random:1", tiny, sha256=GOLDEN)


@pytest.mark.parametrize("source", ["random:", "random:x", "random:1.5"])
def test_a_seed_that_is_no_integer_is_refused(tiny, source):
    with pytest.raises(WeightsError, match="the seed must be an integer"):
        open_weights(source, tiny)


def test_a_foreign_layout_is_refused(tiny):
    with pytest.raises(WeightsError, match="random weights are native"):
        open_weights("random", tiny, layout="torchvision")


def test_values_are_uniform_within_the_limit():
    spec = VGGSpec(
        "wide",
        parse_blocks("conv3-8"),
        classes=100,
        hidden=fully_connected(400, 400),
        input_size=(8, 8),
    )
    kernel = open_weights("random", spec)["fc2/kernel"]
    std = 1 / np.sqrt(400 * random_module.RECTIFIED_SECOND_MOMENT)
    # 160,000 draws: the standard error of the spread is 0.1 %.
    assert kernel.std() == pytest.approx(std, rel=0.01)
    assert np.abs(kernel).max() <= np.float32(np.sqrt(3) * std)
    assert np.unique(kernel).size > 0.95 * kernel.size


def test_every_third_kernel_is_centred_over_the_channels_of_each_position(tiny):
    weights = open_weights("random", tiny)
    assert np.abs(weights["block1_conv1/kernel"].mean(axis=2)).max() > 1e-3
    assert np.abs(weights["block2_conv1/kernel"].mean(axis=2)).max() > 1e-3
    # Sums of up to 16 float32 values below 2.
    by_position = weights["fc1/kernel"].reshape(16, 8, 16)
    np.testing.assert_allclose(by_position.sum(axis=1), 0, atol=1e-6)


def test_one_channel_is_left_alone():
    spec = VGGSpec(
        "thin",
        parse_blocks("conv3-1 | conv1-1"),
        classes=3,
        hidden=fully_connected(1, 1),
        input_size=(8, 8),
    )
    weights = open_weights("random", spec)
    assert all(np.any(array) for name, array in weights.items() if name.endswith("kernel"))


def _images() -> np.ndarray:
    """Sixteen images whose neighbouring pixels resemble each other, as in photographs."""
    random = np.random.default_rng(1)
    coarse = random.uniform(0, 255, (16, 8, 8, 3))
    return coarse.repeat(4, axis=1).repeat(4, axis=2) * 0.8 + random.uniform(0, 51, (16, 32, 32, 3))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_answers_are_neither_flat_nor_saturated_nor_all_the_same(native_logits, seed):
    column = "conv3-32 conv3-32 | conv3-64 conv3-64 | conv3-64 conv3-64 | conv3-64 conv1-64"
    spec = VGGSpec(
        "small",
        parse_blocks(column),
        classes=50,
        hidden=fully_connected(128, 128),
        input_size=(32, 32),
    )
    weights = open_weights(f"random:{seed}", spec)
    logits = native_logits(weights, spec, weights.mean_rgb, _images())

    assert 0.4 < logits.std(axis=1).mean() < 4
    from_image_to_image = logits.var(axis=0).mean() / np.square(logits).mean()
    # 0.08 to 0.12 on these seeds; with no kernel centred 0.03 to 0.05.
    assert from_image_to_image > 0.06


@pytest.mark.parametrize("pooling", [Pooling.AVERAGE, Pooling.MAX])
@pytest.mark.parametrize("units", [(), (128, 128)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_behind_a_global_pooling_answers_differ_as_much(numpy_network, pooling, units, seed):
    """0.06 to 0.2 and 0.13 to 0.3; with every third kernel centred and no others 0.01 to 0.05."""
    column = "conv3-32 conv3-32 | conv3-64 conv3-64 | conv3-64 conv3-64 | conv3-64 conv1-64"
    spec = VGGSpec(
        "small",
        parse_blocks(column),
        classes=50,
        hidden=fully_connected(*units),
        input_size=(32, 32),
        pooling=pooling,
    )
    logits = numpy_network(spec, open_weights(f"random:{seed}", spec), _images())["predictions"]
    assert 0.4 < logits.std(axis=1).mean() < 4
    assert logits.var(axis=0).mean() / np.square(logits).mean() > 0.06
