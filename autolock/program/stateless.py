"""Whether a second object of a class would do any harm."""

from __future__ import annotations

import ast
import re

from autolock.program.index import dotted
from autolock.program.linker import Program, Ref

#: Calls that only read settings or build plain values.
_HARMLESS = frozenset(
    {
        "get",
        "getenv",
        "getLogger",
        "get_logger",
        "Path",
        "lower",
        "upper",
        "strip",
        "split",
        "rstrip",
        "lstrip",
        "join",
        "format",
        "dict",
        "list",
        "set",
        "tuple",
        "str",
        "int",
        "float",
        "bool",
        "len",
        "isinstance",
        "super",
        "__init__",
        "__new__",
        "field",
        "Lock",
        "RLock",
        "deque",
        "defaultdict",
        "OrderedDict",
        "Counter",
        "compile",
        "info",
        "debug",
        "warning",
        "error",
        "exception",
        "get_settings",
        "TypeVar",
        "replace",
        "items",
        "keys",
        "values",
        "copy",
        "exists",
        "hasattr",
        "getattr",
        "setattr",
    }
)


def is_stateless(program: Program, ref: Ref) -> bool:
    """Whether a class keeps nothing after its constructor, and the constructor opens, starts and waits for nothing."""
    for cls in program.mro(ref):
        facts = program.klass(cls) if cls.kind == "class" else None
        if facts is None:
            continue
        for method in facts.methods:
            function = program.modules[cls.path].functions.get(f"{cls.name}.{method}")
            if function is None:
                continue
            if method in ("__init__", "__post_init__", "__new__"):
                if not _is_harmless(program, cls, method):
                    return False
            elif any(name.startswith("self.") for name in function.mutates):
                return False
    return True


#: What a constructor calls that waits for others, goes on after it, or makes the object one of its own.
LASTING = re.compile(
    r"(lock|thread|timer|task|future|executor|pool|connect|session|client|scheduler|socket|engine|queue|event)"
    r"|(sleep|uuid|random|login|authenticate|handshake|request|post|fetch|download)"
    r"|^(open|start|submit|run|popen|acquire|subscribe|register|listen)$",
    re.IGNORECASE,
)


#: Calls of the project through which a constructor is looked after.
_DEEPEST = 2


def keeps_nothing(program: Program, ref: Ref) -> bool:
    """Whether a class keeps nothing after its constructor and starts nothing in it: a second is only work."""
    for cls in program.mro(ref):
        facts = program.klass(cls) if cls.kind == "class" else None
        if facts is None:
            continue
        functions = {m: program.modules[cls.path].functions.get(f"{cls.name}.{m}") for m in facts.methods}
        making = {m for m in functions if m in ("__init__", "__post_init__", "__new__")}
        making |= {
            m
            for m in functions
            if not any(f is not None and n not in making and f"self.{m}" in f.refs for n, f in functions.items())
            and any(f is not None and n in making and f"self.{m}" in f.refs for n, f in functions.items())
        }
        for name, function in functions.items():
            if function is None:
                continue
            if name in making:
                if _starts_something(program, Ref("function", cls.path, f"{cls.name}.{name}"), 0):
                    return False
            elif any(m.startswith("self.") for m in function.mutates):
                return False
    return True


def _starts_something(program: Program, function: Ref, depth: int) -> bool:
    """Whether a function calls what waits for others or lasts, itself or through functions of the project."""
    node = program.syntax_of(function)
    for call in ast.walk(node) if node is not None else ():
        if not isinstance(call, ast.Call):
            continue
        name = dotted(call.func)
        if LASTING.search(name.rpartition(".")[2] or getattr(call.func, "attr", "")):
            return True
        found = program.resolve(function.path, name, function.name) if name and depth < _DEEPEST else None
        called = found[0] if found is not None and found[0].kind == "function" and not found[1] else function
        if called != function and _starts_something(program, called, depth + 1):
            return True
    return False


def _is_harmless(program: Program, cls: Ref, method: str) -> bool:
    unit = program.unit(cls.path)
    node = unit.functions.get(f"{cls.name}.{method}") if unit else None
    if node is None:
        return False
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            name = dotted(call.func)
            last = name.rpartition(".")[2] or getattr(call.func, "attr", "")
            found = program.resolve(cls.path, name, f"{cls.name}.{method}") if name else None
            plain = found is not None and found[0].kind == "class" and not found[1] and is_stateless(program, found[0])
            if last not in _HARMLESS and not plain:
                return False
    return True
