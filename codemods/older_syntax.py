"""Newer syntax read by an older interpreter.

What the interpreter does not know is overwritten with something of the same width that it does, so
that everything else stays on its line and in its column, and the tree is mended afterwards:

* type parameters (`class A[T]`, `def f[T]()`, `type X[T] = ...`) are left out;
* `type X = ...` becomes `X: TypeAlias = ...`;
* `except A, B:` means `except (A, B):`;
* strings with braces that hold quotes, backslashes, comments or line ends, and t-strings, become f-strings.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from codemods.scanning import Field, Literal, Parts, String, Token, UnreadableError, every_token, fields, tokens_of

_LINE_END = re.compile(r"\r\n?|\n")
_Place = tuple[int, int]


def in_older_syntax(text: str) -> ast.Module | None:
    """The tree of a module that the interpreter cannot parse; None where that is not for newer syntax."""
    with suppress(UnreadableError, ValueError, RecursionError, MemoryError):
        tokens = list(every_token(tokens_of(text)))
        # Strings are seldom what is newer, and take by far the longest.
        for with_strings in (False, True):
            with suppress(SyntaxError):
                return _rewritten(text, tokens, with_strings)
    return None


def _rewritten(text: str, tokens: list[list[Token]], with_strings: bool) -> ast.Module:
    """The tree of a text without newer syntax. Raises SyntaxError where that does not parse."""
    rewriting = _Rewriting(text)
    for some in tokens:
        if with_strings:
            rewriting.join(some)
        rewriting.take(some)
    if not rewriting.overwritten:
        raise SyntaxError
    return rewriting.mended(ast.parse(rewriting.result()))


@dataclass(slots=True)
class _Joined:
    """Strings that stand beside each other, and how many elements each field has in the tuple put in their place."""

    tokens: list[Token]
    counts: dict[int, int] = field(default_factory=dict)


class _Rewriting:
    """What is overwritten in a text, and what is to be mended in the tree, by the place where it begins."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.overwritten: dict[int, str] = {}
        self.strings: dict[tuple[int, int], _Joined] = {}
        self.handlers: dict[int, int] = {}
        self.aliases: set[int] = set()

    # -- overwriting --------------------------------------------------------------------

    def take(self, tokens: list[Token]) -> None:
        """Find newer syntax outside of strings among the tokens of a module, or of a field in a string."""
        code = [token for token in tokens if token.kind not in ("comment", "line")]
        told = [None, *(token for token in tokens if token.kind != "comment")]
        first = {id(b) for a, b in pairwise(told) if a is None or a.kind == "line" or a.text in (";", ":")}
        for number, token in enumerate(code):
            following = code[number + 1 : number + 3]
            names = len(following) == 2 and following[0].kind == "name"
            if token.text in ("class", "def") and names and following[1].text == "[":
                self.definition(code, number + 2)
            elif token.text == "type" and names and id(token) in first and following[1].text in ("[", "="):
                self.alias(code, number)
            elif token.text == "except":
                self.handler(code, number)

    def put(self, at: int, sign: str) -> None:
        self.overwritten[at] = sign

    def blank(self, start: int, end: int) -> None:
        for at in range(start, end):
            self.overwritten[at] = self.text[at] if self.text[at] in "\r\n" else " " * len(self.text[at].encode())

    def definition(self, code: list[Token], opening: int) -> None:
        """`class A[T](B)` as `class A(   B)`."""
        closing = _closing(code, opening)
        self.blank(code[opening].start, code[closing].end)
        self.put(code[opening].start, "(")
        if closing + 1 < len(code) and code[closing + 1].text == "(":
            self.blank(code[closing].end, code[closing + 1].end)
        else:
            self.put(code[closing].start, ")")

    def alias(self, code: list[Token], number: int) -> None:
        """`type X[T] = Y` as `type:X(  )= Y`."""
        word, _, after = code[number : number + 3]
        if self.text[word.end] not in " \t" or keyword.iskeyword(code[number + 1].text):
            return
        self.put(word.end, ":")
        self.aliases.add(word.start)
        if after.text == "[":
            closing = code[_closing(code, number + 2)]
            self.blank(after.start, closing.end)
            self.put(after.start, "(")
            self.put(closing.start, ")")

    def handler(self, code: list[Token], number: int) -> None:
        """`except A, B:` as `except A| B:`."""
        depth, commas, at = 0, list[Token](), number + 1
        while at < len(code) and (depth or code[at].text != ":"):
            depth += code[at].step
            if not depth and code[at].text == ",":
                commas.append(code[at])
            at += 1
        for comma in commas:
            self.put(comma.start, "|")
        if commas:
            first = number + 1 + (code[number + 1].text == "*")
            self.handlers[code[first].start] = len(commas)

    # -- strings --------------------------------------------------------------------------

    def join(self, tokens: list[Token]) -> None:
        """Put a tuple of what stands in the braces in the place of formatted strings: any of them may be newer."""
        for group in _groups(tokens):
            if any(token.string is not None and token.string.formatted for token in group):
                self.string(group)

    def string(self, group: list[Token]) -> None:
        joined = _Joined(group)
        start, end = group[0].start, group[-1].end
        kept = [(token.start, token.end) for token in _field_tokens(group)]
        at = start
        for kept_start, kept_end in sorted(kept):
            self.blank_text(at, kept_start)
            at = max(at, kept_end)
        self.blank_text(at, end)
        for token in group:
            for part in fields(token.string.parts if token.string is not None else []):
                joined.counts[part.start] = self.field(part)
        self.put(start, "(")
        self.put(end - 1, ")")
        self.strings[start, end] = joined

    def blank_text(self, start: int, end: int) -> None:
        """Blank what is not an expression, but not what has been put there for a string inside."""
        for at in range(start, end):
            if at not in self.overwritten:
                self.blank(at, at + 1)

    def field(self, part: Field) -> int:
        """Put a comma behind the expression; gives how many elements it makes."""
        code = [t for t in part.tokens if t.kind not in ("line", "comment")]
        commas = _commas(code)
        if code[-1].text != ",":
            self.put(part.expression_end, ",")
            return commas + 1
        return -commas

    def result(self) -> str:
        signs = list(self.text)
        for at, sign in self.overwritten.items():
            signs[at] = sign
        return "".join(signs)

    # -- mending ----------------------------------------------------------------------------

    def mended(self, tree: ast.Module) -> ast.Module:
        """The tree of the overwritten text as that of the text itself."""
        if self.strings or self.handlers or self.aliases:
            _Mender(self).visit(tree)
        return tree

    def places(self, offsets: set[int]) -> dict[_Place, int]:
        """Offsets of the text by line and column as `ast` counts them, in bytes."""
        starts = [0, *(match.end() for match in _LINE_END.finditer(self.text))]
        found: dict[_Place, int] = {}
        line = 0
        for offset in sorted(offsets):
            while line + 1 < len(starts) and starts[line + 1] <= offset:
                line += 1
            found[line + 1, len(self.text[starts[line] : offset].encode())] = offset
        return found


class _Mender(ast.NodeTransformer):
    """Puts back what the overwritten text only stands for."""

    def __init__(self, rewriting: _Rewriting) -> None:
        self.text = rewriting.text
        self.rewriting = rewriting
        ends = {offset for pair in rewriting.strings for offset in pair}
        self.places = rewriting.places({*ends, *rewriting.handlers, *rewriting.aliases})

    def visit(self, node: ast.AST) -> Any:
        """Look into a node; expressions hold nothing but strings to be mended."""
        return node if isinstance(node, ast.expr) and not self.rewriting.strings else super().visit(node)

    def start(self, node: ast.expr | ast.stmt) -> int:
        return self.places.get((node.lineno, node.col_offset), -1)

    def end(self, node: ast.expr) -> int:
        return self.places.get((node.end_lineno or 0, node.end_col_offset or 0), -1)

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        self.generic_visit(node)
        joined = self.rewriting.strings.get((self.start(node), self.end(node)))
        if joined is None:
            return node
        elements = iter(node.elts)
        values: list[ast.expr] = []
        for token in joined.tokens:
            assert token.string is not None
            if token.string.formatted:
                values += self.values(token.string.parts, token.string, joined, elements, node)
            else:
                values.append(ast.copy_location(ast.Constant(ast.literal_eval(token.text)), node))
        return ast.copy_location(ast.JoinedStr(_merged(values)), node)

    def values(
        self,
        parts: Parts,
        string: String,
        joined: _Joined,
        elements: Iterator[ast.expr],
        node: ast.expr,
    ) -> Iterator[ast.expr]:
        for part in parts:
            if isinstance(part, Literal):
                yield ast.copy_location(ast.Constant(_literal(self.text[part.start : part.end], string)), node)
                continue
            value = _taken(elements, joined.counts[part.start])
            conversion = ord(part.conversion) if part.conversion else -1
            if part.debug:
                yield ast.copy_location(ast.Constant(part.debug), node)
                conversion = ord("r") if conversion < 0 and part.spec is None else conversion
            spec = None
            if part.spec is not None:
                inner = list(self.values(part.spec, string, joined, elements, node))
                spec = ast.copy_location(ast.JoinedStr(_merged(inner)), node)
            yield ast.copy_location(ast.FormattedValue(value, conversion, spec), node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        self.generic_visit(node)
        if self.start(node) not in self.rewriting.aliases:
            return node
        named = node.annotation.func if isinstance(node.annotation, ast.Call) else node.annotation
        assert isinstance(named, ast.Name)
        assert node.value is not None
        return _annotated(node, named, node.value)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        self.generic_visit(node)
        first: ast.expr | None = node.type
        while isinstance(first, ast.BinOp):
            first = first.left
        commas = self.rewriting.handlers.get(self.start(first), 0) if first is not None else 0
        elements: list[ast.expr] = []
        caught = node.type
        while len(elements) < commas and isinstance(caught, ast.BinOp):
            elements.insert(0, caught.right)
            caught = caught.left
        if elements and caught is not None and node.type is not None:
            node.type = ast.copy_location(ast.Tuple([caught, *elements], ast.Load()), node.type)
        return node


def type_alias(statement: ast.stmt) -> ast.stmt:
    """`X: TypeAlias = ...` for `type X = ...` as Python 3.12 parses it; any other statement as it is."""
    if type(statement).__name__ != "TypeAlias":
        return statement
    return _annotated(statement, statement.name, statement.value)  # type: ignore[attr-defined]


def _annotated(statement: ast.stmt, name: ast.Name, value: ast.expr) -> ast.stmt:
    target = ast.copy_location(ast.Name(name.id, ast.Store()), name)
    annotation = ast.copy_location(ast.Name("TypeAlias", ast.Load()), name)
    return ast.copy_location(ast.AnnAssign(target, annotation, value, 1), statement)


def _closing(code: list[Token], opening: int) -> int:
    """The number of the bracket that closes the one at `opening`. Raises UnreadableError."""
    depth = 0
    for number in range(opening, len(code)):
        depth += code[number].step
        if depth == 0:
            return number
    raise UnreadableError


def _commas(code: list[Token]) -> int:
    """How many commas stand outside of brackets."""
    depth = found = 0
    for token in code:
        depth += token.step
        found += depth == 0 and token.text == ","
    return found


def _groups(tokens: list[Token]) -> Iterator[list[Token]]:
    """Strings that stand beside each other, in brackets also on lines of their own."""
    group: list[Token] = []
    depth = 0
    for token in tokens:
        depth += token.step
        if token.kind == "string":
            group.append(token)
        elif group and (token.kind not in ("line", "comment") or depth == 0):
            yield group
            group = []
    if group:
        yield group


def _field_tokens(group: list[Token]) -> Iterator[Token]:
    for token in group:
        for part in fields(token.string.parts if token.string is not None else []):
            yield from part.tokens


def _taken(elements: Iterator[ast.expr], count: int) -> ast.expr:
    """The next elements of a tuple as what they were: one expression, or a tuple (a negative count is always one)."""
    found = [next(elements) for _ in range(abs(count))]
    if count == 1 and not isinstance(found[0], ast.Starred):
        return found[0]
    made = ast.copy_location(ast.Tuple(found, ast.Load()), found[0])
    made.end_lineno, made.end_col_offset = found[-1].end_lineno, found[-1].end_col_offset
    return made


def _literal(text: str, string: String) -> str:
    """What a piece of a formatted string stands for."""
    raw = "r" if "r" in string.prefix else ""
    text = text.replace("{{", "{").replace("}}", "}")
    try:
        return str(ast.literal_eval(f"{raw}{string.quote}{text}{string.quote}"))
    except (SyntaxError, ValueError):
        return text


def _merged(values: list[ast.expr]) -> list[ast.expr]:
    """The values with constants that stand beside each other made one."""
    merged: list[ast.expr] = []
    for value in values:
        last = merged[-1] if merged else None
        if isinstance(value, ast.Constant) and isinstance(last, ast.Constant):
            last.value = str(last.value) + str(value.value)
        else:
            merged.append(value)
    return merged
