"""Adds a requirement to the file in which a project lists what it needs, in the form that the file has.

Works on text: pyproject.toml (`[project]` or Poetry's tables), Pipfile, setup.cfg and requirements files. Nothing
but the one entry changes: a line that is put in, or a few characters in a list that is written in one line.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class RequirementError(Exception):
    """The file has no list that is understood well enough to be added to."""


class Insertion(NamedTuple):
    """Text that is put into another one at an offset."""

    offset: int
    text: str

    def applied(self, text: str) -> str:
        """The text with it."""
        return text[: self.offset] + self.text + text[self.offset :]

    def undone(self, text: str) -> str:
        """The text without it; raises RequirementError where it is not there."""
        end = self.offset + len(self.text)
        if text[self.offset : end] != self.text:
            raise RequirementError("what is there was not put there by this codemod")
        return text[: self.offset] + text[end:]


def is_required(text: str, package: str) -> bool:
    """Whether a file names a package, outside of comments."""
    name = re.escape(package).replace(r"\-", "[-_.]")
    return any(re.search(rf"(?i)(?<![\w.-]){name}(?![\w.-])", line.split("#")[0]) for line in text.splitlines())


def insertion(name: str, text: str, package: str, least: str) -> Insertion | None:
    """What adds `package`, of the version `least` or a later one, to the text of the file called `name`.

    None when it is there already. Raises RequirementError.
    """
    if is_required(text, package):
        return None
    file = name.rpartition("/")[2]
    if file == "pyproject.toml":
        return _pyproject(text, package, least)
    if file == "Pipfile":
        return _table(text, "packages", f'{package} = ">={least}"')
    if file == "setup.cfg":
        return _setup_cfg(text, f"{package}>={least}")
    return _requirements(text, package, least)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


# -- requirements.txt ------------------------------------------------------------------------


def _requirements(text: str, package: str, least: str) -> Insertion:
    if "--hash=" in text:
        raise RequirementError("its requirements are pinned by hash")
    lines = text.splitlines(keepends=True)
    named = [(n, _named(line)) for n, line in enumerate(lines) if _named(line)]
    bare = sum("=" not in line and "<" not in line and ">" not in line for n, line in enumerate(lines) if _named(line))
    entry = package if named and bare * 2 > len(named) else f"{package}>={least}"
    newline = _newline(text)
    order = [n for _, n in named]
    if named and order == sorted(order):
        number = next((n for n, other in named if other > package), named[-1][0] + 1)
    else:
        number = named[-1][0] + 1 if named else len(lines)
    offset = sum(map(len, lines[:number]))
    ended = not offset or text[:offset].endswith(("\n", "\r"))
    return Insertion(offset, f"{entry}{newline}" if ended else f"{newline}{entry}")


def _named(line: str) -> str:
    """The package that a line of a requirements file asks for, in lower case."""
    match = re.match(r"([A-Za-z0-9][\w.-]*)", line)
    return match.group(1).lower().replace("_", "-") if match else ""


# -- pyproject.toml, Pipfile ----------------------------------------------------------------------


def _pyproject(text: str, package: str, least: str) -> Insertion:
    body = _body(text, "project")
    if body is not None:
        found = re.compile(r"^dependencies[ \t]*=[ \t]*\[", re.MULTILINE).search(text, *body)
        if found is not None:
            return _listed(text, found.end(), f"{package}>={least}")
    for table in ("tool.poetry.dependencies",):
        if _body(text, table) is not None:
            return _table(text, table, f'{package} = ">={least}"')
    raise RequirementError("it has no list of dependencies")


def _body(text: str, table: str) -> tuple[int, int] | None:
    """Where the lines of a TOML table begin and end."""
    header = re.compile(rf"^\[[ \t]*{re.escape(table)}[ \t]*\][ \t]*(?:#.*)?\r?$", re.MULTILINE).search(text)
    if header is None:
        return None
    following = re.compile(r"^\[", re.MULTILINE).search(text, header.end())
    return header.end(), following.start() if following is not None else len(text)


def _table(text: str, table: str, entry: str) -> Insertion:
    """A line after the last one of a table."""
    body = _body(text, table)
    if body is None:
        raise RequirementError(f"it has no table [{table}]")
    start, end = body
    offset = start + len(text[start:end].rstrip())
    line = text.rfind("\n", 0, offset) + 1
    if text[line:offset].lstrip().startswith("#"):
        offset = len(text[:line].rstrip()) if line > start else offset
    return Insertion(offset, f"{_newline(text)}{entry}")


def _listed(text: str, start: int, entry: str) -> Insertion:
    """An element after the last one of a TOML array whose bracket ends at `start`."""
    end, last, quote = _elements(text, start)
    if last is None:
        return Insertion(start, f"{quote}{entry}{quote}")
    between = text[last:end]
    comma = re.match(r"[ \t]*,", between)
    if "\n" not in text[start:end]:
        return Insertion(last, f", {quote}{entry}{quote}")
    line = text[text.rfind("\n", 0, last) + 1 : last]
    margin = line[: len(line) - len(line.lstrip())]
    newline = _newline(text)
    if comma is None:
        return Insertion(last, f",{newline}{margin}{quote}{entry}{quote}")
    stop = last + comma.end()
    note = re.match(r"[ \t]*#[^\r\n]*", text[stop:end])
    offset = stop + (note.end() if note else 0)
    return Insertion(offset, f"{newline}{margin}{quote}{entry}{quote},")


def _elements(text: str, start: int) -> tuple[int, int | None, str]:
    """Where an array of strings ends, where its last element ends, and the quote that it uses."""
    last: int | None = None
    quote, position = '"', start
    token = re.compile(r"#[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[\[\]]|[\s,]+")
    while position < len(text):
        match = token.match(text, position)
        if match is None or match.group() == "[":
            break
        position = match.end()
        if match.group() == "]":
            return match.start(), last, quote
        if match.group()[0] in "\"'":
            last, quote = position, match.group()[0]
    raise RequirementError("its list of dependencies is not a plain list of strings")


# -- setup.cfg -------------------------------------------------------------------------------------


def _setup_cfg(text: str, entry: str) -> Insertion:
    found = re.search(r"(?m)^install_requires[ \t]*=[ \t]*\r?\n((?:[ \t]+\S[^\n]*(?:\n|\Z))+)", text)
    if found is None:
        raise RequirementError("it has no install_requires with a line for each requirement")
    block = found.group(1).rstrip("\r\n")
    line = block.rpartition("\n")[2]
    margin = line[: len(line) - len(line.lstrip())]
    return Insertion(found.start(1) + len(block), f"{_newline(text)}{margin}{entry}")
