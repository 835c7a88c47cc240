"""Transformations, a file each, usable alone through libcst's own codemod command.

For example, in a folder that `codemods` can be imported from:

    python -m libcst.tool codemod -x codemods.wrap_in_lock.WrapInLock \\
        --at 'body[3].body[1]' --count 2 --lock stock_lock --is-async app.py
"""
