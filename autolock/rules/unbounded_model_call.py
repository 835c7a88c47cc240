"""AL401 unbounded-model-call."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from autolock.findings import Severity
from autolock.rules.base import Match

if TYPE_CHECKING:
    from autolock.program.windows import RaceWindow


class UnboundedModelCall:
    """An endpoint sends every request to a language model, with neither a bound on calls in flight nor a rate limit.

    A call of a model takes seconds and costs money. As many requests as come in are in it at the same time: those of
    one client use up the quota of all others, and the provider answers them with errors. Who may call the endpoint is
    not looked at: somebody who is logged in can send a thousand requests as well.

    ## Racy

        @app.post("/chat")
        async def chat(prompt: str):
            return {"reply": await llm_client.generate(prompt)}

    ## Interleaving

        A waits for the model
        B waits for the model; so does everybody else: the thousandth call is under way

    ## Fix

    A semaphore admits a few calls at a time (for a stream inside of the generator, as the handler is over
    before the stream begins), and slowapi's limiter says how often one address may ask:

        @app.post("/chat")
        @limiter.limit("10/minute")
        async def chat(request: Request, prompt: str):
            async with model_slots:
                return {"reply": await llm_client.generate(prompt)}

    Both numbers come from `[tool.autolock.llm]`: `concurrency` and `rate-limit`. The fix is unsafe: a client that is
    too fast gets a 429 from now on, and requests wait for a free slot. Each process has slots of its own.

    ## Refused

    The semaphore: for a plain `def`, for a stream that is handed to FastAPI without a generator of the project. The
    limiter: for a WebSocket, where the handler is called directly, or uses the name `request` for something else.
    """

    id: ClassVar[str] = "AL401"
    name: ClassVar[str] = "unbounded-model-call"
    category: ClassVar[str] = "llm"
    summary: ClassVar[str] = "an endpoint calls a language model without a bound on calls in flight or a rate limit"
    codemods: ClassVar[tuple[str, ...]] = (
        "define-lock",
        "wrap-in-lock",
        "decorate",
        "add-parameter",
        "insert-after",
        "import-name",
    )

    def match(self, window: RaceWindow) -> Match | None:
        # Imported late: a run in which nothing has changed only asks rules for their names.
        from autolock.llm.windows import ModelWindow

        if not isinstance(window, ModelWindow):
            return None
        assert window.handler is not None
        return Match(
            Severity.LOW,
            f"`{window.handler.name}` sends every request to the model (`{window.calls[0].text}`): nothing bounds how "
            "many calls are in flight, and nothing limits the rate.",
        )
