"""Codemods that change one expression of a statement: which one it is, how it is laid out, where they refuse."""

from __future__ import annotations

import ast
import sysconfig
from collections import Counter
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import libcst as cst
import pytest
from codemods_registry import CODEMODS
from test_codemods import run

from autolock.edits import Edit
from autolock.rewriting import apply_edits
from codemods.expressions import code_of, expressions
from codemods.paths import PlaceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Arguments = dict[str, str | int | bool]
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COUNTED = (ast.Name, ast.Attribute, ast.Call, ast.Await)
_FILES = sorted(Path(sysconfig.get_path("stdlib"), folder) for folder in ("asyncio", "email", "json", "unittest"))


def lock(code: str, expression: str, form: str, **arguments: str | int | bool) -> str:
    return run("lock-rows", f"{code}\n", at="body[0]", expression=expression, form=form, **arguments).removesuffix("\n")


@pytest.mark.parametrize(
    ("code", "expression", "arguments", "expected"),
    [
        ("f(stmt)", "stmt", {}, "f(stmt.with_for_update().execution_options(populate_existing=True))"),
        ("a = (select(A))", "select(A)", {"populate": False}, "a = (select(A).with_for_update())"),
        (
            "select(A).execution_options(populate_existing=True)",
            "select(A).execution_options(populate_existing=True)",
            {},
            "select(A).execution_options(populate_existing=True).with_for_update()",
        ),
        (
            "f(\n    select(A)\n    .where(x)\n)",
            "select(A).where(x)",
            {"of": "A"},
            "f(\n    select(A)\n    .where(x)\n    .with_for_update(of=A)\n"
            "    .execution_options(populate_existing=True)\n)",
        ),
        (
            "f(select(A).where(\n    x,\n))",
            "select(A).where(x)",
            {"populate": False},
            "f(select(A).where(\n    x,\n).with_for_update())",
        ),
        ("f(q, q)", "q", {"nth": 1, "populate": False}, "f(q, q.with_for_update())"),
    ],
)
def test_locks_a_select(code: str, expression: str, arguments: Arguments, expected: str) -> None:
    assert lock(code, expression, "select", **arguments) == expected


@pytest.mark.parametrize(
    ("code", "form", "arguments", "expected"),
    [
        ("s.get(U, 1)", "get", {}, "s.get(U, 1, with_for_update=True, populate_existing=True)"),
        ("s.get(U, 1)", "get", {"populate": False}, "s.get(U, 1, with_for_update=True)"),
        (
            "s.get(U, 1, with_for_update=True)",
            "get",
            {},
            "s.get(U, 1, with_for_update=True, populate_existing=True)",
        ),
        (
            "s.get(U, 1, with_for_update=True)",
            "get",
            {"lock": False},
            "s.get(U, 1, with_for_update=True, populate_existing=True)",
        ),
        (
            "s.get(U, 1)",
            "get",
            {"of": "U", "skip_locked": True, "populate": False},
            's.get(U, 1, with_for_update={"of": U, "skip_locked": True})',
        ),
        (
            "s.get(\n    U, 1  # one\n)",
            "get",
            {"populate": False},
            "s.get(\n    U, 1,  # one\nwith_for_update=True\n)",
        ),
        ("s.refresh(user)", "refresh", {}, "s.refresh(user, with_for_update=True)"),
        (
            "s.refresh(user, ['n'])",
            "refresh",
            {"of": "User"},
            "s.refresh(user, ['n'], with_for_update={\"of\": User})",
        ),
        ("db.query(A).filter(x)", "query", {}, "db.query(A).filter(x).populate_existing().with_for_update()"),
        (
            "db.query(A).populate_existing()",
            "query",
            {"skip_locked": True},
            "db.query(A).populate_existing().with_for_update(skip_locked=True)",
        ),
        (
            "db.query(A).with_for_update()",
            "query",
            {"lock": False},
            "db.query(A).with_for_update().populate_existing()",
        ),
        ("Account.get(id=1)", "tortoise", {}, "Account.select_for_update().get(id=1)"),
        ("Account.get_or_none(id=1)", "tortoise", {}, "Account.select_for_update().get_or_none(id=1)"),
        (
            "m.Account.filter(id=1).first()",
            "tortoise",
            {"skip_locked": True},
            "m.Account.filter(id=1).select_for_update(skip_locked=True).first()",
        ),
        (
            "Account.get(id=1).prefetch_related('user')",
            "tortoise",
            {"of": '("account",)'},
            "Account.select_for_update(of=(\"account\",)).get(id=1).prefetch_related('user')",
        ),
        ("Account.filter(id=1)", "tortoise", {}, "Account.filter(id=1).select_for_update()"),
        ("Account.get(id=1, using_db=db)", "tortoise", {}, "Account.select_for_update(using_db=db).get(id=1)"),
        (
            "Account.get(\n    using_db=db,\n    id=1,\n)",
            "tortoise",
            {"skip_locked": True},
            "Account.select_for_update(skip_locked=True, using_db=db).get(\n    id=1,\n)",
        ),
        (
            "(\n    Account.filter(id=1)  # mine\n    .first()\n)",
            "tortoise",
            {},
            "(\n    Account.filter(id=1)  # mine\n    .select_for_update()\n    .first()\n)",
        ),
        ("A.objects().get(A.id == 1)", "piccolo", {}, 'A.objects().lock_rows("UPDATE").get(A.id == 1)'),
        ("A.select().where(x)", "piccolo", {}, 'A.select().where(x).lock_rows("UPDATE")'),
        (
            "A.objects().where(x).first().run()",
            "piccolo",
            {"of": "(A,)", "skip_locked": True},
            'A.objects().where(x).lock_rows("UPDATE", of=(A,), skip_locked=True).first().run()',
        ),
    ],
)
def test_locks_a_call(code: str, form: str, arguments: Arguments, expected: str) -> None:
    assert lock(code, ast.unparse(ast.parse(code)), form, **arguments) == expected


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        ('"SELECT 1"', {}, '"SELECT 1 FOR UPDATE"'),
        ("'select 1 ; '", {"skip_locked": True}, "'select 1 FOR UPDATE SKIP LOCKED ; '"),
        (r'"SELECT 1\n"', {}, r'"SELECT 1 FOR UPDATE\n"'),
        (r'r"SELECT 1\n;"', {}, r'r"SELECT 1\n FOR UPDATE;"'),
        ('("SELECT a "\n "FROM b")', {}, '("SELECT a "\n "FROM b FOR UPDATE")'),
        ('("SELECT a" " ; ")', {}, '("SELECT a FOR UPDATE" " ; ")'),
        ('("SELECT a " f"FROM {b} LIMIT 1")', {}, '("SELECT a " f"FROM {b} LIMIT 1 FOR UPDATE")'),
        ('"SELECT 1"', {"of": '"user"'}, r'"SELECT 1 FOR UPDATE OF \"user\""'),
        ('"""SELECT 1 -- one\nFROM a"""', {"of": "a"}, '"""SELECT 1 -- one\nFROM a FOR UPDATE OF a"""'),
    ],
)
def test_locks_in_sql(code: str, arguments: Arguments, expected: str) -> None:
    assert lock(f"f({code})", ast.unparse(ast.parse(code)), "text", **arguments) == f"f({expected})"


@pytest.mark.parametrize(
    ("code", "form", "arguments", "reason"),
    [
        ("select(A).with_for_update().where(x)", "select", {}, "already"),
        ("db.query(A).with_for_update()", "query", {}, "already"),
        ("s.refresh(a, with_for_update=True)", "refresh", {}, "already"),
        ("s.get(U, 1, with_for_update=True, populate_existing=True)", "get", {}, "already"),
        ("s.query(U).get(1).name", "get", {}, "no call of get"),
        ("s.refresh(a)", "get", {}, "no call of get"),
        ("s.refresh(a)", "refresh", {"lock": False}, "nothing is to be added"),
        ("select(A)", "select", {"lock": False, "populate": False}, "nothing is to be added"),
        ("await f()", "select", {}, "no call of with_for_update"),
        ("select(A)", "sql", {}, "no form"),
        ("Account.filter(id=1).values('n')", "tortoise", {}, "locks no rows"),
        ("Account.select_for_update().get(id=1)", "tortoise", {}, "already"),
        ("A.objects().get_or_create(x)", "piccolo", {}, "locks no rows"),
        ('A.objects().lock_rows("UPDATE").first()', "piccolo", {}, "already"),
        ("'SELECT 1 for  no key update'", "text", {}, "already"),
        ("'SELECT 1 -- one\\n'", "text", {}, "comment"),
        ("'UPDATE a SET b = 1'", "text", {}, "no SELECT"),
        ("f'SELECT {a}'", "text", {}, "value of an f-string"),
        ("f'SELECT {a} '", "text", {}, "value of an f-string"),
        ("b'SELECT 1'", "text", {}, "no string literal"),
        ("SQL", "text", {}, "no string literal"),
        ("r'SELECT 1'", "text", {"of": "'a'"}, "raw string"),
    ],
)
def test_refuses_to_lock(code: str, form: str, arguments: Arguments, reason: str) -> None:
    with pytest.raises(PlaceError, match=reason):
        lock(f"v = {code}", ast.unparse(ast.parse(code)), form, **arguments)


@pytest.mark.parametrize(
    ("name", "code", "arguments", "reason"),
    [
        ("flush-commit", "s.commit(1)", {"expression": "s.commit(1)"}, "no call of commit"),
        ("flush-commit", "s.rollback()", {"expression": "s.rollback()"}, "no call of commit"),
        ("flush-commit", "s.commit()", {"expression": "s.commit()", "nth": 1}, "has 1 of the expression"),
        ("flush-commit", "if a: s.commit()", {"expression": "s.commit()"}, "has 0 of the expression"),
        ("flush-commit", "a; s.commit()", {"expression": "s.commit()"}, "semicolons"),
        ("replace-expression", "f(a=b)", {"expression": "a", "replacement": "c"}, "has 0 of the expression"),
        ("replace-expression", "b.a", {"expression": "a", "replacement": "c"}, "has 0 of the expression"),
        ("replace-expression", "a", {"expression": "a", "replacement": "c +"}, "not an expression"),
        ("replace-expression", "a", {"expression": "a +", "replacement": "c"}, "not an expression"),
    ],
)
def test_refuses(name: str, code: str, arguments: Arguments, reason: str) -> None:
    with pytest.raises(PlaceError, match=reason):
        run(name, code, at="body[0]", **arguments)


@pytest.mark.parametrize(
    ("code", "expression", "replacement", "expected"),
    [
        ("a.b", "a", "await c", "(await c).b"),
        ("(a).b", "a", "c + d", "(c + d).b"),
        ("return(a)", "a", "b", "return(b)"),
        ("if a:\n    a\nelif a:\n    a", "a", "b.c", "if b.c:\n    a\nelif a:\n    a"),
        ("@d(a)\ndef f(a=a) -> a: return a", "a", "b", "@d(b)\ndef f(a=a) -> a: return a"),
        ("for a in(b): pass", "b", "c", "for a in(c): pass"),
        ("x = f'{a}' 'b'", "a", "b", "x = f'{b}' 'b'"),
    ],
)
def test_replaces(code: str, expression: str, replacement: str, expected: str) -> None:
    assert run("replace-expression", code, at="body[0]", expression=expression, replacement=replacement) == expected


def test_changes_the_header_of_an_elif() -> None:
    code = "if a:\n    pass\nelif s.get(A, 1):  # there\n    pass\n"
    found = run("lock-rows", code, at="body[0].orelse[0]", expression="s.get(A, 1)", form="get", populate=False)
    assert found == "if a:\n    pass\nelif s.get(A, 1, with_for_update=True):  # there\n    pass\n"


def test_several_changes_of_one_statement() -> None:
    """Places are counted in the statement as it was before any of the changes, in whatever order these come."""
    code = "await pool.execute(pool.name, select(pool.a).where(pool.b))\n"
    edits = [
        Edit("a.py", "replace-expression", {"at": "body[0]", "expression": "pool", "nth": nth, "replacement": "c"})
        for nth in (1, 0, 3)
    ]
    query = "select(pool.a).where(pool.b)"
    arguments = {"at": "body[0]", "expression": query, "nth": 0, "form": "select", "populate": False}
    edits.append(Edit("a.py", "lock-rows", arguments))
    result = apply_edits(code.encode(), edits, CODEMODS).decode()
    assert result == "await c.execute(c.name, select(pool.a).where(c.b).with_for_update())\n"


def statements(tree: Scope, body: Sequence[cst.CSTNode]) -> Iterator[tuple[ast.stmt, cst.CSTNode]]:
    """The statements at the top of a file and of its definitions, in both trees."""
    places: list[cst.CSTNode] = []
    for line in body:
        alone = isinstance(line, cst.SimpleStatementLine)
        places += [line.with_changes(body=[small]) for small in line.body] if alone else [line]
    for node, place in zip(tree.body, places, strict=True):
        yield node, place
        if isinstance(node, _SCOPES):
            yield from statements(node, cst.ensure_type(place, cst.FunctionDef | cst.ClassDef).body.body)


def header(statement: ast.stmt) -> Iterator[ast.expr]:
    """The expressions of a statement itself, in the order of their positions."""
    pending: list[ast.AST] = [statement]
    found: list[ast.expr] = []
    while pending:
        node = pending.pop()
        if isinstance(node, ast.expr):
            found.append(node)
        pending += [
            child
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case)
        ]
    return iter(sorted(found, key=lambda node: (node.lineno, node.col_offset)))


@pytest.mark.parametrize("folder", _FILES, ids=lambda folder: folder.name)
def test_counts_expressions_as_ast_does(folder: Path) -> None:
    counted: Counter[str] = Counter()
    for file in Random(folder.name).sample(sorted(folder.glob("*.py")), 4):
        code = file.read_text(encoding="utf-8")
        for node, place in statements(ast.parse(code), cst.parse_module(code).body):
            expected = [ast.unparse(part) for part in header(node) if isinstance(part, _COUNTED)]
            kinds = (cst.Name, cst.Attribute, cst.Call, cst.Await)
            found = [code_of(part) for part in expressions(place) if isinstance(part, kinds)]
            found = [ast.unparse(ast.parse(f"({part})")) for part in found]
            constants = {"True", "False", "None"}
            assert [part for part in found if part not in constants] == expected
            counted.update(type(part).__name__ for part in header(node))
    assert counted["Call"] > 40


@pytest.mark.parametrize("folder", _FILES, ids=lambda folder: folder.name)
def test_nothing_but_the_expression_changes(folder: Path) -> None:
    random = Random(folder.name)
    for file in random.sample(sorted(folder.glob("*.py")), 4):
        code = file.read_text(encoding="utf-8")
        tree = ast.parse(code)
        for index in random.sample(range(len(tree.body)), k=min(8, len(tree.body))):
            kinds = (ast.Name, ast.Attribute, ast.Call)
            found = [part for part in header(tree.body[index]) if isinstance(part, kinds)]
            loaded = [part for part in found if isinstance(getattr(part, "ctx", ast.Load()), ast.Load)]
            if not loaded:
                continue
            node = random.choice(loaded)
            text = ast.unparse(node)
            alike = [part for part in found if ast.unparse(part) == text]
            edit = {"at": f"body[{index}]", "expression": text, "nth": alike.index(node), "replacement": "new.name"}
            result = run("replace-expression", code, **edit)
            assert ast.unparse(ast.parse(result)) == ast.unparse(replaced(tree, node))


def replaced(tree: ast.Module, node: ast.expr) -> ast.Module:
    """The program with `new.name` in place of an expression."""
    new = ast.parse("new.name", mode="eval").body
    return cast("ast.Module", deepcopy(tree, {id(node): new}))
