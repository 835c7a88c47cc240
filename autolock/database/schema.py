"""What the application's models say of the database, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from autolock.program.linker import Ref


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `name` is the attribute, `column` what the database calls it.

    `kind` is `int`, `float`, `decimal`, `str`, `bool`, `datetime`, `json`, `enum`, `uuid` or empty.
    `foreign_key` is `table.column`, without a schema, or empty; `mutable` when a change inside of the
    value is noticed (`MutableDict.as_mutable(JSON)`).
    """

    name: str
    column: str
    kind: str = ""
    primary_key: bool = False
    unique: bool = False
    nullable: bool = False
    has_default: bool = False
    foreign_key: str = ""
    mutable: bool = False


@dataclass(frozen=True, slots=True)
class Relationship:
    """An attribute that stands for other rows.

    `target` is None where `target_name` is no class of the project; `uselist` is None where nothing says it.
    """

    name: str
    target: Ref | None
    target_name: str
    lazy: str = ""
    uselist: bool | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A class or a Core table that stands for a table (a collection, for document databases).

    `uniques` are sets of attribute names of which no two rows have the same values, the primary key among
    them. `partial_uniques` are unique for some rows only (a partial index), or through a function of
    a column, or may not overlap: they guard a check, but no ON CONFLICT can name their columns alone.
    `settled` is set where nothing else about the table can be unique.
    """

    ref: Ref
    table: str
    library: str
    columns: dict[str, Column] = field(default_factory=dict)
    uniques: tuple[frozenset[str], ...] = ()
    partial_uniques: tuple[frozenset[str], ...] = ()
    relationships: dict[str, Relationship] = field(default_factory=dict)
    version_column: str = ""
    settled: bool = False


@dataclass(slots=True)
class Members:
    """What one class body says by itself; a model puts those of its bases together.

    `uniques` and `partial` may name attributes or columns; `unclear` is set where a constraint could not be read.
    """

    columns: dict[str, Column] = field(default_factory=dict)
    relationships: dict[str, Relationship] = field(default_factory=dict)
    uniques: list[frozenset[str]] = field(default_factory=list)
    partial: list[frozenset[str]] = field(default_factory=list)
    keys: frozenset[str] = frozenset()
    table: str = ""
    version: str = ""
    abstract: bool = False
    unclear: bool = False
