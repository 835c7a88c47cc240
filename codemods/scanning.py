"""Tokens of Python text in the syntax of any version, f-strings and t-strings with what stands in their braces.

The standard library's tokenizer knows the syntax of the version that runs it and no newer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

_TOKEN = re.compile(
    r"""(?P<space>[ \t\f]+|\\(?:\r\n?|\n))|(?P<comment>\#[^\r\n]*)|(?P<line>\r\n?|\n)
    |(?P<string>(?P<prefix>(?:[rR]?[bBfFtT]|[bBfFtT][rR]|[rRuU])?)(?P<quote>\"\"\"|'''|\"|'))
    |(?P<name>[^\W\d]\w*)|(?P<number>\.?\d\w*)|(?P<op>[!=<>:]=|->|\*\*|//|<<|>>|.)""",
    re.VERBOSE,
)
#: What neither ends a string nor needs a second look.
_PLAIN = re.compile(r"""[^\\'"\r\n]*""")
Parts: TypeAlias = "list[Literal | Field]"
"""What a formatted string consists of."""

_STEPS = {**dict.fromkeys("([{", 1), **dict.fromkeys(")]}", -1)}


class UnreadableError(Exception):
    """The text cannot be split into tokens."""


@dataclass(slots=True)
class Token:
    """A token at `start:end` of the text. `kind` is name, number, op, line (the end of one), comment or string."""

    kind: str
    text: str
    start: int
    end: int
    string: String | None = None

    @property
    def step(self) -> int:
        """1 for an opening bracket, -1 for a closing one, 0 for all else."""
        return _STEPS.get(self.text, 0)


@dataclass(slots=True)
class String:
    """A string. `parts` are the literal pieces and the fields of one that is formatted, in order."""

    prefix: str
    quote: str
    formatted: bool
    parts: Parts = field(default_factory=list)


@dataclass(slots=True)
class Literal:
    """A piece of text inside a formatted string."""

    start: int
    end: int


@dataclass(slots=True)
class Field:
    """What stands in braces at `start:end`: the tokens of an expression, and what follows it.

    `debug` is what `{expression=}` shows of the text, `conversion` the letter after `!`, and `spec`
    the parts after the colon, None where there is none.
    """

    start: int
    end: int
    tokens: list[Token]
    expression_end: int
    debug: str
    conversion: str
    spec: Parts | None


def tokens_of(text: str) -> list[Token]:
    """All tokens. Raises UnreadableError."""
    found, end = _Scanner(text).tokens(0, in_field=False)
    if end != len(text):
        raise UnreadableError
    return found


def every_token(tokens: list[Token]) -> Iterator[list[Token]]:
    """The list and those of the fields in its strings, to any depth."""
    yield tokens
    for token in tokens:
        if token.string is not None:
            for part in fields(token.string.parts):
                yield from every_token(part.tokens)


def fields(parts: Parts) -> Iterator[Field]:
    """The fields among parts of a formatted string, each before those in its format specification."""
    for part in parts:
        if isinstance(part, Field):
            yield part
            yield from fields(part.spec or [])


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text

    def tokens(self, at: int, *, in_field: bool) -> tuple[list[Token], int]:
        """The tokens from `at`: to the end, or to what ends the expression of a field."""
        found: list[Token] = []
        depth = 0
        while at < len(self.text):
            match = _TOKEN.match(self.text, at)
            if match is None:
                raise UnreadableError
            if in_field and depth == 0 and match["op"] and match["op"][0] in "}:!" and match["op"] != "!=":
                return found, at
            kind = match.lastgroup or ""
            if kind == "space":
                at = match.end()
                continue
            token = self.string(match) if kind == "string" else Token(kind, match[0], at, match.end())
            if in_field:
                depth += token.step
            found.append(token)
            at = token.end
        if in_field:
            raise UnreadableError
        return found, at

    def string(self, match: re.Match[str]) -> Token:
        prefix, quote = match["prefix"].lower(), match["quote"]
        string = String(prefix, quote, formatted=not {"f", "t"}.isdisjoint(prefix))
        at = match.end()
        if string.formatted:
            string.parts, at = self.parts(at, string, quote)
        else:
            at = self.closing(at, quote)
        end = at + len(quote)
        return Token("string", self.text[match.start() : end], match.start(), end, string)

    def closing(self, at: int, quote: str) -> int:
        """Where a string that is not formatted ends, before its quote."""
        while True:
            plain = _PLAIN.match(self.text, at)
            at = plain.end() if plain is not None else at
            if self.text.startswith(quote, at):
                return at
            self.require_inside(at, quote)
            at += 2 if self.text[at] == "\\" else 1

    def parts(self, at: int, string: String, end: str) -> tuple[Parts, int]:
        """Literals and fields up to `end`: the quote, or the brace after a format specification."""
        parts: Parts = []
        start, in_spec = at, end == "}"
        while not self.text.startswith(end, at):
            self.require_inside(at, string.quote)
            two = self.text[at : at + 2]
            if two in ("{{", "}}") and not in_spec:
                at += 2
            elif two[0] == "\\" and "r" not in string.prefix and self.text.startswith("\\N{", at):
                at = self.text.find("}", at) + 1 or len(self.text)
            elif two[0] == "\\" and two[1:] not in ("{", "}"):
                at += 2
            elif two[0] == "{":
                if at > start:
                    parts.append(Literal(start, at))
                inside = self.field(at, string)
                parts.append(inside)
                start = at = inside.end
            else:
                at += 1
        if at > start:
            parts.append(Literal(start, at))
        return parts, at

    def require_inside(self, at: int, quote: str) -> None:
        if at >= len(self.text) or (self.text[at] in "\r\n" and len(quote) == 1):
            raise UnreadableError

    def field(self, start: int, string: String) -> Field:
        tokens, at = self.tokens(start + 1, in_field=True)
        expression_end, debug = at, ""
        if tokens and tokens[-1].text == "=":
            expression_end, debug = tokens.pop().start, self.text[start + 1 : at]
        conversion, spec = "", None
        if self.text[at] == "!":
            match = re.compile(r"!\s*(\w)\s*").match(self.text, at)
            if match is None:
                raise UnreadableError
            conversion, at = match[1], match.end()
        if self.text[at : at + 1] == ":":
            spec, at = self.parts(at + 1, string, "}")
        if self.text[at : at + 1] != "}" or not any(t.kind not in ("line", "comment") for t in tokens):
            raise UnreadableError
        return Field(start, at + 1, tokens, expression_end, debug, conversion, spec)
