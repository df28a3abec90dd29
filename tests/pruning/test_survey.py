"""What is kept of images, and networks made of it."""

import numpy as np
import pytest

from vggexport.pruning.gains import centred, measure
from vggexport.pruning.plan import Forecast
from vggexport.pruning.rebuilding import Rebuilding
from vggexport.pruning.sampling import Sampler
from vggexport.pruning.widths import prunable


def eliminations(survey):
    pairs = survey.network.pairs
    return {a.name: survey.eliminate(a, b) for a, b in pairs if a in prunable(survey.network.spec)}


def rebuilt(survey, left, pictures, folder):
    rebuilding = Rebuilding(survey, left, pictures[: survey.images], folder)
    refits = dict(rebuilding.run())
    return rebuilding.network, {layer.name: refit for layer, refit in refits.items()}


def noise(whole, narrow, images):
    """Squared error of the logits over their power."""
    expected, found = (centred(one.logits(one.enter(images))) for one in (whole, narrow))
    return np.square(found - expected).sum() / np.square(expected).sum()


def test_rows_of_a_sample_are_inputs_of_its_outputs(make_network, pictures):
    network = make_network()
    inputs = network.enter(pictures[:3])
    for layer in network.layers:
        sampler = Sampler.of(network, layer, images=3000)
        outputs = network.compute(layer, inputs)
        rows, seen = sampler.inputs(inputs, 5), sampler.outputs(outputs, 5)
        kernel = network.weights[layer.kernel.name].reshape(-1, seen.shape[1])
        affine = np.concatenate([kernel, network.weights[layer.bias.name][None]])
        assert len(rows) == 3 * sampler.rows
        np.testing.assert_allclose(rows @ affine, seen, rtol=1e-3, atol=1e-3)
        inputs = network.leave(layer, outputs)


def test_places_in_front_of_a_pooling_are_whole_windows(make_network):
    network = make_network()
    sampler = Sampler.of(network, network.layers[1], images=3000)
    rows, columns = (places.reshape(-1, 4) for places in sampler.places(7))
    assert sampler.size == 4
    np.testing.assert_array_equal(rows - rows[:, :1], [[0, 0, 1, 1]] * len(rows))
    np.testing.assert_array_equal(columns - columns[:, :1], [[0, 1, 0, 1]] * len(rows))
    assert not (rows[:, 0] % 2).any()
    assert len({*zip(rows[:, 0], columns[:, 0], strict=True)}) == len(rows)
    np.testing.assert_array_equal(sampler.places(7), sampler.places(7))


def test_moments_are_those_of_all_rows(survey, pictures):
    layer = survey.network.layers[1]
    sampler, network = survey.sampler(layer), survey.network
    images = network.enter(pictures[: survey.images])
    maps = network.leave(network.layers[0], network.compute(network.layers[0], images))
    rows = sampler.inputs(maps, 0)
    np.testing.assert_allclose(survey.moments(layer).raw, rows.T @ rows / len(rows), rtol=1e-4)
    assert survey.targets(layer).shape == (len(rows), 8)


@pytest.mark.parametrize("pooling", ["flatten", "average", "max"])
def test_all_channels_give_the_same_network_and_fewer_one_near_it(
    pooling, make_survey, pictures, tmp_path
):
    survey = make_survey(pooling)
    orders = eliminations(survey)
    (tmp_path / "whole").mkdir()
    same, _ = rebuilt(survey, {}, pictures, tmp_path / "whole")
    assert noise(survey.network, same, pictures[40:]) < 1e-8
    left = {name: order.kept(len(order.order) * 3 // 4) for name, order in orders.items()}
    narrow, refits = rebuilt(survey, left, pictures, tmp_path)
    assert [len(narrow.weights[f"{name}/bias"]) for name in left] == [6, 6, 12, 12]
    assert refits["block1_conv1"] is None
    near = noise(survey.network, narrow, pictures[40:])
    cut = {
        layer.name: np.sort(np.random.default_rng(1).permutation(len(order.order))[: len(left[n])])
        for (n, order), layer in zip(orders.items(), survey.network.layers, strict=False)
    }
    (tmp_path / "random").mkdir()
    blind, _ = rebuilt(survey, cut, pictures, tmp_path / "random")
    assert near < 0.8 * noise(survey.network, blind, pictures[40:])


def test_the_forecast_is_what_was_measured_at_half_the_channels(survey, pictures, tmp_path):
    orders = eliminations(survey)
    (found,) = measure(survey, orders, [pictures[40:]])
    forecast = Forecast(survey.network.spec, orders, found.errors)
    name = "block2_conv1"
    narrow, _ = rebuilt(survey, {name: orders[name].kept(8)}, pictures, tmp_path)
    assert found.images == 16
    assert forecast.error(name, 8) == found.errors[name]
    assert 0.5 < noise(survey.network, narrow, pictures[40:]) / found.errors[name] < 2
    own = {layer.name: layer.kernel.shape[-1] for layer in prunable(survey.network.spec)}
    assert forecast.logit_sqnr_db(own) == np.inf
    assert forecast.kept(own | {name: 8}).keys() == {name}
    assert forecast.logit_sqnr_db(own | {name: 8}) == pytest.approx(
        -10 * np.log10(found.errors[name])
    )


def test_what_is_kept_on_disk_is_not_computed_again(survey, pictures, tmp_path, monkeypatch):
    orders = eliminations(survey)
    left = {"block2_conv1": orders["block2_conv1"].kept(8)}
    first, _ = rebuilt(survey, left, pictures, tmp_path)
    monkeypatch.setattr("vggexport.pruning.rebuilding.relu_aware", None)
    monkeypatch.setattr("vggexport.pruning.survey.eliminate", None)
    again, _ = rebuilt(survey, left, pictures, tmp_path)
    for name, tensor in first.weights.items():
        np.testing.assert_array_equal(tensor, again.weights[name])
    assert [*eliminations(survey)["block2_conv1"].order] == [*orders["block2_conv1"].order]
