"""Codemods that put, replace and wrap statements for a database: what they make of odd places, where they refuse."""

from __future__ import annotations

import libcst as cst
import pytest
from codemods_registry import CODEMODS
from test_codemods import run

from autolock.edits import Edit
from autolock.rewriting import RewriteError, apply_edits
from codemods.paths import PlaceError

Arguments = dict[str, str | int | bool]
NESTED: Arguments = {"session": "s", "is_async": False, "reselect": "a = s.scalar(q)", "error": "E"}


def edited(code: str, *edits: tuple[str, Arguments]) -> str:
    """What several edits make of a program."""
    made = [Edit("app.py", name, arguments) for name, arguments in edits]
    return apply_edits(code.encode(), made, CODEMODS).decode()


@pytest.mark.parametrize(
    ("name", "code", "arguments", "expected"),
    [
        ("insert-before", "if a: b\n", {"at": "body[0].body[0]"}, "if a:\n    w()\n    b\n"),
        ("insert-after", "if a: b\n", {"at": "body[0].body[0]"}, "if a:\n    b\n    w()\n"),
        ("insert-before", "a; b\n", {"at": "body[0]"}, "w()\na; b\n"),
        ("insert-after", "a; b\n", {"at": "body[1]"}, "a; b\nw()\n"),
        ("insert-before", "# top\n\n# a\na", {"at": "body[0]"}, "# top\n\nw()\n# a\na"),
        ("insert-before", "a\r\n\r\n@b\r\ndef f(): c\r\n", {"at": "body[1]"}, "a\r\n\r\nw()\r\n@b\r\ndef f(): c\r\n"),
        ("insert-after", "a", {"at": "body[0]"}, "a\nw()"),
        ("insert-after", "if a:\n    b\n# c\nd\n", {"at": "body[0]"}, "if a:\n    b\nw()\n# c\nd\n"),
        ("update-in-sql", "if a: b  # c\n", {"at": "body[0].body[0]"}, "if a: w()  # c\n"),
    ],
)
def test_one_statement(name: str, code: str, arguments: Arguments, expected: str) -> None:
    assert run(name, code, code="w()", **arguments) == expected


def test_several_statements_beside_one_are_in_the_order_given() -> None:
    beside: list[tuple[str, Arguments]] = [
        (name, {"at": "body[0]", "code": f"{name.replace('-', '_')}({number})"})
        for name in ("insert-before", "insert-after")
        for number in (1, 2)
    ]
    expected = ["insert_before(1)", "insert_before(2)", "a", "insert_after(1)", "insert_after(2)", ""]
    assert edited("a\n", *beside).split("\n") == expected


def test_inserted_statements_are_in_the_block_with_the_one_beside() -> None:
    wrap: Arguments = {"at": "body[0]", "count": 1, "header": "s.begin()", "is_async": False}
    beside: Arguments = {"at": "body[0]", "code": "w()"}
    code = edited("a\nb\n", ("insert-before", beside), ("wrap-in-transaction", wrap), ("insert-after", beside))
    assert code == "with s.begin():\n    w()\n    a\n    w()\nb\n"


def test_commits_but_the_last_become_flushes_in_a_transaction() -> None:
    code = "a()\ns.commit()\nb()\ns.commit()\n"
    wrap: Arguments = {"at": "body[0]", "count": 4, "header": "s.begin()", "is_async": False}
    flush: Arguments = {"at": "body[1]", "expression": "s.commit()"}
    edits: list[tuple[str, Arguments]] = [("flush-commit", flush), ("remove-statement", {"at": "body[3]"})]
    assert edited(code, *edits, ("wrap-in-transaction", wrap)) == "with s.begin():\n    a()\n    s.flush()\n    b()\n"


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        (
            "a()\n",
            {"answer": "return None"},
            "try:\n    a()\nexcept E:\n    return None\n",
        ),
        (
            "a()\n",
            {"answer": "b = 1\nif b:\n    raise A(b)\nraise", "session": "self.db"},
            "try:\n    a()\nexcept E as error:\n    self.db.rollback()\n    b = 1\n    if b:\n"
            "        raise A(b) from error\n    raise\n",
        ),
        (
            "a()\n",
            {"answer": "raise A from None", "session": "s", "is_async": True},
            "try:\n    a()\nexcept E:\n    await s.rollback()\n    raise A from None\n",
        ),
        (
            "a(error)\n",
            {"answer": "raise A(conflict)"},
            "try:\n    a(error)\nexcept E as error_1:\n    raise A(conflict) from error_1\n",
        ),
        (
            "if a: b()",
            {"at": "body[0].body[0]", "answer": "c"},
            "if a:\n    try:\n        b()\n    except E:\n        c",
        ),
        (
            "def f():\n\tif a:\n\t\tb()\n\n\tc\n",
            {"at": "body[0].body[0]", "answer": "d"},
            "def f():\n\ttry:\n\t\tif a:\n\t\t\tb()\n\texcept E:\n\t\td\n\n\tc\n",
        ),
    ],
)
def test_answers_a_conflict(code: str, arguments: Arguments, expected: str) -> None:
    assert run("answer-conflict", code, **{"at": "body[0]", "count": 1, "error": "E", **arguments}) == expected


def test_a_nested_transaction_moves_the_places_inside_it() -> None:
    nested: Arguments = {"at": "body[0]", "count": 3, **NESTED, "drop_last": True}
    code = edited(
        "a()\nb()\ns.flush()\nc()\n",
        ("insert-or-reselect", nested),
        ("update-in-sql", {"at": "body[1]", "code": "w()"}),
        ("update-in-sql", {"at": "body[3]", "code": "x()"}),
    )
    assert code == "try:\n    with s.begin_nested():\n        a()\n        w()\nexcept E:\n    a = s.scalar(q)\nx()\n"


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        (
            "def f(): return s\n",
            {"is_async": False},
            "def f():\n    with S() as session:\n        yield session\n",
        ),
        (
            "async def f():\n    '''Doc.'''\n    return s\n    # left\n",
            {"is_async": False, "name": "db"},
            "async def f():\n    '''Doc.'''\n    with S() as db:\n        yield db\n    # left\n",
        ),
        (
            "@a\n@functools.cache\n@b.c(1)\ndef f(x: int = 1) -> s.S :  # one\n  global t; return t\n",
            {"is_async": True, "annotation": "I[S]", "undecorate": "cache, c"},
            "@a\nasync def f(x: int = 1) -> I[S] :  # one\n  async with S() as session:\n    yield session\n",
        ),
        (
            "def f():\n    'Doc.'; return s\n",
            {"is_async": False},
            "def f():\n    'Doc.'\n    with S() as session:\n        yield session\n",
        ),
    ],
)
def test_yields_a_session(code: str, arguments: Arguments, expected: str) -> None:
    assert run("yield-session", code, at="body[0]", factory="S", **arguments) == expected


@pytest.mark.parametrize(
    ("code", "decorator", "expected"),
    [
        ("@a\ndef f(): pass\n", "a", "def f(): pass\n"),
        ("@a\n# of b\n@b\nclass C: pass\n", "@a", "# of b\n@b\nclass C: pass\n"),
        ("# f\n@a(1, b = 2)\n@a\n\n# f\nasync def f(): pass\n", "a(1, b=2)", "# f\n@a\n\n# f\nasync def f(): pass\n"),
    ],
)
def test_takes_a_decorator_away(code: str, decorator: str, expected: str) -> None:
    assert run("undecorate", code, at="body[0]", decorator=decorator) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("await gather(x(), y())", "await x()\nawait y()"),
        ("if a: await gather(x(), y())", "if a:\n    await x()\n    await y()"),
        ("a, b = await gather(x(), y())", "a = await x()\nb = await y()"),
        ("[a, b] = await gather(x(), y(), return_exceptions=False)", "a = await x()\nb = await y()"),
        ("a, b = await gather(x(), y(a))", "a, b = [await x(), await y(a)]"),
        ("a, b.c = await gather(x(), y())", "a, b.c = [await x(), await y()]"),
        ("a, *b = await gather(x(), y())", "a, *b = [await x(), await y()]"),
        ("a = await gather(x(), y(), return_exceptions=False)", "a = [await x(), await y()]"),
        ("return (await gather(x(), y()))[0]", "return ([await x(), await y()])[0]"),
        ("a = await gather(*(x(i) for i in b))", "a = [await x(i) for i in b]"),
        ("a = await gather(*[x(i) async for i in b if i])", "a = [await x(i) async for i in b if i]"),
        ("a = await gather(y(), *(x(i) for i in b))", "a = [await y(), *[await x(i) for i in b]]"),
        (
            "a, b = await gather(\n    x(),  # one\n    y(),\n)",
            "a, b = [\n    await x(),  # one\n    await y(),\n]",
        ),
        ("for a in await gather(x()):\n    # b\n    pass", "for a in [await x()]:\n    # b\n    pass"),
        ("# c\nawait gather(*(x(i) for i in b))  # d\n", "# c\nfor i in b:\n    await x(i)  # d\n"),
        ("await gather(*[x(i) for i in b])\nprint(i)", "[await x(i) for i in b]\nprint(i)"),
        ("await gather(*[x(i) for i in b if i])", "[await x(i) for i in b if i]"),
    ],
)
def test_awaits_in_sequence(code: str, expected: str) -> None:
    inside = code.partition(": ")[0] == "if a"
    at = "body[0].body[0]" if inside else "body[0]"
    call = next(
        cst.Module(()).code_for_node(node)
        for node in _calls(cst.parse_module(code))
        if isinstance(node.func, cst.Name) and node.func.value == "gather"
    )
    assert run("gather-in-sequence", code, at=at, expression=call) == expected
    assert run("gather-in-sequence", code, at=at, expression=f"await {call}") == expected


def _calls(node: cst.CSTNode) -> list[cst.Call]:
    inside = [call for child in node.children for call in _calls(child)]
    return [node, *inside] if isinstance(node, cst.Call) else inside


@pytest.mark.parametrize(
    ("name", "code", "arguments", "reason"),
    [
        ("insert-before", "a; b", {"at": "body[1]", "code": "c"}, "semicolon"),
        ("insert-after", "a; b", {"at": "body[0]", "code": "c"}, "semicolon"),
        ("insert-before", "if a: b\nelif c: d", {"at": "body[0].orelse[0]", "code": "c"}, "an elif"),
        ("insert-before", "a", {"at": "body[0]", "code": "c; d"}, "not one simple statement"),
        ("insert-before", "a", {"at": "body[0]", "code": "if c: d"}, "not one simple statement"),
        ("insert-before", "a", {"at": "body[0]", "code": "c d"}, "not Python"),
        ("insert-before", "a", {"at": "body[0]", "code": "# c"}, "no statement to write"),
        ("update-in-sql", "if a: b", {"at": "body[0]", "code": "c"}, "only a simple"),
        ("update-in-sql", "f(\n  a,  # b\n)", {"at": "body[0]", "code": "c"}, "comments"),
        ("wrap-in-transaction", "a", {"at": "body[0]", "count": 1, "header": "a as", "is_async": True}, "not an expr"),
        ("answer-conflict", "a", {"at": "body[0]", "count": 1, "error": "E +", "answer": "b"}, "not an expression"),
        ("answer-conflict", "a", {"at": "body[0]", "count": 1, "error": "E", "answer": ""}, "no statement to write"),
        (
            "insert-or-reselect",
            "a\ns.commit()",
            {"at": "body[0]", "count": 2, **NESTED, "drop_last": True},
            r"not 's.flush\(\)'",
        ),
        (
            "insert-or-reselect",
            "s.flush()",
            {"at": "body[0]", "count": 1, **NESTED, "drop_last": True},
            "at least one",
        ),
        ("yield-session", "a", {"at": "body[0]", "factory": "S", "is_async": True}, "no function"),
        ("yield-session", "def f() -> S: pass", {"at": "body[0]", "factory": "S", "is_async": True}, "annotation"),
        (
            "yield-session",
            "@a\ndef f(): pass",
            {"at": "body[0]", "factory": "S", "is_async": True, "undecorate": "b"},
            "no decorator b",
        ),
        ("undecorate", "@a.b\ndef f(): pass", {"at": "body[0]", "decorator": "b"}, "no decorator b"),
        ("undecorate", "a", {"at": "body[0]", "decorator": "b"}, "no function or class"),
    ],
)
def test_refuses(name: str, code: str, arguments: Arguments, reason: str) -> None:
    with pytest.raises(PlaceError, match=reason):
        run(name, code, **arguments)


@pytest.mark.parametrize(
    ("code", "expression", "reason"),
    [
        ("await gather(x(), return_exceptions=True)", "", "returns exceptions"),
        ("await gather(x(), loop=a)", "", "unknown meaning"),
        ("await gather(x(), **a)", "", "unknown meaning"),
        ("await gather(x(), y)", "", "running already"),
        ("await gather(*tasks)", "", "running already"),
        ("await gather(*(t for t in tasks))", "", "running already"),
        ("await gather()", "", "no arguments"),
        ("await f(x())", "", "no gather"),
        ("g = gather(x())", "gather(x())", "no gather"),
        ("a = await gather(  # one\n    *(x(i) for i in b)\n)", "gather(*(x(i) for i in b))", "comments"),
    ],
)
def test_refuses_to_await_in_sequence(code: str, expression: str, reason: str) -> None:
    with pytest.raises(PlaceError, match=reason):
        run("gather-in-sequence", code, at="body[0]", expression=expression or code)


def test_a_statement_that_is_replaced_takes_no_other_edit() -> None:
    provider: Arguments = {"at": "body[0]", "factory": "S", "is_async": False}
    inside: Arguments = {"at": "body[0].body[0]", "code": "w()"}
    with pytest.raises(RewriteError, match="replaced by another edit"):
        edited("def f():\n    return s\n", ("yield-session", provider), ("update-in-sql", inside))
