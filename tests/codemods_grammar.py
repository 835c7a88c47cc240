"""Random Python programs in odd but valid layouts, for property tests of the codemods.

Every simple statement assigns to a name of its own (`v7 = ...`), so that a test can tell what
became of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

_BLANKS = ("", "", "", "\f", "   ", "\t")
_DEEPEST = 3


class Program:
    """Writes one program, line by line."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._indent = random.choice(("    ", "  ", "\t", "        "))
        self._newline = random.choice(("\n", "\n", "\r\n"))
        self._lines: list[str] = []
        self._count = 0

    def text(self) -> str:
        """The program; `str`, with the line ends that it was written with."""
        if self._chance(3):
            self._lines.append("# a comment that begins the file")
        self._block("", 0)
        code = self._newline.join(self._lines)
        return code if self._chance(4) else code + self._newline

    def _chance(self, of: int) -> bool:
        return self._random.randrange(of) == 0

    def _block(self, margin: str, depth: int) -> None:
        for _ in range(self._random.randint(1, 4)):
            self._space(margin)
            if depth < _DEEPEST and self._chance(2):
                self._compound(margin, depth)
            else:
                self._simple(margin)
        if self._chance(5):
            self._lines.append(f"{margin}# a comment after the block")

    def _space(self, margin: str) -> None:
        """Perhaps blank lines and comments, at the margin, deeper or at the left."""
        while self._chance(4):
            kind = self._random.randrange(4)
            if kind == 0:
                self._lines.append(f"{self._random.choice((margin, margin, '', margin + '   '))}# comment")
            else:
                self._lines.append(self._random.choice((*_BLANKS, margin)))

    def _value(self) -> str:
        self._count += 1
        return f"v{self._count} = {self._count}"

    def _simple(self, margin: str) -> None:
        kind = self._random.randrange(9)
        comment = self._random.choice(("", "", "  # beside"))
        if kind == 0:
            self._lines.append(f"{margin}{self._value()}; {self._value()}{self._random.choice(('', ';'))}{comment}")
        elif kind == 1:
            self._lines += [f'{margin}{self._value()}, """one', "two", f"  three{margin}", f'"""{comment}']
        elif kind == 2:
            self._lines += [f"{margin}{self._value()}, f(", f"{margin}  1,  # in a call", "# left", "", f"{margin})"]
        elif kind == 3:
            self._lines += [f"{margin}{self._value()} + \\", "  2"]
        elif kind == 4:
            self._lines.append(f"{margin}{self._random.choice(('return', 'raise', 'break', 'global a', 'pass'))}")
        else:
            self._lines.append(f"{margin}{self._value()}{comment}")

    def _suite(self, header: str, margin: str, depth: int) -> None:
        """A header and its block, on one line or below."""
        if self._chance(5):
            second = f"; {self._value()}" if self._chance(2) else ""
            self._lines.append(f"{margin}{header}: {self._value()}{second}")
            return
        self._lines.append(f"{margin}{header}:{self._random.choice(('', '', '  # header'))}")
        self._block(margin + (self._indent if self._random.randrange(9) else " "), depth + 1)

    def _clauses(self, margin: str, depth: int, *headers: str) -> None:
        for header in headers:
            if self._chance(3):
                self._lines.append(self._random.choice(("", margin, f"{margin}# before {header}")))
            self._suite(header, margin, depth)

    def _compound(self, margin: str, depth: int) -> None:
        kind = self._random.randrange(11)
        suite = self._suite
        if kind <= 1:
            suite("if a", margin, depth)
            self._clauses(margin, depth, *["elif b"] * self._random.randrange(3), *self._perhaps("else"))
        elif kind == 2:
            suite(self._random.choice(("for i in a, b", "async for i in a", "for i in(a)")), margin, depth)
            self._clauses(margin, depth, *self._perhaps("else"))
        elif kind == 3:
            suite("while a", margin, depth)
            self._clauses(margin, depth, *self._perhaps("else"))
        elif kind == 4:
            suite("try", margin, depth)
            self._clauses(margin, depth, "except A", *self._perhaps("except B as e"), *self._perhaps("else"))
            self._clauses(margin, depth, *self._perhaps("finally"))
        elif kind == 5:
            suite("try", margin, depth)
            self._clauses(margin, depth, self._random.choice(("finally", "except  A")))
        elif kind == 6:
            suite(self._random.choice(("with a", "async with a as b, c", "with (a, b)")), margin, depth)
        elif kind == 7:
            self._lines.append(f"{margin}match a:")
            inner = margin + self._indent
            self._clauses(inner, depth, *["case [1, *_]"] * self._random.randint(0, 2), "case _")
        elif kind == 8:
            if self._chance(2):
                self._lines += [f"{margin}@decorated", f"{margin}@twice(1)"]
            suite(self._random.choice(("class A", "class A(B)")), margin, depth)
        else:
            if self._chance(3):
                self._lines += [f"{margin}@decorated", f"{margin}# between"]
            suite(self._random.choice(("def f(a, b=1)", "async def f() -> int")), margin, depth)

    def _perhaps(self, header: str) -> list[str]:
        return [header] if self._chance(2) else []
