"""From parsed options to the values that workflows take."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from vggexport.cli.preprocessing_options import preprocessing
from vggexport.network.training_recipe import Recipe
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.network import NetworkOptions
from vggexport.weights import SpecRequest
from vggexport.workflows.build.run import BuildOptions


def spec_request(options: dict[str, Any]) -> SpecRequest:
    """What ``architecture_options`` say."""
    return SpecRequest(
        options["config"], options["classes"], options["fc_units"], options["input_size"]
    )


def network(options: dict[str, Any]) -> NetworkOptions:
    """What ``network_options`` say."""
    return NetworkOptions(
        weights=options["weights"],
        layout=options["weights_layout"],
        init_missing=options["init_missing"],
        sha256=options["weights_sha256"],
        preprocessing=preprocessing(options),
        strict=options["strict"],
        request=spec_request(options),
        labels=options["labels"],
        seed=options["seed"],
    )


def recipe(options: dict[str, Any]) -> Recipe:
    """What ``recipe_options`` say, with the seed of ``network_options``."""
    return Recipe(**{field.name: options[field.name] for field in fields(Recipe)})


def calibrating(options: dict[str, Any]) -> CalibrationOptions:
    """What ``calibration_options`` say, with the seed of ``network_options``."""
    return CalibrationOptions(
        data=options["calibration_data"],
        samples=options["calibration_samples"],
        method=options["calibration_method"],
        seed=options["seed"],
    )


def building(options: dict[str, Any]) -> BuildOptions:
    """What ``check_options`` and ``--force`` say."""
    return BuildOptions(
        ranges=options["ranges"],
        check=options["check"],
        min_logit_sqnr_db=options["min_logit_sqnr"],
        force=options["force"],
    )
