"""The network in NumPy is the network, from any layer on; needs are its squared derivatives."""

import numpy as np
import pytest

from vggexport.pruning.need import needs

POOLINGS = ("flatten", "average", "max")


@pytest.mark.parametrize("pooling", POOLINGS)
def test_it_computes_what_the_network_is(pooling, make_network, pictures, numpy_network):
    network = make_network(pooling)
    expected = numpy_network(network.spec, network.weights, pictures[:4])
    inputs = network.enter(pictures[:4])
    for layer in network.layers:
        np.testing.assert_allclose(
            network.logits(inputs, layer), expected["predictions"], rtol=1e-3, atol=1e-3
        )
        inputs = network.leave(layer, network.compute(layer, inputs))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_needs_are_squared_derivatives(pooling, make_network, pictures):
    """By the logits' own change when one place of a channel is moved a little."""
    network = make_network(pooling)
    image = pictures[:1]
    signs = np.array([[1, -1, 1, 1, -1]], np.float32)
    weights = signs[0] - signs.mean()
    found = needs(network, image, signs)
    for layer in network.layers[1:6:2]:
        inputs = network.enter(image)
        for before in network.layers[: network.layers.index(layer)]:
            inputs = network.leave(before, network.compute(before, inputs))
        outputs = network.compute(layer, inputs)
        behind = network.layers[network.layers.index(layer) + 1]

        def score(moved, layer=layer, behind=behind):
            return float(network.logits(network.leave(layer, moved), behind)[0] @ weights)

        total = 0.0
        for place in np.ndindex(outputs.shape[:-1]):
            moved = outputs.copy()
            moved[(*place, 3)] += 1e-2
            total += ((score(moved) - score(outputs)) / 1e-2) ** 2
        assert found[layer.name][3] == pytest.approx(total, rel=0.05)
    assert found["predictions"].sum() == pytest.approx(np.square(weights).sum())
