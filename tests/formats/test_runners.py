"""What ``vggexport.formats.runner`` promises, of every runner, against the numpy network."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from vggexport.errors import ArtifactError
from vggexport.formats.registry import FORMATS, KERAS, WRITTEN, load_runner
from vggexport.formats.runner import Runner
from vggexport.metrics.layer_times import by_layer
from vggexport.metrics.parity import sqnr_db
from vggexport.metrics.placement import place
from vggexport.quantization.int4 import BLOCK_SIZE, quantize_blocks

MIN_SQNR_DB = {
    # float32 sums of at most 128 products: 2**-24 of the result for each, 123 dB if all add up.
    "float32": 120,
    # 11 bits a weight are 71 dB; the errors of six layers add up. 66 dB and more measured.
    "float16": 55,
    # 8 bits of activations and weights: 30.4 dB and more measured. Axes in another order, a layer
    # beside the right one or a wrong scale give less than 10 dB.
    "int8": 25,
    # As int8, with a range of activations for each image.
    "dynamic-int8": 25,
    # As int8, against fully connected weights that were rounded to int4: without that rounding the
    # logits have 12 dB.
    "int8-w4": 25,
}
"""By precision, of each layer against the numpy network on the float32 weights, with its reason."""


@dataclass(frozen=True)
class Case:
    """One kind of network that a runner runs: ``format`` is the runner's name."""

    format: str
    precision: str = "float32"
    input_dtype: str = "float32"
    runtime: str | None = None

    def __str__(self) -> str:
        runtime = f"{self.runtime}-" if self.runtime else ""
        return f"{runtime}{self.format}-{self.precision}-{self.input_dtype}"


def keras_runner(case: Case, fixture: Callable) -> Runner:
    return load_runner(case.format)(fixture("tiny"), fixture("tiny_weights"))


def file_runner(case: Case, fixture: Callable) -> Runner:
    path = fixture("export")(case.precision, case.input_dtype, format=case.format)
    return load_runner(case.format, case.runtime)(path)


BUILDERS = dict.fromkeys(FORMATS, file_runner) | {KERAS: keras_runner}
"""Makes a case's runner on the tiny network, from the case and the value of a fixture by name."""

CASES = {
    "keras": [Case("keras")],
    **{
        name: [
            Case(name, precision.value, input_dtype)
            for precision in row.precisions
            for input_dtype in ("float32", "uint8")
        ]
        for name, row in WRITTEN.items()
    },
}
CASES["onnx"] += [Case("onnx", name, "uint8", "openvino") for name in ("float32", "float16")]


@pytest.fixture(params=[case for name in FORMATS for case in CASES.get(name, ())], ids=str)
def case(request) -> Case:
    return request.param


@pytest.fixture
def runner(case, request) -> Runner:
    """Not entered yet."""
    return BUILDERS[case.format](case, request.getfixturevalue)


@pytest.fixture
def expected(case, tiny, tiny_weights, images, numpy_network) -> dict[str, np.ndarray]:
    weights = dict(tiny_weights)
    if case.precision == "int8-w4":
        for name in ("fc1/kernel", "fc2/kernel", "predictions/kernel"):
            integers, scales = quantize_blocks(weights[name])
            weights[name] = integers * np.repeat(scales.astype(np.float32), BLOCK_SIZE, axis=0)
    return numpy_network(tiny, weights, images)


@pytest.fixture(scope="module")
def names(tiny) -> list[str]:
    return [layer.name for layer in tiny.layers]


def test_every_runner_is_held_to_the_contract():
    runners = {name: row.runtime().runner for name, row in FORMATS.items()}
    assert {runners[name] for name in CASES} == set(runners.values())


def test_probabilities_have_a_row_an_image(runner, images, tiny):
    with runner:
        for count in (1, 6):
            probabilities = runner.predict(images[:count])
            assert (probabilities.dtype, probabilities.shape) == (np.float32, (count, 5))
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-6)


def test_pixels_of_either_type_give_the_same(runner, images):
    with runner:
        np.testing.assert_array_equal(
            runner.predict(images), runner.predict(images.astype(np.float32))
        )


def test_every_layer_has_its_values_in_the_layout_of_the_spec(
    case, runner, images, tiny, names, expected
):
    with runner:
        found = runner.activations(images, names)
    assert list(found) == names
    for name, values in found.items():
        assert (values.dtype, values.shape) == (np.float32, (6, *tiny.layer(name).output_shape))
        assert sqnr_db(expected[name], values) > MIN_SQNR_DB[case.precision], name


def test_what_is_flattened_is_the_last_pooling_row_by_row(runner, images):
    with runner:
        found = runner.activations(images, ["flatten", "block2_pool"])
    np.testing.assert_array_equal(found["flatten"], found["block2_pool"].reshape(6, -1))


def test_the_order_is_that_of_the_names_from_any_iterable(runner, images, names):
    backwards = names[::-1]
    with runner:
        assert list(runner.activations(images, iter(backwards))) == backwards


def test_a_layer_is_the_same_whatever_is_read_beside_it(runner, images, names):
    with runner:
        one_by_one = {name: runner.activations(images, [name])[name] for name in names}
        together = runner.activations(images, names)
    for name in names:
        np.testing.assert_array_equal(one_by_one[name], together[name], err_msg=name)


def test_reading_layers_does_not_change_what_is_computed(runner, images, names):
    with runner:
        before = runner.predict(images)
        read = runner.activations(images, names)["probabilities"]
        after = runner.predict(images)
    np.testing.assert_array_equal(read, before)
    np.testing.assert_array_equal(after, before)


def test_no_names_give_nothing(runner, images):
    with runner:
        assert runner.activations(images, []) == {}
        assert runner.activations(images, iter(())) == {}


@pytest.mark.parametrize(
    "unknown", ["fc9", "fc1_dropout", "images", "fc1/kernel", "mean_subtraction/nchw", "fc1/tap"]
)
def test_what_is_no_layer_of_the_spec_is_refused_in_one_line(runner, images, unknown):
    with runner:
        with pytest.raises(ArtifactError, match=unknown) as raised:
            runner.activations(images, ["probabilities", unknown])
        assert "\n" not in str(raised.value)
        assert runner.predict(images).shape == (6, 5)


def test_what_is_returned_is_the_callers(runner, images, names):
    pixels = images.astype(np.float32)
    with runner:
        found = {"predicted": runner.predict(pixels)} | runner.activations(pixels, names)
        kept = {name: values.copy() for name, values in found.items()}
        pixels[:] = 255 - pixels
        runner.activations(pixels, names)
    for name, values in found.items():
        np.testing.assert_array_equal(values, kept[name], err_msg=name)
        values[:] = -1  # it can be written, and no other array changes by it
        for other in found.keys() - {name}:
            assert not np.shares_memory(values, found[other])


def test_the_images_are_left_as_they_are(runner, images, names):
    pixels = images.astype(np.float32)
    with runner:
        runner.activations(pixels, names)
    np.testing.assert_array_equal(pixels, images)


def test_prepared_runs_give_what_predict_gives(runner, images):
    with runner:
        for count in (6, 2):
            expected = runner.predict(images[:count])
            prepared = runner.prepare(images[:count])
            prepared.run()
            found = prepared.probabilities()
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == np.float32
            assert prepared.transfer is None
            found[:] = -1  # the caller's own
            np.testing.assert_array_equal(prepared.probabilities(), expected)


def test_images_of_another_size_cannot_be_prepared(runner, images):
    with runner, pytest.raises(ArtifactError, match=r"\(1, 9, 16, 3\)"):
        runner.prepare(images[:1, :9])


def test_layers_take_a_time_where_the_runtime_tells(case, runner, images, tiny):
    with runner:
        times = by_layer(runner.node_times(images[:1], 2), tiny)
    if not FORMATS[case.format].runtime(case.runtime).times_nodes:
        assert times == ()
        return
    assert all(layer.ms >= 0 for layer in times)
    assert {"Conv", "Convolution", "QLinearConv"} & {layer.type for layer in times}


def test_nodes_are_told_with_what_ran_them_where_the_runtime_tells(case, runner, images, tiny):
    with runner:
        nodes = runner.placed_nodes(images[:1])
        assert isinstance(runner.provider_options(), dict)
    if case.format != "onnx" or case.runtime:
        assert nodes is None
        return
    placement = place(nodes, tiny, runner.provider)
    assert (placement.node_share, placement.mac_share) == (1.0, 1.0)
    assert place(nodes, tiny, "CUDAExecutionProvider").mac_share == 0.0


def test_it_can_be_entered_again(runner, images, names):
    with runner:
        first = runner.activations(images, names)
    with runner:
        again = runner.activations(images, names)
        np.testing.assert_array_equal(runner.predict(images), first["probabilities"])
    for name in names:
        np.testing.assert_array_equal(again[name], first[name])


def test_it_says_what_runs(runner):
    assert runner.runtime.split()[1][0].isdecimal()  # a name and its version
    assert "CPU" in runner.provider
    assert runner.threads == 0


def test_openvino_refuses_integers_that_stand_for_probabilities(export):
    """It would give 199 for a probability of 0.78."""
    path = export("int8", "uint8", 1, format="tflite", full_integer=True)
    with pytest.raises(ArtifactError, match="which is not run in OpenVINO here"):
        load_runner("tflite", "openvino")(path).__enter__()
