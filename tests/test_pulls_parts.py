"""What pull requests are made of, without a forge: names, times, hidden markers, texts and where a remote is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from cli_runner import COUNTER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autolock
from autolock.errors import AutolockError
from autolock.forges.base import Pull, PullState
from autolock.forges.remotes import Remote, remote_of, token_for
from autolock.forges.texts import new_lines
from autolock.pulls.body import body_of
from autolock.pulls.deciding import Branch, Deed, Room, Scope, decide
from autolock.pulls.groups import Group, groups_of
from autolock.pulls.marker import Marker, marker_in
from autolock.pulls.messages import is_conventional, title_of
from autolock.pulls.review import suggestion_of
from autolock.pulls.schedule import is_open, is_window
from autolock.pulls.settings import CommitStyle, Grouping


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    folder = tmp_path_factory.mktemp("repository")
    (folder / "app.py").write_text(COUNTER)
    report = autolock.fix([folder], cache=False)
    (made,) = groups_of(report, Grouping.RULE, frozenset(), lambda wanted: report)
    return made


# -- markers -------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(), st.lists(st.text(), max_size=3), st.text(), st.text())
def test_a_marker_is_found_again_in_any_text(group_name: str, rules: list[str], title: str, around: str) -> None:
    marker = Marker(group_name, tuple(rules), ("ab", "cd"), "1" * 40, "", title, "1.0", settled=False)
    assert "-->" not in str(marker)[:-3], "it must not end its comment early"
    assert marker_in(f"{around}\n{marker}\n") == marker


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<!-- autolock:pull -->",
        "<!-- autolock:pull aGVsbG8= -->",
        "<!-- autolock:pull e30= -->",
        "<!-- autolock:pull W10= -->",
    ],
)
def test_what_is_no_marker_is_none(body: str) -> None:
    assert marker_in(body) is None


# -- times ---------------------------------------------------------------------------------------

MONDAY = datetime(2026, 11, 23, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("window", "days", "hours", "expected"),
    [
        ("mon-fri 06:00-18:00", 0, 6, True),
        ("mon-fri 06:00-18:00", 0, 18, False),
        ("mon-fri 06:00-18:00", 5, 12, False),
        ("sat", 5, 23, True),
        ("fri-mon", 6, 1, True),
        ("fri-mon", 2, 1, False),
        ("22:00-06:00", 3, 23, True),
        ("22:00-06:00", 3, 5, True),
        ("22:00-06:00", 3, 6, False),
        ("sun 22:00-06:00", 0, 5, True),
        ("sun 22:00-06:00", 1, 5, False),
    ],
)
def test_schedule(window: str, days: int, hours: int, expected: bool) -> None:
    assert is_window(window)
    assert is_open([window], MONDAY + timedelta(days=days, hours=hours)) is expected


@pytest.mark.parametrize("window", ["", "someday", "mon 25:00-26:00", "mon-", "09:00", "monday"])
def test_what_is_no_time(window: str) -> None:
    assert not is_window(window)


# -- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        (["fix: a", "feat(shop)!: b", "Merge it"], True),
        (["Fix a", "Add b", "docs: c"], False),
        ([], False),
        (["Note: this is prose", "WIP: more"], False),
    ],
)
def test_the_habit_of_a_repository(subjects: list[str], expected: bool) -> None:
    assert is_conventional(subjects, CommitStyle.AUTO) is expected


@given(st.lists(st.text(min_size=1, max_size=90), min_size=1, max_size=5), st.booleans())
def test_a_title_is_one_line_of_72_characters(group: Group, locations: list[str], conventional: bool) -> None:
    findings = tuple(replace(group.findings[0], location=location) for location in locations)
    title = title_of(replace(group, findings=findings), conventional=conventional)
    assert 0 < len(title) <= 72
    assert len(title.splitlines()) == 1


@pytest.mark.parametrize("limit", [65_536, 3_000, 1_000])
def test_a_body_is_never_longer_than_the_forge_takes(group: Group, limit: int) -> None:
    many = replace(group, findings=group.findings * 300)
    marker = Marker("g", ("AL101",), ("ab",), "1" * 40, "", "t", "1")
    body = body_of(many, marker, limit)
    assert len(body) <= limit
    assert marker_in(body) == marker


def test_a_body_mentions_nobody_and_closes_no_issue(group: Group) -> None:
    message = "`x` and @torvalds fix #12 and GH-13 <img src=x> [link](http://example.org)"
    finding = replace(group.findings[0], message=message, location="@root")
    body = body_of(replace(group, findings=(finding,)), Marker("g", (), (), "", "", "", ""), 65_536)
    for spoken in ("@torvalds", "#12", "GH-13", " <img", " [link]("):
        assert spoken not in body


# -- where a remote is ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/acme/shop.git", Remote("github", "https://api.github.com", "acme/shop")),
        ("git@github.com:acme/shop.git", Remote("github", "https://api.github.com", "acme/shop")),
        ("ssh://git@github.acme.org:2222/acme/shop", Remote("github", "https://github.acme.org/api/v3", "acme/shop")),
        ("https://gitlab.com/a/b/c.git", Remote("gitlab", "https://gitlab.com/api/v4", "a/b/c")),
        ("https://codeberg.org/acme/shop", Remote("gitea", "https://codeberg.org/api/v1", "acme/shop")),
        ("http://gitea.local:3000/acme/shop.git", Remote("gitea", "http://gitea.local:3000/api/v1", "acme/shop")),
    ],
)
def test_remotes(url: str, expected: Remote) -> None:
    assert remote_of(url, environment={}) == expected


def test_a_job_says_where_the_interface_is() -> None:
    environment = {"CI_SERVER_URL": "https://code.acme.org", "CI_API_V4_URL": "https://code.acme.org/sub/api/v4"}
    found = remote_of("https://code.acme.org/a/b.git", environment=environment)
    assert found == Remote("gitlab", "https://code.acme.org/sub/api/v4", "a/b")
    other = remote_of("https://gitlab.com/a/b.git", environment=environment)
    assert other.api == "https://gitlab.com/api/v4", "a job's token must not go to another host"


@pytest.mark.parametrize("api", ["https://evil.example/api/v3", "http://code.acme.org/api/v3", "https://org/api/v3"])
def test_a_configuration_does_not_send_the_token_to_another_host(api: str) -> None:
    with pytest.raises(AutolockError, match="token"):
        remote_of("git@code.acme.org:a/b.git", kind="github", api=api, environment={})
    assert remote_of("git@code.acme.org:a/b.git", kind="github", environment={"AUTOLOCK_API": api}).api == api


def test_an_interface_may_have_a_host_below_or_above_the_remotes() -> None:
    for url, api in (
        ("https://acme.ghe.com/a/b", "https://api.acme.ghe.com"),
        ("ssh://git@ssh.code.acme.org:22/a/b", "https://code.acme.org/api/v4"),
        ("http://localhost:3000/a/b", "http://localhost:3000/api/v1"),
    ):
        assert remote_of(url, kind="github", api=api, environment={}).api == api


@pytest.mark.parametrize("url", ["/srv/git/shop.git", "https://code.acme.org/a/b.git", "https://github.com/alone"])
def test_what_cannot_be_told_is_asked_for(url: str) -> None:
    with pytest.raises(AutolockError):
        remote_of(url, environment={})


def test_a_token_is_asked_for_by_name() -> None:
    assert token_for("github", {"GH_TOKEN": "later", "AUTOLOCK_TOKEN": " first "}) == "first"
    with pytest.raises(AutolockError, match="AUTOLOCK_TOKEN"):
        token_for("gitlab", {"GITHUB_TOKEN": "another forge's"})


# -- diffs and suggestions -----------------------------------------------------------------------


def test_the_lines_of_a_diff() -> None:
    lines = new_lines(
        "@@ -1,3 +1,4 @@ def f():\n a\n-b\n+B\n+C\n d\n@@ -20 +21,2 @@\n x\n+y\n\\ No newline at end of file"
    )
    assert lines.shown == {1, 2, 3, 4, 21, 22}
    assert lines.added == {2, 3, 22}
    assert lines.old == {1: 1, 4: 3, 21: 20}


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_a_suggestion_gives_the_file_after(before: list[str], after: list[str]) -> None:
    old, new = "".join(f"{line}\n" for line in before), "".join(f"{line}\n" for line in after)
    suggestion = suggestion_of(autolock.findings.FileChange("a.py", old.encode(), new.encode()))
    if suggestion is None:
        assert old == new
        return
    lines = old.splitlines(keepends=True)
    assert 1 <= suggestion.first <= suggestion.last <= len(lines)
    assert "".join([*lines[: suggestion.first - 1], suggestion.text, *lines[suggestion.last :]]) == new


# -- decisions -----------------------------------------------------------------------------------


def _pull(marker: Marker | None, state: PullState = PullState.OPEN, head: str = "autolock/lost-update") -> Pull:
    return Pull(1, "t", str(marker or ""), head, "1" * 40, "main", state, False, "", "bot")


def test_a_branch_of_somebody_elses_is_left_alone(group: Group) -> None:
    (step,) = decide([group], [], {group.branch: Branch("2" * 40, own=False, current=False)}, Room(5, 5), Scope("main"))
    assert step.deed is Deed.HOLD
    branches = {group.branch: Branch("2" * 40, own=False, current=False)}
    (step,) = decide([group], [_pull(None)], branches, Room(5, 5), Scope("main"))
    assert step.deed is Deed.HOLD
    (step,) = decide([], [_pull(None)], {}, Room(5, 5), Scope("main"))
    assert step.deed is Deed.LEAVE


def test_a_crash_between_body_and_push_is_no_persons_commit(group: Group) -> None:
    marker = Marker(group.name, group.rules, group.fingerprints, "3" * 40, "2" * 40, "t", "1")
    branch = {group.branch: Branch("2" * 40, own=True, current=True)}
    (step,) = decide([group], [_pull(marker)], branch, Room(0, 0), Scope("main"))
    assert (step.deed, step.expected) == (Deed.UPDATE, "2" * 40)
