"""What to do by hand about windows on rows where a library has no rewrite that is known to be right."""

from __future__ import annotations

from autolock.database.windows import RowWindow

_ATOMIC = (
    "one UPDATE that computes and checks by itself (`SET n = n - x WHERE ... AND n >= x`) and tells what it changed"
)
_LOCKED = {
    "databases": "in one `async with database.transaction():`, the SELECT with FOR UPDATE",
    "asyncpg": "on one connection in `async with connection.transaction():`, the SELECT with FOR UPDATE",
    "psycopg": "on one connection in `with connection.transaction():`, the SELECT with FOR UPDATE",
    "sqlite": "in one transaction that begins with BEGIN IMMEDIATE",
    "aiosqlite": "in one transaction that begins with BEGIN IMMEDIATE",
    "tortoise": "in `async with in_transaction():`, the query with `.select_for_update()`",
    "piccolo": 'in one transaction, the query with `.lock_rows("UPDATE")`',
}
_COMPUTED = {
    "tortoise": '`await Model.filter(id=..., n__gte=x).update(n=F("n") - x)`, whose result is how many rows it changed',
    "piccolo": "`await Model.update({Model.n: Model.n - x}).where(...).returning(Model.id)`",
    "beanie": "`find_one(Model.id == ..., Model.n >= x).inc({Model.n: -x})`, which checks and changes in one step",
    "mongo": '`find_one_and_update({"_id": ..., "n": {"$gte": x}}, {"$inc": {"n": -x}})`, None when it is too late',
    "redis": "INCRBY or DECRBY, a script, or a pipeline that WATCHes the key",
}
_SAVED = {
    "tortoise": "`await row.save(update_fields=[...])`",
    "beanie": "`await row.set({Model.name: value})`",
    "odmantic": "`collection.update_one(..., {'$set': {...}})`",
}
_CONFLICT = {
    "databases": "the driver's unique violation (asyncpg: `UniqueViolationError`)",
    "asyncpg": "`asyncpg.UniqueViolationError`",
    "psycopg": "`psycopg.errors.UniqueViolation`",
    "sqlite": "`sqlite3.IntegrityError`",
    "aiosqlite": "`aiosqlite.IntegrityError`",
    "tortoise": "`tortoise.exceptions.IntegrityError`",
    "piccolo": "the driver's unique violation",
    "beanie": "`pymongo.errors.DuplicateKeyError`",
    "mongo": "`pymongo.errors.DuplicateKeyError`",
}
_CREATE = {
    "tortoise": "`get_or_create` does that by itself",
    "mongo": "`update_one(filter, {'$setOnInsert': ...}, upsert=True)` does the same in one step",
    "beanie": "`find_one(...).upsert(..., on_insert=...)` does the same in one step",
}


def by_hand(window: RowWindow, library: str, dialect: str) -> str:
    """One sentence that says what would mend the window."""
    if window.kind == "row-insert":
        return _insert(window, library)
    if window.kind == "row-skew":
        return _skew(library, dialect)
    if library == "redis" and window.change.kind == "remove":
        return "let `GETDEL` (`getdel(key)`) take the key away, and go on only with what it returns"
    if window.change.form == "save" and library in _SAVED:
        return f"write only the columns that were changed: {_SAVED[library]}"
    computed = _COMPUTED.get(library, _ATOMIC)
    if dialect == "sqlite" and library in _LOCKED:
        return f"make it {computed}; SQLite has no row locks"
    locked = _LOCKED.get(library)
    return f"make it {computed}" + (f"; or look and write {locked}" if locked else "")


def _skew(library: str, dialect: str) -> str:
    """Other rows were looked at: no statement about the one that changes can ask for them."""
    if dialect == "sqlite" or library not in _LOCKED:
        return "let a constraint decide, or one row that everybody changes who adds, changes or takes away such a row"
    return (
        f"look and write {_LOCKED[library]} of the row that the others belong to, wherever such rows are added or "
        "changed; or let a constraint decide (a foreign key where rows must not be left behind)"
    )


def _insert(window: RowWindow, library: str) -> str:
    if library == "redis":
        return "let `SET key value NX` (`set(..., nx=True)`) decide who is first, and look at what it returns"
    if window.counted:
        where = f" {_LOCKED[library]}" if library in _LOCKED else ""
        return f"a count cannot be locked: count and insert{where} of the parent row, or let a constraint decide"
    names = ", ".join(sorted(window.unique) if window.unique is not None else window.columns)
    asked = {c.column for c in window.look.query.conditions if c.operator == "=="}
    seen = window.unique is not None or asked <= set(window.columns)
    columns = f" on ({names})" if names and seen else ""
    table = window.model.table if window.model is not None else "the table"
    shortcut = f"; {_CREATE[library]}" if library in _CREATE else ""
    if window.unique is not None:
        return f"answer {_CONFLICT[library]} that the unique constraint{columns} raises like a failed check{shortcut}"
    known = "" if window.model is None or window.model.library != "sql" else " where there is none yet"
    return f"add a unique constraint{columns} to {table}{known}, and answer {_CONFLICT[library]}{shortcut}"
