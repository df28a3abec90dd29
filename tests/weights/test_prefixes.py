"""What is left out of the names of tensors, and what never is."""

import numpy as np
import pytest

from vggexport.weights.prefixes import without_prefix
from vggexport.weights.stored import StoredTensor

TORCHVISION = ("features.0.weight", "features.1.running_mean", "classifier.6.bias")
TIMM = ("features.0.weight", "pre_logits.fc1.weight", "head.fc.bias")


def archive(*names):
    return {
        name: StoredTensor((1,), lambda number=number: np.full(1, number))
        for number, name in enumerate(names)
    }


@pytest.mark.parametrize(
    "prefix",
    [
        *("module.", "_orig_mod.", "model.", "backbone.", "net.", "encoder.", "0.", "my_vgg."),
        *("module._orig_mod.", "model.net.module.", "features.", "classifier.head."),
    ],
)
@pytest.mark.parametrize("names", [TORCHVISION, TIMM])
def test_one_prefix_of_all_tensors(prefix, names):
    stored = archive(*(prefix + name for name in names))
    found, stripped = without_prefix(stored)
    assert found == prefix
    assert list(stripped) == list(names)
    assert [stripped[name] for name in names] == list(stored.values())


@pytest.mark.parametrize(
    "names",
    [
        TORCHVISION,
        TIMM,
        ("features.0.weight", "features.0.bias"),
        ("block1_conv1/kernel", "fc1/bias"),
        ("0.mean", "0.std", *(f"1.{name}" for name in TORCHVISION)),
        (*(f"module.{name}" for name in TORCHVISION), "n_averaged"),
        ("module.features.0.weight", "model.features.0.bias"),
        ("backbone.features.0.weight", "fc.weight"),
        ("model.features.0.weight", "model.fc.weight"),
        ("backbone.0.weight", "backbone.2.weight"),
        ("my_features.0.weight", "my_features.0.bias"),
        ("model.features", "model.features.0.bias"),
        ("a." * 9 + "features.0.weight",),
        (),
    ],
)
def test_nothing_is_left_out(names):
    stored = archive(*names)
    found, same = without_prefix(stored)
    assert found == ""
    assert same is stored
