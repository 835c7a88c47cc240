"""Sends changes to the database without ending the transaction."""

from __future__ import annotations

import libcst as cst

from codemods.expressions import ExpressionCodemod
from codemods.paths import PlaceError


class FlushCommit(ExpressionCodemod):
    """Turn the call of `commit()` that `expression` names, awaited or not, into one of `flush()`."""

    DESCRIPTION = "Turn commit() into flush()."

    def replacement(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """The call of `flush()`; raises PlaceError."""
        if isinstance(node, cst.Await):
            return node.with_changes(expression=self.replacement(node.expression))
        if (
            not isinstance(node, cst.Call)
            or not isinstance(node.func, cst.Attribute)
            or node.func.attr.value != "commit"
            or node.args
        ):
            raise PlaceError("the expression is no call of commit()")
        return node.with_changes(func=node.func.with_changes(attr=cst.Name("flush")))
