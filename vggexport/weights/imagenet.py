"""``imagenet``: the VGG16 weights that Keras publishes, for configuration D of the paper."""

from __future__ import annotations

from dataclasses import replace

from vggexport.errors import Advice, VggExportError, WeightsError
from vggexport.network.preprocessing import CONVENTIONS
from vggexport.network.spec import VGGSpec
from vggexport.system.user_cache import user_cache
from vggexport.weights.download import RemoteFile, fetch
from vggexport.weights.files import open_file
from vggexport.weights.imagenet_labels import CLASSES, fetch_labels
from vggexport.weights.mapping import Weights
from vggexport.weights.open_options import Options

CONFIGURATION = "D"
CAFFE = CONVENTIONS["caffe"]

KERAS_VGG16 = RemoteFile(
    url=(
        "https://storage.googleapis.com/tensorflow/keras-applications/"
        "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    ),
    size=553_467_096,
    md5="64373286793e3c8b2b4e3219cbf3544b",
)
"""Address and digest as in ``keras.applications.vgg16`` (WEIGHTS_PATH and its file_hash)."""


def open_imagenet(options: Options) -> Weights:
    """Weights for ``imagenet``, downloaded once into the user's cache.

    Raises:
        WeightsError: The network is not configuration D, or the file is not what was published.
        Unavailable: The file cannot be downloaded here.
        Unfinished: The download broke off.
    """
    if options.argument is not None:
        raise WeightsError(f"imagenet:{options.argument}: imagenet takes nothing after it")
    _check_configuration(options)
    if options.preprocessing not in (None, CAFFE):
        raise WeightsError(
            f"imagenet weights want BGR minus the mean (caffe), not {options.preprocessing.name}: "
            "leave the preprocessing out"
        )
    path = fetch(KERAS_VGG16, user_cache(), options.progress)
    weights = open_file(path, replace(options, preprocessing=CAFFE), "imagenet")
    if weights.spec.classes == CLASSES:
        _name_classes(weights)
    return weights


def _name_classes(weights: Weights) -> None:
    """Labels that cannot be had are worth a note, no more: weights are what was asked for."""
    try:
        weights.labels = fetch_labels()
    except VggExportError as error:
        weights.notes += (f"the names of ImageNet's classes are not available: {error.fact}",)


def _check_configuration(options: Options) -> None:
    request = options.request
    published = VGGSpec.named(CONFIGURATION).blocks
    blocks = request.blocks if isinstance(request, VGGSpec) else None
    if request.configuration not in (None, CONFIGURATION) or blocks not in (None, published):
        raise WeightsError(
            f"imagenet weights are of configuration {CONFIGURATION}, not {request.configuration}",
            Advice(f"choose {{}} {CONFIGURATION}", "config"),
            "name a weights file",
        )
