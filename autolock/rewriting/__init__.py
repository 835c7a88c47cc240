"""From edits to bytes: applying codemods, proving the result, formatting what changed."""

from autolock.rewriting.compiling import check_compiles
from autolock.rewriting.engine import RewriteError, apply_edits, registered_codemods
from autolock.rewriting.formatting import format_changed

__all__ = ["RewriteError", "apply_edits", "check_compiles", "format_changed", "registered_codemods"]
