"""SQLAlchemy's statements: `select(...)`, `update(...)`, `text(...)` and their methods."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace

from autolock.database.adapters.base import Args, Kwargs
from autolock.database.models import Model
from autolock.database.objects import Column, Condition, Conditions, Expression, Query, Session, TableThing
from autolock.database.rows import Rows
from autolock.database.sqlpieces import SqlText, constant_text
from autolock.database.sqlquery import query_of_text
from autolock.database.sqltree import ADVISORY
from autolock.program.values import NO_READS, NOTHING, ClassValue, Group, Heap, Row, Thing, Type, Value

_AGGREGATES = frozenset({"count", "max", "min", "sum", "avg", "array_agg", "string_agg", "row_number", "rank"})
_CLAUSES = frozenset({"and_", "or_", "not_"})
_BINARY = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OPERATORS: dict[type, str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_COLUMN_TESTS = {
    "is_": "is",
    "isnot": "is not",
    "is_not": "is not",
    "in_": "in",
    "not_in": "not in",
    "notin_": "not in",
    "like": "like",
    "ilike": "like",
    "startswith": "like",
    "contains": "like",
    "between": "between",
}
#: What makes a statement a part of another one.
_PARTS = frozenset({"scalar_subquery", "as_scalar", "subquery", "alias", "cte", "label", "any_", "all_", "correlate"})
#: Functions under which equal values stay equal.
_FOLDED = frozenset({"lower", "upper", "trim", "coalesce", "cast"})


class Statements:
    """Builds `Query` things out of calls."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    # -- constructors ------------------------------------------------------------

    def construct(self, package: str, short: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        if package.endswith(".func") or package == "func":
            return self.function(short, args)
        if short == "select":
            return Value(self.select(args, node))
        if short in ("insert", "update", "delete"):
            model = self.model_of(args[0]) if args else None
            return Value(Query(short, model, spot=self.rows.spot(node)))
        if short == "col" and args:
            return args[0]
        if short == "text":
            return self.text(args, node)
        if short == "aliased" and len(args) == 2 and isinstance(args[1].obj, Expression):
            return args[1]
        if short == "exists":
            return Value(self.exists(args))
        if short in _CLAUSES:
            return Value(self.together(args, short == "and_"), NO_READS.union(*(a.reads for a in args)))
        if short == "Table" and args:
            return None
        if short in ("case", "cast", "literal_column", "literal", "coalesce", "type_coerce"):
            return Value(Expression(columns_in([*args, *kwargs.values()])), NO_READS.union(*(a.reads for a in args)))
        return None

    def function(self, name: str, args: Args) -> Value:
        """`func.name(...)`."""
        reads = NO_READS.union(*(a.reads for a in args))
        inner = next((a.obj.function for a in args if isinstance(a.obj, Expression)), "")
        function = inner if name.lower() == "coalesce" and inner in _AGGREGATES else name.lower()
        return Value(Expression(columns_in(args), function=function), reads, f"func.{name}")

    def text(self, args: Args, node: ast.Call) -> Value | None:
        query = self.read(args[0], node) if args else None
        return Value(query, made="call")

    def exists(self, args: Args) -> Query:
        inner = args[0].obj if args else None
        if isinstance(inner, Query):
            return replace(inner, entity="exists", serial=Query("select", None).serial)
        query = Query("select", self.model_of(args[0]) if args else None, entity="exists")
        return self.where(query, args) if isinstance(inner, Conditions) else query

    def select(self, args: Args, node: ast.AST) -> Query:
        """`select(...)` of models, columns or expressions."""
        spot = self.rows.spot(node)
        if len(args) == 1 and isinstance(args[0].obj, Heap | Group) and not isinstance(args[0].obj, Row):
            args = list(args[0].obj.items) if isinstance(args[0].obj, Group) else args
        query = Query("select", None, spot=spot)
        for arg in args:
            query = self.selecting(query, arg)
        return query

    def selecting(self, query: Query, arg: Value) -> Query:
        """One more thing selected; the first decides what is given."""
        obj = arg.obj
        first = query.model is None and not query.advisory
        model = self.model_of(arg)
        if model is not None:
            if first:
                return replace(query, model=model)
            beside = (*query.beside, model) if query.entity == "row" and model != query.model else query.beside
            return replace(query, joined=True, beside=beside)
        if isinstance(obj, Column):
            columns = (*query.columns, obj)
            if first:
                return replace(query, model=obj.model, entity="column", columns=columns)
            return replace(query, columns=columns) if query.entity == "column" else query
        if isinstance(obj, Expression):
            return self.selecting_expression(query, obj, first)
        if isinstance(obj, Query) and obj.entity == "exists" and first:
            return replace(obj, spot=query.spot)
        if isinstance(obj, Conditions) and first:
            model = next((c.model for c in obj.items if c.model is not None), None)
            return replace(query, model=model, entity="exists")
        return query

    @staticmethod
    def selecting_expression(query: Query, obj: Expression, first: bool) -> Query:
        if obj.function in ADVISORY:
            return replace(query, advisory=ADVISORY[obj.function], entity="aggregate")
        query = replace(query, inner=query.inner or obj.query)
        aggregate = obj.function in _AGGREGATES or any(
            isinstance(c, Expression) and c.function in _AGGREGATES for c in obj.columns
        )
        model = obj.columns[0].model if obj.columns else None
        if first or (query.entity == "aggregate" and query.model is None):
            return replace(query, model=model, entity="aggregate" if aggregate or model is None else "column")
        return replace(query, grouped=query.grouped or aggregate)

    # -- methods --------------------------------------------------------------------

    def method(self, thing: Thing, name: str, args: Args, kwargs: Kwargs, node: ast.Call) -> Value | None:
        reads = NO_READS.union(*(a.reads for a in (*args, *kwargs.values())))
        if isinstance(thing, Query):
            if name in _PARTS:
                return Value(Expression((), query=thing), reads)
            changed = self.extended(thing, name, args, kwargs)
            spot = self.rows.spot(node)
            return Value(replace(changed, spot=spot, serial=Query("select", None).serial), reads)
        if isinstance(thing, Column | Expression):
            return self.tested(thing, name, args, reads)
        if isinstance(thing, Conditions):
            return Value(replace(thing, exact=False), reads)
        if isinstance(thing, TableThing):
            return self.table_method(thing, name, args, node)
        return None

    def table_method(self, thing: TableThing, name: str, args: Args, node: ast.Call) -> Value | None:
        """`users.select()`, `users.insert()`, `users.update()`, `users.delete()`."""
        if name in ("select", "insert", "update", "delete"):
            query = Query(name, thing.model, spot=self.rows.spot(node))
            return Value(self.where(query, args) if name != "insert" else query)
        return Value(thing if name == "alias" else None)

    def tested(self, thing: Column | Expression, name: str, args: Args, reads: frozenset[object]) -> Value:
        if isinstance(thing, Column) and name in _COLUMN_TESTS:
            value = args[0] if args else NOTHING
            operator = _COLUMN_TESTS[name]
            if operator in ("is", "is not") and value.made == "none":
                operator = f"{operator} null"
            found = Condition(thing.model, thing.name, operator, value)
            return Value(Conditions((found,)), reads)  # type: ignore[arg-type]
        if name in ("asc", "desc", "label", "nulls_last", "nulls_first", "over", "filter", "collate", "distinct"):
            return Value(thing, reads)  # type: ignore[arg-type]
        columns = thing.columns if isinstance(thing, Expression) else (thing,)
        return Value(Expression(columns), reads)  # type: ignore[arg-type]

    def extended(self, query: Query, name: str, args: Args, kwargs: Kwargs) -> Query:
        """A statement after one more call."""
        if name in ("where", "filter", "having"):
            return self.where(query, args)
        if name == "filter_by":
            items = tuple(Condition(query.model, k, "==", v) for k, v in kwargs.items())
            return replace(query, conditions=(*query.conditions, *items))
        if name == "with_for_update":
            given = {k: v.term for k, v in kwargs.items()}
            return replace(
                query,
                locks=given.get("read") != "True",
                skips_locked=given.get("skip_locked") == "True",
                of=self.models_in(kwargs.get("of", NOTHING)),
            )
        if name == "populate_existing":
            return replace(query, populates=True)
        if name == "execution_options":
            on = kwargs.get("populate_existing", NOTHING).term == "True"
            return replace(query, populates=query.populates or on)
        if name == "limit":
            return replace(query, limited=True)
        if name == "order_by":
            return replace(query, ordered=True)
        if name in ("join", "outerjoin", "join_from", "outerjoin_from"):
            return replace(query, joined=True)
        if name in ("group_by", "distinct"):
            return replace(query, grouped=True)
        if name == "select_from" and args:
            return replace(query, model=query.model or self.model_of(args[0]))
        if name == "with_only_columns":
            return self.only(query, args)
        if name == "values":
            return self.with_values(query, args, kwargs)
        if name in ("on_conflict_do_nothing", "on_conflict_do_update", "on_duplicate_key_update", "prefix_with"):
            return replace(query, guarded=True)
        if name == "from_select":
            return replace(query, guarded=True, unknown_values=True)
        if name == "returning":
            return replace(query, returning=True)
        if name == "exists":
            return replace(query, entity="exists")
        if name == "bindparams":
            return self.bound(query, Value(Heap(Type("dict"), fields={f"['{k}']": v for k, v in kwargs.items()})), {})
        if name == "select" and query.entity == "exists":
            return query
        return query

    def only(self, query: Query, args: Args) -> Query:
        narrowed = replace(query, model=None, columns=(), entity="row", beside=())
        for arg in args:
            narrowed = self.selecting(narrowed, arg)
        return replace(narrowed, model=narrowed.model or query.model)

    def with_values(self, query: Query, args: Args, kwargs: Kwargs) -> Query:
        values = {**query.values, **kwargs}
        unknown = query.unknown_values or "**" in kwargs
        values.pop("**", None)
        for arg in args:
            named = self.assigned(arg)
            values.update(named)
            unknown = unknown or not named
        return replace(query, values=values, unknown_values=unknown)

    @staticmethod
    def assigned(value: Value) -> dict[str, Value]:
        """What a `{column: value}` display assigns."""
        obj = value.obj
        if not isinstance(obj, Heap) or obj.type.kind != "dict":
            return {}
        return {k[2:-2]: v for k, v in obj.fields.items() if k.startswith(("['", '["'))}

    def where(self, query: Query, args: Args) -> Query:
        conditions, exact = list(query.conditions), query.exact
        model = query.model
        for arg in args:
            obj = arg.obj
            listed = _one_of(obj)
            found = obj if isinstance(obj, Conditions) else listed
            if found is not None:
                conditions.extend(found.items)
                exact = exact and listed is None and found.exact
                model = model or next((c.model for c in found.items if c.model is not None), None)
            elif isinstance(obj, Column):
                conditions.append(Condition(obj.model, obj.name, "==", Value(None, term="True", made="const")))
            else:
                exact = False
        return replace(query, model=model, conditions=tuple(conditions), exact=exact)

    def together(self, args: Args, all_of: bool) -> Conditions:
        """`and_(...)`, `or_(...)`."""
        items: list[Condition] = []
        exact = all_of
        for arg in args:
            found = arg.obj if isinstance(arg.obj, Conditions) else _one_of(arg.obj)
            if found is not None:
                items.extend(found.items)
            exact = exact and isinstance(arg.obj, Conditions) and arg.obj.exact
        return Conditions(tuple(items), exact)

    def attribute(self, thing: Thing, name: str, node: ast.AST) -> Value | None:
        if isinstance(thing, TableThing):
            if name in ("c", "columns"):
                return Value(thing)
            if name in thing.model.columns:
                return Value(Column(thing.model, name), term=f"{thing.model.ref.name}.{name}")
        if isinstance(thing, Expression) and thing.query is not None and id(node) not in self.rows.core.callees:
            return Value(thing)  # a column of a subquery
        return None

    # -- operators --------------------------------------------------------------------

    def compared(self, left: Value, operator: ast.cmpop, right: Value) -> Value | None:
        """`Model.column == value`."""
        text = _OPERATORS.get(operator.__class__)
        if text is None:
            return None
        column, other = (left.obj, right) if isinstance(left.obj, Column) else (right.obj, left)
        reads = left.reads | right.reads
        if not isinstance(column, Column):
            found = left.obj if isinstance(left.obj, Expression) else right.obj
            if not isinstance(found, Expression):
                return None
            if found.function in _FOLDED and len(found.columns) == 1:
                folded = Condition(found.columns[0].model, found.columns[0].name, text, Value())
                return Value(Conditions((folded,), exact=False), reads)
            return Value(Conditions(_computed(found), exact=False), reads)
        if other.made == "none":
            text = "is null" if text == "==" else "is not null"
        exact = not isinstance(other.obj, Column | Expression | Query)
        asked = Condition(column.model, column.name, text, other)
        more = _computed(other.obj) if isinstance(other.obj, Expression) else ()
        return Value(Conditions((asked, *more), exact), reads)

    def combined(self, left: Value, operator: ast.operator, right: Value) -> Value | None:
        """`a & b`, `a | b`, `Model.n + 1`."""
        reads = left.reads | right.reads
        if isinstance(left.obj, Conditions) or isinstance(right.obj, Conditions):
            return Value(self.together([left, right], isinstance(operator, ast.BitAnd)), reads)
        if isinstance(left.obj, Column | Expression) or isinstance(right.obj, Column | Expression):
            sign = {ast.Add: "+", ast.Sub: "-"}.get(operator.__class__, "?")
            return Value(Expression(columns_in([left, right]), operator=sign), reads, "", left.request or right.request)
        return None

    # -- what a value is ------------------------------------------------------------------

    def of(self, value: Value, node: ast.AST) -> Query | None:
        """The statement that a value is."""
        obj = value.obj
        if isinstance(obj, Query):
            return obj
        if isinstance(obj, TableThing):
            return Query("select", obj.model, spot=self.rows.spot(node))
        if isinstance(obj, Expression) and obj.function in ADVISORY:
            return Query("select", None, advisory=ADVISORY[obj.function], spot=self.rows.spot(node))
        return self.read(value, node)

    def read(self, value: Value, node: ast.AST) -> Query | None:
        """The statement that a text is."""
        text = constant_text(value)
        if text is None:
            return None
        exact = not isinstance(value.obj, SqlText) or value.obj.exact
        query = query_of_text(text, self.rows.models, exact)
        return replace(query, spot=self.rows.spot(node)) if query is not None else None

    @staticmethod
    def words(value: Value) -> list[str]:
        """The words of a text that is no query, in upper case."""
        text = constant_text(value)
        return text.upper().replace(";", " ").split() if text is not None else []

    def bound(self, query: Query, given: Value | None, positional: dict[str, Value]) -> Query:
        """A statement with its parameters in the place of placeholders."""
        if not query.text and query.kind != "insert" and query.kind != "update":
            return query
        named = self.assigned(given) if given is not None else {}
        several = given is not None and isinstance(given.obj, Heap) and "[*]" in given.obj.fields and not named
        if given is not None and isinstance(given.obj, Heap) and several:
            named = self.assigned(given.obj.fields["[*]"])
        if not query.text:
            unknown = query.unknown_values or "**" in named or (given is not None and not named)
            named.pop("**", None)
            return replace(query, values={**query.values, **named}, unknown_values=unknown)
        found = {**{f":{k}": v for k, v in named.items()}, **positional}
        return replace(
            query,
            conditions=tuple(c._replace(value=self.filled(c.value, found)) for c in query.conditions),
            values={k: self.filled(v, found) for k, v in query.values.items()},
        )

    @staticmethod
    def filled(value: Value, found: dict[str, Value]) -> Value:
        """What a placeholder stands for; nothing is known of one that is not among those given."""
        if isinstance(value.obj, Expression):
            return value.also(*(v for k, v in found.items() if k in value.term.split()))
        if value.made == "placeholder":
            return found.get(value.term, NOTHING)
        return value

    def model_of(self, value: Value) -> Model | None:
        obj = value.obj
        if isinstance(obj, ClassValue):
            return self.rows.models.of(obj.ref)
        return obj.model if isinstance(obj, TableThing) else None

    def models_in(self, value: Value) -> tuple[Model, ...]:
        """The model that a value is, or those that it lists."""
        items = value.obj.items if isinstance(value.obj, Group) else [value]
        return tuple(m for m in map(self.model_of, items) if m is not None)

    def key_conditions(self, model: Model, key: Value) -> tuple[Condition, ...]:
        """The primary key's columns, equal to what `get` was given."""
        names = [c.name for c in model.columns.values() if c.primary_key]
        if isinstance(key.obj, Group) and len(key.obj.items) == len(names):
            return tuple(Condition(model, n, "==", v) for n, v in zip(names, key.obj.items, strict=True))
        return (Condition(model, names[0] if len(names) == 1 else "id", "==", key),)


def _one_of(obj: object) -> Conditions | None:
    """What is known of conditions that were gathered in a list."""
    if not isinstance(obj, Heap) or isinstance(obj, Row):
        return None
    held = obj.fields.get("[*]", NOTHING).obj
    return held if isinstance(held, Conditions) else None


def _computed(found: Expression) -> tuple[Condition, ...]:
    """What is asked of columns that the database computes something from: nothing that could be seen here."""
    return tuple(Condition(c.model, c.name, "computed", Value()) for c in found.columns)


def columns_in(values: Iterable[Value]) -> tuple[Column, ...]:
    """The columns that occur in some values."""
    found: list[Column] = []
    for value in values:
        if isinstance(value.obj, Column):
            found.append(value.obj)
        elif isinstance(value.obj, Expression):
            found.extend(value.obj.columns)
    return tuple(found)


__all__ = ["Session", "Statements", "columns_in"]
