"""Outputs of frozen layers: computed once, kept by all that they depend on."""

import dataclasses
import errno

import numpy as np
import pytest

from vggexport.errors import Unfinished
from vggexport.formats.runner import Runner
from vggexport.network.training_recipe import PAPER
from vggexport.training.features import CHUNK, Features, Frozen
from vggexport.training.image_views import CENTRE, Views


class CountingRunner(Runner):
    """Gives the mean colour, and counts the images that it was asked for."""

    def __init__(self):
        self.images = 0

    def __enter__(self):
        return self

    def close(self):
        pass

    def activations(self, images, names):
        self.images += len(images)
        return {name: images.mean(axis=(1, 2)).astype(np.float32) for name in names}


@pytest.fixture
def frozen(tiny, tiny_weights):
    names = [name for name in tiny_weights if name.startswith("block")]
    return Frozen(tiny, "flatten", {name: tiny_weights[name] for name in names})


def computed(frozen, source, cache, *, views=(CENTRE, 1), recipe=PAPER):
    runner = CountingRunner()
    features = Features(frozen, Views(source, recipe), cache)
    wanted = [(index, view) for view in views for index in range(10)]
    assert list(features.compute(wanted, runner)) == wanted
    return features, runner.images


def test_they_are_those_of_the_view(frozen, source, tmp_path):
    features, images = computed(frozen, source, tmp_path)
    assert images == 20
    assert 20 % CHUNK  # the last chunk is not whole
    views = Views(source, PAPER)
    for index in range(10):
        for view in (CENTRE, 1):
            expected = views.pixels(index, view).mean(axis=(0, 1), dtype=np.float64)
            # float32 means of 256 numbers below 256
            np.testing.assert_allclose(features.read(index, view), expected, rtol=1e-5)


def test_nothing_is_computed_twice(frozen, source, tmp_path):
    assert computed(frozen, source, tmp_path)[1] == 20
    assert computed(frozen, source, tmp_path)[1] == 0
    assert computed(frozen, source, tmp_path, views=(CENTRE, 1, 2))[1] == 10
    assert sorted(path.suffix for path in tmp_path.rglob("*.npy*"))[-1] == ".npy"


def test_what_they_depend_on_is_in_the_key(frozen, source, tmp_path):
    computed(frozen, source, tmp_path)
    name = "block1_conv1/bias"
    other = {**frozen.weights, name: frozen.weights[name] + 1}
    spec = dataclasses.replace(frozen.spec, mean_rgb=(1.0, 2.0, 3.0))
    for changed in (
        dataclasses.replace(frozen, weights=other),
        dataclasses.replace(frozen, spec=spec),
        dataclasses.replace(frozen, layer="block1_pool"),
    ):
        assert changed.digest != frozen.digest
        assert computed(changed, source, tmp_path)[1] == 20
    for recipe in (
        dataclasses.replace(PAPER, seed=1),
        dataclasses.replace(PAPER, max_scale=300),
        dataclasses.replace(PAPER, flip=False),
    ):
        assert computed(frozen, source, tmp_path, recipe=recipe)[1] == 10  # not the centre crops
    assert computed(frozen, source, tmp_path, recipe=dataclasses.replace(PAPER, batch=3))[1] == 0


@pytest.mark.parametrize("left", [b"", b"\x93NUMPY", b"no array" * 20, None])
def test_what_is_not_whole_is_computed_anew(frozen, source, tmp_path, left):
    """A machine that went down may have left any of these."""
    features, _ = computed(frozen, source, tmp_path)
    expected = features.read(4, CENTRE)
    broken = features._places[4, CENTRE]
    broken.write_bytes(broken.read_bytes()[:-1] if left is None else left)
    again, images = computed(frozen, source, tmp_path)
    assert images == 1
    np.testing.assert_array_equal(again.read(4, CENTRE), expected)


def test_what_would_be_unpickled_is_computed_anew(frozen, source, tmp_path):
    features, _ = computed(frozen, source, tmp_path)
    np.save(features._places[4, CENTRE], np.array([{}]), allow_pickle=True)
    assert computed(frozen, source, tmp_path)[1] == 1


def test_what_goes_while_it_is_used_is_named(frozen, source, tmp_path):
    features, _ = computed(frozen, source, tmp_path)
    features._places[4, CENTRE].unlink()
    with pytest.raises(Unfinished, match=r"features .*\.npy are gone or damaged .* with resume"):
        features.read(4, CENTRE)


def test_a_disk_that_is_full_keeps_no_part(frozen, source, tmp_path, monkeypatch):
    def full(self, _target):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="no space"):
        computed(frozen, source, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_map_without_its_last_pooling_is_another(frozen):
    """Global poolings of both have one name and one shape."""
    unpooled = dataclasses.replace(frozen.spec, last_pooling=False)
    assert dataclasses.replace(frozen, spec=unpooled).digest != frozen.digest
