"""A model base path of TensorFlow Serving: a folder a model, in it a folder a version.

https://www.tensorflow.org/tfx/serving/serving_config
"""

from __future__ import annotations

from pathlib import Path

from vggexport.artifact import Artifact
from vggexport.bundles.layouts.interface import PlacedModel, check_format, placed

_VERSION = "1"


def place(artifact: Artifact, path: Path, folder: Path) -> PlacedModel:
    """``tf-serving/<name>/1/saved_model.pb`` and so on, with a ``models.config``.

    Raises:
        InputError: It is no SavedModel.
    """
    check_format(artifact, "tf-serving", "savedmodel")
    root = f"tf-serving/{path.name}"
    config = folder / "models.config"
    config.write_text(server_configuration(path.name), encoding="utf-8")
    # A directory that --serving laid out has its version in it already.
    inside = "" if any(part.name.isdecimal() for part in path.iterdir()) else f"/{_VERSION}"
    return placed(artifact, path, f"{root}{inside}", companions={f"{root}.config": config})


def server_configuration(name: str) -> str:
    """``--model_config_file`` of a server that finds the models under ``/models``."""
    return f"""model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
}}
"""
