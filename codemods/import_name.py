"""Imports a name where imports belong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libcst as cst

from codemods.base import Order, Phase, PlacedCodemod
from codemods.blocks import Block, Statement, blank_lines, edit_block, is_string, newline_of, split_leading
from codemods.import_merge import is_merge_of, merged
from codemods.import_order import Import, Kind, import_of, place_of_import
from codemods.paths import PlaceError, Relocate, StatementPath, Step, Steps
from codemods.scopes import parsed, runtime_imports

if TYPE_CHECKING:
    import argparse

    from libcst.codemod import CodemodContext

_TOP = StatementPath((Step("body", 0),))


@dataclass(frozen=True, slots=True)
class _Merged:
    """The name went into a statement that was there: its line, its place in it, and as it was."""

    line: int
    position: int
    old: cst.ImportFrom


@dataclass(frozen=True, slots=True)
class _Inserted:
    """A line was put before the statement of this index, and this many blank lines after it."""

    line: int
    index: int
    leading: tuple[cst.EmptyLine, ...] | None


class ImportName(PlacedCodemod):
    """Make `from MODULE import NAME [as ALIAS]`, or `import MODULE [as ALIAS]` when NAME is empty, hold.

    Nothing changes where the module's own imports bind that name already. A from-import of the
    module takes the name in, else a line is put among the imports of its kind, in its sorted place
    where they are sorted. Imports under `if TYPE_CHECKING:` are neither counted nor changed.
    `before` is the path of a statement that needs the name when the module is imported: only what
    stands above it counts.
    """

    DESCRIPTION = "Import a name, merged into the imports that are there."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        arg_parser.add_argument("--module", required=True, help="module to import or to import from, .relative too")
        arg_parser.add_argument("--name", default="", help="name to import from the module; none: the module")
        arg_parser.add_argument("--alias", default="", help="name to bind instead")
        arg_parser.add_argument("--before", default="", help="path of a statement that needs it at import time")

    def __init__(self, context: CodemodContext, module: str, name: str = "", alias: str = "", before: str = "") -> None:
        super().__init__(context)
        self.source = module
        self.name = name
        self.alias = "" if alias == (name or module) else alias
        self.before = StatementPath.parse(before) if before else None
        self._change: _Merged | _Inserted | None = None

    @property
    def order(self) -> Order:
        """After everything else."""
        return Phase.IMPORT, (), ()

    def follow(self, relocate: Relocate) -> None:
        if self.before is not None:
            self.before = relocate(self.before)

    def relocate(self, path: StatementPath) -> StatementPath:
        return path.moved(_TOP, self._move) if isinstance(self._change, _Inserted) else path

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        """The module with the import; raises PlaceError."""
        new = self._small_statement()
        if self._is_there(tree):
            return tree
        return edit_block(tree, _TOP, lambda block: self._merged(block) or self._inserted(block, new))

    def undo(self, tree: cst.Module) -> cst.Module:
        """The module without the import; raises PlaceError."""
        return tree if self._change is None else edit_block(tree, _TOP, self._without)

    @property
    def _limit(self) -> int | None:
        """The index of the module's statement before which the import must stand."""
        return None if self.before is None else self.before.steps[0].index

    def _is_there(self, tree: cst.Module) -> bool:
        separator = "" if self.source.endswith(".") else "."
        bound = self.alias or self.name or self.source.partition(".")[0]
        source = f"{self.source}{separator}{self.name}" if self.name else self.source if self.alias else bound
        syntax = parsed(tree.code)
        limit = len(syntax.body) if self._limit is None else self._limit
        return runtime_imports(syntax, limit).get(bound) == source

    def _small_statement(self) -> cst.Import | cst.ImportFrom:
        bound = f" as {self.alias}" if self.alias else ""
        code = f"from {self.source} import {self.name}{bound}" if self.name else f"import {self.source}{bound}"
        try:
            statement = cst.ensure_type(cst.parse_statement(code), cst.SimpleStatementLine).body[0]
        except cst.ParserSyntaxError as error:
            raise PlaceError(f"{code!r} is not an import") from error
        if not isinstance(statement, cst.Import | cst.ImportFrom):
            raise PlaceError(f"{code!r} is not an import")
        return statement

    def _stop(self, block: Block) -> int:
        """The line up to which imports count."""
        return len(block.lines) if self._limit is None else block.locate(self._limit)[0]

    def _merged(self, block: Block) -> Block | None:
        """The block with the name in an import of the module that is there, if there is one."""
        wanted = Import(self.source, is_from=True)
        for number, line in enumerate(block.lines[: self._stop(block)]):
            if not self.name or not isinstance(line, cst.SimpleStatementLine):
                continue
            for position, old in enumerate(line.body):
                if isinstance(old, cst.ImportFrom) and import_of(old) == wanted:
                    new = merged(old, self.name, self.alias)
                    if new is not None:
                        self._change = _Merged(number, position, old)
                        return _with_small_statement(block, number, position, new)
        return None

    def _inserted(self, block: Block, statement: cst.Import | cst.ImportFrom) -> Block:
        """The block with the statement on a line of its own."""
        new = Import(self.source, is_from=bool(self.name))
        imports = _import_lines(block.lines[: self._stop(block)])
        group = _group_for(imports, new, block.lines)
        if group:
            place = place_of_import([imports[line] for line in group], new)
            line = group[place] if place < len(group) else group[-1] + 1
            return self._inserted_in_group(block, line, statement, opens_group=place == 0)
        ahead = [line for line in _first_run(imports) if imports[line].kind < new.kind]
        behind = [line for line in _first_run(imports) if imports[line].kind > new.kind]
        if ahead:
            return self._inserted_alone(block, ahead[-1] + 1, statement)
        return self._inserted_alone(block, behind[0] if behind else _after_docstring(block), statement)

    def _inserted_in_group(
        self, block: Block, line: int, statement: cst.Import | cst.ImportFrom, *, opens_group: bool
    ) -> Block:
        """The block with the line among imports of its kind: before the first of them it takes its blank lines."""
        if not opens_group:
            return self._with_line(block, line, statement, (), None)
        below = tuple(block.lines[line].leading_lines)
        above, own = split_leading(below)
        changed = block.without_leading(line, len(above))
        return self._with_line(changed, line, statement, above, below if own != below else None)

    def _inserted_alone(self, block: Block, line: int, statement: cst.Import | cst.ImportFrom) -> Block:
        """The block with the line as a group of its own, parted by blank lines from what is round it."""
        near = block.lines[line - 1] if line else block.lines[line] if block.lines else None
        newline = newline_of(near) if near is not None else cst.Newline()
        above = blank_lines(1 if line else 0, newline)
        if line == len(block.lines):
            return self._with_line(block, line, statement, above, None)
        below = tuple(block.lines[line].leading_lines)
        if below and below[0].comment is None:
            return self._with_line(block, line, statement, above, None)
        definition = isinstance(block.lines[line], cst.FunctionDef | cst.ClassDef)
        parted = block.with_leading(line, blank_lines(2 if definition else 1, newline))
        return self._with_line(parted, line, statement, above, below)

    def _with_line(
        self,
        block: Block,
        line: int,
        statement: cst.Import | cst.ImportFrom,
        above: tuple[cst.EmptyLine, ...],
        leading: tuple[cst.EmptyLine, ...] | None,
    ) -> Block:
        """The block with the statement before a line; `leading` is what that line had above it, if it changed."""
        near = block.lines[line - 1] if line else block.lines[line] if block.lines else None
        end = cst.TrailingWhitespace(newline=newline_of(near) if near is not None else cst.Newline())
        new = cst.SimpleStatementLine(body=[statement], leading_lines=above, trailing_whitespace=end)
        self._change = _Inserted(line, block.index_of(line), leading)
        return block.with_lines(range(line, line), [new])

    def _without(self, block: Block) -> Block:
        change = self._change
        if isinstance(change, _Merged):
            line = block.lines[change.line]
            new = line.body[change.position] if isinstance(line, cst.SimpleStatementLine) else None
            if not isinstance(new, cst.ImportFrom) or not is_merge_of(new, change.old, self.name, self.alias):
                raise PlaceError(f"the import of {self.source} is not the one that {self.name} was merged into")
            return _with_small_statement(block, change.line, change.position, change.old)
        if change is None:
            return block
        new_line = block.lines[change.line]
        if not isinstance(new_line, cst.SimpleStatementLine) or not new_line.body[0].deep_equals(
            self._small_statement()
        ):
            raise PlaceError(f"the import of {self.source} is not where it was put")
        shorter = block.with_lines(range(change.line, change.line + 1), [])
        if change.leading is None:
            return shorter
        below = shorter.lines[change.line].with_changes(leading_lines=change.leading)
        return shorter.with_lines(range(change.line, change.line + 1), [below])

    def _move(self, index: int) -> Steps:
        inserted = isinstance(self._change, _Inserted) and index >= self._change.index
        return (Step("body", index + 1 if inserted else index),)


def _with_small_statement(block: Block, number: int, position: int, statement: cst.ImportFrom) -> Block:
    line = cst.ensure_type(block.lines[number], cst.SimpleStatementLine)
    body = [*line.body[:position], statement, *line.body[position + 1 :]]
    return block.with_lines(range(number, number + 1), [line.with_changes(body=body)])


def _import_lines(lines: tuple[Statement, ...]) -> dict[int, Import]:
    """The lines that hold only imports, by their number."""
    found: dict[int, Import] = {}
    for number, line in enumerate(lines):
        if isinstance(line, cst.SimpleStatementLine):
            imports = [import_of(statement) for statement in line.body]
            if imports[0] is not None and all(imports):
                found[number] = imports[0]
    return found


def _group_for(imports: dict[int, Import], new: Import, lines: tuple[Statement, ...]) -> list[int]:
    """The run of lines that a new import belongs to: imports of its package if there are any, else of its kind.

    Which of the others are the project's own is not known here, so that they need not be in one order; where
    blank lines part them, the first of them are those that are not.
    """
    for like in (lambda item: item.package == new.package, lambda item: item.kind is new.kind):
        start = next((line for line, item in imports.items() if item.kind is new.kind and like(item)), None)
        if start is not None:
            run = _run(imports, start, like)
            whole = _run(imports, start, lambda item: item.kind is new.kind)
            if _is_sorted([imports[line] for line in whole]):
                return whole
            parted = next((n for n, line in enumerate(run) if n and _is_parted(lines[line])), len(run))
            return run[:parted]
    return []


def _is_parted(line: Statement) -> bool:
    """Whether there is a blank line above a statement."""
    return any(above.comment is None for above in getattr(line, "leading_lines", ()))


def _is_sorted(present: list[Import]) -> bool:
    """Whether a list of imports keeps to an order into which another one fits."""
    return all(place_of_import(present[:n], item) == n for n, item in enumerate(present))


def _run(imports: dict[int, Import], start: int, like: Callable[[Import], bool]) -> list[int]:
    """The lines next to each other round a line whose imports are alike."""
    first = last = start
    while first - 1 in imports and like(imports[first - 1]):
        first -= 1
    while last + 1 in imports and like(imports[last + 1]):
        last += 1
    return list(range(first, last + 1))


def _first_run(imports: dict[int, Import]) -> list[int]:
    """The first lines next to each other that import more than `__future__`, else those that import that."""
    start = next((line for line, item in imports.items() if item.kind is not Kind.FUTURE), None)
    if start is None:
        return list(imports)
    last = start
    while last + 1 in imports:
        last += 1
    return [line for line in imports if line <= last]


def _after_docstring(block: Block) -> int:
    """The line before which the first import of a module goes."""
    return int(bool(block.lines) and is_string(block.lines[0]))
