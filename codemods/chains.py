"""Calls that are chained, such as `select(Job).where(...)`: read, and one more put in, laid out like the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import libcst as cst

from codemods.expressions import expression
from codemods.layout import bare, commented
from codemods.paths import PlaceError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codemods.layout import Space


class Keyword(NamedTuple):
    """A keyword argument as source."""

    name: str
    value: str


class Link(NamedTuple):
    """One method call of a chain: the call, its function, and the method's name."""

    call: cst.Call
    func: cst.Attribute
    name: str


def links(node: cst.BaseExpression) -> list[Link]:
    """The method calls of a chain, first to last; `select(Job)` that begins one is none of them."""
    found: list[Link] = []
    while True:
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
            found.append(Link(node, node.func, node.func.attr.value))
            node = node.func.value
        elif isinstance(node, cst.Attribute):
            node = node.value
        else:
            return found[::-1]


def keyword_of(call: cst.Call, name: str) -> cst.Arg | None:
    """The keyword argument of that name."""
    return next((arg for arg in call.args if arg.keyword is not None and arg.keyword.value == name), None)


def appended(node: cst.BaseExpression, method: str, keywords: Iterable[Keyword] = (), text: str = "") -> cst.Call:
    """`node.method(...)`: inside the parentheses round the node, and on a line of its own if the calls before are.

    `text` is the source of a positional argument. Raises PlaceError for what cannot be called on.
    """
    if not isinstance(node, cst.Name | cst.Attribute | cst.Call | cst.Subscript):
        raise PlaceError(f"no call of {method}() can be put after that kind of expression")
    chain = links(node)
    dot = chain[-1].func.dot if chain and chain[-1].call is node else cst.Dot()
    before, rpar = bare(dot.whitespace_before), node.rpar
    if rpar and isinstance(before, cst.ParenthesizedWhitespace):
        end = rpar[0].whitespace_before
        before = commented(before, end)
        rpar = [rpar[0].with_changes(whitespace_before=bare(end)), *rpar[1:]]
    func = cst.Attribute(node.with_changes(lpar=(), rpar=()), cst.Name(method), cst.Dot(before))
    return cst.Call(func, _arguments(keywords, text), lpar=node.lpar, rpar=rpar)


def inserted(
    node: cst.BaseExpression, link: Link, method: str, keywords: Iterable[Keyword] = (), text: str = ""
) -> cst.BaseExpression:
    """The chain with a call of `method` before one of its method calls, laid out like that one."""
    func = cst.Attribute(link.func.value, cst.Name(method), link.func.dot)
    call = cst.Call(func, _arguments(keywords, text))
    dot = link.func.dot.with_changes(whitespace_before=bare(link.func.dot.whitespace_before))
    return _replaced(node, link.func, link.func.with_changes(value=call, dot=dot))


def without_argument(node: cst.BaseExpression, link: Link, argument: cst.Arg) -> cst.BaseExpression:
    """The chain without one argument of one of its method calls."""
    args = list(link.call.args)
    number = args.index(argument)
    args.remove(argument)
    if args and number == len(args):
        end = {"comma": argument.comma, "whitespace_after_arg": argument.whitespace_after_arg}
        args[-1] = args[-1].with_changes(**end)
    return _replaced(node, link.call, link.call.with_changes(args=args))


def with_keywords(call: cst.Call, keywords: Iterable[Keyword]) -> cst.Call:
    """The call with keyword arguments after its last one, a line each if the arguments are."""
    for keyword in keywords:
        call = _with_keyword(call, _argument(keyword))
    return call


def _with_keyword(call: cst.Call, new: cst.Arg) -> cst.Call:
    if not call.args:
        return call.with_changes(args=[new])
    *others, last = call.args
    space = _separator(call)
    if isinstance(last.comma, cst.Comma):
        end = last.comma.whitespace_after
        kept = last.with_changes(comma=last.comma.with_changes(whitespace_after=commented(space, end)))
        new = new.with_changes(comma=last.comma.with_changes(whitespace_after=bare(end)))
    else:
        end = last.whitespace_after_arg
        comma = cst.Comma(whitespace_after=commented(space, end))
        kept = last.with_changes(comma=comma, whitespace_after_arg=cst.SimpleWhitespace(""))
        new = new.with_changes(whitespace_after_arg=bare(end))
    return call.with_changes(args=[*others, kept, new])


def _separator(call: cst.Call) -> Space:
    """The white space between the arguments, or as the opening parenthesis suggests if there is just one."""
    first = call.args[0].comma
    if len(call.args) > 1 and isinstance(first, cst.Comma):
        return bare(first.whitespace_after)
    opening = call.whitespace_before_args
    return bare(opening) if isinstance(opening, cst.ParenthesizedWhitespace) else cst.SimpleWhitespace(" ")


def _replaced(node: cst.BaseExpression, old: cst.BaseExpression, new: cst.BaseExpression) -> cst.BaseExpression:
    """The chain with one node of it replaced."""
    return cast("cst.BaseExpression", node.deep_replace(old, new))


def _arguments(keywords: Iterable[Keyword], text: str) -> list[cst.Arg]:
    """The arguments of a call on one line."""
    args = [cst.Arg(expression(text))] if text else []
    return [*args, *map(_argument, keywords)]


def _argument(keyword: Keyword) -> cst.Arg:
    return cst.Arg(
        expression(keyword.value),
        keyword=cst.Name(keyword.name),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
