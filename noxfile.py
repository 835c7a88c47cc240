"""The tests on every supported Python that is installed: `nox`, or `nox -s tests-3.12`."""

from __future__ import annotations

import nox

nox.options.sessions = ["tests"]
nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """The suite, in an environment of its own."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)
