"""Whether a file that parses is a program for Python's compiler, too."""

from __future__ import annotations

import warnings

from autolock.rewriting.engine import RewriteError


def check_compiles(before: bytes, after: bytes) -> None:
    """Raise RewriteError for an edited file that parses and cannot run: `await` in a `def`, a `global` after its use.

    A file that did not compile before is let through: its syntax may be newer than the interpreter's.
    """
    wrong = _error(after)
    if wrong and not _error(before):
        raise RewriteError(f"the edited file would not be valid Python: {wrong}")


def _error(code: bytes) -> str:
    """What the compiler says against a file; empty where it says nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(code, "<edited>", "exec", dont_inherit=True)
        except SyntaxError as error:
            return f"{error.msg} on line {error.lineno}"
        except (ValueError, RecursionError, MemoryError) as error:
            return str(error) or type(error).__name__
    return ""
