"""The webhook receiver."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from autolock.bot.credentials import Credentials
from autolock.bot.runner import Runner
from autolock.bot.store import Store
from autolock.bot.webhooks import gone_installation, is_signed, jobs_for
from autolock.bot.work import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from autolock.bot.settings import BotSettings

#: GitHub sends no larger payloads.
_LARGEST = 25 * 1024 * 1024


def create_app(settings: BotSettings) -> FastAPI:
    """The application; its worker runs for as long as it does."""
    store = Store(settings.database)
    credentials = Credentials(settings.app_id, settings.private_key, settings.api)
    runner = Runner(store, Worker(settings, credentials).do)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        runner.start()
        yield
        await run_in_threadpool(runner.stop)
        store.close()

    app = FastAPI(title="autolock", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    def health() -> dict[str, int]:
        """How many jobs there are; an error where the database cannot be asked."""
        return {"jobs": store.waiting()}

    @app.post("/webhook", status_code=202)
    async def webhook(request: Request) -> dict[str, str]:
        """A delivery: refused unless GitHub has signed it, recorded, and what it gives to do is queued."""
        body = await _body(request)
        if not is_signed(body, request.headers.get("x-hub-signature-256", ""), settings.webhook_secret):
            raise HTTPException(401, "not signed with the webhook's secret")
        delivery, name = request.headers.get("x-github-delivery", ""), request.headers.get("x-github-event", "")
        try:
            payload = json.loads(body)
        except ValueError:
            raise HTTPException(400, "not JSON: set the webhook's content type to application/json") from None
        if not delivery or not name:
            raise HTTPException(400, "no delivery of GitHub")
        jobs, gone = jobs_for(name, payload), gone_installation(name, payload)
        if not await run_in_threadpool(store.accept, delivery[:64], name[:64], jobs, gone):
            raise HTTPException(409, "this delivery was here before")
        runner.wake()
        return {"status": "accepted"}

    return app


async def _body(request: Request) -> bytes:
    """The request's body, as long as it is no longer than any that GitHub sends."""
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > _LARGEST:
            raise HTTPException(413, "longer than what GitHub sends")
        parts.append(part)
    return b"".join(parts)
