"""A rule and a codemod for autolock, in a package of its own."""
