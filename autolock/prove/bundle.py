"""The stage as one file, to be written beside generated tests, which run where autolock is not installed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from autolock.errors import AutolockError

_STAGE = Path(__file__).parent / "stage"
_HEAD = '''"""Plays requests at once through a FastAPI application, for the tests of races beside this file.

Written by `autolock prove --write-tests`, which writes it anew; the standard library is all it needs. A test says which
requests are sent and who goes on at each point where they stop; it fails when they end as in no order, one after
the other.
"""

# ruff: noqa
# mypy: ignore-errors

from __future__ import annotations

{imports}
'''
_TAIL = """

if __name__ == "__main__":
    play_race(sys.argv[1])
"""


def bundled(main: str = "racing") -> str:
    """The source of a module of the stage with all that it needs of the others.

    Raises AutolockError where two of them use one name at their top.
    """
    sources: dict[str, tuple[str, ast.Module]] = {}
    modules = list(_needed(main, sources))
    imports: dict[str, None] = {}
    owners: dict[str, str] = {}
    parts: list[str] = []
    for module in modules:
        source, tree = sources[module]
        for name in _defined(tree):
            if owners.setdefault(name, module) != module:
                raise AutolockError(f"both {owners[name]} and {module} of the stage define {name}; rename one")
        imports.update(dict.fromkeys(_imports(tree)))
        parts.append(_part(module, tree, source))
    head = _HEAD.format(imports="\n".join(sorted(imports)))
    return head + "".join(parts) + _TAIL


def _needed(module: str, sources: dict[str, tuple[str, ast.Module]]) -> Iterator[str]:
    """A module after those it imports from, each once; `sources` gets what they are."""
    source = (_STAGE / f"{module}.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    sources[module] = source, tree
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level and node.module and node.module not in sources:
            yield from _needed(node.module, sources)
    yield module


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and not node.level):
            for name in node.names:
                text = f"{name.name} as {name.asname}" if name.asname else name.name
                if isinstance(node, ast.Import):
                    yield f"import {text}"
                elif node.module != "__future__":
                    yield f"from {node.module} import {text}"


def _defined(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _part(module: str, tree: ast.Module, source: str) -> str:
    """What a module defines, as it is written there; its docstring as a comment."""
    lines = source.splitlines(keepends=True)
    first, *_ = (node for node in tree.body[1:] if not isinstance(node, (ast.Import, ast.ImportFrom)))
    start = min([first.lineno, *(one.lineno for one in getattr(first, "decorator_list", ()))]) - 1
    while lines[start - 1].startswith("#"):
        start -= 1
    told = "".join(f"# {line}".rstrip() + "\n" for line in (ast.get_docstring(tree) or "").splitlines())
    return f"\n\n# {module}\n#\n{told}\n\n" + "".join(lines[start:])
