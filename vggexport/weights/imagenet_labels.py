"""ImageNet's 1,000 classes, in the order of every published network: synset and name.

The list is not part of this package. Keras publishes it beside its weights, and it is fetched from
there once, by the digest that ``keras.applications.imagenet_utils`` states (CLASS_INDEX_PATH and
its file_hash).
"""

from __future__ import annotations

import json
from pathlib import Path

from vggexport.system.user_cache import user_cache
from vggexport.weights.download import fetch_small, is_whole

CLASS_INDEX_URL = (
    "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
)
CLASS_INDEX_MD5 = "c2c37ea517e94d9795004a39431a14cb"
CLASSES = 1000


def fetch_labels() -> tuple[str, ...]:
    """The names, downloaded if need be: "n01440764 tench".

    Raises:
        WeightsError: The list is not what was published.
        Unavailable: It cannot be downloaded here.
        Unfinished: It cannot be kept.
    """
    return _read(fetch_small(CLASS_INDEX_URL, CLASS_INDEX_MD5, user_cache()))


def cached_labels() -> tuple[str, ...]:
    """The same if they have been fetched before; else nothing."""
    place = user_cache() / CLASS_INDEX_URL.rpartition("/")[2]
    return _read(place) if is_whole(place, CLASS_INDEX_MD5) else ()


def _read(path: Path) -> tuple[str, ...]:
    by_index = json.loads(path.read_text(encoding="utf-8"))
    return tuple(" ".join(by_index[str(index)]) for index in range(len(by_index)))
