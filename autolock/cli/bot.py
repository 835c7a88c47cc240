"""`autolock bot serve`."""

from enum import Enum
from typing import Annotated

import typer

from autolock.errors import AutolockError


class Action(str, Enum):
    """What the bot is to do."""

    SERVE = "serve"


What = Annotated[Action, typer.Argument(help="serve: receive GitHub's webhooks, and do what they ask for.")]
Host = Annotated[str, typer.Option("--host", help="The address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="The port to listen on.")]


def bot(action: What, host: Host = "127.0.0.1", port: Port = 8000) -> int:
    """Run autolock as a GitHub App; docs/pull-requests.md says how to set one up.

    The environment says who it is: AUTOLOCK_APP_ID, AUTOLOCK_PRIVATE_KEY and AUTOLOCK_WEBHOOK_SECRET (or each with
    _FILE), AUTOLOCK_DATABASE, AUTOLOCK_WORK, AUTOLOCK_API.
    """
    from autolock.bot.settings import settings_from

    settings = settings_from()
    try:
        import uvicorn

        from autolock.bot.server import create_app
    except ModuleNotFoundError as error:
        raise AutolockError(f"the bot needs {error.name}", "pip install 'autolock[bot]'") from None
    uvicorn.run(create_app(settings), host=host, port=port, log_level="info")
    return 0
