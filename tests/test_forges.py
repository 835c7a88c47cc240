"""The three clients against the forge of the tests: what one can be asked, all can be asked, and means the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from autolock.forges import remotes
from autolock.forges.base import Annotation, Check, ForgeError, LineComment, NewPull, Outcome, PullState
from autolock.forges.http import Client
from autolock.forges.remotes import Remote, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from forge import Forge
    from forge.state import Repository

    from autolock.forges.base import Forge as Asked

BEFORE = "".join(f"line {number}\n" for number in range(1, 31))
AFTER = BEFORE.replace("line 10\n", "line ten\nand a half\n")


@pytest.fixture(params=["github", "gitlab", "gitea"])
def face(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def shop(forge: Forge) -> Repository:
    repository = forge.repository("acme/shop", {"app.py": BEFORE, "notes.txt": "Nothing\n"})
    repository.commit("autolock/lost-update", {"app.py": AFTER})
    return repository


@pytest.fixture
def asked(forge: Forge, shop: Repository, face: str, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The client of one forge, whose waits are the forge's own time."""
    monkeypatch.setattr(remotes, "Client", partial(Client, sleep=forge.advance, clock=forge.time))
    urls = {"github": forge.api_url, "gitlab": forge.gitlab_url, "gitea": forge.gitea_url}
    return connect(Remote(face, urls[face], shop.full_name), forge.token)


NEW = NewPull("Fix a race", "Because\n", "autolock/lost-update", "main")


class TestPulls:
    def test_one_is_opened_changed_and_closed(self, shop: Repository, asked: Asked) -> None:
        opened = asked.open_pull(NEW)
        assert (opened.number, opened.head, opened.base) == (1, "autolock/lost-update", "main")
        assert (opened.head_commit, opened.state, opened.ours) == (shop.head(opened.head), PullState.OPEN, True)
        assert (opened.author, opened.draft) == (asked.me(), False)
        asked.update_pull(1, title="Fix two races", body="More")
        asked.close_pull(1)
        closed = asked.pull(1)
        assert (closed.title, closed.body, closed.state) == ("Fix two races", "More", PullState.CLOSED)

    def test_the_one_that_is_open_already_is_given(self, shop: Repository, asked: Asked) -> None:
        assert asked.open_pull(NEW) == asked.open_pull(NEW)
        assert len(shop.pulls) == 1

    def test_a_draft_stays_one(self, asked: Asked) -> None:
        asked.open_pull(NewPull(NEW.title, NEW.body, NEW.head, NEW.base, draft=True))
        asked.update_pull(1, title="Fix", body="")
        found = asked.pull(1)
        assert (found.title, found.draft) == ("Fix", True)

    def test_those_of_our_branches_are_found_the_newest_first(
        self, forge: Forge, shop: Repository, asked: Asked
    ) -> None:
        fork = forge.fork(shop, forge.user("ada"))
        for branch in ("autolock/write-skew", "feature"):
            shop.commit(branch, {"notes.txt": branch})
        for branch in ("autolock/lost-update", "feature", "autolock/write-skew"):
            shop.open_pull(branch)
        shop.close(1)
        shop.open_pull("autolock/lost-update")
        fork.commit("autolock/write-skew", {"notes.txt": "Theirs"})
        shop.open_pull("autolock/write-skew", source=fork)
        shop.merge(4)
        found = asked.pulls("autolock/", ["autolock/lost-update"])
        assert [(pull.number, pull.state) for pull in found] == [
            (4, PullState.MERGED),
            (3, PullState.OPEN),
            (1, PullState.CLOSED),
        ]

    def test_labels_are_added_to_those_that_are_there(self, shop: Repository, asked: Asked) -> None:
        asked.open_pull(NEW)
        asked.add_labels(1, ["bug"])
        asked.add_labels(1, ["race", "autolock"])
        assert set(shop.pulls[1].labels) == {"bug", "race", "autolock"}

    def test_people(self, forge: Forge, shop: Repository, asked: Asked) -> None:
        forge.user("ada", "write")
        asked.open_pull(NEW)
        asked.request_reviews(1, ["ada"])
        asked.assign(1, ["ada"])
        pull = shop.pulls[1]
        assert (list(pull.requested_reviewers), list(pull.assignees)) == (["ada"], ["ada"])

    def test_who_may_write(self, forge: Forge, shop: Repository, asked: Asked) -> None:
        shop.collaborators[forge.bot.login] = "admin"
        forge.user("ada", "write")
        forge.user("ad", "read")
        assert [asked.may_write(name) for name in ("ada", "ad", "nobody")] == [True, False, False]

    def test_its_last_commit_can_be_fetched(self, shop: Repository, asked: Asked) -> None:
        asked.open_pull(NEW)
        assert shop.git.refs()[asked.head_ref(1)] == shop.head(NEW.head)


class TestWords:
    def test_comments_are_added_and_changed(self, forge: Forge, asked: Asked) -> None:
        asked.open_pull(NEW)
        asked.add_comment(1, "One\r\n\r\ntwo  \n")
        (comment,) = asked.comments(1)
        assert comment.author == forge.bot.login
        asked.edit_comment(1, comment.number, "Three")
        assert [(one.number, one.body) for one in asked.comments(1)] == [(comment.number, "Three")]

    def test_all_comments_are_read_the_oldest_first(self, shop: Repository, asked: Asked) -> None:
        asked.open_pull(NEW)
        for number in range(120):
            shop.comment(1, str(number))
        assert [comment.body for comment in asked.comments(1)] == [str(number) for number in range(120)]

    def test_issues_are_found_by_their_title(self, shop: Repository, asked: Asked) -> None:
        shop.open_issue(title="Autolock dashboard, an idea")
        opened = asked.open_issue("Autolock dashboard", "Nothing yet")
        asked.update_issue(opened.number, "Something", open=False)
        (found,) = asked.issues("Autolock dashboard")
        assert (found.number, found.body, found.open) == (opened.number, "Something", False)
        asked.update_issue(opened.number, "Something", open=True)
        assert asked.issues("Autolock dashboard")[0].open


class TestLines:
    def test_what_a_pull_request_changes(self, asked: Asked) -> None:
        asked.open_pull(NEW)
        changed = asked.changed_lines(1)
        assert set(changed) == {"app.py"}
        assert changed["app.py"].added == {10, 11}
        assert changed["app.py"].shown == set(range(7, 15))

    @pytest.mark.parametrize("line", [8, 11, 13])
    def test_a_comment_is_put_on_a_line_changed_and_taken_back(self, shop: Repository, asked: Asked, line: int) -> None:
        asked.open_pull(NEW)
        asked.add_line_comment(1, shop.head(NEW.head) or "", LineComment("app.py", line, line, "Look"))
        (found,) = asked.line_comments(1)
        assert (found.path, found.last, found.body, found.author) == ("app.py", line, "Look", asked.me())
        asked.edit_line_comment(1, LineComment("app.py", line, line, "Look again", found.number))
        assert [one.body for one in asked.line_comments(1)] == ["Look again"]
        asked.delete_line_comment(1, found.number)
        assert list(asked.line_comments(1)) == []

    def test_a_line_outside_of_the_diff_is_refused(self, shop: Repository, face: str, asked: Asked) -> None:
        if face == "gitea":
            pytest.skip("Gitea takes any line")
        asked.open_pull(NEW)
        with pytest.raises(ForgeError) as refusal:
            asked.add_line_comment(1, shop.head(NEW.head) or "", LineComment("app.py", 25, 25, "Look"))
        assert refusal.value.status in (400, 422)
        assert list(asked.line_comments(1)) == []


class TestChecks:
    def test_the_same_is_not_said_twice(self, forge: Forge, shop: Repository, asked: Asked) -> None:
        check = Check(shop.head("main") or "", Outcome.FAILURE, "2 findings", "Two")
        asked.report(check)
        forge.reset()
        asked.report(check)
        assert forge.writes == []
        asked.report(Check(check.commit, Outcome.SUCCESS, "No findings", "None"))
        assert [status.state for status in shop.statuses] in (["failure", "success"], ["failed", "success"])

    def test_annotations_are_told_in_parts(self, forge: Forge, shop: Repository) -> None:
        asked = connect(Remote("github", forge.api_url, shop.full_name), forge.actions_token(shop))
        annotations = tuple(Annotation("app.py", line, line, "Race", "Look") for line in range(1, 121))
        check = Check(shop.head("main") or "", Outcome.NEUTRAL, "120 findings", "Many", annotations)
        asked.report(check)
        (run,) = shop.check_runs.values()
        assert (len(run.annotations), run.conclusion) == (120, "neutral")
        forge.reset()
        asked.report(check)
        assert forge.writes == []


@pytest.mark.parametrize("fault", ["dropped after", "cut off", "error after"])
def test_a_check_run_is_made_once_whatever_goes_wrong(forge: Forge, shop: Repository, fault: str) -> None:
    asked = connect(Remote("github", forge.api_url, shop.full_name), forge.actions_token(shop))
    FAULTS[fault](forge, "/check-runs")
    annotations = tuple(Annotation("app.py", line, line, "Race", "Look") for line in range(1, 61))
    asked.report(Check(shop.head("main") or "", Outcome.NEUTRAL, "60 findings", "Many", annotations))
    (run,) = shop.check_runs.values()
    assert len(run.annotations) == 60


OPENING: dict[str, tuple[str, Callable[[Asked, str], object], Callable[[Repository], list[str]]]] = {
    "pull request": (
        "pulls|merge_requests",
        lambda asked, commit: asked.open_pull(NEW),
        lambda shop: [pull.title for pull in shop.pulls.values()],
    ),
    "comment": (
        "issues/*/comments|merge_requests/*/notes",
        lambda asked, commit: asked.add_comment(1, "Fix a race"),
        lambda shop: [comment.body for comment in shop.items[1].comments],
    ),
    "issue": (
        "issues",
        lambda asked, commit: asked.open_issue("Fix a race", ""),
        lambda shop: [issue.title for issue in shop.issues.values()],
    ),
    "line comment": (
        "pulls/*/comments|pulls/*/reviews|merge_requests/*/discussions",
        lambda asked, commit: asked.add_line_comment(1, commit, LineComment("app.py", 10, 10, "Fix a race")),
        lambda shop: [comment.body for comment in shop.pulls[1].review_comments],
    ),
}
"""What must not be made twice: where that is asked for, how, and what is there afterwards."""

FAULTS: dict[str, Callable[[Forge, str], object]] = {
    "dropped before": lambda forge, path: forge.drop("POST", path),
    "dropped after": lambda forge, path: forge.drop("POST", path, after=True),
    "cut off": lambda forge, path: forge.cut("POST", path),
    "error before": lambda forge, path: forge.fail("POST", path, 502),
    "error after": lambda forge, path: forge.fail("POST", path, 502, after=True),
    "two errors after": lambda forge, path: forge.fail("POST", path, 503, after=True, times=2),
    "too many": lambda forge, path: forge.fail("POST", path, 429, headers={"retry-after": "30"}),
    "all too many": lambda forge, path: forge.primary_limit(reset_in=60),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("what", OPENING)
def test_what_is_made_is_made_once_whatever_goes_wrong(
    forge: Forge, shop: Repository, asked: Asked, what: str, fault: str
) -> None:
    paths, make, made = OPENING[what]
    if "comment" in what:
        shop.open_pull(NEW.head)
    for path in paths.split("|"):
        FAULTS[fault](forge, f"/{path}")
    make(asked, shop.head(NEW.head) or "")
    assert any(seen.status is None or seen.status >= 400 for seen in forge.requests)
    assert made(shop) == ["Fix a race"]


def test_a_wait_that_is_too_long_ends_with_what_the_forge_said(forge: Forge, asked: Asked) -> None:
    forge.primary_limit(reset_in=3000)
    with pytest.raises(ForgeError, match=r"answered (429|403)") as refusal:
        asked.open_issue("Fix a race", "")
    assert "wait" in refusal.value.hint
    assert len(forge.requests) == 1
