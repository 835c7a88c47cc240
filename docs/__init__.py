"""The documentation; `python -m docs.build` makes the pages of the rules."""
