"""The recipe: the paper's values are the defaults, and what no training can do is refused."""

import dataclasses

import pytest

from vggexport.errors import InputError
from vggexport.network.training_recipe import PAPER, Recipe


def test_the_defaults_are_those_of_section_3_1():
    assert (PAPER.batch, PAPER.momentum, PAPER.weight_decay) == (256, 0.9, 5e-4)
    assert (PAPER.learning_rate, PAPER.learning_rate_divisor, PAPER.decreases) == (1e-2, 10, 3)
    assert (PAPER.dropout, PAPER.epochs) == (0.5, 74)
    assert (PAPER.min_scale, PAPER.max_scale, PAPER.flip) == (256, 512, True)


def test_it_survives_json():
    recipe = Recipe(batch=7, learning_rate=0.25, flip=False, initializer="he")
    assert Recipe.from_json(recipe.to_json()) == recipe
    with pytest.raises(InputError, match="not readable"):
        Recipe.from_json({"batches": 7})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("batch", 0, "batch is 0, expected 1 or more"),
        ("learning_rate", 0.0, "learning_rate is 0.0, expected more than 0"),
        ("learning_rate", float("nan"), "learning_rate is nan"),
        ("learning_rate", float("inf"), "learning_rate is inf"),
        ("learning_rate_divisor", float("inf"), "learning_rate_divisor is inf"),
        ("weight_decay", float("inf"), "weight_decay is inf"),
        ("learning_rate_divisor", 1.0, "expected more than 1"),
        ("dropout", 1.0, "expected 0 to less than 1"),
        ("momentum", -0.1, "expected 0 to less than 1"),
        ("weight_decay", -1.0, "expected 0 or more"),
        ("max_scale", 255, "scales are 256...255"),
        ("min_scale", 223, "expected 224 or more"),
        ("initializer", "zeros", "expected paper or he"),
    ],
)
def test_values_out_of_range_are_refused(name, value, said):
    with pytest.raises(InputError) as raised:
        dataclasses.replace(PAPER, **{name: value})
    assert said in str(raised.value)


def test_all_that_is_wrong_is_named_at_once():
    with pytest.raises(InputError, match=r"batch is 0.*dropout is 2"):
        Recipe(batch=0, dropout=2)
