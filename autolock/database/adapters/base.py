"""What an adapter of a database library is.

An adapter is a class registered under the entry-point group `autolock.adapters`. It is constructed
with the `Rows` of a run and asked about every call that concerns its library; it answers with the
value of the call, or None for "not mine".
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from autolock.database.rows import Rows
    from autolock.program.values import ClassValue, Thing, Value

Args = list["Value"]
Kwargs = dict[str, "Value"]


class Adapter(Protocol):
    """The interface of an adapter.

    `library` is the name that its things carry, `packages` the top-level packages whose names it
    understands.
    """

    library: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]

    def __init__(self, rows: Rows) -> None: ...

    def construct(self, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        """A call of something imported, by its dotted name."""
        ...

    def thing_of_type(self, name: str) -> Thing | None:
        """A session, factory or engine of which only the type is known, by the type's dotted name."""
        ...

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        """A call of a method of one of the adapter's things."""
        ...

    def attribute(self, thing: Thing, name: str, node: ast.AST) -> Value | None:
        """An attribute of one of the adapter's things; None when it is a method."""
        ...

    def class_method(self, cls: ClassValue, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        """A call of a method of a mapped class, or of one of its objects (then `args[0]` is it)."""
        ...

    def awaited(self, thing: Thing, node: ast.AST) -> Value | None:
        """What `await thing` gives, of a query that runs then; None where nothing happens."""
        ...

    def enter(self, thing: Thing, node: ast.AST) -> Value | None:
        """`with thing as value:`; None when that is not known."""
        ...

    def leave(self, thing: Thing, node: ast.AST) -> None:
        """The end of a `with` that `enter` has begun."""
        ...
