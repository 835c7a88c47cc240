"""Formatting by an excerpt comes to the same as formatting the whole file."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import black
import pytest

from autolock.rewriting.excerpts import by_black, excerpts

SOURCES = sorted(
    path for path in Path(__file__).parents[1].glob("autolock/p*/**/*.py") if len(path.read_text().splitlines()) > 150
)
HEADS = ("with lock:", "async with LOCKS[key]  :", "if x not in  y:", "with self._lock_for(a,b), other( c ):")
LONG = "row = session.execute(select(Model).where(Model.id == item_id, Model.owner == owner).first(), *args, **rest)"


def wrapped(code: str, chance: random.Random) -> tuple[str, tuple[int, int]]:
    """A statement of a file put into a block that is badly formatted, with something long, and where that is."""
    lines = code.splitlines(keepends=True)
    statements = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.stmt) and node.col_offset]
    chosen = chance.choice([node for node in statements if not lines[node.lineno - 1].lstrip().startswith("elif")])
    first, last = chosen.lineno, chosen.end_lineno or chosen.lineno
    indent = " " * chosen.col_offset
    block = [line if line.isspace() else f"    {line}" for line in lines[first - 1 : last]]
    new = [f"{indent}{chance.choice(HEADS)}\n", *block, f"{indent}    {LONG}\n"]
    return "".join([*lines[: first - 1], *new, *lines[last:]]), (first, first + len(new) - 1)


@pytest.mark.parametrize("path", SOURCES[:: max(len(SOURCES) // 6, 1)], ids=lambda path: str(path.name))
def test_an_excerpt_is_formatted_like_the_whole(path: Path) -> None:
    chance = random.Random(path.name)
    code, one = wrapped(path.read_text(), chance)
    ranges = [(max(1, one[0] - 90), max(2, one[0] - 85)), one]
    mode = black.Mode(line_length=chance.choice((79, 120)))
    assert by_black(code, ranges, mode) == black.format_str(code, mode=mode, lines=ranges)


FUNCTION = "def f{0}(x):\n    # why\n    y = g( x )\n\n    return y\n\n\n"
METHODS = "class C:\n" + "".join(f"    def m{n}(self):\n        return  f( {n} )\n\n" for n in range(80))
MODULE = "import os\n\n\n" + "".join(FUNCTION.format(n) for n in range(40)) + METHODS.rstrip() + "\n"


def test_only_the_neighbours_are_in_an_excerpt() -> None:
    method = MODULE[: MODULE.index("def m40")].count("\n") + 2
    found = excerpts(MODULE, [(22, 22), (method, method)])
    assert found is not None
    functions = "".join(FUNCTION.format(n) for n in (2, 3)).rstrip()
    methods = "".join(f"    def m{n}(self):\n        return  f( {n} )\n\n" for n in (40, 41)).rstrip()
    assert [part.text for part in found] == [f"{functions}\n", f"class C:\n{methods}\n"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# why\n    y", "#why\n    y"),
        ("y = g( x )\n\n", "y = g( x )\n    \n"),
        ("return y\n\n\n", "return y\n\n\n\n\n"),
        ("    # why\n", "    # fmt: off\n"),
        ("    def m3(self):\n        return  f( 3 )\n", "    def m3(self):\n      return  f( 3 )\n"),
        ("def m3(self):\n", "def m3(self):\n\n"),
        ("import os\n", "import os\nprint(f'{os}')\n"),
    ],
)
def test_what_is_far_away_counts_as_before(old: str, new: str) -> None:
    code = MODULE.replace(old, new).replace("f( 40 )", LONG.partition(" = ")[2])
    number = code[: code.index("def m40")].count("\n") + 2
    mode = black.Mode()
    assert by_black(code, [(number, number)], mode) == black.format_str(code, mode=mode, lines=[(number, number)])
