"""What a plan asks a codemod to do: plain data between `plan` and `rewrite`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: What edits of the files that list a project's requirements are called; their arguments are the `package` and the
#: `least` version of it.
ADD_REQUIREMENT = "add-requirement"


@dataclass(frozen=True, slots=True)
class Edit:
    """One use of one codemod on one file.

    `codemod` is the name under which it is registered (entry-point group `autolock.codemods`),
    `arguments` are its keyword arguments: strings, integers and booleans only. Places are given
    as statement paths of the file as it is before any edit, for example
    `body[3].body[1].orelse[0]`, counted as the standard library's `ast` counts statements.
    """

    path: str
    codemod: str
    arguments: Mapping[str, str | int | bool]
