"""Formatting: only the changed lines, only in projects that format, only where it is harmless."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autolock.rewriting import format_changed

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = b"x = {  'a':1 }\nasync def f():\n    await take( 'one', 2 )\n"
AFTER = b"x = {  'a':1 }\nasync def f():\n    async with lock:\n        await take( 'one', 2 )\n"
DOUBLE = AFTER.replace(b"take( 'one', 2 )", b'take("one", 2)')
SINGLE = AFTER.replace(b"take( 'one', 2 )", b"take('one', 2)")
NARROW = AFTER.replace(b"take( 'one', 2 )", b'take(\n            "one", 2\n        )')
HOOKS = "repos:\n- repo: https://github.com/x/y\n  hooks:\n  - id: {}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a package in it."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "app").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("pyproject.toml", "[tool.black]\n", DOUBLE),
        ("pyproject.toml", "[tool.black]\nline-length = 24\n", NARROW),
        (
            "pyproject.toml",
            "[tool.black]\nskip-string-normalization = true\ntarget-version = ['py311', 'py999']\n",
            SINGLE,
        ),
        ("pyproject.toml", "[tool.black]\nextend-exclude = '''\n^/app/ma.*\n'''\n", AFTER),
        ("pyproject.toml", "[tool.ruff]\nline-length = 24\n", NARROW),
        ("pyproject.toml", "[tool.ruff.format]\nquote-style = 'preserve'\n", SINGLE),
        ("pyproject.toml", "[tool.ruff.format]\nquote-style = 'single'\n", SINGLE),
        ("pyproject.toml", "[tool.ruff.format]\nindent-style = 'tab'\n", AFTER),
        ("pyproject.toml", "[tool.ruff]\nindent-width = 2\n", AFTER),
        ("pyproject.toml", "[tool.ruff]\nextend-exclude = ['app']\n", AFTER),
        ("pyproject.toml", "[tool.isort]\nprofile = 'black'\n", AFTER),
        ("pyproject.toml", "not toml", AFTER),
        ("ruff.toml", "line-length = 24\n", NARROW),
        (".ruff.toml", "[format]\nquote-style = 'single'\n", SINGLE),
        (".pre-commit-config.yaml", HOOKS.format("black"), DOUBLE),
        (".pre-commit-config.yaml", HOOKS.format("ruff-format"), DOUBLE),
        (".pre-commit-config.yaml", HOOKS.format("ruff"), AFTER),
    ],
)
def test_as_the_project_is_configured(project: Path, name: str, text: str, expected: bytes) -> None:
    (project / name).write_text(text)
    assert format_changed(project / "app" / "main.py", BEFORE, AFTER) == expected


def test_a_ruff_configuration_that_extends_another(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.ruff]\nline-length = 24\n")
    (project / "app" / "ruff.toml").write_text('extend = "../pyproject.toml"\n[format]\nquote-style = "double"\n')
    assert format_changed(project / "app" / "main.py", BEFORE, AFTER) == NARROW


def test_nothing_above_the_repository_counts(project: Path) -> None:
    (project / "inner" / ".git").mkdir(parents=True)
    (project / "pyproject.toml").write_text("[tool.black]\n")
    assert format_changed(project / "inner" / "main.py", BEFORE, AFTER) == AFTER


@pytest.fixture
def black_project(project: Path) -> Path:
    """A file of a project that uses black."""
    (project / "pyproject.toml").write_text("[tool.black]\n")
    return project / "main.py"


def test_line_ends_mark_and_encoding_survive(black_project: Path) -> None:
    def dressed(code: bytes) -> bytes:
        return (
            b"\xef\xbb\xbf" + b"# coding: utf-8\n\xc3\xa9 = 1\n".replace(b"\n", b"\r\n") + code.replace(b"\n", b"\r\n")
        )

    assert format_changed(black_project, dressed(BEFORE), dressed(AFTER)) == dressed(DOUBLE)


def test_mixed_line_ends_are_left_alone(black_project: Path) -> None:
    after = AFTER.replace(b"\n", b"\r\n", 1)
    assert format_changed(black_project, BEFORE, after) == after


def test_what_would_touch_other_lines_is_left_alone(black_project: Path) -> None:
    before = b"a = 1\nb = [ 1,\n  2,\n  3 ]\n"
    after = b"a = 1\nb = [ 1,\n  2, 4,\n  3 ]\n"
    assert format_changed(black_project, before, after) == after


def test_one_range_does_not_spoil_another(black_project: Path) -> None:
    before = b"b = [ 1,\n  2,\n  3 ]\nc = 1\nd = 2\n"
    after = b"b = [ 1,\n  2, 4,\n  3 ]\nc = 1\nd = f( 2 )\n"
    assert format_changed(black_project, before, after) == after.replace(b"( 2 )", b"(2)")


@pytest.mark.parametrize("after", [b"a = \n", b"a = '\xff'\n", b"", b"print 'x'\n"])
def test_odd_input_is_left_alone(black_project: Path, after: bytes) -> None:
    assert format_changed(black_project, b"a = 1\n", after) == after


CHAIN = b"row = find(\n    select(Item).where(\n        Item.name == name,\n        Item.shop == shop,\n    )\n)\n"
LOCKED = CHAIN.replace(b"    )\n)", b"    ).with_for_update()\n)")


def test_a_statement_that_was_formatted_is_formatted_again(black_project: Path) -> None:
    after = (
        b"row = find(\n    select(Item)\n    .where(\n        Item.name == name,\n        Item.shop == shop,\n    )\n"
    )
    path = black_project / "app" / "main.py"
    assert format_changed(path, b"x = {  }\n" + CHAIN, b"x = {  }\n" + LOCKED) == (
        b"x = {  }\n" + after + b"    .with_for_update()\n)\n"
    )
    untidy = CHAIN.replace(b"name,", b"name ,"), LOCKED.replace(b"name,", b"name ,")
    assert format_changed(path, *untidy) == untidy[1]


def test_a_long_line_is_broken_where_blank_lines_elsewhere_hold_spaces(project: Path) -> None:
    before = b"def f(session):\n    row = session.scalar(\n        take(1)\n    )\n    \n    return row\n"
    chain = b"take(1).with_the_first_thing(1).with_the_second_thing(2).with_the_third_thing(3).and_the_end(4)"
    after = format_changed(project / "app" / "main.py", before, before.replace(b"take(1)", chain))
    assert b"        .with_the_second_thing(2)\n" in after
    assert after.endswith(b"    )\n    \n    return row\n")
