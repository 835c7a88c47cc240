"""Reading and rebuilding the blocks of a libcst tree by statement path.

Only the nodes along the path are made anew; everything beside it stays the same object, which is
what keeps an edit fast and its surroundings byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import libcst as cst

from codemods.paths import PlaceError, StatementPath, Steps

Statement = cst.SimpleStatementLine | cst.BaseCompoundStatement
Node = TypeVar("Node", bound=cst.CSTNode)


@dataclass(frozen=True, slots=True)
class Margin:
    """The white space before a line: all of it, the part that its own block adds, and the file's usual part."""

    prefix: str
    indent: str | None
    default: str

    @property
    def step(self) -> str | None:
        """The indentation of a new block: like that of the block round it, but for form feeds that libcst counts in."""
        usual = self.default if self.indent is None else self.indent
        plain = usual.replace("\f", "")
        return self.indent if plain == usual else plain

    def deeper(self, indent: str | None) -> Margin:
        """The margin of a block inside, which adds `indent` (None: the file's usual one)."""
        return Margin(self.prefix + (self.default if indent is None else indent), indent, self.default)


@dataclass(frozen=True, slots=True)
class Block:
    """The statements of one block, however it is written.

    `lines` are libcst's statements: one line may hold several statements parted by semicolons.
    `footer` is the comments and blank lines after the last one. `inline` is the white space after
    the colon of a block that is written on its header's line, and None for an indented block.
    """

    lines: tuple[Statement, ...]
    footer: tuple[cst.EmptyLine, ...]
    inline: cst.SimpleWhitespace | None
    margin: Margin

    def __len__(self) -> int:
        return sum(map(statement_count, self.lines))

    def locate(self, index: int) -> tuple[int, int]:
        """The line that holds the statement of this index, and its place in the line; raises PlaceError."""
        left = index
        for number, line in enumerate(self.lines):
            size = statement_count(line)
            if left < size:
                return number, left
            left -= size
        raise PlaceError(f"there is no statement {index} in a block of {len(self)}")

    def line_of(self, index: int) -> int:
        """The line that holds just the statement of this index; raises PlaceError for one beside semicolons."""
        lines = self.span(index, 1)
        return lines.start

    def span(self, index: int, count: int) -> range:
        """The lines that hold just these statements; raises PlaceError when a line holds others too."""
        first, before = self.locate(index)
        last, position = self.locate(index + count - 1)
        if before or position + 1 != statement_count(self.lines[last]):
            raise PlaceError("the statement shares its line with others, parted by semicolons")
        return range(first, last + 1)

    def index_of(self, line: int) -> int:
        """How many statements come before this line."""
        return sum(map(statement_count, self.lines[:line]))

    def with_lines(self, span: range, lines: Iterable[Statement]) -> Block:
        """The block with other lines in place of those of `span`."""
        return replace(self, lines=(*self.lines[: span.start], *lines, *self.lines[span.stop :]))

    def with_leading(self, line: int, above: Iterable[cst.EmptyLine]) -> Block:
        """The block with comments and blank lines added above a line, or at the end of the block."""
        added = tuple(above)
        if not added:
            return self
        if line == len(self.lines):
            return replace(self, footer=(*added, *self.footer))
        below = self.lines[line]
        return self.with_lines(
            range(line, line + 1), [below.with_changes(leading_lines=(*added, *below.leading_lines))]
        )

    def without_leading(self, line: int, count: int) -> Block:
        """The block without the first of the comments and blank lines above a line, or of those at its end."""
        if line == len(self.lines):
            return replace(self, footer=self.footer[count:])
        below = self.lines[line]
        return self.with_lines(range(line, line + 1), [below.with_changes(leading_lines=below.leading_lines[count:])])

    def indented(self) -> Block:
        """The block written as lines of its own under its header."""
        return replace(self, inline=None)

    def on_header_line(self, inline: cst.SimpleWhitespace | None) -> Block:
        """The block written after its header's colon and this white space, or as lines of its own for None."""
        return replace(self, inline=inline)


def statement_count(line: Statement) -> int:
    """How many statements `ast` counts on this line."""
    return len(line.body) if isinstance(line, cst.SimpleStatementLine) else 1


def edit_block(module: cst.Module, path: StatementPath, change: Callable[[Block], Block]) -> cst.Module:
    """The module with the block that holds the statement at `path` changed; raises PlaceError."""

    def leaf(node: cst.CSTNode, field: str, _: int, margin: Margin) -> cst.CSTNode:
        return with_block(node, field, change(block_of(node, field, margin)))

    return cst.ensure_type(_rebuilt(module, path.steps, _module_margin(module), leaf), cst.Module)


def edit_statement(module: cst.Module, path: StatementPath, change: Callable[[Statement, Margin], Node]) -> cst.Module:
    """The module with the statement at `path` (an `elif` too) changed; raises PlaceError.

    `change` is given the statement and the margin of the block that it stands in.
    """

    def leaf(node: cst.CSTNode, field: str, index: int, margin: Margin) -> cst.CSTNode:
        if isinstance(node, cst.If) and field == "orelse" and isinstance(node.orelse, cst.If):
            if index:
                raise PlaceError("an elif is the only statement of its block")
            changed = change(node.orelse, margin)
            if not isinstance(changed, cst.If):
                raise PlaceError("the statement is an elif, and no other kind can take its place")
            return node.with_changes(orelse=changed)
        block = block_of(node, field, margin)
        line = block.line_of(index)
        made = _statement(change(block.lines[line], block.margin))
        return with_block(node, field, block.with_lines(range(line, line + 1), [made]))

    return cst.ensure_type(_rebuilt(module, path.steps, _module_margin(module), leaf), cst.Module)


def block_of(node: cst.CSTNode, field: str, margin: Margin) -> Block:
    """The block that a node has under a field's name in `ast`; raises PlaceError when it has none.

    `margin` is that of the block that the node stands in.
    """
    if isinstance(node, cst.Module):
        block = Block(tuple(map(_statement, node.body)), tuple(node.footer), None, margin)
        return block.with_leading(0, node.header[_header_length(node) :]) if block.lines else block
    suite = _suite(node, field)
    if isinstance(suite, cst.SimpleStatementSuite):
        line = cst.SimpleStatementLine(body=suite.body, trailing_whitespace=suite.trailing_whitespace)
        return Block((line,), (), suite.leading_whitespace, margin.deeper(margin.indent))
    indented = cst.ensure_type(suite, cst.IndentedBlock)
    return Block(tuple(map(_statement, indented.body)), tuple(indented.footer), None, margin.deeper(indented.indent))


_Leaf = Callable[[cst.CSTNode, str, int, Margin], cst.CSTNode]


def _rebuilt(node: cst.CSTNode, steps: Steps, margin: Margin, leaf: _Leaf) -> cst.CSTNode:
    """The node with what `leaf` makes at the end of the steps, made anew along them only."""
    field, index, rest = steps[0].field, steps[0].index, steps[1:]
    if field in ("handlers", "cases"):
        return _rebuilt_clause(node, steps, margin, leaf)
    if not rest:
        return leaf(node, field, index, margin)
    if isinstance(node, cst.If) and field == "orelse" and isinstance(node.orelse, cst.If):
        if index:
            raise PlaceError("an elif is the only statement of its block")
        return node.with_changes(orelse=_rebuilt(node.orelse, rest, margin, leaf))
    block = block_of(node, field, margin)
    line, _ = block.locate(index)
    below = _statement(_rebuilt(block.lines[line], rest, block.margin, leaf))
    return with_block(node, field, block.with_lines(range(line, line + 1), [below]))


def _rebuilt_clause(node: cst.CSTNode, steps: Steps, margin: Margin, leaf: _Leaf) -> cst.CSTNode:
    """`_rebuilt` through an except or case clause, which is no statement of its own."""
    field, index, rest = steps[0].field, steps[0].index, steps[1:]
    clauses: Sequence[cst.CSTNode] = ()
    inside = margin
    if isinstance(node, cst.Try | cst.TryStar) and field == "handlers":
        clauses = node.handlers
    elif isinstance(node, cst.Match) and field == "cases":
        clauses, inside = node.cases, margin.deeper(node.indent)
    if index >= len(clauses) or not rest:
        raise PlaceError(f"there is no block at {field}[{index}]")
    clause = _rebuilt(clauses[index], rest, inside, leaf)
    return node.with_changes(**{field: [*clauses[:index], clause, *clauses[index + 1 :]]})


def _suite(node: cst.CSTNode, field: str) -> cst.BaseSuite:
    """The suite under a field's name in `ast`."""
    holder: object = node if field == "body" else getattr(node, field, None)
    if isinstance(holder, cst.If) and field == "orelse":
        raise PlaceError("the statement is an elif, which cannot be put into a block of its own")
    suite = getattr(holder, "body", None)
    if not isinstance(suite, cst.BaseSuite):
        raise PlaceError(f"there is no block {field!r} there")
    return suite


def with_block(node: Node, field: str, block: Block) -> Node:
    """The node with other statements in the block that it has under that name; raises PlaceError."""
    if isinstance(node, cst.Module):
        return node.with_changes(header=node.header[: _header_length(node)], body=block.lines, footer=block.footer)
    suite = _written(_suite(node, field), block)
    if field == "body":
        return node.with_changes(body=suite)
    return node.with_changes(**{field: getattr(node, field).with_changes(body=suite)})


def _header_length(module: cst.Module) -> int:
    """How many of the lines that libcst takes for the module's header are not comments of its first statement.

    Those that touch the statement are, unless they begin the file, as a shebang or a licence does.
    """
    above, _ = split_leading(module.header)
    return len(above) if above and module.body else len(module.header)


def _written(old: cst.BaseSuite, block: Block) -> cst.BaseSuite:
    """The suite that holds the block, as like the old one as can be."""
    if block.inline is not None:
        if len(block.lines) != 1 or not isinstance(block.lines[0], cst.SimpleStatementLine) or block.footer:
            raise PlaceError("only simple statements can stand on the line of a block's header")
        line = block.lines[0]
        return cst.SimpleStatementSuite(
            body=line.body, leading_whitespace=block.inline, trailing_whitespace=line.trailing_whitespace
        )
    if isinstance(old, cst.IndentedBlock):
        return old.with_changes(body=block.lines, footer=block.footer)
    inline = cst.ensure_type(old, cst.SimpleStatementSuite)
    newline = cst.Newline(value=inline.trailing_whitespace.newline.value)
    return indented_block(block.lines, block.margin.step, newline).with_changes(footer=block.footer)


def indented_block(lines: Sequence[Statement], indent: str | None, newline: cst.Newline) -> cst.IndentedBlock:
    """A block of lines under a header that ends with `newline`."""
    return cst.IndentedBlock(body=tuple(lines), header=cst.TrailingWhitespace(newline=newline), indent=indent)


def newline_of(line: Statement) -> cst.Newline:
    """A line end like that of the first line of a statement."""
    return cst.Newline(value=_first_line_end(line).newline.value)


def _first_line_end(line: Statement) -> cst.TrailingWhitespace:
    if isinstance(line, cst.SimpleStatementLine):
        return line.trailing_whitespace
    if isinstance(line, cst.Match):
        return line.whitespace_after_colon
    if isinstance(line.body, cst.IndentedBlock):
        return line.body.header
    return cst.ensure_type(line.body, cst.SimpleStatementSuite).trailing_whitespace


def split_leading(lines: Sequence[cst.EmptyLine]) -> tuple[tuple[cst.EmptyLine, ...], tuple[cst.EmptyLine, ...]]:
    """What stands above a statement: all up to the last blank line, and the comments that touch it."""
    blank = [number for number, line in enumerate(lines) if line.comment is None]
    cut = blank[-1] + 1 if blank else 0
    return tuple(lines[:cut]), tuple(lines[cut:])


def is_string(line: Statement) -> bool:
    """Whether a line begins with a string on its own, as a docstring does."""
    return (
        isinstance(line, cst.SimpleStatementLine)
        and isinstance(line.body[0], cst.Expr)
        and isinstance(line.body[0].value, cst.SimpleString | cst.ConcatenatedString)
    )


def blank_lines(count: int, newline: cst.Newline) -> tuple[cst.EmptyLine, ...]:
    """Empty lines."""
    return tuple(cst.EmptyLine(indent=False, newline=cst.Newline(value=newline.value)) for _ in range(count))


def pinned(node: Node, margin: Margin) -> Node:
    """A statement or suite with blank lines that keep their white space when it is indented anew.

    libcst takes the white space of a blank line for its indentation, and hangs those after a
    compound statement into its innermost block, though to a reader they come after the statement;
    so do comments that come after one which stands further out than that block.
    `margin` is that of the block that the statement, or the one with the suite, stands in.
    """
    return cast("Node", node.visit(_Pins(margin)))


class _Pins(cst.CSTTransformer):
    """Makes the indentation of blank lines, and of comments behind a block, a part of them."""

    def __init__(self, margin: Margin) -> None:
        super().__init__()
        self._margins = [margin]

    def visit_IndentedBlock(self, node: cst.IndentedBlock) -> None:
        self._margins.append(self._margins[-1].deeper(node.indent))

    def leave_IndentedBlock(self, original_node: cst.IndentedBlock, updated_node: cst.IndentedBlock) -> cst.BaseSuite:
        margin = self._margins.pop()
        footer = list(updated_node.footer)
        first = next((n for n, line in enumerate(footer) if line.comment and not line.indent), len(footer))
        footer[first:] = [_pinned(line, margin) for line in footer[first:]]
        return updated_node.with_changes(footer=footer)

    def visit_Match_cases(self, node: cst.Match) -> None:
        self._margins.append(self._margins[-1].deeper(node.indent))

    def leave_Match_cases(self, node: cst.Match) -> None:
        self._margins.pop()

    visit_Match_footer = visit_Match_cases
    leave_Match_footer = leave_Match_cases

    def leave_EmptyLine(self, original_node: cst.EmptyLine, updated_node: cst.EmptyLine) -> cst.EmptyLine:
        return updated_node if updated_node.comment is not None else _pinned(updated_node, self._margins[-1])


def _pinned(line: cst.EmptyLine, margin: Margin) -> cst.EmptyLine:
    """A blank line or comment with its indentation made a part of it."""
    if not line.indent:
        return line
    return line.with_changes(indent=False, whitespace=cst.SimpleWhitespace(margin.prefix + line.whitespace.value))


def _module_margin(module: cst.Module) -> Margin:
    return Margin("", None, module.default_indent)


def _statement(node: cst.CSTNode) -> Statement:
    if not isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
        raise PlaceError(f"a {type(node).__name__} is no statement")
    return node


def distance(line: Statement, block: Block) -> int:
    """How many blank lines belong between a statement and a plain one that is put after it."""
    top = not block.margin.prefix
    if isinstance(line, cst.FunctionDef | cst.ClassDef):
        return 2 if top else 1
    if not top or not isinstance(line, cst.SimpleStatementLine):
        return 0
    docstring = line is block.lines[0] and is_string(line)
    return int(docstring or isinstance(line.body[0], cst.Import | cst.ImportFrom))
