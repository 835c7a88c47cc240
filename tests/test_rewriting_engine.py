"""The engine: edits compose, bytes survive, and what cannot be proven is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from codemods_registry import CODEMODS
from libcst.codemod.commands.convert_format_to_fstring import ConvertFormatStringCommand

from autolock.edits import Edit
from autolock.rewriting import RewriteError, apply_edits, check_compiles
from codemods.remove_statement import RemoveStatement

if TYPE_CHECKING:
    import libcst as cst

    from codemods.base import PlacedCodemod


def edit(codemod: str, /, **arguments: str | int | bool) -> Edit:
    return Edit("app.py", codemod, arguments)


def wrap(at: str, count: int = 1, lock: str = "lock") -> Edit:
    return edit("wrap-in-lock", at=at, count=count, lock=lock, is_async=False)


def define(after: str, target: str, *, first_in: bool = False) -> Edit:
    return edit("define-lock", after=after, target=target, kind="asyncio", first_in=first_in)


def apply(source: bytes, *edits: Edit) -> bytes:
    return apply_edits(source, edits, CODEMODS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(b"a = 1", b"with lock:\n    a = 1", id="no final newline"),
        pytest.param(b"\xef\xbb\xbfa = 1\r\n", b"\xef\xbb\xbfwith lock:\r\n    a = 1\r\n", id="mark and CRLF"),
        pytest.param(b"a = 1\rb = 2\r", b"with lock:\r    a = 1\rb = 2\r", id="CR"),
        pytest.param(b"a = 1\r\nb = 2\n", b"with lock:\r\n    a = 1\r\nb = 2\n", id="mixed, CRLF"),
        pytest.param(b"a = 1\nb = 2\r\n", b"with lock:\n    a = 1\nb = 2\r\n", id="mixed, LF"),
        pytest.param(
            b"# coding: latin-1\n\na = '\xe9'\n", b"# coding: latin-1\n\nwith lock:\n    a = '\xe9'\n", id="cookie"
        ),
        pytest.param(
            b"a = 1\n\x0c\nif a:\n\tb = 2\n", b"with lock:\n\ta = 1\n\x0c\nif a:\n\tb = 2\n", id="form feed and tabs"
        ),
        pytest.param(b"a = 1\n   ", b"with lock:\n    a = 1\n   ", id="blank end"),
        pytest.param(b"a = 1\n# end", b"with lock:\n    a = 1\n# end", id="comment at the end"),
    ],
)
def test_bytes_beside_the_edit_survive(source: bytes, expected: bytes) -> None:
    assert apply(source, wrap("body[0]")) == expected


def test_what_libcst_loses_is_kept() -> None:
    source = b"\x0c# licence\na = 1\nif a:\n\x0c    b = 2\n    c = 3\n"
    assert apply(source, wrap("body[0]")) == (
        b"\x0c# licence\nwith lock:\n    a = 1\nif a:\n\x0c    b = 2\n    c = 3\n"
    )
    assert apply(source, define("body[0]", "lock")) == (
        b"\x0c# licence\nimport asyncio\n\na = 1\nlock = asyncio.Lock()\nif a:\n\x0c    b = 2\n    c = 3\n"
    )
    with pytest.raises(RewriteError, match="does not keep"):
        apply(source, wrap("body[1]"))


SHOP = b"""\
stock = {}
sold = []


def sell(item):
    log()
    if stock[item]:
        stock[item] -= 1
        sold.append(item)
    return item
"""


def test_edits_of_a_plan() -> None:
    found = apply(
        SHOP,
        wrap("body[2].body[1]", 1, "stock_lock"),
        wrap("body[2].body[1].body[1]", 1, "sold_lock"),
        define("body[0]", "stock_lock"),
        define("body[1]", "sold_lock"),
        edit("import-name", module=".audit", name="audit_lock"),
        edit("remove-statement", at="body[2].body[0]"),
    )
    assert found.decode() == (
        "import asyncio\n\nfrom .audit import audit_lock\n\n"
        "stock = {}\nstock_lock = asyncio.Lock()\nsold = []\nsold_lock = asyncio.Lock()\n\n\n"
        "def sell(item):\n"
        "    with stock_lock:\n"
        "        if stock[item]:\n"
        "            stock[item] -= 1\n"
        "            with sold_lock:\n"
        "                sold.append(item)\n"
        "    return item\n"
    )


@pytest.mark.parametrize("reverse", [False, True])
def test_nested_regions_do_not_depend_on_the_order_given(reverse: bool) -> None:
    edits = [wrap("body[0]", 3, "outer"), wrap("body[1]", 2, "inner")]
    found = apply(b"a = 1\nb = 2\nc = 3\n", *(reversed(edits) if reverse else edits))
    assert found == b"with outer:\n    a = 1\n    with inner:\n        b = 2\n        c = 3\n"


def test_regions_and_definitions_at_one_place_keep_the_order_given() -> None:
    source = b"import asyncio\na = 1\n"
    edits = [wrap("body[1]", 1, "x"), wrap("body[1]", 1, "y"), define("body[1]", "x"), define("body[1]", "y")]
    assert apply(source, *edits) == (
        b"import asyncio\nwith x:\n    with y:\n        a = 1\nx = asyncio.Lock()\ny = asyncio.Lock()\n"
    )


def test_edits_that_are_alike_are_made_once() -> None:
    assert apply(b"a = 1\n", wrap("body[0]"), wrap("body[0]")) == b"with lock:\n    a = 1\n"


def test_an_extended_block_holds_what_is_wrapped_in_it() -> None:
    source = b"a = 1\nwith lock:\n    b = 2\n    c = 3\nd = 4\n"
    edits = [
        edit("extend-lock", at="body[1]", before=1, after=1),
        edit("replace-lock", at="body[1]", item=0, lock="other", is_async=False),
        wrap("body[1].body[1]", 1, "x"),
        wrap("body[2]", 1, "y"),
    ]
    assert apply(source, *edits) == (
        b"with other:\n    a = 1\n    b = 2\n    with x:\n        c = 3\n    with y:\n        d = 4\n"
    )


def test_nothing_to_do() -> None:
    assert apply(b"a = 1\n") == b"a = 1\n"


class Careless(RemoveStatement):
    """A codemod of someone else whose inverse is wrong."""

    def undo(self, tree: cst.Module) -> cst.Module:
        return tree


def test_refuses_a_codemod_without_inverse() -> None:
    plain = cast("type[PlacedCodemod]", ConvertFormatStringCommand)
    with pytest.raises(RewriteError, match="cannot be taken back"):
        apply_edits(b"a = 1\n", [edit("plain")], {"plain": plain})


@pytest.mark.parametrize(
    ("source", "edits", "reason"),
    [
        (b"a = 1\n", [edit("unheard-of")], "there is no codemod 'unheard-of'"),
        (b"a = 1\n", [edit("wrap-in-lock", at="body[0]")], "wrap-in-lock: .*missing"),
        (b"a = 1\n", [wrap("body[1]")], "no statement 1"),
        (b"a = \n", [wrap("body[0]")], "cannot parse the file: .* line 1"),
        (b"a = '\0'\n", [wrap("body[0]")], "cannot parse"),
        (b"a = '\xff'\n", [wrap("body[0]")], "cannot be decoded"),
        (b"# coding: unheard-of\n", [wrap("body[0]")], "cannot be decoded"),
        (b"# coding: rot13\n", [wrap("body[0]")], "cannot be decoded"),
        (b"# coding: latin-1\na = 1\n", [wrap("body[0]", 1, "\u0436")], "encoding"),
        (b"a = " + b"-" * 3000 + b"1\n", [wrap("body[0]")], "too deep"),
        (b"a = 1\nb = 2\nc = 3\n", [wrap("body[0]", 2), wrap("body[1]", 2, "other")], "overlaps"),
        (b"a = 1\n", [edit("careless", at="body[0]")], "does not give the original"),
        (
            b"a = 1\n",
            [edit("remove-statement", at="body[0]"), edit("snapshot-iteration", at="body[0]")],
            "no plain for|removed",
        ),
    ],
)
def test_refuses(source: bytes, edits: list[Edit], reason: str) -> None:
    with pytest.raises(RewriteError, match=reason) as raised:
        apply_edits(source, edits, {**CODEMODS, "careless": Careless})
    assert raised.value.reason == str(raised.value)


@pytest.mark.parametrize(
    "after", [b"def f():\n    await g()\n", b"async with lock:\n    a = 1\n", b"def f():\n    a = 1\n    global a\n"]
)
def test_what_parses_and_cannot_run_is_no_result(after: bytes) -> None:
    with pytest.raises(RewriteError, match="would not be valid Python"):
        check_compiles(b"a = 1\n", after)
    check_compiles(after, after)
