"""From sqlglot's syntax tree of a statement to `Sql`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from autolock.database.placeholders import Marked, mark
from autolock.database.sqltext import Assigned, Condition, Sql

#: The base class of sqlglot's nodes is called differently from version to version.
Node: TypeAlias = Any

_DIALECTS = ("postgres", "mysql", "sqlite", "")
_OPERATORS: dict[type[Any], tuple[str, str]] = {
    exp.EQ: ("=", "="),
    exp.NEQ: ("!=", "!="),
    exp.LT: ("<", ">"),
    exp.LTE: ("<=", ">="),
    exp.GT: (">", "<"),
    exp.GTE: (">=", "<="),
    exp.NullSafeEQ: ("=", "="),
    exp.NullSafeNEQ: ("!=", "!="),
    exp.Like: ("like", ""),
    exp.ILike: ("ilike", ""),
}
"""What a comparison is called, and what it is called with its sides exchanged."""
_NEGATED = {"=": "!=", "!=": "=", "in": "not in", "like": "not like", "ilike": "not ilike", "is null": "is not null"}
_WRITES: dict[type[Any], str] = {exp.Insert: "insert", exp.Update: "update", exp.Delete: "delete"}
_DDL = (exp.Create, exp.Drop, exp.Alter, exp.TruncateTable, exp.Comment)
#: What sqlglot makes of statements; an `Alias` or a `Column` is what it makes of prose.
_STATEMENTS: tuple[type[Any], ...] = (
    exp.Query,
    *_WRITES,
    *_DDL,
    exp.Merge,
    exp.Set,
    exp.Command,
    exp.Pragma,
    exp.Describe,
    exp.Use,
)
ADVISORY = {
    "pg_advisory_xact_lock": "xact",
    "pg_try_advisory_xact_lock": "xact",
    "pg_advisory_lock": "session",
    "pg_try_advisory_lock": "session",
    "get_lock": "session",
    "pg_advisory_unlock": "unlock",
    "pg_advisory_unlock_all": "unlock",
    "release_lock": "unlock",
}
_ENDS = ("transaction", "work", "and", "to", "prepared")
_MODES = ("isolation", "read", "not", "deferrable", "deferred", "immediate", "exclusive")
#: The second words of statements about transactions; what goes on otherwise is prose.
_TRANSACTION_WORDS = {
    "begin": ("transaction", "work", *_MODES),
    "start": ("transaction",),
    "commit": _ENDS,
    "end": _ENDS,
    "rollback": _ENDS,
    "abort": _ENDS,
}
_LEVELS = ("serializable", "repeatable read", "read committed", "read uncommitted")
#: Modes of LOCK TABLE that shut out other holders of the same mode.
_EXCLUSIVE_MODES = ("exclusive", "access exclusive", "share row exclusive")


def read(text: str, word: str, dialect: str) -> Sql | None:
    """Read one statement that begins with `word`; None where no dialect makes one statement of it."""
    marked = mark(text)
    simple = _simple(marked.text, word)
    if simple is not None:
        return simple
    replaces = word == "replace"
    if replaces:
        start = marked.text.lower().index("replace")
        marked = replace(marked, text=f"{marked.text[:start]}INSERT OR {marked.text[start:]}")
    # `?` is also an operator of PostgreSQL's JSON, which only the text as it was written shows.
    for candidate in (marked, Marked(text, ())) if marked.labels else (marked,):
        for name in (dialect, *(other for other in _DIALECTS if other != dialect)):
            tree = _tree(candidate.text, name)
            if tree is not None:
                return _statement(tree, candidate, name)
    return None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to ourselves what sqlglot says of text that it cannot read."""
    log = logging.getLogger("sqlglot")
    disabled, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = disabled


def _tree(text: str, dialect: str) -> Node | None:
    """The only statement of a text; None where there is none or more than one."""
    try:
        with quiet():
            trees = [tree for tree in sqlglot.parse(text, dialect=dialect or None) if tree is not None]
    except (SqlglotError, ValueError, TypeError, AttributeError, LookupError, AssertionError, RecursionError):
        # Any text comes here, and sqlglot's own checks do not catch all that is wrong with one.
        return None
    return trees[0] if len(trees) == 1 and isinstance(trees[0], _STATEMENTS) else None


def _simple(text: str, word: str) -> Sql | None:
    """Statements without a grammar worth the name, which few parsers know."""
    words = text.lower().replace(";", " ").split()
    while words and words[0] != word:
        del words[0]
    if word in _TRANSACTION_WORDS and words[1:2] and words[1] not in _TRANSACTION_WORDS[word]:
        return None
    if word in ("begin", "start"):
        return _without_rest(words, text, "begin")
    if word in ("commit", "end"):
        return _without_rest(words, text, "commit")
    if word in ("rollback", "abort"):
        return _without_rest(words, text, "other" if "to" in words else "rollback")
    if word in ("savepoint", "release"):
        return _without_rest(words, text, "other")
    if word == "set" and "isolation" in words:
        return _without_rest(words, text, "set isolation")
    if word == "lock":
        return _lock_table(words, text)
    return None


def _without_rest(words: list[str], text: str, kind: str) -> Sql | None:
    """The statement, when no other one follows it."""
    if ";" in text.strip().rstrip(";"):
        return None
    sentence = " ".join(words)
    return Sql(kind, isolation=next((level for level in _LEVELS if level in sentence), ""))


def _lock_table(words: list[str], text: str) -> Sql | None:
    """`LOCK TABLE name IN ... MODE`; one that others can hold too is a shared lock."""
    names = [word for word in words[1:] if word not in ("table", "only")]
    if not names or ";" in text.strip().rstrip(";"):
        return None
    table = names[0].rstrip(",").rpartition(".")[2].strip('"`')
    mode = " ".join(names[names.index("in") + 1 :]).partition(" mode")[0] if "in" in names else "exclusive"
    return Sql("other", table, (table,), lock="update" if mode in _EXCLUSIVE_MODES else "share")


def _statement(tree: Node, marked: Marked, dialect: str) -> Sql | None:
    if isinstance(tree, _DDL):
        return _named_only("ddl", tree)
    if not isinstance(tree, (exp.Query, *_WRITES)):
        return _named_only("other", tree)
    if isinstance(tree, exp.Update) and not tree.expressions:  # "update the docs"
        return None
    try:
        return _Reader(tree, marked, dialect).statement()
    except RecursionError:  # nested deeper than the parser's own limit lets through
        return None


def _named_only(kind: str, tree: Node) -> Sql:
    tables = _tables(tree)
    return Sql(kind, tables[0] if tables else "", tables)


def _arg(node: Node, name: str) -> Any:
    """An argument of a node; newer versions of sqlglot end names that are Python's keywords in `_`."""
    return node.args.get(name) or node.args.get(f"{name}_")


def _bare(node: Any) -> Any:
    """What is inside parentheses and casts."""
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return node


def _name(table: Any) -> str:
    """The table's name without its schema; empty where a parameter or a function stands for it."""
    return table.name if isinstance(table.this, exp.Identifier) else ""


def _common_tables(tree: Node) -> dict[str, Node]:
    return {cte.alias: cte.this for cte in tree.find_all(exp.CTE)}


def _tables(tree: Node) -> tuple[str, ...]:
    """All tables that a statement names, each once, without what WITH defines."""
    common = _common_tables(tree)
    names = (_name(table) for table in tree.find_all(exp.Table) if not isinstance(table.parent, exp.Lock))
    return tuple(dict.fromkeys(name for name in names if name and name not in common))


class _Reader:
    """Reads one SELECT, INSERT, UPDATE or DELETE with everything below it."""

    def __init__(self, tree: Node, marked: Marked, dialect: str) -> None:
        self._tree = tree
        self._marked = marked
        self._dialect = dialect
        self._common = _common_tables(tree)

    def statement(self) -> Sql | None:
        main = self._main()
        if main is None:
            return None
        sql = self._insert(main) if isinstance(main, exp.Insert) else self._read(main)
        table = sql.table
        tables = tuple(dict.fromkeys((table, *_tables(self._tree)) if table else _tables(self._tree)))
        lock, skips = self._lock(table)
        return replace(
            sql,
            tables=tables,
            lock=lock,
            skip_locked=skips,
            advisory=self._advisory(),
            returning=sql.returning or _arg(main, "returning") is not None,
        )

    def _main(self) -> Node | None:
        """The statement that changes something, or the SELECT; None where WITH holds several changes."""
        tree = self._tree
        if isinstance(tree, tuple(_WRITES)):
            return tree
        writes = [cte for cte in self._common.values() if isinstance(cte, tuple(_WRITES))]
        if not writes:
            return tree
        return writes[0] if len(writes) == 1 else None

    def _read(self, node: Node) -> Sql:
        if isinstance(node, exp.Update | exp.Delete):
            return self._change(node)
        return self._select(node)

    # -- SELECT --------------------------------------------------------------

    def _select(self, node: Any) -> Sql:
        node = _unwrapped(node)
        if isinstance(node, exp.SetOperation):
            left = self._select(node.this)
            return Sql("select", left.table, exact=False, columns=left.columns, aggregates=frozenset({"union"}))
        if not isinstance(node, exp.Select):
            return Sql("select", exact=False)
        inner = _only_subquery(node)
        if inner is not None:
            sql = self._select(inner)
            exists = {"exists"} if node.find(exp.Exists) else set()
            return replace(sql, aggregates=sql.aggregates | exists)
        source = _arg(node, "from")
        scope = _scope(node)
        table, derived = self._main_table(source.this if source is not None else None)
        conditions, exact = self._where(node, table, scope)
        joins = _joins(node)
        return Sql(
            "select",
            table,
            conditions=conditions,
            exact=exact and not derived and _arg(node, "having") is None,
            columns=_selected(node, scope, table),
            limited=_arg(node, "limit") is not None,
            ordered=_arg(node, "order") is not None,
            aggregates=frozenset(_aggregates(node)),
            distinct=_arg(node, "distinct") is not None,
            grouped=_arg(node, "group") is not None or _arg(node, "having") is not None,
            joined=bool(joins),
            outer_joined=any(join.side for join in joins),
        )

    def _main_table(self, source: Any, depth: int = 0) -> tuple[str, bool]:
        """The table whose rows a FROM is about, and whether a subquery stands between."""
        source = _unwrapped(source)
        if source is None:
            return "", False
        if isinstance(source, exp.Table):
            common = self._common.get(source.name)
            if common is None or depth > len(self._common):
                return _name(source), False
            source = common
        if isinstance(source, exp.SetOperation):
            return self._main_table(source.this, depth + 1)[0], True
        if isinstance(source, tuple(_WRITES)):
            return _target(source), True
        inner = _arg(source, "from") if isinstance(source, exp.Select) else None
        return (self._main_table(inner.this, depth + 1)[0] if inner is not None else ""), True

    # -- UPDATE, DELETE ------------------------------------------------------

    def _change(self, node: Node) -> Sql:
        table = _target(node)
        scope = _scope(node)
        conditions, exact = self._where(node, table, scope)
        joins = _joins(node)
        joined = bool(joins or _arg(node, "from") is not None or _arg(node, "using"))
        update = isinstance(node, exp.Update)
        return Sql(
            "update" if update else "delete",
            table,
            conditions=conditions,
            exact=exact,
            sets=tuple(self._assigned(node.expressions, table, scope)) if update else (),
            limited=_arg(node, "limit") is not None,
            ordered=_arg(node, "order") is not None,
            joined=joined,
            outer_joined=any(join.side for join in joins),
            chosen=self._chosen(node) if update else None,
        )

    def _chosen(self, node: Node) -> tuple[str, Sql] | None:
        """The column by which an UPDATE finds its rows in a SELECT, and that SELECT."""
        where = _arg(node, "where")
        for part in _conjuncts(where.this) if where is not None else ():
            for column, other in _equated(part):
                select = self._source(other, node)
                if select is not None:
                    asked = {c.name for c in _columns(_arg(select, "where"))} if _arg(select, "where") else set()
                    sql = self._select(select)
                    more = sorted(asked - {c.column for c in sql.conditions})
                    unsure = tuple(Condition(c, "computed", "", sql.table, "expression") for c in more)
                    return column, replace(sql, conditions=(*sql.conditions, *unsure))
        return None

    def _source(self, node: Any, update: Node) -> Any:
        """The SELECT that a column is compared with: a subquery, or what FROM takes from one; else None."""
        node = _unwrapped(node)
        while isinstance(node, exp.Any | exp.Array):
            inner = node.this if isinstance(node, exp.Any) else next(iter(node.expressions), None)
            node = _unwrapped(inner)
        if isinstance(node, exp.Column):
            sources = [_unwrapped(s) for s in _sources(update) if node.table and s.alias_or_name == node.table]
            tables = [self._common.get(s.name) if isinstance(s, exp.Table) else s for s in sources]
            node = next(iter(tables), None)
        return node if isinstance(node, exp.Select) else None

    def _assigned(self, equations: list[Any], table: str, scope: dict[str, str]) -> Iterator[Assigned]:
        for equation in equations:
            if not isinstance(equation, exp.EQ):
                continue
            left, right = _bare(equation.this), equation.expression
            if isinstance(left, exp.Tuple):
                parts = _bare(right)
                values = parts.expressions if isinstance(parts, exp.Tuple) else [right] * len(left.expressions)
                pairs = list(zip(left.expressions, values, strict=False))
            else:
                pairs = [(left, right)]
            for target, value in pairs:
                yield Assigned(
                    target.name,
                    frozenset(_own_columns(value, table, scope)),
                    tuple(self._parameters(value)),
                    self._text(value),
                )

    # -- INSERT --------------------------------------------------------------

    def _insert(self, node: Node) -> Sql:
        table = _target(node)
        names = [column.name for column in node.this.expressions] if isinstance(node.this, exp.Schema) else []
        source = _unwrapped(_arg(node, "expression"))
        conflict = _arg(node, "conflict")
        sql = Sql("insert", table, on_conflict=bool(conflict or _arg(node, "ignore") or _arg(node, "alternative")))
        if conflict is not None:
            equations = conflict.expressions
            sql = replace(sql, sets=tuple(self._assigned(equations, table, {table: table})))
        if isinstance(source, exp.Values):
            rows = source.expressions
            values = rows[0].expressions if len(rows) == 1 and isinstance(rows[0], exp.Tuple) else []
            texts = [self._value(value)[0] for value in values] or [""] * len(names)
            return replace(sql, inserted=tuple(zip(names, texts, strict=False)))
        if isinstance(source, exp.Query):
            chosen = self._select(source)
            texts = [self._value(value.unalias())[0] for value in source.selects]
            return replace(
                sql,
                from_select=True,
                inserted=tuple(zip(names, texts, strict=False)),
                conditions=chosen.conditions,
                exact=chosen.exact,
            )
        return sql

    # -- WHERE ---------------------------------------------------------------

    def _where(self, node: Node, table: str, scope: dict[str, str]) -> tuple[tuple[Condition, ...], bool]:
        where = _arg(node, "where")
        if where is None:
            return (), True
        conditions: list[Condition] = []
        exact = True
        for part in _conjuncts(where.this):
            found = self._condition(part, table, scope)
            conditions += found
            exact = exact and bool(found) and not (found[0].kind == "expression" and found[0].value == self._text(part))
        return tuple(conditions), exact

    def _condition(self, node: Any, table: str, scope: dict[str, str]) -> list[Condition]:
        """What one part of a conjunction says of a column; nothing where it says something else."""
        negated = False
        while isinstance(node, exp.Not | exp.Paren):
            negated ^= isinstance(node, exp.Not)
            node = node.this
        if isinstance(node, exp.Between):
            if negated:
                return []
            low = self._compared(node.this, ">=", node.args["low"], table, scope)
            return low + self._compared(node.this, "<=", node.args["high"], table, scope)
        if isinstance(node, exp.Column):
            return self._named(node, "=", "FALSE" if negated else "TRUE", "literal", table, scope)
        found = self._comparison(node, table, scope)
        negated ^= bool(node.args.get("negate"))
        if not negated:
            return found
        inverse = [_NEGATED.get(condition.operator) for condition in found]
        return [
            replace(condition, operator=operator)
            for condition, operator in zip(found, inverse, strict=True)
            if operator is not None
        ]

    def _comparison(self, node: Any, table: str, scope: dict[str, str]) -> list[Condition]:
        if isinstance(node, exp.Is):
            if isinstance(node.expression, exp.Null):
                return self._named(node.this, "is null", "", "literal", table, scope)
            return self._compared(node.this, "=", node.expression, table, scope)
        if isinstance(node, exp.In):
            return self._membership(node, table, scope)
        names = _OPERATORS.get(type(node))
        if names is None:
            return []
        left, right = _bare(node.this), _bare(node.expression)
        if isinstance(right, exp.Any) and names[0] == "=":
            return self._compared(left, "in", right.this, table, scope)
        if not isinstance(left, exp.Column) and isinstance(right, exp.Column) and names[1]:
            return self._compared(right, names[1], left, table, scope)
        if isinstance(left, exp.Column):
            return self._compared(left, names[0], right, table, scope)
        columns = {(column.name, column.table): column for column in _columns(node)}
        if len(columns) != 1:
            return []
        (column,) = columns.values()
        return [Condition(column.name, names[0], self._text(node), _table_of(column, table, scope), "expression")]

    def _membership(self, node: Any, table: str, scope: dict[str, str]) -> list[Condition]:
        members = node.expressions
        if _arg(node, "query") is not None:
            return self._named(node.this, "in", self._text(_arg(node, "query")), "expression", table, scope)
        if _arg(node, "field") is not None:
            members = [_arg(node, "field")]
        if len(members) == 1:
            return self._compared(node.this, "in", members[0], table, scope)
        values = [self._value(member) for member in members]
        kind = "literal" if all(kind == "literal" for _, kind in values) else "expression"
        return self._named(node.this, "in", ", ".join(value for value, _ in values), kind, table, scope)

    def _compared(self, left: Any, operator: str, right: Any, table: str, scope: dict[str, str]) -> list[Condition]:
        value, kind = self._value(right, table, scope)
        return self._named(left, operator, value, kind, table, scope)

    def _named(
        self, left: Any, operator: str, value: str, kind: str, table: str, scope: dict[str, str]
    ) -> list[Condition]:
        left = _bare(left)
        if not isinstance(left, exp.Column):
            return []
        return [Condition(left.name, operator, value, _table_of(left, table, scope), kind)]

    # -- values --------------------------------------------------------------

    def _value(self, node: Any, table: str = "", scope: dict[str, str] | None = None) -> tuple[str, str]:
        """The text of a value and its kind, as in `Condition`."""
        bare = _bare(node)
        if isinstance(bare, exp.Placeholder | exp.Parameter):
            return self._label(bare), "placeholder"
        if isinstance(bare, exp.Literal | exp.Boolean | exp.Null):
            return self._text(bare), "literal"
        if isinstance(bare, exp.Neg) and isinstance(bare.this, exp.Literal):
            return self._text(bare), "literal"
        if isinstance(bare, exp.Column):
            owner = _table_of(bare, table, scope or {})
            return (f"{owner}.{bare.name}" if owner and owner != table else bare.name), "column"
        return self._text(node), "expression"

    def _label(self, node: Any) -> str:
        return self._marked.label(node.name) or self._text(node)

    def _parameters(self, node: Any) -> Iterator[str]:
        for found in node.find_all(exp.Placeholder, exp.Parameter):
            yield self._label(found)

    def _text(self, node: Any) -> str:
        try:
            return self._marked.restored(node.sql(dialect=self._dialect or None))
        except (SqlglotError, ValueError, TypeError, AttributeError, LookupError):  # parsed, but cannot be written
            return ""

    # -- locks ---------------------------------------------------------------

    def _lock(self, table: str) -> tuple[str, bool]:
        """The lock on rows of the table that the statement or a part of it takes, and whether it skips locked ones."""
        for select in self._tree.find_all(exp.Select):
            for lock in _arg(select, "locks") or ():
                scope = _scope(select)
                named = {scope.get(of.name, of.name) for of in lock.expressions}
                locked = named or set(scope.values())
                source = _arg(select, "from")
                if source is not None:
                    inner, derived = self._main_table(source.this)
                    locked |= {inner} if derived and not named else set()
                if table in locked:
                    return ("update" if lock.args.get("update") else "share"), lock.args.get("wait") is False
        return "", False

    def _advisory(self) -> str:
        for call in self._tree.find_all(exp.Anonymous):
            if call.name.lower() in ADVISORY:
                return ADVISORY[call.name.lower()]
        return ""


def _unwrapped(node: Any) -> Any:
    """The query inside parentheses."""
    while isinstance(node, exp.Subquery | exp.Paren):
        node = node.this
    return node


def _only_subquery(select: exp.Select) -> Any:
    """The query of `SELECT EXISTS (...)` and of `SELECT (...)`; None for other ones."""
    if _arg(select, "from") is not None or _arg(select, "where") is not None or len(select.expressions) != 1:
        return None
    only = select.expressions[0].unalias()
    while isinstance(only, exp.Exists | exp.Subquery | exp.Paren | exp.Not | exp.Coalesce):
        only = only.this
    return only if isinstance(only, exp.Query) else None


def _target(node: Any) -> str:
    """The table that an INSERT, UPDATE or DELETE is about."""
    target = node.this
    if target is None:  # DELETE t FROM t JOIN ...
        target = next(iter(_arg(node, "tables") or ()), None)
    if isinstance(target, exp.Schema):
        target = target.this
    return _name(target) if isinstance(target, exp.Table) else ""


def _joins(node: Node) -> list[Any]:
    """The joins of a statement, those that hang on its table too."""
    joins = list(_arg(node, "joins") or ())
    for source in _sources(node):
        joins += source.args.get("joins") or ()
    return joins


def _sources(node: Node) -> Iterator[Any]:
    """What a statement takes rows from, apart from joins."""
    if isinstance(node, exp.Update | exp.Delete) and node.this is not None:
        yield node.this
    source = _arg(node, "from")
    if source is not None:
        yield source.this
    yield from _arg(node, "using") or ()


def _scope(node: Node) -> dict[str, str]:
    """Tables by the name they have inside the statement; the name of a subquery stands for itself."""
    found: dict[str, str] = {}
    for source in (*_sources(node), *(join.this for join in _joins(node))):
        if isinstance(source, exp.Table) and _name(source):
            found[source.alias or source.name] = source.name
        elif source.alias:
            found[source.alias] = source.alias
    return found


def _table_of(column: Any, table: str, scope: dict[str, str]) -> str:
    """The table that a column belongs to; empty where that is not said."""
    if column.table:
        return scope.get(column.table, str(column.table))
    return table if len(scope) <= 1 else ""


def _conjuncts(node: Any) -> Iterator[Any]:
    stack = [node]
    while stack:
        node = stack.pop()
        inner = node
        while isinstance(inner, exp.Paren):
            inner = inner.this
        if isinstance(inner, exp.And):
            stack += [inner.expression, inner.this]
        else:
            yield node


def _equated(node: Any) -> Iterator[tuple[str, Any]]:
    """A column, and what it is to be equal to or one of."""
    node = _unwrapped(node)
    if isinstance(node, exp.In) and isinstance(node.this, exp.Column):
        yield node.this.name, _arg(node, "query")
    elif isinstance(node, exp.EQ):
        for one, other in ((node.this, node.expression), (node.expression, node.this)):
            if isinstance(one, exp.Column):
                yield one.name, other


def _columns(node: Any) -> Iterator[exp.Column]:
    """The columns in an expression that are not a subquery's own."""
    stack = [node]
    while stack:
        found = stack.pop()
        if isinstance(found, exp.Column):
            yield found
        elif not isinstance(found, exp.Query):
            stack += found.iter_expressions()


def _own_columns(node: Any, table: str, scope: dict[str, str]) -> Iterator[str]:
    for column in _columns(node):
        if not column.table or scope.get(column.table) == table:
            yield column.name


def _selected(select: exp.Select, scope: dict[str, str], table: str) -> tuple[str, ...]:
    names: list[str] = []
    for chosen in select.expressions:
        value = _bare(chosen.unalias())
        if isinstance(value, exp.Star):
            names.append("*")
        elif isinstance(value, exp.Column) and _table_of(value, table, scope) in (table, ""):
            names.append("*" if isinstance(value.this, exp.Star) else value.name)
    return tuple(names)


def _aggregates(select: exp.Select) -> Iterator[str]:
    """The aggregate and window functions among what is selected."""
    stack: list[Any] = list(select.expressions)
    while stack:
        node = stack.pop()
        if isinstance(node, exp.AggFunc):
            yield str(node.sql_name()).lower()
        elif isinstance(node, exp.Window):
            yield str(node.this.sql_name()).lower() if isinstance(node.this, exp.Func) else "window"
        if not isinstance(node, exp.Query):
            stack += node.iter_expressions()
