"""Where output goes and how it may look: terminal or pipe, colours or none, standard output or a file."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from autolock import __version__, registry
from autolock.errors import AutolockError
from autolock.findings import Problem, Report
from autolock.report.base import RenderOptions

_PIPE_WIDTH = 100
_DRAWING = "─│╰●→"


def on_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def use_color() -> bool:
    """Whether standard output is coloured: as NO_COLOR and FORCE_COLOR say, else on terminals that can."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return on_terminal() and os.environ.get("TERM") != "dumb"


def render(report: Report, format: str, output: Path | None, *, quiet: bool, verbose: bool) -> str:
    """The report in a format, drawn for where it goes."""
    return registry.reporter(format).render(report, drawn_for(output, quiet=quiet, verbose=verbose))


def width_of(output: Path | None, otherwise: int) -> int:
    """How wide what is written may be: as the terminal, or as it is said where nobody looks at one."""
    return shutil.get_terminal_size().columns if output is None and on_terminal() else otherwise


def drawn_for(output: Path | None, *, quiet: bool, verbose: bool) -> RenderOptions:
    """How a report is drawn for where it goes."""
    return RenderOptions(
        color=output is None and use_color(),
        width=width_of(output, _PIPE_WIDTH),
        verbose=verbose,
        quiet=quiet,
        version=__version__,
        unicode=output is not None or draws_lines(),
        rules=registry.rule_infos(),
    )


def emit(data: str | bytes, output: Path | None = None) -> None:
    """Write to the file, whole or not at all, or to standard output. Raises AutolockError for a file that it cannot."""
    if output is not None:
        _write_file(output, data.encode() if isinstance(data, str) else data)
        return
    raw = data if isinstance(data, bytes) else data.encode(sys.stdout.encoding or "utf-8", "backslashreplace")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(raw)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whoever read it has read enough; Python must not complain when it flushes at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(message: str) -> None:
    """A line for the person, apart from the output."""
    print(message, file=sys.stderr)


def complain(problems: Iterable[Problem]) -> None:
    """One line a problem on standard error."""
    for problem in problems:
        say(f"autolock: {problem}")


def draws_lines() -> bool:
    """Whether standard output has the characters that lines are drawn with."""
    try:
        _DRAWING.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _write_file(path: Path, data: bytes) -> None:
    if path.exists() and not path.is_file():  # /dev/stderr, a named pipe: nothing to replace
        _written(path, path, data)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _written(beside, path, data)
        os.replace(beside, path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _written(target: Path, named: Path, data: bytes) -> None:
    try:
        target.write_bytes(data)
    except OSError as error:
        raise _unwritable(named, error) from None


def _unwritable(path: Path, error: OSError) -> AutolockError:
    return AutolockError(f"{path}: cannot be written: {(error.strerror or str(error)).lower()}")
