"""Locks the rows that a query reads."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import libcst as cst

from codemods.chains import Keyword, Link, appended, inserted, keyword_of, links, with_keywords, without_argument
from codemods.expressions import ExpressionCodemod, code_of
from codemods.paths import PlaceError
from codemods.sql_strings import with_lock_clause

if TYPE_CHECKING:
    from collections.abc import Iterable

    from libcst.codemod import CodemodContext

FORMS = ("select", "get", "refresh", "query", "text", "tortoise", "piccolo")
_TRUE = "True"
_ALREADY = "the query locks its rows already"
_POPULATE = Keyword("populate_existing", _TRUE)
_TORTOISE_ONE = {"get", "get_or_none", "first", "last", "latest", "earliest"}
_TORTOISE_NEVER = {
    *("count", "exists", "values", "values_list", "in_bulk", "raw"),
    *("create", "bulk_create", "get_or_create", "update_or_create", "update", "bulk_update", "delete"),
}
_PICCOLO_END = {"first", "get", "output", "run", "run_sync"}
_PICCOLO_NEVER = {"get_or_create", "create", "count", "exists", "update", "delete", "insert", "raw", "save"}


class LockRows(ExpressionCodemod):
    """Make the query that `expression` is, or begins, read its rows FOR UPDATE.

    What the expression is, `form` tells: `select`, a SELECT that is built (`select(Job).where(...)`);
    `get`, a call of `session.get`; `refresh`, one of `session.refresh`; `query`, a `session.query(...)`
    without its last call (`one()`, `first()`); `text`, a string literal of SQL; `tortoise` and
    `piccolo`, a query of those libraries. `of` is the source of what to lock where the query joins,
    in a form `text` the name of the table. Rows that the session has loaded before are read anew
    (`populate`), without which their old values stay; `lock=False` adds only that.
    """

    DESCRIPTION = "Lock the rows that a query reads."

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        """The arguments of the command line, named as those of the class."""
        ExpressionCodemod.add_args(arg_parser)
        arg_parser.add_argument("--form", choices=FORMS, required=True, help="what the expression is")
        arg_parser.add_argument("--of", default="", help="what to lock if not all that the query reads")
        arg_parser.add_argument("--skip-locked", action="store_true", help="leave out rows that others have locked")
        both = argparse.BooleanOptionalAction
        arg_parser.add_argument("--populate", action=both, default=True, help="read rows anew that are loaded")
        arg_parser.add_argument("--lock", action=both, default=True, help="lock the rows")

    def __init__(
        self,
        context: CodemodContext,
        at: str,
        expression: str,
        nth: int = 0,
        form: str = "select",
        of: str = "",
        skip_locked: bool = False,
        populate: bool = True,
        lock: bool = True,
    ) -> None:
        super().__init__(context, at, expression, nth)
        self.form = form
        self.of = of
        self.skip_locked = skip_locked
        self.populate = populate
        self.lock = lock

    def replacement(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """The query that locks; raises PlaceError."""
        if not self.lock and (not self.populate or self.form not in ("select", "get", "query")):
            raise PlaceError(f"nothing is to be added to a query of the form {self.form!r}")
        if self.form == "select":
            return self._select(node)
        if self.form == "query":
            return self._query(node)
        if self.form in ("get", "refresh"):
            return self._session_call(node)
        if self.form == "text":
            return with_lock_clause(node, self._clause())
        if self.form == "tortoise":
            return self._tortoise(node)
        if self.form == "piccolo":
            return self._piccolo(node)
        raise PlaceError(f"{self.form!r} is no form of a query; the forms are {', '.join(FORMS)}")

    def _select(self, node: cst.BaseExpression) -> cst.BaseExpression:
        chain = links(node)
        if self.lock:
            _refuse(chain, {"with_for_update"}, _ALREADY)
            node = appended(node, "with_for_update", self._options())
        if self.populate and not any(keyword_of(link.call, _POPULATE.name) for link in chain):
            node = appended(node, "execution_options", [_POPULATE])
        return node

    def _query(self, node: cst.BaseExpression) -> cst.BaseExpression:
        chain = links(node)
        if self.populate and not any(link.name == _POPULATE.name for link in chain):
            node = appended(node, _POPULATE.name)
        if self.lock:
            _refuse(chain, {"with_for_update"}, _ALREADY)
            node = appended(node, "with_for_update", self._options())
        return node

    def _session_call(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """`session.get(...)` or `session.refresh(...)` with the keywords that it takes for this."""
        names = ("get", "get_one") if self.form == "get" else ("refresh",)
        if not isinstance(node, cst.Call) or not any(link.call is node and link.name in names for link in links(node)):
            raise PlaceError(f"the expression is no call of {self.form}()")
        added = []
        locks = keyword_of(node, "with_for_update") is not None
        if self.lock and not locks:
            added.append(Keyword("with_for_update", self._flags()))
        if self.form == "get" and self.populate and keyword_of(node, _POPULATE.name) is None:
            added.append(_POPULATE)
        if not added:
            raise PlaceError(_ALREADY)
        return with_keywords(node, added)

    def _tortoise(self, node: cst.BaseExpression) -> cst.BaseExpression:
        chain = links(node)
        _refuse(chain, {"select_for_update"}, _ALREADY)
        _refuse(chain, _TORTOISE_NEVER, "a Tortoise query that ends so locks no rows")
        end = next((link for link in chain if link.name in _TORTOISE_ONE), None)
        if end is None:
            return appended(node, "select_for_update", self._options())
        connection = keyword_of(end.call, "using_db")
        if connection is None:
            return inserted(node, end, "select_for_update", self._options())
        moved = Keyword("using_db", code_of(connection.value))
        changed = inserted(node, end, "select_for_update", [*self._options(), moved])
        end = next(link for link in links(changed) if link.name == end.name)
        return without_argument(changed, end, cst.ensure_type(keyword_of(end.call, "using_db"), cst.Arg))

    def _piccolo(self, node: cst.BaseExpression) -> cst.BaseExpression:
        chain = links(node)
        _refuse(chain, {"lock_rows"}, _ALREADY)
        _refuse(chain, _PICCOLO_NEVER, "a Piccolo query of this kind locks no rows")
        end = next((link for link in chain if link.name in _PICCOLO_END), None)
        if end is None:
            return appended(node, "lock_rows", self._options(), text='"UPDATE"')
        return inserted(node, end, "lock_rows", self._options(), text='"UPDATE"')

    def _options(self) -> list[Keyword]:
        """The keyword arguments of the call that locks."""
        of = [Keyword("of", self.of)] if self.of else []
        return [*of, *([Keyword("skip_locked", _TRUE)] if self.skip_locked else [])]

    def _flags(self) -> str:
        """The same as the value of a keyword argument."""
        options = self._options()
        pairs = ", ".join(f'"{option.name}": {option.value}' for option in options)
        return f"{{{pairs}}}" if options else _TRUE

    def _clause(self) -> str:
        """The same in SQL."""
        return "FOR UPDATE" + (f" OF {self.of}" if self.of else "") + (" SKIP LOCKED" if self.skip_locked else "")


def _refuse(chain: Iterable[Link], methods: set[str], reason: str) -> None:
    """Raise PlaceError for a chain with a call of one of the methods."""
    if any(link.name in methods for link in chain):
        raise PlaceError(reason)
