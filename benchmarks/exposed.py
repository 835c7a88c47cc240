"""Makes any module an application whose every function is a route, so that all of its code is analysed."""

from __future__ import annotations

import ast


def exposed(source: bytes) -> bytes:
    """The source, followed by routes to its functions and methods; as it is where that would not parse."""
    routes: list[str] = []
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            routes.append(node.name)
        elif isinstance(node, ast.ClassDef):
            shared = f"_shared_{node.name}"
            routes += [f"{shared}.{n.name}" for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    shares = [f"_shared_{node.name} = {node.name}()" for node in tree.body if isinstance(node, ast.ClassDef)]
    lines = ["", "import fastapi", "_exposed = fastapi.FastAPI()", *shares]
    lines += [f"_exposed.add_api_route('/{number}', {route})" for number, route in enumerate(routes)]
    changed = source.rstrip() + "\n".join(lines).encode() + b"\n"
    try:
        ast.parse(changed)
    except (SyntaxError, ValueError):
        return source
    return changed
