"""The codemods on random programs and on the standard library: nothing but the edit changes."""

from __future__ import annotations

import ast
import sysconfig
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NamedTuple, cast

import libcst as cst
import pytest
from codemods_grammar import Program
from codemods_registry import CODEMODS
from hypothesis import given, settings
from hypothesis import strategies as st
from libcst.codemod import CodemodContext

from autolock.edits import Edit
from autolock.rewriting import RewriteError, apply_edits
from autolock.rewriting.text import lines_of
from codemods.paths import PlaceError
from codemods.wrap_in_lock import WrapInLock

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCKS = (
    *(ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.With, ast.AsyncWith, ast.Match),
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
)
REASONS = ("shares its line", "is an elif", "overlaps another edit")
_SETTINGS = settings(max_examples=80, deadline=None)


class Place(NamedTuple):
    """A run of statements: the path of the first and the statements."""

    at: str
    statements: list[ast.stmt]


def blocks(node: ast.AST, path: str = "") -> Iterator[tuple[str, list[ast.stmt]]]:
    """Every block of a program, with the path up to the index."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        children = getattr(node, field, None)
        if not isinstance(children, list) or not children:
            continue
        if isinstance(children[0], ast.stmt):
            yield f"{path}{field}", children
        for index, child in enumerate(children):
            yield from blocks(child, f"{path}{field}[{index}].")


def some_place(random: Random, tree: ast.Module) -> Place:
    field, statements = random.choice(list(blocks(tree)))
    first = random.randrange(len(statements))
    last = random.randrange(first, len(statements))
    return Place(f"{field}[{first}]", statements[first : last + 1])


def wrap(place: Place, lock: str = "the.lock") -> Edit:
    return edit("wrap-in-lock", at=place.at, count=len(place.statements), lock=lock, is_async=len(lock) % 2 == 0)


def locks_by_statement(tree: ast.AST, held: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """For each statement that is no block, its text and the inserted locks around it."""
    for child in ast.iter_child_nodes(tree):
        inside = held
        if isinstance(child, ast.With | ast.AsyncWith):
            inside = (*held, *(ast.unparse(item) for item in child.items if ast.unparse(item).startswith("the.")))
        if isinstance(child, ast.stmt) and not isinstance(child, BLOCKS):
            yield ast.unparse(child), held
        else:
            yield from locks_by_statement(child, inside)


def without_locks(tree: ast.Module) -> ast.Module:
    """The program with every inserted with-block spliced out."""

    class Splice(ast.NodeTransformer):
        def visit_With(self, node: ast.With) -> ast.AST | list[ast.stmt]:
            self.generic_visit(node)
            return node.body if ast.unparse(node.items[0]).startswith("the.") else node

        def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST | list[ast.stmt]:
            self.generic_visit(node)
            return node.body if ast.unparse(node.items[0]).startswith("the.") else node

    return cast("ast.Module", Splice().visit(tree))


def line_ends(lines: list[str]) -> set[str]:
    return {line[len(line.rstrip("\r\n")) :] for line in lines} - {""}


def loose_comment(line: str) -> str:
    """A line without its margin if it is a comment, which may belong to the end of a block that was moved."""
    return line.lstrip() if line.lstrip().startswith("#") else line


def rewritten(source: bytes, edits: list[Edit], reasons: tuple[str, ...] = REASONS) -> bytes | None:
    """The file with the edits made, None where they were refused for one of the reasons."""
    try:
        return apply_edits(source, edits, CODEMODS)
    except RewriteError as error:
        if any(reason in error.reason for reason in reasons):
            return None
        raise


@_SETTINGS
@given(st.integers(0, 2**32).map(Random))
def test_a_wrap_changes_nothing_else(random: Random) -> None:
    source = Program(random).text()
    tree = ast.parse(source)
    place = some_place(random, tree)
    result = rewritten(source.encode(), [wrap(place)])
    if result is None:
        return
    assert ast.unparse(without_locks(ast.parse(result))) == ast.unparse(tree)
    before, after = lines_of(source), lines_of(result.decode())
    assert len(after) > len(before)
    below = before[place.statements[-1].end_lineno :]
    assert list(map(loose_comment, after[len(after) - len(below) :])) == list(map(loose_comment, below))
    assert line_ends(after) <= (line_ends(before) or {"\n"})


@_SETTINGS
@given(st.integers(0, 2**32).map(Random))
def test_a_wrap_can_be_undone_from_the_text_alone(random: Random) -> None:
    source = Program(random).text()
    place = some_place(random, ast.parse(source))
    codemod = WrapInLock(CodemodContext(), place.at, len(place.statements), "the.lock", is_async=False)
    try:
        result = codemod.transform_module(cst.parse_module(source))
    except PlaceError:
        return
    with suppress(PlaceError):  # a block that was on its header's line has taken in comments
        undone = codemod.undo(cst.parse_module(result.code)).code
        assert ast.unparse(ast.parse(undone)) == ast.unparse(ast.parse(source))
        assert [line.strip() for line in lines_of(undone)] == [line.strip() for line in lines_of(source)]


@_SETTINGS
@given(st.integers(0, 2**32).map(Random))
def test_wraps_compose(random: Random) -> None:
    source = Program(random).text()
    tree = ast.parse(source)
    places = [some_place(random, tree) for _ in range(random.randint(2, 4))]
    edits = [wrap(place, f"the.lock_{number}") for number, place in enumerate(places)]
    result = rewritten(source.encode(), edits)
    if result is None:
        return
    assert ast.unparse(without_locks(ast.parse(result))) == ast.unparse(tree)
    expected = [
        (text, sorted(f"the.lock_{number}" for number, place in enumerate(places) if _covers(place, node)))
        for node, text in _simple_statements(tree)
    ]
    found = [(text, sorted(locks)) for text, locks in locks_by_statement(ast.parse(result))]
    assert found == expected
    assert apply_edits(source.encode(), edits, CODEMODS) == result


def _simple_statements(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.stmt) and not isinstance(child, BLOCKS):
            yield child, ast.unparse(child)
        else:
            yield from _simple_statements(child)


def _covers(place: Place, node: ast.stmt) -> bool:
    return any(node is inner for statement in place.statements for inner in ast.walk(statement))


@_SETTINGS
@given(st.integers(0, 2**32).map(Random))
def test_all_codemods_compose(random: Random) -> None:
    source = Program(random).text()
    edits = [some_edit(random, ast.parse(source)) for _ in range(random.randint(1, 5))]
    reasons = (*REASONS, "there is no", "simple statement", "semicolon", "by another edit", "comments inside")
    result = rewritten(source.encode(), edits, reasons)
    if result is None:
        return
    kept = [text for _, text in _simple_statements(ast.parse(source)) if text.startswith("v")]
    found = [text for _, text in _simple_statements(ast.parse(result)) if text.startswith("v")]
    removed = sum(edit.codemod in ("remove-statement", "update-in-sql") for edit in edits)
    if any(edit.codemod == "wrap-checked" for edit in edits):
        # The check is written twice, before the lock and under it.
        assert set(found) <= set(kept)
        assert len(set(kept)) - removed <= len(set(found))
        return
    assert len(kept) - removed <= len(found) <= len(kept)
    assert [text for text in kept if text in found] == found


def edit(codemod: str, /, **arguments: str | int | bool) -> Edit:
    return Edit("app.py", codemod, arguments)


def some_edit(random: Random, tree: ast.Module) -> Edit:
    """An edit of any kind at a place where it could be possible."""
    places = [(f"{field}[{index}]", node) for field, run in blocks(tree) for index, node in enumerate(run)]
    for at, node in random.sample(places, k=min(4, len(places))):
        if isinstance(node, ast.If) and not node.orelse and not random.randrange(3):
            return edit("ask-again", at=at)
        if isinstance(node, ast.If) and not node.orelse:
            return edit("double-checked", at=at, lock="the.lock", is_async=True)
        if isinstance(node, ast.With) and random.randrange(2):
            return edit("replace-lock", at=at, item=0, lock="the.lock", is_async=False)
        if isinstance(node, ast.With):
            return edit("extend-lock", at=at, before=random.randrange(2), after=random.randrange(2))
        if isinstance(node, ast.For):
            return edit("snapshot-iteration", at=at)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and random.randrange(2):
            return edit("define-lock", after=at, target="a.lock", kind="asyncio", first_in=True)
    place = some_place(random, tree)
    choice = random.randrange(10)
    count = len(place.statements)
    if choice == 4:
        return edit(random.choice(("insert-before", "insert-after")), at=place.at, code="w = 1")
    if choice == 5:
        return edit("update-in-sql", at=place.at, code="w = w + 1")
    if choice == 6:
        return edit("wrap-in-transaction", at=place.at, count=count, header="a.b() as c, c.d()", is_async=True)
    if choice == 7:
        return edit("answer-conflict", at=place.at, count=count, error="E", session="s", answer="raise A(1)")
    if choice == 8:
        nested = {"session": "s", "is_async": False, "reselect": "w = s.scalar(q)", "error": "E"}
        return edit("insert-or-reselect", at=place.at, count=count, **nested)
    if choice == 9 and count > 1:
        return edit("wrap-checked", at=place.at, count=count, checks=1, lock="the.lock", is_async=True)
    if choice == 0:
        return edit("remove-statement", at=place.at)
    if choice == 1:
        return edit("define-lock", after=place.at, target="a_lock", kind="threading")
    if choice == 2:
        return edit("import-name", module=random.choice((".store", "app.x", "os")), name="lock")
    return wrap(place)


def standard_library(count: int) -> list[Path]:
    root = Path(sysconfig.get_path("stdlib"))
    files = sorted(file for file in root.rglob("*.py") if "site-packages" not in file.parts)
    fitting = [file for file in files if 0 < file.stat().st_size < 40_000 and "lib2to3" not in file.parts]
    return Random(20).sample(fitting, count)


@pytest.mark.parametrize("file", standard_library(150), ids=lambda file: file.name)
def test_the_standard_library(file: Path) -> None:
    source = file.read_bytes()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        with pytest.raises(RewriteError, match=r"pars|decode"):
            apply_edits(source, [wrap(Place("body[0]", [ast.Pass()]))], CODEMODS)
        return
    if not tree.body:
        return
    random = Random(file.name)
    places = [some_place(random, tree) for _ in range(3)]
    edits = [wrap(place, f"the.lock_{number}") for number, place in enumerate(places)]
    result = rewritten(source, edits)
    assert result is None or ast.unparse(without_locks(ast.parse(result))) == ast.unparse(tree)
