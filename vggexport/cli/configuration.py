"""Options from ``vggexport.toml``, or from ``[tool.vggexport]`` in ``pyproject.toml``.

Click takes those of the environment itself; their names are checked here.

A value on the top level is the default of every command that has the option; a table named like a
command holds that command's own::

    weights = "vgg16.safetensors"

    [onnx]
    precision = "int8"
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, cast

import click

from vggexport.cli.value_types import LISTED

FILE = Path("vggexport.toml")
PYPROJECT = Path("pyproject.toml")


def read_configuration(ctx: click.Context) -> dict[str, dict[str, Any]]:
    """Defaults by command and parameter, in the form of Click's ``default_map``.

    Raises:
        click.ClickException: The file is not TOML, or names an option that no command has.
    """
    path, table = _find()
    if path is None:
        return {}
    known = _parameters(ctx)
    everywhere = {key: value for key, value in table.items() if key not in known}
    for key, value in everywhere.items():
        _check_known(path, key, set(known).union(*known.values()))
        if isinstance(value, dict):
            raise click.ClickException(f"{path}: {key} is an option, so it cannot be a table")
    defaults = {}
    for name, parameters in known.items():
        own = table.get(name, {})
        if not isinstance(own, dict):
            raise click.ClickException(f"{path}: {name} is a command, so it must be a table")
        for key in own:
            _check_known(path, key, parameters, table=f"{name}.")
        merged = _normalized(everywhere) | _normalized(own)
        defaults[name] = {
            key: _as_typed(path, value, parameters[key])
            for key, value in merged.items()
            if key in parameters
        }
    return defaults


def check_environment(ctx: click.Context, command: str) -> None:
    """Refuses variables named like options of the command that runs, which has none of the name.

    Raises:
        click.ClickException: One is set.
    """
    prefix = f"{ctx.auto_envvar_prefix}_{command}_".replace("-", "_").upper()
    running = cast("click.Command", cast("click.Group", ctx.command).get_command(ctx, command))
    known = {f"{prefix}{parameter.name}".upper() for parameter in running.params}
    for variable in sorted(os.environ.keys() - known):
        if variable.startswith(prefix):
            hint = _nearest(variable, known)
            raise click.ClickException(f"{variable} is set, and {command} has no such option{hint}")


def _find() -> tuple[Path | None, dict[str, Any]]:
    if FILE.is_file():
        return FILE, _read(FILE)
    if PYPROJECT.is_file():
        table = _table(PYPROJECT, _read(PYPROJECT), "tool", "vggexport")
        return (PYPROJECT, table) if table else (None, {})
    return None, {}


def _table(path: Path, document: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The table at a place in the document; empty if there is none."""
    for key in keys:
        document = document.get(key, {})
        if not isinstance(document, dict):
            raise click.ClickException(f"{path}: {key} must be a table")
    return document


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read as TOML: {error}") from error


def _parameters(ctx: click.Context) -> dict[str, dict[str, click.Parameter]]:
    """By command and name."""
    group = cast("click.Group", ctx.command)
    commands = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    return {
        name: {parameter.name: parameter for parameter in command.params if parameter.name}
        for name, command in commands.items()
        if command
    }


def _as_typed(path: Path, value: Any, parameter: click.Parameter) -> Any:
    """The text that one would type; several where the parameter takes several.

    Click leaves TOML's values to the option's type, which may cut 4.7 to 4, take true for 1, or
    fail in its own way.
    """
    if parameter.multiple or parameter.nargs != 1:
        return [_text(part) for part in (value if isinstance(value, list) else [value])]
    if not isinstance(value, list):
        return _text(value)
    if not isinstance(parameter.type, LISTED):
        raise click.ClickException(f"{path}: {parameter.name} is {value}: it takes one value")
    return [_text(part) for part in value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _normalized(table: Mapping[str, Any]) -> dict[str, Any]:
    """Keys may be written as the options are, ``fc-units``, or as Python names."""
    return {key.replace("-", "_"): value for key, value in table.items()}


def _check_known(path: Path, key: str, known: Collection[str], table: str = "") -> None:
    name = key.replace("-", "_")
    if name not in known:
        hint = _nearest(name, known, table)
        raise click.ClickException(f"{path}: no command has an option {table}{key}{hint}")


def _nearest(name: str, known: Collection[str], table: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {table}{near[0]}?" if near else ""
