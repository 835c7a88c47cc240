"""Functions that load what they keep the first time they are called: `if loaded: return`, ..., `loaded = True`."""

from __future__ import annotations

import ast

from autolock.program.linker import statements_in


def loads_once(function: ast.AST) -> bool:
    """Whether a function does its work at most once: it leaves where a flag is set, and sets that flag itself."""
    asked: set[str] = set()
    set_: set[str] = set()
    for statement in statements_in(function):
        if isinstance(statement, ast.If) and isinstance(statement.body[0], ast.Return):
            if isinstance(statement.test, ast.Name | ast.Attribute):
                asked.add(ast.unparse(statement.test))
        elif isinstance(statement, ast.Assign) and getattr(statement.value, "value", None) is True:
            set_ |= {ast.unparse(target) for target in statement.targets}
    return bool(asked & set_)
