"""Each codemod on readable programs, under libcst's own command, and where it must refuse."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

import libcst as cst
import pytest
from codemods_registry import CODEMODS
from libcst.codemod import CodemodContext
from libcst.tool import main as libcst_tool

from codemods.paths import PlaceError, StatementPath

if TYPE_CHECKING:
    from codemods.base import PlacedCodemod

DATA = Path(__file__).parent / "codemods"
ROOT = Path(__file__).parent.parent
CASES = [
    pytest.param(folder.name.replace("_", "-"), folder / name, arguments, id=f"{folder.name}-{name}")
    for folder in sorted(path.parent for path in DATA.glob("*/arguments.json"))
    for name, arguments in json.loads((folder / "arguments.json").read_text(encoding="utf-8")).items()
]
Arguments = dict[str, str | int | bool]


def run(codemod_name: str, code: str, /, **arguments: str | int | bool) -> str:
    """What a codemod makes of a program, once its inverse has given the program back."""
    codemod = CODEMODS[codemod_name](CodemodContext(), **arguments)
    result = codemod.transform_module(cst.parse_module(code))
    assert codemod.undo(result).code == code
    return result.code


def beside(case: Path, kind: str) -> Path:
    return case.with_name(f"{case.name}.{kind}.py")


@pytest.mark.parametrize(("name", "case", "arguments"), CASES)
def test_case(name: str, case: Path, arguments: Arguments) -> None:
    before, after = (beside(case, kind).read_text(encoding="utf-8") for kind in ("before", "after"))
    assert run(name, before, **arguments) == after


def options(codemod: type[PlacedCodemod], arguments: Arguments) -> list[str]:
    """The arguments as options of the command line."""
    words: list[str] = []
    for key, value in arguments.items():
        option = f"--{key.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not False:
            words += [option, str(value)]
        elif signature(codemod).parameters[key].default is True:
            words.append(f"--no-{option[2:]}")
    return words


@pytest.mark.parametrize(("name", "case", "arguments"), CASES)
def test_under_the_command_of_libcst(name: str, case: Path, arguments: Arguments, tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    shutil.copy(beside(case, "before"), file)
    codemod = CODEMODS[name]
    called = [f"{codemod.__module__}.{codemod.__name__}", "--no-format", "--hide-progress", "-j", "1"]
    assert libcst_tool("libcst.tool", ["codemod", "-x", *called, *options(codemod, arguments), str(file)]) == 0
    assert file.read_text(encoding="utf-8") == beside(case, "after").read_text(encoding="utf-8")


def test_the_command_in_a_process_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("a = 1\n")
    command = [sys.executable, "-m", "libcst.tool", "codemod", "-x", "codemods.wrap_in_lock.WrapInLock"]
    words = [*command, "--no-format", "--at", "body[0]", "--lock", "lock", str(file)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    assert file.read_text() == "with lock:\n    a = 1\n"


@pytest.mark.parametrize("text", ["", "body", "body[]", "body[-1]", "body[0]body[1]", "test[0]", "body[0]..body[1]"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(PlaceError, match="not a statement path"):
        StatementPath.parse(text)


PROGRAM = """\
a = 1; b = 2
if a:
    b = 3
elif b:
    b = 4
for i in a: pass
try:
    pass
except A:
    with a, b:
        pass
lock.acquire()
c = 1
lock.release()
"""
GUARD: Arguments = {"lock": "lock", "is_async": False}


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("wrap-in-lock", {"at": "body[0]", "count": 1, **GUARD}, "semicolons"),
        ("wrap-in-lock", {"at": "body[1]", "count": 2, **GUARD}, "semicolons"),
        ("wrap-in-lock", {"at": "body[2].orelse[0]", "count": 1, **GUARD}, "an elif"),
        ("wrap-in-lock", {"at": "body[2].orelse[1].body[0]", "count": 1, **GUARD}, "an elif"),
        ("wrap-in-lock", {"at": "body[9]", "count": 1, **GUARD}, "no statement 9"),
        ("wrap-in-lock", {"at": "body[7]", "count": 2, **GUARD}, "no statement 8"),
        ("wrap-in-lock", {"at": "body[0]", "count": 0, **GUARD}, "at least one"),
        ("wrap-in-lock", {"at": "body[3].orelse[0]", "count": 1, **GUARD}, "no block 'orelse'"),
        ("wrap-in-lock", {"at": "body[0].body[0]", "count": 1, **GUARD}, "no block 'body'"),
        ("wrap-in-lock", {"at": "body[4].handlers[1].body[0]", "count": 1, **GUARD}, "no block at handlers"),
        ("wrap-in-lock", {"at": "body[4].handlers[0]", "count": 1, **GUARD}, "no block at handlers"),
        ("wrap-in-lock", {"at": "body[6]", "count": 1, "lock": "a +", "is_async": False}, "not an expression"),
        ("wrap-checked", {"at": "body[7]", "count": 1, "checks": 1, **GUARD}, "must be the first"),
        ("double-checked", {"at": "body[2]", **GUARD}, "without else"),
        ("double-checked", {"at": "body[3]", **GUARD}, "without else"),
        ("replace-lock", {"at": "body[2]", "item": 0, **GUARD}, "no with statement"),
        ("replace-lock", {"at": "body[4].handlers[0].body[0]", "item": 2, **GUARD}, "no with statement"),
        (
            "replace-lock",
            {"at": "body[4].handlers[0].body[0]", "item": 0, "lock": "lock", "is_async": True},
            "other items",
        ),
        ("extend-lock", {"at": "body[5]", "before": 1, "after": 0}, "no with statement"),
        ("extend-lock", {"at": "body[5]", "before": 6, "after": 0}, "that far before"),
        ("ask-again", {"at": "body[2]"}, "no if statement"),
        ("ask-again", {"at": "body[2].orelse[0]"}, "an elif"),
        ("snapshot-iteration", {"at": "body[2]"}, "no plain for"),
        ("release-in-finally", {"at": "body[5]", "count": 1, "lock": "lock", "is_async": True}, "await lock.acquire"),
        ("release-in-finally", {"at": "body[5]", "count": 1, "lock": "other", "is_async": False}, "other.acquire"),
        ("release-in-finally", {"at": "body[5]", "count": 0, **GUARD}, "nothing between"),
        ("remove-statement", {"at": "body[2]"}, "simple statement"),
        ("remove-statement", {"at": "body[1]"}, "semicolons"),
        ("define-lock", {"after": "body[0]", "target": "x", "kind": "asyncio"}, "semicolon"),
        ("define-lock", {"after": "body[6]", "target": "f()", "kind": "asyncio"}, "not an assignment"),
        ("define-lock", {"after": "body[6]", "target": "x = y", "kind": "asyncio"}, "not an assignment"),
        (
            "define-lock",
            {"after": "body[2]", "target": "x", "kind": "asyncio", "first_in": True},
            "no function or class",
        ),
        ("import-name", {"module": "a-b", "name": "c"}, "not an import"),
    ],
)
def test_refuses(name: str, arguments: Arguments, reason: str) -> None:
    with pytest.raises(PlaceError, match=reason):
        run(name, PROGRAM, **arguments)


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        ("import asyncio\n", {"module": "asyncio"}),
        ("import asyncio as aio\n", {"module": "asyncio", "alias": "aio"}),
        ("from .store import lock\n", {"module": ".store", "name": "lock"}),
        ("from . import lock\n", {"module": ".", "name": "lock"}),
        ("try:\n    from fast import lock\nexcept ImportError:\n    pass\n", {"module": "fast", "name": "lock"}),
        ("from a import b as c\n", {"module": "a", "name": "b", "alias": "c"}),
        ("import os.path\n", {"module": "os"}),
    ],
)
def test_what_is_imported_already(code: str, arguments: Arguments) -> None:
    assert run("import-name", code, **arguments) == code


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        ("", {"module": "asyncio"}, "import asyncio"),
        ("# licence\n", {"module": "asyncio"}, "# licence\nimport asyncio\n"),
        ("# licence\n\n# about\nx = 1\n", {"module": "os"}, "# licence\n\nimport os\n\n# about\nx = 1\n"),
        ("from a import *\n", {"module": "a", "name": "b"}, "from a import *\nfrom a import b\n"),
        ("from a import b as c\n", {"module": "a", "name": "b"}, "from a import b as c, b\n"),
        ("from a import (b)\n", {"module": "a", "name": "A"}, "from a import (A, b)\n"),
        ("from a import (\n    b\n)\n", {"module": "a", "name": "c"}, "from a import (\n    b,\n    c\n)\n"),
        (
            "from a import (\n    b  # why\n)\n",
            {"module": "a", "name": "c"},
            "from a import (\n    b,  # why\n    c\n)\n",
        ),
        ("from a import z, b\n", {"module": "a", "name": "c"}, "from a import z, b, c\n"),
        ("from a import b, \\\n    d\n", {"module": "a", "name": "c"}, "from a import b, \\\n    c, \\\n    d\n"),
        ("import sys\nimport os\n", {"module": "re"}, "import sys\nimport os\nimport re\n"),
        ("import os\r\nx = 1\r\n", {"module": "asyncio"}, "import asyncio\r\nimport os\r\nx = 1\r\n"),
        (
            "from ..a import b\nfrom .c import d\n",
            {"module": ".b", "name": "e"},
            "from ..a import b\nfrom .b import e\nfrom .c import d\n",
        ),
        ("x = 1\nimport os\n", {"module": "asyncio", "before": "body[0]"}, "import asyncio\n\nx = 1\nimport os\n"),
        ("import asyncio as a\n", {"module": "asyncio"}, "import asyncio as a\nimport asyncio\n"),
        (
            "from fastapi import Depends\n\nfrom app.db import get\nfrom app.api import post\n",
            {"module": "sqlalchemy.exc", "name": "IntegrityError"},
            "from fastapi import Depends\nfrom sqlalchemy.exc import IntegrityError\n\n"
            "from app.db import get\nfrom app.api import post\n",
        ),
    ],
)
def test_where_imports_go(code: str, arguments: Arguments, expected: str) -> None:
    assert run("import-name", code, **arguments) == expected


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        ("class A: x = {}\n", {"after": "body[0].body[0]"}, "class A:\n    x = {}\n    lock = asyncio.Lock()\n"),
        (
            "def f(): return 1\n",
            {"after": "body[0]", "first_in": True},
            "def f():\n    lock = asyncio.Lock()\n    return 1\n",
        ),
        ("import asyncio\n\nx = 1", {"after": "body[1]"}, "import asyncio\n\nx = 1\nlock = asyncio.Lock()"),
        (
            "from asyncio import Lock as L\nx = 1\n",
            {"after": "body[1]"},
            "from asyncio import Lock as L\nx = 1\nlock = L()\n",
        ),
        ("import asyncio\n", {"after": "body[0]"}, "import asyncio\n\nlock = asyncio.Lock()\n"),
        ('"""Doc."""\n', {"after": "body[0]"}, '"""Doc."""\n\nimport asyncio\n\nlock = asyncio.Lock()\n'),
        (
            "from asyncio import Lock\nfrom threading import Lock\nx = 1\n",
            {"after": "body[2]"},
            "import asyncio\nfrom asyncio import Lock\nfrom threading import Lock\nx = 1\nlock = asyncio.Lock()\n",
        ),
        (
            "x = 1\nimport asyncio\n",
            {"after": "body[0]"},
            "import asyncio\n\nx = 1\nlock = asyncio.Lock()\nimport asyncio\n",
        ),
    ],
)
def test_how_locks_are_defined(code: str, arguments: Arguments, expected: str) -> None:
    found = run("define-lock", code, target="lock", kind="asyncio", **arguments)
    assert found.removeprefix("import asyncio\n\n\n") == expected
