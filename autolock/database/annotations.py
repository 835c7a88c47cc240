"""What the annotation of an attribute says of its column."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from autolock.database.kinds import kind_of
from autolock.database.syntax import elements, is_none, last, text
from autolock.program.index import dotted
from autolock.program.linker import Program

_ENUMS = frozenset({"Enum", "StrEnum", "IntEnum", "IntFlag", "Flag"})
#: Subscripts whose first argument is the type.
_AROUND = frozenset(
    {"Mapped", "Optional", "Annotated", "Required", "NotRequired", "Final", "WriteOnlyMapped", "DynamicMapped", "Link"}
    | {"BackLink", "ForeignKeyRelation", "ForeignKeyNullableRelation", "OneToOneRelation", "OneToOneNullableRelation"}
)
_MANY = frozenset({"list", "List", "set", "Set", "Sequence", "Collection", "ReverseRelation", "ManyToManyRelation"})
_DEEPEST = 20


@dataclass(slots=True)
class Annotation:
    """`name` is the type without what stands round it; `extras` are the other arguments of Annotated."""

    name: str = ""
    kind: str = ""
    optional: bool = False
    many: bool = False
    mapped: bool = False
    extras: list[ast.expr] = field(default_factory=list)


def read_annotation(program: Program, path: str, scope: str, node: ast.expr | None) -> Annotation:
    """What an annotation says; aliases of the project (`IntPK = Annotated[int, ...]`) are followed."""
    found = Annotation()
    _read(program, path, scope, node, found, 0)
    return found


def _read(program: Program, path: str, scope: str, node: ast.expr | None, found: Annotation, depth: int) -> None:
    if depth > _DEEPEST or node is None:
        return
    if text(node):
        try:
            node = ast.parse(text(node).strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = (node.left, node.right)
        found.optional |= any(map(is_none, sides))
        _read(program, path, scope, next((side for side in sides if not is_none(side)), None), found, depth + 1)
    elif isinstance(node, ast.Subscript):
        _subscript(program, path, scope, node, found, depth)
    elif isinstance(node, ast.Call):  # Indexed(str, unique=True) of Beanie
        found.extras.append(node)
        _read(program, path, scope, node.args[0] if node.args else None, found, depth + 1)
    else:
        _name(program, path, scope, dotted(node), found, depth)


def _subscript(program: Program, path: str, scope: str, node: ast.Subscript, found: Annotation, depth: int) -> None:
    name = last(node)
    arguments = elements(node.slice) or [node.slice]
    found.mapped |= name in ("Mapped", "WriteOnlyMapped", "DynamicMapped")
    found.many |= name in _MANY or name in ("WriteOnlyMapped", "DynamicMapped")
    found.optional |= name == "Optional" or (name == "Union" and any(map(is_none, arguments)))
    if name == "Annotated":
        # Of two columns to choose from, the first is as good as the other for what is asked here.
        found.extras += [extra.body if isinstance(extra, ast.IfExp) else extra for extra in arguments[1:]]
    if name in _AROUND or name == "Union":
        _read(program, path, scope, next((a for a in arguments if not is_none(a)), None), found, depth + 1)
    elif name in _MANY:
        _read(program, path, scope, arguments[0], found, depth + 1)
        found.kind = "json"
    else:
        found.name, found.kind = name, "enum" if name == "Literal" else kind_of(name)


def _name(program: Program, path: str, scope: str, name: str, found: Annotation, depth: int) -> None:
    short = name.rpartition(".")[2]
    found.name, found.kind = name, kind_of(short)
    target = program.resolve(path, name, scope) if name else None
    if target is None or target[1]:
        return
    ref = target[0]
    if ref.kind == "class":
        bases = {base.rpartition(".")[2] for base in program.bases(ref)}
        found.kind = "enum" if bases & _ENUMS else kind_of(ref.name)
    elif ref.kind == "variable":
        unit = program.unit(ref.path)
        for statement in unit.tree.body if unit else ():
            value = _alias_value(statement, ref.name)
            if isinstance(value, ast.Subscript | ast.BinOp):
                _read(program, ref.path, "", value, found, depth + 1)


def _alias_value(statement: ast.stmt, name: str) -> ast.expr | None:
    """What `NAME = ...` or `NAME: TypeAlias = ...` stands for."""
    if isinstance(statement, ast.Assign):
        bound = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        return statement.value if name in bound else None
    if isinstance(statement, ast.AnnAssign) and dotted(statement.target) == name:
        return statement.value
    return None
