"""Syntax newer than the interpreter's: understood as what it means, with everything else where it was."""

from __future__ import annotations

import ast
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codemods.older_syntax import in_older_syntax
from codemods.parsing import parse

MEANT = [
    ("class A[T: int = str](Base[T], x=1):\n    pass\n", "class A(Base[T], x=1):\n    pass\n"),
    ("class A[\n    T,  # of what\n\n]:\n    pass\n", "class A:\n    pass\n"),
    ("async def f[T, *Ts, **P](a: T) -> T:\n    return a\n", "async def f(a: T) -> T:\n    return a\n"),
    ("def f[T: (int, str)]():\n    return a[b]\n", "def f():\n    return a[b]\n"),
    ("type X = int | str\n", "X: TypeAlias = int | str\n"),
    ("type X[\n    T, **P] = dict[T, str]\nx = 1\n", "X: TypeAlias = dict[T, str]\nx = 1\n"),
    ("x = 1; type Y = int\n", "x = 1\nY: TypeAlias = int\n"),
    ("type = 3\ntype.x = 4\ntype[1] = 3\nclass B[T]: pass\n", "type = 3\ntype.x = 4\ntype[1] = 3\nclass B: pass\n"),
    ("try:\n    f()\nexcept A, b.C:\n    pass\n", "try:\n    f()\nexcept (A, b.C):\n    pass\n"),
    ("try:\n    f()\nexcept A(1, 2), B, C:\n    pass\n", "try:\n    f()\nexcept (A(1, 2), B, C):\n    pass\n"),
    ("""x = f"a{d["k"]}b"\n""", """x = f"a{d['k']}b"\n"""),
    ("""x = f"{f"{f"{d["k"]}"}"}"\n""", """x = f'''{f\"\"\"{f"{d['k']}"}\"\"\"}'''\n"""),
    ("""x = f"{d["k"]:>{w["x"]}}{e!r}"\n""", """x = f"{d['k']:>{w['x']}}{e!r}"\n"""),
    ("""x = f"{d["k"]}{a, b}{*c, d}{e,}"\n""", """x = f"{d['k']}{(a, b)}{(*c, d)}{(e,)}"\n"""),
    ("""x = f"{d = }{e["k"]}{g=!s:>5}"\n""", """x = f"{d = }{e['k']}{g=!s:>5}"\n"""),
    ("""x = f"{"\\t".join(y)}"\n""", """x = f"{'	'.join(y)}"\n"""),
    ("""x = f"{{}}{d["k"]}\\n\\{"\n""", ""),
    ("""x = f"{{}}{d["k"]}\\n{{"\n""", """x = f"{{}}{d['k']}\\n{{"\n"""),
    ("""x = rf"\\d{d["k"]}\\{e}"\n""", """x = rf"\\d{d['k']}\\{e}"\n"""),
    ("""x = "a" f"{d["k"]}" "b"\n""", """x = f"a{d['k']}b"\n"""),
    ("""x = (\n    "a"  # one\n    f"{d["k"]}"\n    'b'\n)\n""", """x = f"a{d['k']}b"\n"""),
    ("""x = f"{d["k"]}", f'{e}'\n""", """x = f"{d['k']}", f"{e}"\n"""),
    ("""x = f"{\n    y  # why\n}"\n""", """x = f"{y}"\n"""),
    ("""x = f"{lambda_!r:{"<" + w}}{"}"}"\n""", """x = f"{lambda_!r:{'<' + w}}{'}'}"\n"""),
    ("""x = t"hello {name}"\n""", """x = f"hello {name}"\n"""),
    ("""x = t'hello'\n""", """x = f'hello'\n"""),
]


@pytest.mark.parametrize(("newer", "older"), MEANT)
def test_newer_syntax_is_understood(newer: str, older: str) -> None:
    found = in_older_syntax(newer)
    if not older:
        assert found is None
        return
    assert found is not None
    assert ast.dump(found) == ast.dump(ast.parse(older))


@pytest.mark.parametrize(
    "text",
    [
        "def f(:\n",
        "class A[T(:\n    pass\n",
        "x = f'{a\n",
        "x = f'{}{\"'\"}'\n",
        "print 'hello'\nclass A[T]: pass\n",
        "x = '''",
        "type X = \n",
        "{% if x %}\n",
    ],
)
def test_what_is_no_python_of_any_version_is_refused(text: str) -> None:
    assert in_older_syntax(text) is None
    with pytest.raises(SyntaxError):
        parse(text)


PARAMETERS = ["[T]", "[T: int]", "[T: (int, str) = int, *Ts]", "[\n    T,  # a\n    **P\n]", "[T = dict[str, int]]"]
INSIDE = ["a", 'd["k"]', "a, b", "é", '"x"', 'f"{a}"', "a\n", 'd["é"] + b', "a if b else c", "(a := b)", "{k: v}"]
AFTER = ["", "!r", ":>10", ":>{w}", "!s:{w}.{p}", " = ", ':{d["w"]}']
PREFIXES = ["f", "F", "rf", "t"]


@st.composite
def newer_modules(draw: st.DrawFn) -> str:
    source = random.Random(draw(st.integers()))
    one = source.choice

    def string() -> str:
        quote = one(['"', "'", '"""', "'''"])
        pieces = (
            one(["", "text", "é", "{{", "\\n", f"{{{one(INSIDE)}{one(AFTER)}}}"]) for _ in range(source.randint(0, 5))
        )
        return f"{one(PREFIXES)}{quote}{''.join(pieces)}{quote}"

    made = [
        lambda: f"class Alpha{one(PARAMETERS)}{one(['', '()', '(Base[T], meta=x)'])}:\n    beta = gamma\n",
        lambda: f"{one(['', 'async '])}def alpha{one(PARAMETERS)}(beta: T = gamma, *delta):\n    return epsilon\n",
        lambda: f"type Alpha{one(['', *PARAMETERS])} = list[beta]\n",
        lambda: f"try:\n    alpha()\nexcept Beta, {one(['Gamma', 'g.Delta', 'gamma(1, x)'])}:\n    delta()\n",
        lambda: f"alpha({string()}, beta, {string()} {string()})\n",
        lambda: f"alpha = {string()}, beta\n",
    ]
    return "".join(one(made)() for _ in range(source.randint(1, 4)))


def said_at(text: str, node: ast.expr | ast.arg) -> str:
    lines = re.split(r"(?<=\n)", text)
    return lines[node.lineno - 1].encode()[node.col_offset :][: len(node_name(node).encode())].decode()


def node_name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""


@given(newer_modules())
def test_names_stay_where_they_are_written(text: str) -> None:
    tree = in_older_syntax(text) or parse(text)
    written = set(re.findall(r"\b(?:alpha|beta|gamma|delta|epsilon|Base|Beta|Gamma|list)\b", text))
    named = [n for n in ast.walk(tree) if isinstance(n, ast.Name | ast.arg) and node_name(n) != "TypeAlias"]
    assert all(said_at(text, node) == node_name(node) for node in named)
    defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert written - {"g"} <= {node_name(n) for n in named} | defined


@given(newer_modules())
def test_text_that_the_interpreter_knows_is_not_rewritten(text: str) -> None:
    try:
        known = ast.parse(text)
    except SyntaxError:
        return
    if not any(type(n).__name__ == "TypeAlias" for n in known.body):
        assert ast.dump(parse(text), include_attributes=True) == ast.dump(known, include_attributes=True)
