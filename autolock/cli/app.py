"""The commands put together, and what happens when one of them fails."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from autolock import __version__
from autolock.errors import AutolockError
from autolock.findings import Problem

COULD_NOT_RUN = 2
_INTERRUPTED = 130

#: The base of all that a wrong command line raises; newer versions of typer have one of their own instead of click's.
_UsageError: type[Exception] = typer.BadParameter.mro()[2]

_COMMANDS = ("check", "fix", "prove", "pr", "review", "bot", "undo", "routes", "explain", "rules")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"autolock {__version__}")
        raise typer.Exit


def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Finds race conditions in FastAPI applications and rewrites them."""


def application(*commands: str) -> typer.Typer:
    """The command line with the given commands."""
    app = typer.Typer(
        name="autolock",
        callback=common,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in commands:
        app.command()(getattr(import_module(f"autolock.cli.{name}"), name))
    return app


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; what goes wrong is one line on standard error."""
    if not arguments:
        run(["--help"])
        return COULD_NOT_RUN
    try:
        # Typer takes a while to set a command up, so it gets to know the others only where they may be needed.
        commands = arguments[:1] if arguments and arguments[0] in _COMMANDS else _COMMANDS
        code = application(*commands)(list(arguments), prog_name="autolock", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except AutolockError as error:
        return _failed(str(error))
    except _UsageError as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        return _failed(" ".join(message.split()).rstrip("."), "autolock --help lists the options")
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except RecursionError:
        return _crashed(arguments, "a file is nested too deeply to be analysed")
    except Exception as error:
        return _crashed(arguments, f"internal error, {type(error).__name__}: {error}")


def _failed(message: str, hint: str = "") -> int:
    line = str(Problem("", message, hint))
    print(f"autolock: {line}", file=sys.stderr)
    return COULD_NOT_RUN


def _crashed(arguments: Sequence[str], message: str) -> int:
    verbose = "--verbose" in arguments or "-v" in arguments
    if verbose:
        import traceback

        traceback.print_exc()
    return _failed(" ".join(message.split()), "please report it with what --verbose prints" * (not verbose))
