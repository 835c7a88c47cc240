"""Parsing Python whose syntax may be newer than the interpreter's own."""

from __future__ import annotations

import ast
import io
import tokenize


def parse(source: bytes | str, filename: str = "<unknown>") -> ast.Module:
    """The syntax tree of a module, as `ast.parse` gives it.

    Where the interpreter cannot parse the text, syntax of newer versions is understood as what comes
    nearest to it in older ones; lines and columns are those of the text all the same. With every
    interpreter, a module's `type X = ...` is given as `X: TypeAlias = ...`. Raises what `ast.parse` raises.
    """
    try:
        tree = ast.parse(source, filename)
    except SyntaxError:
        from codemods.older_syntax import in_older_syntax  # hardly any project needs it

        older = in_older_syntax(source if isinstance(source, str) else _decoded(source))
        if older is None:
            raise
        return older
    if any(type(statement).__name__ == "TypeAlias" for statement in tree.body):
        from codemods.older_syntax import type_alias

        tree.body = [type_alias(statement) for statement in tree.body]
    return tree


def _decoded(source: bytes) -> str:
    """The text of a file; an empty one where it is none in its encoding."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        return source.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return ""
