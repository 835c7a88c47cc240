"""Apps: their signature, where they are installed, and the tokens of installations. Also who a token is."""

from __future__ import annotations

import secrets
from typing import Any

import jwt

from forge.github.errors import not_found, refuse
from forge.github.objects import Objects, moment
from forge.http import Answer, Call, Router
from forge.people import TOKEN_LIFE, Access, App, Installation, Role, stronger

ROUTES = Router()
_LONGEST = 600
"""How many seconds ahead a signature may expire."""


def objects(call: Call) -> Objects:
    return Objects(call.root, call.world.url)


@ROUTES.add("GET /app", "app:read")
def get_app(call: Call) -> Answer:
    return Answer(200, objects(call).app(_app(call)))


@ROUTES.add("GET /app/installations", "app:read")
def list_installations(call: Call) -> Answer:
    app = _app(call)
    own = [installation for installation in call.world.installations.values() if installation.app is app]
    return call.page(own, objects(call).installation)


@ROUTES.add("GET /app/installations/{installation_id}", "app:read")
def get_installation(call: Call) -> Answer:
    return Answer(200, objects(call).installation(_installation(call)))


@ROUTES.add("GET /repos/{owner}/{repo}/installation", "app:read")
def installation_of_repository(call: Call) -> Answer:
    app = _app(call)
    for installation in call.world.installations.values():
        names = [repository.full_name for repository in installation.repositories]
        if installation.app is app and f"{call.params['owner']}/{call.params['repo']}" in names:
            return Answer(200, objects(call).installation(installation))
    raise not_found()


@ROUTES.add("POST /app/installations/{installation_id}/access_tokens", "app:read")
def create_token(call: Call) -> Answer:
    installation = _installation(call)
    if installation.suspended:
        raise refuse(403, "This installation has been suspended")
    repositories = _narrowed(call, installation)
    permissions = call.data.get("permissions") or dict(installation.permissions)
    if stronger(permissions, installation.permissions):
        raise refuse(422, "The permissions requested are not granted to this installation.")
    permissions = {"metadata": "read", **permissions}
    token = f"ghs_{secrets.token_hex(18)}"
    expires = call.world.time() + TOKEN_LIFE
    call.world.accesses[token] = Access(installation.app.bot, installation, tuple(repositories), permissions, expires)
    answer: dict[str, Any] = {"token": token, "expires_at": moment(expires), "permissions": permissions}
    narrowed = "repositories" in call.data or "repository_ids" in call.data
    answer["repository_selection"] = "selected"
    if narrowed:
        answer["repositories"] = [objects(call).repository(one, Role.READ, "repository") for one in repositories]
    return Answer(201, answer)


@ROUTES.add("GET /installation/repositories")
def installation_repositories(call: Call) -> Answer:
    if not call.bearer.installation:
        raise refuse(
            403,
            "You must authenticate with an installation access token in order to list repositories "
            "for an installation.",
        )
    shown = call.page(
        list(call.bearer.repositories), lambda one: objects(call).repository(one, Role.READ, "repository")
    )
    total = len(call.bearer.repositories)
    return Answer(200, {"total_count": total, "repositories": shown.body}, shown.headers)


@ROUTES.add("GET /user")
def get_user(call: Call) -> Answer:
    if call.bearer.installation:
        raise refuse(403, "Resource not accessible by integration")
    return Answer(200, objects(call).public_user(call.user))


@ROUTES.add("GET /users/{username}")
def get_some_user(call: Call) -> Answer:
    user = call.world.users.get(call.params["username"].lower())
    if user is None:
        raise not_found()
    return Answer(200, objects(call).public_user(user))


@ROUTES.add("GET /rate_limit")
def get_rate_limit(call: Call) -> Answer:
    world = call.world
    reset = int(world.limited_until or world.time() + 3600)
    used = 5000 if world.limited_until else min(world.spent, 5000)
    core = {"limit": 5000, "remaining": 5000 - used, "reset": reset, "used": used}
    search = {"limit": 30, "remaining": 30, "reset": reset, "used": 0}
    return Answer(200, {"resources": {"core": core, "search": search}, "rate": core})


def _app(call: Call) -> App:
    """The App whose signature the request has."""
    token = call.headers.get("authorization", "").partition(" ")[2]
    now = call.world.time()
    for app in call.world.apps:
        try:
            claims = jwt.decode(
                token, app.public_key, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False}
            )
        except jwt.InvalidTokenError:
            continue
        if str(claims.get("iss")) not in (str(app.id), app.client_id):
            continue
        expires, issued = claims.get("exp"), claims.get("iat")
        if not isinstance(expires, int) or expires <= now:
            raise refuse(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future time at "
                "which the assertion expires",
            )
        if expires > now + _LONGEST:
            raise refuse(401, "'Expiration time' claim ('exp') is too far in the future")
        if not isinstance(issued, int) or issued > now:
            raise refuse(
                401, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
            )
        return app
    raise refuse(401, "A JSON web token could not be decoded")


def _installation(call: Call) -> Installation:
    app = _app(call)
    installation = call.world.installations.get(call.number("installation_id"))
    if installation is None or installation.app is not app:
        raise not_found()
    return installation


def _narrowed(call: Call, installation: Installation) -> list[Any]:
    """The repositories that are asked for; all of the installation where none are."""
    wanted = call.data.get("repositories")
    ids = call.data.get("repository_ids")
    if wanted is None and ids is None:
        return installation.repositories
    chosen = [one for one in installation.repositories if one.name in (wanted or ()) or one.id in (ids or ())]
    if len(chosen) < len(wanted or ()) + len(ids or ()):
        raise refuse(
            422, "There is at least one repository that does not exist or is not accessible to the parent installation."
        )
    return chosen
