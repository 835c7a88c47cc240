"""Transformations, a file each, usable alone through libcst's own codemod command."""
