"""What the bot is told by its environment."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autolock.errors import AutolockError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class BotSettings:
    """Who the App is and where it keeps things.

    `database` is a SQLAlchemy URL. `work` is the folder for clones. `api` is the base URL of GitHub's interface.
    """

    app_id: str
    private_key: str
    webhook_secret: str
    database: str
    work: Path
    api: str = "https://api.github.com"


def settings_from(environment: Mapping[str, str] = os.environ) -> BotSettings:
    """The settings that the environment holds; secrets may also be files, named by NAME_FILE.

    Raises AutolockError for what is missing or cannot be read.
    """
    return BotSettings(
        app_id=_needed(environment, "AUTOLOCK_APP_ID"),
        private_key=_needed(environment, "AUTOLOCK_PRIVATE_KEY"),
        webhook_secret=_needed(environment, "AUTOLOCK_WEBHOOK_SECRET"),
        database=environment.get("AUTOLOCK_DATABASE") or "sqlite:///autolock-bot.db",
        work=Path(environment.get("AUTOLOCK_WORK") or Path(tempfile.gettempdir()) / "autolock-bot"),
        api=environment.get("AUTOLOCK_API") or "https://api.github.com",
    )


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    file = environment.get(f"{name}_FILE", "")
    if not value and file:
        try:
            value = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise AutolockError(f"{file}: cannot be read ({type(error).__name__})", f"check {name}_FILE") from None
    if not value.strip():
        raise AutolockError(f"{name} is not set", f"set it, or {name}_FILE to a file that holds it")
    return value.strip()
