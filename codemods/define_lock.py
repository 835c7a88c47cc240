"""Creates a lock beside the state that it guards."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

import libcst as cst

from codemods.base import Order, Phase, PlacedCodemod
from codemods.blocks import (
    Block,
    Margin,
    Statement,
    blank_lines,
    block_of,
    distance,
    edit_block,
    edit_statement,
    newline_of,
    with_block,
)
from codemods.expressions import spells
from codemods.import_name import ImportName
from codemods.paths import PlaceError, Relocate, StatementPath, Step, Steps
from codemods.scopes import Scope, bindings, parsed, runtime_imports, scopes_of

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext


class DefineLock(PlacedCodemod):
    """Insert `TARGET = asyncio.Lock()` (or of `threading`) after the statement at `after`.

    `size` is what the factory is called with, 0 for nothing: `factory="Semaphore", size=8`.

    With `first_in`, `after` is a function or class, and the line becomes the first of its body
    after the docstring. The module is imported where it is not, and named as it is imported
    (`import asyncio as aio`, `from asyncio import Lock`) as long as no other binding hides the name.
    """

    DESCRIPTION = "Create a lock beside the state that it guards."
    last_first = True

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--after", required=True, help="path of the statement to put it after")
        arg_parser.add_argument("--target", required=True, help="what to assign the lock to")
        arg_parser.add_argument("--kind", choices=["asyncio", "threading"], required=True, help="module of the lock")
        arg_parser.add_argument("--factory", default="Lock", help="name in that module of what makes the lock")
        arg_parser.add_argument("--size", type=int, default=0, help="what to call it with, 0 for nothing")
        arg_parser.add_argument("--first-in", action="store_true", help="put it first into the definition at AFTER")

    def __init__(
        self,
        context: CodemodContext,
        after: str,
        target: str,
        kind: Literal["asyncio", "threading"],
        factory: str = "Lock",
        first_in: bool = False,
        size: int = 0,
    ) -> None:
        super().__init__(context)
        self.after = StatementPath.parse(after)
        self.target = target
        self.kind = kind
        self.factory = factory
        self.first_in = first_in
        self.size = size
        self._inserted = self.after
        self._inline: cst.SimpleWhitespace | None = None
        self._leading: tuple[cst.EmptyLine, ...] | None = None
        self._import: ImportName | None = None

    @property
    def order(self) -> Order:
        """Before all others."""
        return Phase.INSERT, (), ()

    def follow(self, relocate: Relocate) -> None:
        self.after = relocate(self.after)

    def relocate(self, path: StatementPath) -> StatementPath:
        moved = path.moved(self._inserted, self._move)
        return moved if self._import is None else self._import.relocate(moved)

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the lock and its import; raises PlaceError."""
        callee, self._import = self._callee(tree)
        line = _assignment(self.target, callee, self.size)
        if self.first_in:
            edited = edit_statement(tree, self.after, lambda statement, margin: self._opened(statement, margin, line))
        else:
            edited = edit_block(tree, self.after, lambda block: self._followed(block, line))
        return edited if self._import is None else self._import.transform_module(edited)

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module without them; raises PlaceError."""
        bare = tree if self._import is None else self._import.undo(tree)
        return edit_block(bare, self._inserted, self._without)

    def _callee(self, tree: cst.Module) -> tuple[str, ImportName | None]:
        """What to call to make a lock, and the import that this needs, if any."""
        syntax = parsed(tree.code)
        inside = self.after.child("body", 0) if self.first_in else self.after
        outer, *scopes = scopes_of(syntax, inside)
        at_import = all(isinstance(scope, ast.ClassDef) for scope in scopes)
        present = runtime_imports(syntax, self.after.steps[0].index + 1 if at_import else len(syntax.body))
        known = bindings(outer)
        hidden = {name for scope in _visible(scopes) for name in bindings(scope)}
        for source, callee in ((f"{self.kind}.{self.factory}", "{}"), (self.kind, f"{{}}.{self.factory}")):
            for name, bound in present.items():
                if bound == source and known[name] == {source} and name not in hidden:
                    return callee.format(name), None
        name = self.kind
        while name in hidden or known.get(name, {self.kind}) != {self.kind}:
            name = f"_{name}"
        before = str(self._place(tree)) if at_import else ""
        return f"{name}.{self.factory}", ImportName(self.context, self.kind, "", name, before)

    def _place(self, tree: cst.Module) -> StatementPath:
        """The module's statement that the new line is in or is."""
        top = self.after.steps[0].index
        alone = len(self.after.steps) == 1 and not self.first_in
        return StatementPath((Step("body", top + 1 if alone else top),))

    def _followed(self, block: Block, new: cst.SimpleStatementLine) -> Block:
        """The block with the new line after the statement."""
        number, position = block.locate(self.after.index)
        line = block.lines[number]
        if isinstance(line, cst.SimpleStatementLine) and position + 1 != len(line.body):
            raise PlaceError("the statement is followed by another on its line, parted by a semicolon")
        self._inserted = self.after.sibling(self.after.index + 1)
        self._inline = block.inline
        newline = newline_of(line)
        new = _ended(new, newline).with_changes(leading_lines=blank_lines(distance(line, block), newline))
        return block.indented().with_lines(range(number + 1, number + 1), [new])

    def _opened(self, statement: Statement, margin: Margin, new: cst.SimpleStatementLine) -> Statement:
        """The definition with the new line first in its body."""
        if not isinstance(statement, cst.FunctionDef | cst.ClassDef):
            raise PlaceError("there is no function or class there to put a lock into")
        block = block_of(statement, "body", margin)
        number = int(statement.get_docstring() is not None)
        self._inserted = self.after.child("body", number)
        self._inline = block.inline
        newline = newline_of(block.lines[0])
        in_class = isinstance(statement, cst.ClassDef)
        new = _ended(new, newline).with_changes(leading_lines=blank_lines(int(in_class and number), newline))
        parted = self._parted(block.indented(), number, newline)
        return with_block(statement, "body", parted.with_lines(range(number, number), [new]))

    def _parted(self, block: Block, index: int, newline: cst.Newline) -> Block:
        """The block with a blank line above a definition that the new line would touch."""
        self._leading = None
        if index == len(block):
            return block
        number, position = block.locate(index)
        below = block.lines[number]
        if position:
            raise PlaceError("the docstring shares its line with a statement, parted by a semicolon")
        if not isinstance(below, cst.FunctionDef | cst.ClassDef) or any(
            not line.comment for line in below.leading_lines
        ):
            return block
        self._leading = tuple(below.leading_lines)
        return block.with_leading(number, blank_lines(1, newline))

    def _without(self, block: Block) -> Block:
        number = block.line_of(self._inserted.index)
        if not _assigns(block.lines[number], self.target):
            raise PlaceError(f"there is no definition of {self.target} at {self._inserted}")
        shorter = block.with_lines(range(number, number + 1), [])
        if self._leading is not None:
            below = shorter.lines[number].with_changes(leading_lines=self._leading)
            shorter = shorter.with_lines(range(number, number + 1), [below])
        return shorter.on_header_line(self._inline)

    def _move(self, index: int) -> Steps:
        return (Step(self._inserted.field, index if index < self._inserted.index else index + 1),)


def _assignment(target: str, callee: str, size: int) -> cst.SimpleStatementLine:
    code = f"{target} = {callee}({size or ''})"
    try:
        line = cst.parse_statement(code)
    except cst.ParserSyntaxError as error:
        raise PlaceError(f"{code!r} is not an assignment") from error
    if not _assigns(line, target):
        raise PlaceError(f"{code!r} is not an assignment")
    return cst.ensure_type(line, cst.SimpleStatementLine)


def _assigns(line: cst.BaseStatement, target: str) -> bool:
    """Whether a line is just an assignment to the target."""
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return False
    statement = line.body[0]
    return (
        isinstance(statement, cst.Assign)
        and len(statement.targets) == 1
        and spells(statement.targets[0].target, target)
    )


def _ended(line: cst.SimpleStatementLine, newline: cst.Newline) -> cst.SimpleStatementLine:
    return line.with_changes(trailing_whitespace=cst.TrailingWhitespace(newline=newline))


def _visible(scopes: list[Scope]) -> list[Scope]:
    """The scopes whose names the innermost one sees: a class's own are hidden from its functions."""
    return [scope for scope in scopes if scope is scopes[-1] or not isinstance(scope, ast.ClassDef)]
