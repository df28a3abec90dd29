"""What a foreign file wants done to pixels: found where it can be told, never taken wrongly."""

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import onnx
import pytest

from tests.foreign_onnx import Style, torch_like
from tests.recorded_progress import Recorded
from vggexport.errors import InputError
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.opening.foreign import TRIED, TRIED_IMAGES, find_preprocessing
from vggexport.opening.models import open_model, with_preprocessing
from vggexport.opening.preprocessed import preprocessed
from vggexport.opening.run_options import RunOptions
from vggexport.system.progress import Progress, Steps

FIRST = "block1_conv1/kernel"
ROUNDED = {"input", "block1_conv1", "block1_conv2", "block2_conv1", "fc1", "fc2", "predictions"}
PRECISIONS = ("float32", "int8", "full int8")


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(8).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def steps():
    return Steps(Recorded())


@pytest.fixture
def entered():
    with ExitStack() as entered:
        yield entered


@pytest.fixture
def opened(tiny, tiny_weights, numpy_network, pixels, tmp_path, entered):
    """(convention, precision, weights) -> a foreign file of the network that wants that."""

    def ranges(weights, convention, precision):
        if precision == "float32":
            return {}
        taken = preprocessed(pixels, convention)
        plain = replace(tiny, mean_rgb=(0, 0, 0))
        outputs = {"input": taken} | numpy_network(plain, weights, taken)
        found = {name: (min(0, outputs[name].min()), outputs[name].max()) for name in ROUNDED}
        return found | ({"probabilities": (0, 255 / 256)} if precision == "full int8" else {})

    def make(convention, precision="float32", weights=tiny_weights, **style):
        divisor = np.array(convention.std_rgb)[list(convention.order)]
        own = {**weights, FIRST: weights[FIRST] * divisor[:, None]}
        chosen = Style(
            ranges=ranges(own, convention, precision),
            takes_integers=precision == "full int8",
            **style,
        )
        path = tmp_path / f"{precision}.onnx"
        onnx.save(torch_like(tiny, own, convention, chosen), path)
        return open_model(entered, str(path), None, RunOptions(threads=1), Steps(Progress()))

    return make


@pytest.mark.parametrize("convention", TRIED, ids=lambda one: one.words)
def test_every_convention_is_found_in_every_precision_and_layout(opened, convention, pixels, steps):
    known = with_preprocessing(opened(convention), convention)
    files = [
        opened(convention, precision, channels_last=channels_last)
        for precision in PRECISIONS
        for channels_last in (False, True)
    ]
    assert [f.artifact.full_integer for f in files] == [False] * 4 + [True] * 2
    found = find_preprocessing([known, *files], lambda: pixels[:TRIED_IMAGES], steps)[1:]
    assert [model.artifact.preprocessing.words for model in found] == [convention.words] * 6
    assert all(model.found.fits for model in found)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_none_is_found_for_a_network_of_other_weights(
    opened, precision, pixels, steps, tiny_weights
):
    turned = {name: array[..., ::-1] for name, array in tiny_weights.items()}
    known = with_preprocessing(opened(CONVENTIONS["torch"]), CONVENTIONS["torch"])
    other = opened(CONVENTIONS["torch"], precision, turned)
    *_, found = find_preprocessing([known, other], lambda: pixels[:TRIED_IMAGES], steps)
    assert not found.found.fits
    (note,) = steps.progress.notes
    assert "no preprocessing fits; " in note
    assert f"preprocessing_of {other.path}=CONVENTION, one of vgg, caffe, torch, tf, unit" in note
    assert f"{other.path}={found.found.name}" not in note
    with pytest.raises(InputError, match=r"no preprocessing fits; .* try_preprocessing"):
        find_preprocessing([known, other], lambda: pixels[:TRIED_IMAGES], steps, must_fit=True)


def test_grey_pictures_do_not_decide_between_the_orders_of_channels(opened, pixels, steps):
    known = with_preprocessing(opened(CONVENTIONS["tf"]), CONVENTIONS["tf"])
    grey = np.repeat(pixels[:TRIED_IMAGES, ..., :1], 3, axis=-1)
    with pytest.raises(
        InputError, match=r"these images do not decide .*: tf, RGB has .* and tf, BGR "
    ):
        find_preprocessing([known, opened(CONVENTIONS["tf"])], lambda: grey, steps)


def test_the_most_exact_network_is_what_others_are_held_to(opened, pixels, steps):
    unit = CONVENTIONS["unit"]
    coarse = with_preprocessing(opened(unit, "full int8"), unit)
    exact = with_preprocessing(opened(unit), unit)
    *_, found = find_preprocessing(
        [coarse, exact, opened(unit, "float32", channels_last=True)], lambda: pixels[:8], steps
    )
    assert found.artifact.preprocessing.words == "unit, RGB"
    assert found.found.sqnr_db > 90
