"""The commands put together, and what happens when one of them fails."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from autolock import __version__
from autolock.cli.check import check
from autolock.cli.explain import explain
from autolock.cli.fix import fix
from autolock.cli.rules import rules
from autolock.cli.undo import undo
from autolock.errors import AutolockError
from autolock.findings import Problem

COULD_NOT_RUN = 2
_INTERRUPTED = 130

#: The base of all that a wrong command line raises; newer versions of typer have one of their own instead of click's.
_UsageError: type[Exception] = typer.BadParameter.mro()[2]

app = typer.Typer(
    name="autolock",
    help="Finds race conditions in FastAPI applications and rewrites them.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (check, fix, undo, explain, rules):
    app.command()(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"autolock {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Finds race conditions in FastAPI applications and rewrites them."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; what goes wrong is one line on standard error."""
    try:
        code = app(list(arguments), prog_name="autolock", standalone_mode=False)
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
