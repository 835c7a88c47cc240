"""What a route's own code says that is no race, but that whoever exposes it wants to know.

AL701 unvalidated-input: state is changed, and what comes in was checked by nobody: a body that is taken as it is, as
`await request.json()`, `dict` or `Any`, and not given to a model before the first change.

AL702 get-changes-state: a GET or HEAD changes rows, or numbers and entries in memory. Browsers fetch ahead, crawlers
and proxies repeat such requests as they like: RFC 9110, section 9.2.1, calls these methods safe.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from autolock.program.trace import undoes

if TYPE_CHECKING:
    from autolock.database.trace import RowWrite
    from autolock.program.linker import Program, Ref
    from autolock.program.trace import Write

_SAFE_METHODS = ("GET", "HEAD")
_RAW = ("json", "body", "form", "stream")
_ANYTHING = {"dict", "Dict", "Any", "Mapping", "MutableMapping", "JSON"}
#: Calls that check what they are given.
_CHECKS = {
    "model_validate",
    "model_validate_json",
    "parse_obj",
    "parse_raw",
    "validate_python",
    "validate_json",
    "load",
}
_KEPT = ("augment", "remove")
_DEPENDENCY = re.compile(r"\b(Depends|Security)$")


class Flag(NamedTuple):
    """Something about a route that is no race: `rule` is AL701 or AL702."""

    rule: str
    message: str


def flags_of(
    program: Program, handler: Ref, method: str, written: Sequence[Write], changed: Sequence[RowWrite]
) -> Iterator[Flag]:
    """What is to be said of a handler that has written these places and changed these rows."""
    node = program.syntax_of(handler)
    if method in _SAFE_METHODS:
        told = sorted({f"`{w.model.table}`" for w in changed} | {f"`{w.location.base}`" for w in _kept(written)})
        if told:
            yield Flag("AL702", f"a {method} changes {' and '.join(told)}")
    if node is not None and (changed or written):
        taken = _taken_as_it_is(node)
        if taken and not _is_checked(node):
            yield Flag("AL701", f"`{taken}` is not validated before state is changed")


def _kept(written: Sequence[Write]) -> Iterator[Write]:
    """The writes that change what there is, and are not taken back; a gap that whoever asks first fills is a cache."""
    for write in written:
        if write.kind in _KEPT and not any(w.location == write.location and undoes(w, write) for w in written):
            yield write


def _taken_as_it_is(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The parameter or call by which a handler takes whatever a client sends; empty where it does not."""
    arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    provided = _provided(node.args)
    for argument in arguments:
        if argument.annotation is not None and argument not in provided and _is_anything(argument.annotation):
            return f"{argument.arg}: {ast.unparse(argument.annotation)}"
    requests = {a.arg for a in arguments if a.annotation is not None and ast.unparse(a.annotation).endswith("Request")}
    for call in ast.walk(node):
        function = call.func if isinstance(call, ast.Call) else None
        if isinstance(function, ast.Attribute) and function.attr in _RAW and ast.unparse(function.value) in requests:
            return f"{ast.unparse(function)}()"
    return ""


def _provided(arguments: ast.arguments) -> set[ast.arg]:
    """Parameters whose default is a dependency."""
    plain = [*arguments.posonlyargs, *arguments.args]
    pairs = [
        *zip(reversed(plain), reversed(arguments.defaults), strict=False),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {
        arg for arg, default in pairs if isinstance(default, ast.Call) and _DEPENDENCY.search(ast.unparse(default.func))
    }


def _is_anything(annotation: ast.expr) -> bool:
    """Whether an annotation lets everything in: `dict`, `dict[str, Any]`, `Annotated[dict, Body()]`; no dependency."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value).endswith("Annotated"):
        parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
        provided = any("Depends" in ast.unparse(part) or "Security" in ast.unparse(part) for part in parts[1:])
        return not provided and _is_anything(parts[0])
    if isinstance(annotation, ast.BinOp):
        return _is_anything(annotation.left) or _is_anything(annotation.right)
    named = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return ast.unparse(named).rpartition(".")[2] in _ANYTHING


def _is_checked(node: ast.AST) -> bool:
    """Whether something is given to a model: `Order.model_validate(data)`, `Order(**data)`."""
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
    return any(
        (isinstance(call.func, ast.Attribute) and call.func.attr in _CHECKS)
        or (any(keyword.arg is None for keyword in call.keywords) and ast.unparse(call.func)[:1].isupper())
        for call in calls
    )
