"""White space inside parentheses: how the things in a list, a call or a chain are parted."""

from __future__ import annotations

import libcst as cst

Space = cst.BaseParenthesizableWhitespace


def bare(space: Space) -> Space:
    """The same white space without its comments and empty lines."""
    if not isinstance(space, cst.ParenthesizedWhitespace):
        return space
    return space.with_changes(first_line=cst.TrailingWhitespace(newline=space.first_line.newline), empty_lines=())


def commented(space: Space, old: Space) -> Space:
    """White space with the comments of another one; where it has no line of its own for them, that other one."""
    if not isinstance(old, cst.ParenthesizedWhitespace) or not comments(old):
        return space
    base = space if isinstance(space, cst.ParenthesizedWhitespace) else old
    return base.with_changes(first_line=old.first_line, empty_lines=old.empty_lines)


def comments(node: cst.CSTNode) -> list[str]:
    """The comments in a node."""
    if isinstance(node, cst.Comment):
        return [node.value]
    return [comment for child in node.children for comment in comments(child)]
