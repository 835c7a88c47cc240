"""`autolock undo`."""

from typing import Annotated

import typer

from autolock.cli.console import emit

Project = Annotated[str, typer.Argument(metavar="PATH", help="Anything in the project that was fixed.")]


def undo(path: Project = ".") -> int:
    """Put back the files of the last applied run, refusing where one has changed since."""
    from autolock import api

    emit("".join(f"put back {name}\n" for name in api.undo(path)))
    return 0
