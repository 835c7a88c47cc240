"""What runs before a handler, and with what: behind wrappers, for routes that a call registers, for whole routers."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import autolock

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """
import asyncio
import functools
import inspect
from typing import Annotated
from fastapi import APIRouter, Depends, FastAPI

lock = asyncio.Lock()
app = FastAPI()
router = APIRouter()

async def alone():
    async with lock:
        yield

class Desk:
    def __init__(self):
        self.served = 0

    async def serve(self):
        served = self.served
        await asyncio.sleep(0.01)
        self.served = served + 1

desk = Desk()

def get_desk():
    return desk

TheDesk = Annotated[Desk, Depends(get_desk)]
"""

SERVE = """
async def serve():
    await desk.serve()
"""

WRAPPERS = {
    "of coroutines": """
        def traced(handler):
            @functools.wraps(handler)
            async def inner(*args, **kwargs):
                return await handler(*args, **kwargs)
            return inner
    """,
    "of both kinds": """
        def traced(handler):
            if inspect.iscoroutinefunction(handler):
                @functools.wraps(handler)
                async def inner(*args, **kwargs):
                    return await handler(*args, **kwargs)
                return inner

            @functools.wraps(handler)
            def plain(*args, **kwargs):
                return handler(*args, **kwargs)
            return plain
    """,
    "with arguments of its own": """
        def measured(name):
            def wrap(handler):
                @functools.wraps(handler)
                async def inner(*args, **kwargs):
                    print(name)
                    return await handler(*args, **kwargs)
                return inner
            return wrap
        traced = measured("served")
    """,
}

PARAMETERS = {
    "annotated": "given: TheDesk",
    "a default": "given: Desk = Depends(get_desk)",
    "untyped": "given=Depends(get_desk)",
}


def races(folder: Path, *parts: str) -> list[str]:
    """The functions in which a race is found."""
    (folder / "main.py").write_text(HEAD + "".join(textwrap.dedent(part) for part in parts))
    report = autolock.check([folder], cache=False)
    return sorted(f.place.function for f in report.findings if f.certainty.value == "race")


@pytest.mark.parametrize("parameter", PARAMETERS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_handler_is_given_what_its_own_parameters_ask_for(
    wrapper: str, parameter: str, tmp_path: Path
) -> None:
    handler = f"""
        @app.post("/serve")
        @traced
        async def serve({PARAMETERS[parameter]}):
            await given.serve()
    """
    assert races(tmp_path, WRAPPERS[wrapper], handler) == ["Desk.serve"]


REGISTERED = {
    "the call that adds it": 'app.add_api_route("/", serve, methods=["POST"], dependencies={0})',
    "the router": """
own = APIRouter(dependencies={0})
own.add_api_route("/", serve, methods=["POST"])
app.include_router(own)
""",
    "the call that includes its router": """
router.add_api_route("/", serve, methods=["POST"])
app.include_router(router, dependencies={0})
""",
    "the router in the router": """
inner = APIRouter()
inner.add_api_route("/", serve, methods=["POST"])
router.include_router(inner)
app.include_router(router, prefix="/v1", dependencies={0})
""",
    "a decorator that is called": 'app.post("/", dependencies={0})(serve)',
    "the application": """
served = FastAPI(dependencies={0})
served.include_router(router)
router.add_api_route("/", serve, methods=["POST"])
""",
}

LISTED = {
    "written out": "[Depends(alone)]",
    "named": "guarded",
    "put together": "[Depends(get_desk), *guarded]",
    "added": "[Depends(get_desk)] + guarded",
}


@pytest.mark.parametrize("listed", LISTED)
@pytest.mark.parametrize("place", REGISTERED)
def test_a_lock_that_a_dependency_holds_guards_the_route(place: str, listed: str, tmp_path: Path) -> None:
    guarded = "\nguarded = [Depends(alone)]\n"
    assert races(tmp_path, SERVE, guarded, REGISTERED[place].format("[]")) == ["Desk.serve"]
    assert races(tmp_path, SERVE, guarded, REGISTERED[place].format(LISTED[listed])) == []


def test_a_factory_hands_its_own_dependencies_to_the_routes_that_it_adds(tmp_path: Path) -> None:
    factory = """
        def create_app():
            gate = asyncio.Lock()

            async def through():
                async with gate:
                    yield

            application = FastAPI()
            application.add_api_route("/", serve, methods=["POST"]{0})
            return application
    """
    assert races(tmp_path, SERVE, factory.replace("{0}", "")) == ["Desk.serve"]
    assert races(tmp_path, SERVE, factory.replace("{0}", ", dependencies=[Depends(through)]")) == []


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrapped_methods_and_providers_know_their_object(wrapper: str, tmp_path: Path) -> None:
    wrapped_all_the_way = """
        class Till:
            @traced
            async def take(self):
                await desk.serve()

        class Service:
            def __init__(self, till):
                self.till = till

            @traced
            async def take(self):
                await self.till.take()

        @traced
        async def get_till():
            return Till()

        @traced
        async def get_service(till=Depends(get_till)):
            return Service(till)

        @app.post("/take")
        @traced
        async def take(service=Depends(get_service)):
            await service.take()
    """
    assert races(tmp_path, WRAPPERS[wrapper], wrapped_all_the_way) == ["Desk.serve"]


def test_a_wrapper_that_calls_what_calls_it_is_followed_to_an_end(tmp_path: Path) -> None:
    circles = """
        @app.post("/take")
        @traced
        async def take(left: int):
            await desk.serve()
            if left:
                await take(left - 1)
    """
    assert races(tmp_path, WRAPPERS["of coroutines"], circles) == ["Desk.serve"]


def test_depends_is_known_by_any_name_and_a_cast_changes_nothing(tmp_path: Path) -> None:
    renamed = """
        from typing import cast
        from fastapi import Depends as Injected, Security as Checked

        @app.post("/take")
        async def take(till: Annotated[Desk, Injected(get_desk)], other=Checked(get_desk)):
            given = cast("Desk", till)
            await given.serve()

        @app.post("/unknown")
        async def unknown():
            given = cast(Desk, look_up("desk"))
            await given.serve()
    """
    assert races(tmp_path, renamed) == ["Desk.serve"]
