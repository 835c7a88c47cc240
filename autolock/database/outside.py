"""Other services, programs and pauses: what a request waits for, and holds its rows over."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autolock.database.trace import Wait
from autolock.program.index import dotted
from autolock.program.values import External, Heap, Method, Value

if TYPE_CHECKING:
    from autolock.program.core import Core

#: Packages whose plain functions wait for something outside of the process.
_SERVICES = frozenset(
    {
        "aioboto3",
        "aiobotocore",
        "aiogram",
        "aiohttp",
        "aiosmtplib",
        "anthropic",
        "asyncssh",
        "azure",
        "boto3",
        "botocore",
        "cohere",
        "discord",
        "docker",
        "dropbox",
        "elasticsearch",
        "emails",
        "fastapi_mail",
        "ftplib",
        "google",
        "googleapiclient",
        "grpc",
        "httpx",
        "huggingface_hub",
        "hvac",
        "imaplib",
        "kubernetes",
        "ldap3",
        "litellm",
        "minio",
        "mistralai",
        "ollama",
        "openai",
        "paramiko",
        "pika",
        "pinecone",
        "playwright",
        "qdrant_client",
        "requests",
        "resend",
        "selenium",
        "sendgrid",
        "slack_sdk",
        "smtplib",
        "stripe",
        "subprocess",
        "telegram",
        "telethon",
        "twilio",
        "urllib3",
        "weaviate",
        "web3",
        "yt_dlp",
    }
)
#: Methods of what these packages make that answer at once.
_AT_ONCE = frozenset({"close", "quit", "poll", "kill", "terminate"})
_PAUSES = frozenset({"time.sleep", "os.system", "urllib.request.urlopen"})
_OF_THE_LOOP = frozenset({"asyncio", "anyio", "trio", "loop"})
#: Methods of sessions and connections, of which it is not always known that they are some.
_OF_SESSIONS = frozenset(
    {
        "add_all",
        "begin",
        "begin_nested",
        "close",
        "commit",
        "delete",
        "exec",
        "execute",
        "fetch",
        "fetch_all",
        "fetch_one",
        "fetchrow",
        "flush",
        "get_one",
        "merge",
        "refresh",
        "rollback",
        "run_sync",
        "scalar",
        "scalars",
    }
)


class Outside:
    """Notes what is waited for; `count` and `last` tell a memoised call of it.

    `services` are the calls of which it is known that something outside of the process answers them.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self.count = 0
        self.last: ast.expr | None = None
        self.answered: set[int] = set()
        self.services: set[int] = set()

    def called(self, callee: Value, node: ast.Call) -> None:
        """Something that is no function of the project is called; without `await` only known services take long."""
        obj = callee.obj
        if isinstance(obj, External) and _waits(obj.name):
            if obj.name != "time.sleep":
                self.services.add(id(node))
            self.note(node)
        elif isinstance(obj, Method) and isinstance(obj.receiver.obj, Heap) and obj.name not in _AT_ONCE:
            kind = obj.receiver.obj.type
            if kind.kind != "external" or kind.name.partition(".")[0] not in _SERVICES:
                return
            self.services.add(id(node))
            if "sync" not in kind.name.lower():
                self.note(node)

    def awaited(self, node: ast.expr) -> None:
        """Something that is neither the project's nor the database's is awaited."""
        if isinstance(node, ast.Call) and (id(node) in self.answered or _is_quiet(node)):
            return
        wait = self.note(node)
        if wait is not None and isinstance(node, ast.Call) and not _is_of_the_loop(node):
            self.core.database.rows.trace.strangers.append(wait)

    def note(self, node: ast.expr) -> Wait | None:
        """The request waits here, with these transactions open."""
        core = self.core
        self.count += 1
        self.last = node
        state = core.state
        begun = frozenset(t.serial for t in state.transactions.values() if t.begun or t.blocks)
        if not core.recording or not core.frames or core.frame.ref is None:
            return None
        text = core.text_of(node.func if isinstance(node, ast.Call) else node)
        wait = Wait(node, core.stack(), core.context, core.entry, core.next_serial(), text, begun)
        if id(node) in self.services:
            core.database.rows.trace.services.append(wait)
        if state.transactions:
            core.database.rows.trace.waits.append(wait)
        return wait


def _waits(name: str) -> bool:
    """Whether an imported function waits for something outside."""
    package, _, last = name.rpartition(".")
    made = last[:1].isupper() or last in ("client", "resource", "from_env")
    return name in _PAUSES or (name.partition(".")[0] in _SERVICES and bool(package) and not made)


def _is_of_the_loop(call: ast.Call) -> bool:
    """Whether what is awaited is the event loop's own, or a plain name: nobody outside has to answer."""
    return not isinstance(call.func, ast.Attribute) or dotted(call.func).partition(".")[0] in _OF_THE_LOOP


def _is_quiet(call: ast.Call) -> bool:
    """Whether a call only lets others run, or belongs to a session that was not recognised."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    nothing = len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
    return name in _OF_SESSIONS or (name == "sleep" and nothing)
