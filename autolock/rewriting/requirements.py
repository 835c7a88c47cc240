"""Edits of the files in which a project lists its requirements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autolock.edits import ADD_REQUIREMENT
from autolock.rewriting.engine import RewriteError
from codemods.requirements import RequirementError, insertion

if TYPE_CHECKING:
    from autolock.edits import Edit


def required(path: str, source: bytes, edits: Sequence[Edit]) -> bytes:
    """The file with all that is required added, proven like a rewrite of code: taken back, it is `source` again.

    Raises RewriteError.
    """
    try:
        text = source.decode("utf-8")
        for edit in edits:
            if edit.codemod != ADD_REQUIREMENT:
                raise RewriteError(f"{path} is no Python")
            made = insertion(path, text, str(edit.arguments["package"]), str(edit.arguments["least"]))
            if made is None:
                continue
            changed = made.applied(text)
            if made.undone(changed) != text:
                raise RewriteError("taking the edit back does not give the original file")
            text = changed
    except UnicodeDecodeError as error:
        raise RewriteError(f"{path} is not UTF-8 text") from error
    except RequirementError as error:
        raise RewriteError(f"{path}: {error}") from error
    return text.encode("utf-8")
