"""Files that Keras itself writes, against what Keras itself computes on them."""

import io
import json
import zipfile
from inspect import getsource

import h5py
import keras
import numpy as np
import pytest
from keras.src.applications import vgg16
from keras.src.legacy.saving import legacy_h5_format

from vggexport.errors import WeightsError
from vggexport.network.spec import MEAN_RGB, VGGSpec
from vggexport.weights import SpecRequest, open_weights
from vggexport.weights.imagenet import KERAS_VGG16

# Keras 3.15 hands TensorFlow's variables to numpy 2 with a signature of numpy 1.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

ENDINGS = [".weights.h5", ".keras", ".h5"]


def save(model: keras.Model, path) -> None:
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    elif path.suffix == ".keras":
        model.save(path)
    else:  # model.save(".h5") warns that the format is legacy
        legacy_h5_format.save_model_to_hdf5(model, path)


def build(spec: VGGSpec, *, named: bool = True) -> keras.Model:
    """The network as a Keras user would write it, fed with BGR minus the mean."""

    def name(text: str) -> str | None:
        return text if named else None

    x = inputs = keras.Input(spec.image_shape)
    for number, block in enumerate(spec.blocks, start=1):
        for index, convolution in enumerate(block, start=1):
            x = keras.layers.Conv2D(
                convolution.filters,
                convolution.kernel_size,
                padding="same",
                activation="relu",
                bias_initializer="random_normal",
                name=name(f"block{number}_conv{index}"),
            )(x)
        x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    for layer in ("fc1", "fc2"):
        x = keras.layers.Dense(spec.fc_units[0], activation="relu", name=name(layer))(x)
        x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Dense(spec.classes, activation="softmax", name=name("predictions"))(x)
    return keras.Model(inputs, x)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def images(side: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (2, side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def published() -> keras.Model:
    """Keras' own VGG16, small inputs and random weights."""
    keras.utils.set_random_seed(0)
    return keras.applications.VGG16(weights=None, input_shape=(32, 32, 3), classes=10)


@pytest.mark.parametrize("ending", ENDINGS)
def test_keras_vgg16_gives_its_own_probabilities(published, tmp_path, native_logits, ending):
    path = tmp_path / f"vgg16{ending}"
    save(published, path)
    photos = images(32)
    prepared = keras.applications.vgg16.preprocess_input(photos.astype(np.float32))
    expected = published(prepared).numpy()

    weights = open_weights(str(path), SpecRequest(input_size=(32, 32)))
    assert weights.spec == VGGSpec.named("D", classes=10, input_size=(32, 32))
    assert weights.layout == "keras"
    assert weights.mean_rgb == MEAN_RGB
    actual = softmax(native_logits(weights, weights.spec, weights.mean_rgb, photos))
    # Keras adds up to 4608 products in float32, sixteen times over; the reference is in float64.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)

    swapped = open_weights(str(path), SpecRequest(input_size=(32, 32)), layout="native")
    wrong = softmax(native_logits(swapped, swapped.spec, swapped.mean_rgb, photos))
    assert np.abs(wrong - expected).max() > 1e-3


@pytest.fixture(scope="module", params=[True, False], ids=["named", "unnamed"])
def trained(request, tiny) -> keras.Model:
    model = build(tiny, named=request.param)
    model.compile("adam", "categorical_crossentropy", run_eagerly=True)
    model.train_on_batch(images(16) / 255, np.eye(5)[[0, 1]])
    return model


@pytest.mark.parametrize("ending", ENDINGS)
def test_names_or_else_the_order_of_layers_decide(trained, tmp_path, tiny, ending):
    """Seed states of Dropout, and of an optimizer, are no weights."""
    path = tmp_path / f"own{ending}"
    save(trained, path)

    weights = open_weights(str(path), tiny, layout="native")
    expected = [layer.get_weights() for layer in trained.layers if layer.weights]
    for layer, (kernel, bias) in zip(tiny.weighted_layers, expected, strict=True):
        np.testing.assert_array_equal(weights[layer.kernel.name], kernel)
        np.testing.assert_array_equal(weights[layer.bias.name], bias)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_model_inside_a_model(tmp_path, tiny, ending):
    inner = build(tiny)
    outer = keras.Sequential([keras.Input((16, 16, 3)), inner])
    path = tmp_path / f"nested{ending}"
    save(outer, path)
    weights = open_weights(str(path), tiny, layout="native")
    for layer in tiny.weighted_layers:
        kernel, bias = inner.get_layer(layer.name).get_weights()
        np.testing.assert_array_equal(weights[layer.kernel.name], kernel)
        np.testing.assert_array_equal(weights[layer.bias.name], bias)


def test_more_than_ten_unnamed_layers_keep_their_order(tmp_path):
    """As text, conv2d_10 would come before conv2d_2."""
    spec = VGGSpec.named("D", classes=3, fc_units=(2, 2), input_size=(32, 32))
    path = tmp_path / "order.weights.h5"
    with h5py.File(path, "w") as file:
        for kind, layers in (("conv2d", spec.weighted_layers[:13]), ("dense", "abc")):
            for number, layer in enumerate(layers):
                actual = layer if kind == "conv2d" else spec.weighted_layers[13 + number]
                group = f"layers/{kind}_{number}" if number else f"layers/{kind}"
                # Never allocated: the file stays small and reads as its fill value.
                file.create_dataset(f"{group}/vars/0", actual.kernel.shape, "f4", fillvalue=number)
                file.create_dataset(f"{group}/vars/1", actual.bias.shape, "f4", fillvalue=number)
    weights = open_weights(str(path), SpecRequest(input_size=(32, 32)))
    convolutions = [layer.bias.name for layer in spec.weighted_layers[:13]]
    assert [weights[name][0] for name in convolutions] == list(range(13))
    assert [weights[f"{name}/bias"][0] for name in ("fc1", "fc2", "predictions")] == [0, 1, 2]


@pytest.fixture
def write_legacy(tmp_path, arrays):
    """Writes the layout of the files that keras.applications downloads."""

    def write(kernel="{layer}_W_1:0", bias="{layer}_b_1:0"):
        path = tmp_path / "published.h5"
        with h5py.File(path, "w") as file:
            layers = list(dict.fromkeys(name.split("/")[0] for name in arrays))
            file.attrs["layer_names"] = [layer.encode() for layer in [*layers, "flatten"]]
            file.create_group("flatten").attrs["weight_names"] = np.array([], "S1")
            for layer in layers:
                names = [kernel.format(layer=layer), bias.format(layer=layer)]
                file.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
                file[layer][names[0]] = arrays[f"{layer}/kernel"]
                file[layer][names[1]] = arrays[f"{layer}/bias"]
        return path

    return write


@pytest.mark.parametrize(
    ("kernel", "bias"),
    [
        ("{layer}_W_1:0", "{layer}_b_1:0"),
        ("{layer}_1/kernel:0", "{layer}_1/bias:0"),
        ("sequential/{layer}/kernel", "sequential/{layer}/bias"),
    ],
)
def test_names_that_older_kerases_wrote(write_legacy, arrays, tiny, kernel, bias):
    weights = open_weights(str(write_legacy(kernel, bias)), tiny, layout="native")
    for name, array in weights.items():
        np.testing.assert_array_equal(array, arrays[name])


def test_the_published_file_is_the_one_that_keras_names():
    assert KERAS_VGG16.url == vgg16.WEIGHTS_PATH
    assert KERAS_VGG16.md5 in getsource(vgg16.VGG16)


def test_a_compressed_keras_archive_is_read(tmp_path, tiny):
    model = build(tiny)
    path, packed = tmp_path / "plain.keras", tmp_path / "packed.keras"
    save(model, path)
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zip_:
        for name in plain.namelist():
            zip_.writestr(name, plain.read(name))
    for name, array in open_weights(str(packed), tiny).items():
        np.testing.assert_array_equal(array, open_weights(str(path), tiny)[name])


def test_nothing_that_config_json_names_is_made(tmp_path, tiny):
    path, forged = tmp_path / "plain.keras", tmp_path / "forged.keras"
    save(build(tiny), path)
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(forged, "w") as archive:
        described = {"module": "os", "class_name": "system", "config": {"command": "touch made"}}
        archive.writestr("config.json", json.dumps(described))
        archive.writestr("model.weights.h5", plain.read("model.weights.h5"))
    with pytest.raises(WeightsError, match="system"):
        open_weights(str(forged), tiny)


def test_weights_of_keras_before_its_first_version(tmp_path, tiny):
    path = tmp_path / "vgg16_weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = 37
        file.create_group("layer_1").create_dataset("param_0", (4, 3, 3, 3))
    with pytest.raises(WeightsError, match=r"Keras before 1\.0 \(nb_layers\)"):
        open_weights(str(path), tiny)


@pytest.mark.parametrize("part", [0.05, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("ending", ENDINGS)
def test_cut_files_are_refused(tmp_path, tiny, ending, part):
    path = tmp_path / f"cut{ending}"
    save(build(tiny), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(WeightsError, match="damaged or cannot be read"):
        dict(open_weights(str(path), tiny))


def test_a_cut_hdf5_file_inside_a_whole_archive_is_refused(tmp_path, tiny):
    path, cut = tmp_path / "plain.keras", tmp_path / "cut.keras"
    save(build(tiny), path)
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(cut, "w") as archive:
        archive.writestr("model.weights.h5", plain.read("model.weights.h5")[:9000])
    with pytest.raises(WeightsError, match="damaged or cannot be read"):
        dict(open_weights(str(cut), tiny))


def test_an_hdf5_file_of_something_else(tmp_path, tiny):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["table"] = np.zeros(3)
    with pytest.raises(WeightsError, match="is an HDF5 file without a Keras model"):
        open_weights(str(path), tiny)


def _external_link(file, secret):
    del file["fc1/fc1_b_1:0"]
    file["fc1/fc1_b_1:0"] = h5py.ExternalLink(secret, "/data")


def _external_storage(file, secret):
    del file["fc1/fc1_b_1:0"]
    file.create_dataset("fc1/fc1_b_1:0", (16,), "f4", external=[(str(secret), 0, 64)])


def _virtual(file, secret):
    del file["fc1/fc1_b_1:0"]
    layout = h5py.VirtualLayout((16,), "f4")
    layout[:] = h5py.VirtualSource(secret, "data", (16,))
    file.create_virtual_dataset("fc1/fc1_b_1:0", layout)


@pytest.mark.parametrize("lead_outside", [_external_link, _external_storage, _virtual])
def test_data_of_other_files_is_refused(tmp_path, write_legacy, tiny, lead_outside):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["data"] = np.zeros(16, np.float32)
    path = write_legacy()
    with h5py.File(path, "r+") as file:
        lead_outside(file, secret)
    with pytest.raises(WeightsError, match="fc1_b_1:0 is not stored in the file itself"):
        open_weights(str(path), tiny)


def test_batch_normalization_is_surplus(tmp_path, tiny):
    model = build(tiny)
    x = keras.layers.BatchNormalization(name="bn")(model.outputs[0])
    path = tmp_path / "bn.weights.h5"
    save(keras.Model(model.inputs, x), path)
    with pytest.raises(WeightsError, match="surplus bn/0, bn/1, bn/2, bn/3"):
        open_weights(str(path), tiny)


def test_two_tensors_of_one_name_are_refused(write_legacy, tiny):
    path = write_legacy()
    with h5py.File(path, "r+") as file:
        file["fc1"].attrs["weight_names"] = [b"fc1_W_1:0", b"fc1_W_1:0"]
    with pytest.raises(WeightsError, match="two tensors of one name: fc1/kernel"):
        open_weights(str(path), tiny)


def test_a_missing_weight_is_damage(write_legacy, tiny):
    path = write_legacy()
    with h5py.File(path, "r+") as file:
        del file["fc1/fc1_W_1:0"]
    with pytest.raises(WeightsError, match="damaged or cannot be read"):
        open_weights(str(path), tiny)


def test_a_group_where_numbers_should_be_is_damage(write_legacy, tiny):
    path = write_legacy()
    with h5py.File(path, "r+") as file:
        del file["fc1/fc1_W_1:0"]
        file.create_group("fc1/fc1_W_1:0")
    with pytest.raises(WeightsError, match="damaged or cannot be read"):
        open_weights(str(path), tiny)


def test_an_archive_without_weights_is_not_keras(tmp_path, tiny):
    path = tmp_path / "empty.keras"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("config.json", "{}")
    path.write_bytes(stream.getvalue())
    with pytest.raises(WeightsError, match=r"is a zip archive, expected an HDF5 file"):
        open_weights(str(path), tiny)
