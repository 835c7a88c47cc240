"""What must not happen to branches, tokens and pull requests, however a checkout, a forge or people are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from cli_runner import COUNTER
from pulls_checkout import Checkout, git

from autolock.forges.base import Check, ForgeError, Outcome
from autolock.forges.github import GitHub
from autolock.forges.http import Client
from autolock.pulls.commands import command_in
from autolock.pulls.git import Access, GitError, run_git

if TYPE_CHECKING:
    from pathlib import Path

    from forge import Forge

UPDATE = "autolock/lost-update"
_ANN = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")


@pytest.fixture
def small(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Checkout:
    files = {"app.py": COUNTER, ".gitattributes": "*.py text eol=crlf\n", "docs/index.md": "Counts.\n"}
    return Checkout(forge, forge.repository("acme/counter", files), tmp_path / "counter", monkeypatch, capfdbinary)


def test_a_run_leaves_alone_what_it_does_not_look_at(small: Checkout) -> None:
    small.pr_done()
    for options in (("--select", "check-then-act"), ("docs",)):
        small.pr_done(*options)
        assert UPDATE in small.open_branches(), options


def test_bases_do_not_take_a_branch_from_each_other(small: Checkout) -> None:
    small.pr_done()
    before = small.repository.head(UPDATE)
    small.repository.commit("release", {"app.py": f"# Of the release.\n{COUNTER}"})
    small.pr_done("--base", "release")
    assert small.repository.head(UPDATE) == before


def test_a_branch_does_not_bring_back_what_a_force_push_has_removed(small: Checkout) -> None:
    first = small.repository.head("main")
    assert first is not None
    small.repository.commit("main", {"secret.txt": "of nobody's business\n"})
    small.pr_done()
    small.repository.force("main", first)
    small.repository.commit("main", {"docs/index.md": "Counts more.\n"})
    small.pr_done()
    assert "secret.txt" not in small.repository.files(UPDATE)


def test_commits_that_come_while_a_pull_request_is_closed_stay(small: Checkout) -> None:
    small.pr_done()
    repository, number = small.repository, small.open_branches()[UPDATE]
    repository.commit("main", {"app.py": ""})

    def human() -> None:
        repository.commit(UPDATE, {"notes.txt": "mine\n"})

    small.forge.meanwhile("PATCH", f"/pulls/{number}", human)
    small.pr()
    assert "notes.txt" in repository.files(UPDATE)


def test_a_commit_that_somebody_has_amended_is_theirs(small: Checkout) -> None:
    small.pr_done()
    repository, number = small.repository, small.open_branches()[UPDATE]
    repository.close(number)
    url = repository.clone_url.replace("://", f"://anyone:{small.forge.token}@")
    git(small.folder, "fetch", "-q", url, UPDATE)
    git(small.folder, "checkout", "-q", "FETCH_HEAD")
    (small.folder / "app.py").write_text("mine = 1\n")
    git(small.folder, *_ANN, "commit", "-qa", "--amend", "--no-edit")
    git(small.folder, "push", "-qf", url, f"HEAD:{UPDATE}")
    repository.comment(number, "@autolock recreate", small.forge.user("writer", "write"))
    small.pr()
    assert repository.files(UPDATE)["app.py"] == "mine = 1\n"


def test_what_was_asked_for_before_a_pull_request_was_closed_is_not_asked_for_again(small: Checkout) -> None:
    small.pr_done()
    repository, number = small.repository, small.open_branches()[UPDATE]
    writer = small.forge.user("writer", "write")
    repository.comment(number, "@autolock recreate", writer)
    small.forge.advance(60)
    repository.close(number)
    small.forge.advance(60)
    repository.comment(number, "> @autolock recreate\n\nNo, this is closed for good.", writer)
    small.pr_done()
    assert small.open_branches() == {}


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("@autolock recreate", "recreate"),
        ("Please:\n@Autolock  Rebase now", "rebase"),
        ("> @autolock ignore\n\nwhy?", ""),
        ("Never say `@autolock ignore`.", ""),
        ("```\n@autolock ignore\n```", ""),
        ("@autolock\nignore", ""),
    ],
)
def test_commands_begin_a_line_and_are_not_quoted(text: str, command: str) -> None:
    assert command_in(text) == command


def test_line_ends_are_those_of_the_repository_whatever_the_checkout_has(small: Checkout) -> None:
    git(small.folder, "rm", "-q", "--cached", ".gitattributes")
    (small.folder / ".gitattributes").unlink()
    small.pr_done()
    assert "\r" not in small.repository.files(UPDATE)["app.py"]
    small.pr_done()
    assert small.forge.writes == []


def test_a_sparse_checkout_is_enough(small: Checkout) -> None:
    git(small.folder, "sparse-checkout", "set", "docs")
    small.pr_done()
    assert UPDATE in small.open_branches()


def test_a_folder_keeps_modes_and_writes_nothing_twice(small: Checkout) -> None:
    url = small.repository.clone_url.replace("://", f"://anyone:{small.forge.token}@")
    (small.folder / "service").mkdir()
    script = small.folder / "service" / "app.py"
    script.write_text(COUNTER)
    script.chmod(0o755)
    git(small.folder, "rm", "-q", "--cached", "app.py")
    git(small.folder, "add", "service")
    git(small.folder, *_ANN, "commit", "-qm", "Move")
    git(small.folder, "push", "-q", url, "HEAD:main")
    small.pr_done("service")
    assert small.repository.git.run("ls-tree", UPDATE, "service/app.py").startswith("100755")
    small.repository.commit("main", {"docs/index.md": "Counts more.\n"})
    small.configure({"check": "false"})
    small.pr_done("service")
    assert small.forge.writes == []


def test_a_symbolic_link_stays_one(small: Checkout) -> None:
    url = small.repository.clone_url.replace("://", f"://anyone:{small.forge.token}@")
    git(small.folder, "mv", "app.py", "app.txt")
    (small.folder / "app.py").symlink_to("app.txt")
    git(small.folder, "add", "app.py")
    git(small.folder, *_ANN, "commit", "-qm", "Link")
    git(small.folder, "push", "-q", url, "HEAD:main")
    small.pr_done()
    assert small.open_branches() == {}


def test_an_owners_file_with_a_line_that_is_no_pattern_is_read(small: Checkout) -> None:
    small.forge.user("ann", "write")
    small.repository.commit("main", {"CODEOWNERS": "! @bob\n*.py @ann\n"})
    small.configure({"reviewers": '["codeowners"]'})
    small.pr_done()
    (pull,) = small.repository.pulls.values()
    assert set(pull.requested_reviewers) == {"ann"}


def test_what_a_job_has_put_into_the_checkout_does_not_come_before_the_token(small: Checkout) -> None:
    url = small.repository.clone_url
    origin = url.partition("/acme")[0]
    git(small.folder, "config", f"http.{origin}/.extraheader", "Authorization: basic bm9ib2R5Om5vdGhpbmc=")
    git(small.folder, "remote", "set-url", "origin", url.replace("://", "://job:nothing@"))
    small.pr_done()
    assert UPDATE in small.open_branches()


def test_the_token_is_for_one_host(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    access = Access("x-access-token", "s3cret", "https://git.example.org/acme/shop.git")

    def asked(host: str) -> str:
        return run_git(
            ("credential", "fill"), tmp_path, access, given=f"protocol=https\nhost={host}\n\n".encode()
        ).decode()

    assert "password=s3cret" in asked("git.example.org")
    for host in ("evil.example", "git.example.org.evil.example", "git.example.org:444"):
        with pytest.raises(GitError):
            asked(host)


# -- the client ------------------------------------------------------------------------------------


def test_a_repository_that_was_renamed_is_found_and_the_token_stays_on_its_host() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.url.path == "/repos/old/name":
            return httpx.Response(301, headers={"location": "https://api.example.org/repositories/7"})
        if request.url.path == "/repositories/7":
            return httpx.Response(200, json={"default_branch": "trunk"})
        return httpx.Response(301, headers={"location": "https://evil.example/"})

    client = Client("https://api.example.org", {}, transport=httpx.MockTransport(answer))
    assert GitHub(client, "old/name").default_branch() == "trunk"
    with pytest.raises(ForgeError, match="301"):
        GitHub(client, "other/name").default_branch()
    assert {request.url.host for request in asked} == {"api.example.org"}


def test_a_limit_is_not_taken_for_too_little_permission() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            403, headers={"retry-after": "600"}, json={"message": "You have exceeded a secondary limit"}
        )

    client = Client("https://api.example.org", {}, transport=httpx.MockTransport(answer))
    with pytest.raises(ForgeError) as refused:
        GitHub(client, "acme/shop").may_write("ann")
    assert refused.value.status == 429


def test_a_job_called_autolock_is_not_taken_for_autolocks_check() -> None:
    written: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/check-runs") and request.method == "GET":
            run = {"id": 1, "external_id": "6f9b", "conclusion": None, "output": {"title": None}}
            return httpx.Response(200, json={"check_runs": [run]})
        if request.method == "GET":
            return httpx.Response(200, json={"statuses": []})
        written.append(f"{request.method} {request.url.path}")
        return httpx.Response(201, json={"id": 2})

    client = Client("https://api.example.org", {}, transport=httpx.MockTransport(answer))
    GitHub(client, "acme/shop").report(Check("1" * 40, Outcome.SUCCESS, "no races found", "none"))
    assert written == ["POST /repos/acme/shop/check-runs"]


def test_a_page_in_place_of_an_answer_is_refused() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, text="<html>log in</html>"))
    with pytest.raises(ForgeError, match="no JSON"):
        GitHub(Client("https://api.example.org", {}, transport=transport), "acme/shop").default_branch()
