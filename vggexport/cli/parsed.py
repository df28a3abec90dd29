"""From parsed options to the values that workflows take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from vggexport.cli.preprocessing_options import preprocessing
from vggexport.network.pictures import PictureRequest
from vggexport.opening.calibration_images import CalibrationOptions
from vggexport.opening.network import NetworkOptions
from vggexport.opening.run_options import RunOptions
from vggexport.weights import SpecRequest
from vggexport.workflows.build.options import BuildOptions

Values = TypeVar("Values")


def taken(kind: type[Values], options: Mapping[str, Any], **other: Any) -> Values:
    """A dataclass of options of the same names and other fields; the rest is at its default."""
    names = {field.name for field in fields(kind)} & options.keys()  # type: ignore[arg-type]
    return kind(**{name: options[name] for name in names} | other)


def spec_request(options: Mapping[str, Any]) -> SpecRequest:
    """What ``architecture_options`` say."""
    return taken(SpecRequest, options, configuration=options["config"])


def network(options: Mapping[str, Any]) -> NetworkOptions:
    """What ``network_options`` say."""
    return taken(
        NetworkOptions,
        options,
        layout=options["weights_layout"],
        sha256=options["weights_sha256"],
        request=spec_request(options),
        preprocessing=preprocessing(options),
        pictures=pictures(options),
    )


def pictures(options: Mapping[str, Any]) -> PictureRequest:
    """What ``picture_options`` say."""
    return taken(PictureRequest, options)


def calibrating(options: Mapping[str, Any]) -> CalibrationOptions:
    """What ``calibration_options`` say, if there are any, with the seed of ``network_options``."""
    own = "calibration_"
    asked = {k.removeprefix(own): v for k, v in options.items() if k.startswith(own)}
    return taken(CalibrationOptions, options, **asked)


def building(options: Mapping[str, Any]) -> BuildOptions:
    """What ``ranges_option``, ``check_options`` and ``--force`` say."""
    return taken(BuildOptions, options, min_logit_sqnr_db=options["min_logit_sqnr"])


def running(options: Mapping[str, Any]) -> RunOptions:
    """What ``run_options`` and ``preprocessing_of_option`` say."""
    stated = dict(options.get("preprocessing_of", ()))
    return RunOptions(options["threads"] or 0, options["provider"], options["runtime"], stated)
