"""The main group: commands by name, errors to one line and an exit code, the configuration file."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Mapping, Sequence, Set
from importlib import import_module
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from vggexport import __version__
from vggexport.cli import wording
from vggexport.cli.examples import epilog
from vggexport.cli.help_colours import HelpContext
from vggexport.errors import CheckFailed, InputError, Unfinished, VggExportError

COMMANDS: Mapping[str, str] = {
    "summary": "Print the network: layers, shapes, parameters, MACs.",
    "savedmodel": "Write a SavedModel directory, and check it.",
    "onnx": "Write an ONNX file, and check it.",
    "tflite": "Write a TFLite file, and check it.",
    "export": "Write several formats and precisions, and check each file.",
    "calibrate": "Take activation ranges from images, for int8 exports.",
    "inspect": "Show what a model file holds, and what its runtime computes.",
    "verify": "Compare files, weights and runtimes with each other.",
    "benchmark": "Measure latency, throughput and memory on CPU and CUDA.",
    "evaluate": "Count right answers on labelled images, and compare networks.",
    "train": "Train weights on labelled images by the paper's recipe.",
    "prune": "Make a narrower network from calibration images alone.",
    "bundle": "Pack models for the team that integrates them.",
    "check-bundle": "Check that a bundle is whole and answers rightly here.",
    "diff": "Show what changed between two artifacts or two bundles.",
    "doctor": "Show what works here, and what installs the rest.",
    "schema": "Print the JSON Schema of what a command writes with --json.",
}
"""Every command in the order of use, and how its help begins: the list of them imports none."""


ARGUMENTS = "vggexport.arguments"
"""Where a command's context keeps its arguments as they were typed."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are looked up.

    It also answers for errors: one line on stderr and the exit code of the error's class, a
    traceback only with ``-v``.

    Attributes:
        verbose: Whether ``-v`` was given, on the command line or elsewhere.
        running: The command that runs, once it is known.
    """

    context_class = HelpContext
    verbose = False
    running: click.Command | None = None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now, or None."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"vggexport.cli.{name}"), name)
        command.epilog = epilog(cmd_name)
        command.context_class = HelpContext
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands by :data:`COMMANDS`."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command, or says which name is nearest.

        Raises:
            click.UsageError: There is no such command.
        """
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from vggexport.system.near_names import suggestion

            raise click.UsageError(f"no command {name!r}: {suggestion(name, COMMANDS)}", ctx)
        found = super().resolve_command(ctx, args)
        self.running, ctx.meta[ARGUMENTS] = found[1], tuple(found[2])
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command, seeing to what Click would answer in its own way.

        Raises:
            Unfinished: Interrupted.
            click.exceptions.Exit: The reader of stdout left, as ``| head`` does.
        """
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt as error:
            raise Unfinished("interrupted: nothing was written under the output's name") from error
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(Unfinished.exit_code)
        return result

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Runs the command line and exits the process."""
        arguments = list(sys.argv[1:] if args is None else args)
        extra.pop("standalone_mode", None)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup(1) sets SIGHUP
                signal.signal(number, _terminate)
        self.verbose, self.running = False, None
        try:
            status = super().main(
                arguments, prog_name or "vggexport", standalone_mode=False, **extra
            )
        except BaseException as error:  # noqa: BLE001  every way out of the process ends here
            verbose = self.verbose or "-v" in arguments or "--verbose" in arguments
            status = _report(error, self.running, verbose=verbose)
        sys.exit(status if isinstance(status, int) else 0)


def _terminate(number: int, _frame: object) -> NoReturn:
    """A cancelled CI job gets SIGTERM, a closed terminal sends SIGHUP: clean up as on Ctrl-C."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def _report(error: BaseException, command: click.Command | None, *, verbose: bool) -> int:
    """Prints one line for an error and returns its exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else Unfinished.exit_code
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return InputError.exit_code
    from vggexport.system.number_text import printable

    if verbose:
        import traceback

        traceback.print_exception(error)
    message, code = _describe(error, command)
    click.echo(f"Error: {printable(' '.join(message.split()))}", err=True)
    return code


def _describe(error: BaseException, command: click.Command | None) -> tuple[str, int]:
    match error:
        case VggExportError():
            return wording.worded(error.fact, error.advice, command), error.exit_code
        case click.UsageError(ctx=click.Context() as ctx):
            return f"{_misused(error, ctx)} (see {ctx.command_path} --help)", error.exit_code
        case click.ClickException():
            return error.format_message(), InputError.exit_code
        case KeyboardInterrupt() | click.Abort():
            return "interrupted", Unfinished.exit_code
        case OSError() if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            fact = f"no room for what was to be written: {error.strerror}"
            return f"{fact}; make room or write elsewhere", Unfinished.exit_code
        case MemoryError():
            return f"out of memory: {error}".rstrip(": "), Unfinished.exit_code
        case _:
            kind = type(error).__name__
            return (
                f"unexpected {kind}: {error}; run again with -v for the traceback",
                Unfinished.exit_code,
            )


_STATED = ("--preprocessing", "--pixel-mean", "--pixel-std", "--channel-order")
"""Options of exports, which commands on finished files have not."""


def _misused(error: click.UsageError, ctx: click.Context) -> str:
    """What Click says, and where weights go in the command."""
    names = {parameter.name for parameter in ctx.command.params}
    if isinstance(error, click.NoSuchOption):
        if error.option_name == "--weights" and {"artifacts", "runtime"} <= names:
            return "no such option --weights: name weights as an argument, as files are"
        if error.option_name in _STATED and "preprocessing_of" in names:
            return (
                f"no such option {error.option_name}: files that vggexport wrote record it; for "
                "other files, and for weights, state it with --preprocessing-of FILE=CONVENTION"
            )
        if way := _by_precision(error.option_name.lstrip("-"), names):
            return f"{error.message} Did you mean {way}?"
        likest = (error.possibilities or [])[:1]  # Click would show all, by name
        error = click.NoSuchOption(error.option_name, error.message, likest, ctx)
    message = error.format_message() + _elsewhere(error, ctx)
    if "weights" in names and message.startswith("Got unexpected extra argument"):
        return f"{message}: weights go after --weights"
    return message


def _elsewhere(error: click.UsageError, ctx: click.Context) -> str:
    """Where a bad value comes from, if not from the command line."""
    parameter = error.param if isinstance(error, click.BadParameter) else None
    match parameter and parameter.name and ctx.get_parameter_source(parameter.name):
        case ParameterSource.ENVIRONMENT:
            return " (from the environment)"
        case ParameterSource.DEFAULT_MAP:
            return " (from the configuration file)"
    return ""


def _by_precision(name: str, names: Set[str]) -> str:
    """How a command is told of a precision that was named like an option; "" for all else."""
    from vggexport.precision import Precision

    if name not in set(Precision):
        return ""
    if name == Precision.INT8.value and "quantize" in names:
        return "--quantize"
    option = next((option for option in ("precision", "precisions") if option in names), "")
    return f"--{option} {name}" if option else ""


def fail_check(failures: Sequence[str], consequence: str) -> None:
    """Exits 1 with one line if a report has failures.

    Raises:
        CheckFailed: There are some.
    """
    if failures:
        raise CheckFailed(f"{'; '.join(failures)}: {consequence}")


def _remember(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001
    group: Any = ctx.find_root().command
    group.verbose = group.verbose or value


verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_remember,
    help="Show more: a traceback with an error, every mistake that verify tried.",
)


@click.group(
    cls=LazyGroup,
    context_settings={
        "auto_envvar_prefix": "VGGEXPORT",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
)
@click.version_option(__version__, prog_name="vggexport")
@verbose_option
@click.pass_context
def main(ctx: click.Context) -> None:
    """Exports VGG networks to SavedModel, ONNX and TFLite with int8, and checks what it wrote.

    Every option can also come from the environment (VGGEXPORT_ONNX_WEIGHTS=...) and from
    vggexport.toml or [tool.vggexport] in pyproject.toml in the working directory.
    """
    if ctx.invoked_subcommand:
        from vggexport.cli.configuration import check_environment, read_configuration

        check_environment(ctx, ctx.invoked_subcommand)
        ctx.default_map = read_configuration(ctx)
