"""The forge of these tests, driven by clients that no one here wrote: PyGithub, and git itself."""

from __future__ import annotations

import base64
import os
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from forge.git import ENVIRONMENT
from github import Auth, Github, GithubException, GithubIntegration, InputGitAuthor, InputGitTreeElement

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from forge import Forge
    from forge.state import Repository
    from github.Repository import Repository as Remote

APP = "def total(items):\n    return sum(items)\n\n\n" + "".join(f"# line {number}\n" for number in range(5, 30))


@pytest.fixture
def shop(forge: Forge) -> Repository:
    return forge.repository("acme/shop", {"app.py": APP, "docs/index.md": "# Shop\n"})


@pytest.fixture
def remote(forge: Forge, shop: Repository) -> Remote:
    return client(forge).get_repo("acme/shop")


IMPATIENT: dict[str, Any] = {"retry": None, "seconds_between_requests": 0, "seconds_between_writes": 0}


def client(forge: Forge, token: str | None = None, **more: Any) -> Github:
    return Github(base_url=forge.api_url, auth=Auth.Token(token or forge.token), **IMPATIENT, **more)


def refused(ask: Callable[[], object]) -> tuple[int, str]:
    """The status of the refusal and what it says."""
    with pytest.raises(GithubException) as raised:
        ask()
    data: Any = raised.value.data
    errors = data.get("errors", [])
    reasons = [error.get("message") or error.get("code") if isinstance(error, dict) else error for error in errors]
    return raised.value.status, "; ".join((data["message"], *map(str, reasons)))


class TestPullRequests:
    def test_one_is_opened_and_merged_for_good(self, shop: Repository, remote: Remote) -> None:
        head = shop.commit("fix", {"app.py": APP.replace("sum(items)", "sum(items, 0)"), "new.py": "x = 1\n"})
        pull = remote.create_pull(base="main", head="fix", title="Fix", body="Because")
        assert (pull.number, pull.head.sha, pull.head.label, pull.commits) == (1, head, "acme:fix", 1)
        assert (pull.additions, pull.deletions, pull.changed_files) == (2, 1, 2)
        files = {file.filename: (file.status, file.patch) for file in pull.get_files()}
        assert files["new.py"] == ("added", "@@ -0,0 +1 @@\n+x = 1")
        assert [commit.sha for commit in pull.get_commits()] == [head]
        assert not pull.is_merged()
        assert pull.merge().merged
        assert remote.get_pull(1).merged
        assert shop.files()["new.py"] == "x = 1\n"
        assert len(shop.git.commit(shop.head("main") or "").parents) == 2

    def test_a_push_moves_it_and_makes_mergeable_unknown_for_a_moment(self, shop: Repository, remote: Remote) -> None:
        shop.commit("fix", {"app.py": "one\n"})
        pull = remote.create_pull(base="main", head="fix", title="Fix")
        assert remote.get_pull(1).mergeable is True
        shop.commit("main", {"app.py": "another\n"})
        head = shop.commit("fix", {"docs/index.md": "# Ours\n"})
        assert remote.get_pull(1).mergeable is None
        pull = remote.get_pull(1)
        assert (pull.mergeable, pull.mergeable_state, pull.head.sha) == (False, "dirty", head)
        assert refused(pull.merge)[0] == 405

    def test_what_cannot_be_opened(self, shop: Repository, remote: Remote) -> None:
        def opening(head: str, base: str = "main") -> tuple[int, str]:
            return refused(lambda: remote.create_pull(base=base, head=head, title="Fix"))

        shop.commit("fix", {"app.py": "one\n"})
        shop.force("same", shop.head("main") or "")
        assert opening("absent") == (422, "Validation Failed; invalid")
        assert opening("fix", "absent") == (422, "Validation Failed; invalid")
        assert opening("same") == (422, "Validation Failed; No commits between main and same")
        remote.create_pull(base="main", head="fix", title="Fix")
        assert opening("fix") == (422, "Validation Failed; A pull request already exists for acme:fix.")
        long = refused(lambda: remote.get_pull(1).edit(body="x" * 65537))
        assert long == (422, "Validation Failed; body is too long (maximum is 65536 characters)")

    def test_lists_are_filtered_and_come_in_pages(self, forge: Forge, shop: Repository, remote: Remote) -> None:
        head = shop.commit("all", {"app.py": "one\n"})
        for number in range(1, 13):
            shop.force(f"b{number}", head)
            shop.open_pull(f"b{number}")
        shop.close(3)
        small = client(forge, per_page=5).get_repo("acme/shop")
        assert [pull.number for pull in small.get_pulls()] == [n for n in range(12, 0, -1) if n != 3]
        assert [pull.number for pull in remote.get_pulls(state="closed")] == [3]
        assert [pull.number for pull in remote.get_pulls(state="all", head="acme:b3")] == [3]
        assert [pull.number for pull in remote.get_pulls(sort="created", direction="asc")[:2]] == [1, 2]

    def test_it_is_closed_with_its_branch_and_not_reopened_without_it(self, shop: Repository, remote: Remote) -> None:
        shop.commit("fix", {"app.py": "one\n"})
        pull = remote.create_pull(base="main", head="fix", title="Fix")
        remote.get_git_ref("heads/fix").delete()
        assert remote.get_pull(1).state == "closed"
        assert "The fix branch has been deleted." in refused(lambda: pull.edit(state="open"))[1]
        shop.commit("fix", {"app.py": "two\n"})
        assert "force-pushed or recreated" in refused(lambda: pull.edit(state="open"))[1]

    def test_it_is_merged_when_its_commits_reach_the_base_by_hand(self, shop: Repository, remote: Remote) -> None:
        shop.force("main", shop.head("main") or "")
        head = shop.commit("fix", {"app.py": "one\n"})
        remote.create_pull(base="main", head="fix", title="Fix")
        shop.force("main", head)
        assert remote.get_pull(1).merged

    def test_it_is_closed_unmerged_when_its_branch_is_put_back(self, shop: Repository, remote: Remote) -> None:
        shop.commit("fix", {"app.py": "one\n"})
        remote.create_pull(base="main", head="fix", title="Fix")
        shop.force("fix", shop.head("main") or "")
        pull = remote.get_pull(1)
        assert (pull.state, pull.merged) == ("closed", False)

    def test_one_from_a_fork(self, forge: Forge, shop: Repository, remote: Remote) -> None:
        ada = forge.user("ada")
        fork = forge.fork(shop, ada)
        fork.commit("fix", {"app.py": "one\n"}, author=ada)
        pull = client(forge, ada.token).get_repo("acme/shop").create_pull("main", "ada:fix", title="Fix", body="")
        assert (pull.head.label, pull.head.repo.full_name, pull.head.repo.fork) == ("ada:fix", "ada/shop", True)
        head = fork.commit("fix", {"app.py": "two\n"}, author=ada)
        assert remote.get_pull(1).head.sha == head
        assert [one.number for one in remote.get_pulls(head="ada:fix")] == [1]
        assert list(remote.get_pulls(head="acme:fix")) == []
        remote.get_pull(1).merge()
        assert shop.files()["app.py"] == "two\n"

    def test_reviewers_have_to_be_collaborators(self, forge: Forge, shop: Repository, remote: Remote) -> None:
        shop.commit("fix", {"app.py": "one\n"})
        pull = remote.create_pull(base="main", head="fix", title="Fix")
        forge.user("ada", "write")
        forge.user("stranger", "none")
        pull.create_review_request(reviewers=["ada"])
        assert [user.login for user in pull.get_review_requests()[0]] == ["ada"]
        assert refused(lambda: pull.create_review_request(reviewers=["stranger"]))[0] == 422
        assert refused(lambda: pull.create_review_request(reviewers=[forge.bot.login]))[0] == 422
        pull.create_review_request(team_reviewers=[forge.team("core")])
        assert refused(lambda: pull.create_review_request(team_reviewers=["unknown"]))[0] == 422
        pull.delete_review_request(reviewers=["ada"], team_reviewers=["core"])
        assert [list(asked) for asked in pull.get_review_requests()] == [[], []]


class TestReviewComments:
    def test_a_comment_follows_its_line_until_the_line_changes(self, shop: Repository, remote: Remote) -> None:
        shop.commit("fix", {"app.py": APP.replace("sum(items)", "sum(items, 0)")})
        pull = remote.create_pull(base="main", head="fix", title="Fix")
        commit = remote.get_commit(pull.head.sha)
        pull.create_review_comment("```suggestion\n```", commit, "app.py", line=2, side="RIGHT")
        comment = next(iter(pull.get_review_comments()))
        assert (comment.path, comment.line) == ("app.py", 2)
        assert comment.diff_hunk.endswith("+    return sum(items, 0)")
        shop.commit("fix", {"app.py": "import os\n" + APP.replace("sum(items)", "sum(items, 0)")})
        assert next(iter(pull.get_review_comments())).line == 3
        shop.commit("fix", {"app.py": APP.replace("sum(items)", "len(items)")})
        assert "line" not in next(iter(pull.get_review_comments())).raw_data

    def test_a_comment_outside_the_diff_is_refused(self, shop: Repository, remote: Remote) -> None:
        shop.commit("fix", {"app.py": APP.replace("sum(items)", "sum(items, 0)")})
        pull = remote.create_pull(base="main", head="fix", title="Fix")
        commit = remote.get_commit(pull.head.sha)

        def commenting(path: str, line: int, **more: Any) -> tuple[int, str]:
            return refused(lambda: pull.create_review_comment("Look", commit, path, line=line, **more))

        outside = "Validation Failed; pull_request_review_thread.line must be part of the diff"
        assert commenting("app.py", 20) == (422, outside)
        assert commenting("app.py", 1, side="LEFT", start_line=9)[0] == 422
        assert commenting("docs/index.md", 1)[0] == 422
        old = remote.get_commit(shop.head("main") or "")
        elsewhere = refused(lambda: pull.create_review_comment("Look", old, "app.py", line=2))
        assert elsewhere == (422, "Validation Failed; commit_id is not part of the pull request")

    def test_a_review_is_made_whole_or_not_at_all(self, shop: Repository, remote: Remote) -> None:
        shop.commit("fix", {"app.py": APP.replace("sum(items)", "sum(items, 0)")})
        pull = remote.create_pull(base="main", head="fix", title="Fix")
        inside: Any = {"path": "app.py", "line": 2, "body": "Here"}
        outside: Any = {"path": "app.py", "line": 22, "body": "There"}
        both = refused(lambda: pull.create_review(body="Two", event="COMMENT", comments=[inside, outside]))
        assert both == (422, "Unprocessable Entity; Line could not be resolved")
        assert pull.get_review_comments().totalCount == 0
        assert pull.create_review(body="One", event="COMMENT", comments=[inside]).state == "COMMENTED"
        (comment,) = pull.get_review_comments()
        comment.edit("Here too")
        assert remote.get_pull(1).get_review_comment(comment.id).body == "Here too"
        comment.delete()
        assert shop.pulls[1].review_comments == []
        assert [review.body for review in pull.get_reviews()] == ["One"]
        assert "your own pull request" in refused(lambda: pull.create_review(event="APPROVE"))[1]


class TestIssues:
    def test_comments_reactions_and_state(self, shop: Repository, remote: Remote) -> None:
        issue = remote.create_issue("Dashboard", "Nothing yet", labels=["autolock"])
        comment = issue.create_comment("@autolock rebase")
        comment.create_reaction("eyes")
        comment.create_reaction("eyes")
        assert [reaction.content for reaction in comment.get_reactions()] == ["eyes"]
        comment.edit("Done")
        issue.edit(body="Something", state="closed")
        assert [one.body for one in remote.get_issue(1).get_comments()] == ["Done"]
        assert list(remote.get_issues(labels=["autolock"])) == []
        assert [one.number for one in remote.get_issues(state="closed", labels=["autolock"])] == [1]
        comment.delete()
        assert shop.issues[1].comments == []

    def test_numbers_are_shared_with_pull_requests(self, shop: Repository, remote: Remote) -> None:
        remote.create_issue("First")
        shop.commit("fix", {"app.py": "one\n"})
        assert remote.create_pull(base="main", head="fix", title="Fix").number == 2
        assert [one.pull_request is not None for one in remote.get_issues(direction="asc")] == [False, True]

    def test_labels(self, forge: Forge, shop: Repository, remote: Remote) -> None:
        issue = remote.create_issue("Dashboard")
        remote.create_label("race", "d73a4a")
        assert refused(lambda: remote.create_label("Race", "d73a4a")) == (422, "Validation Failed; already_exists")
        issue.add_to_labels("race", "new")
        # PyGithub sends a bare list, which GitHub takes and its description does not know.
        assert [line.partition(": ")[0] for line in forge.violations] == [
            "POST /repos/acme/shop/issues/1/labels, request"
        ]
        forge.violations.clear()
        issue.remove_from_labels("race")
        assert refused(lambda: issue.remove_from_labels("race")) == (404, "Label does not exist")
        assert list(shop.issues[1].labels) == ["new"]

    def test_what_else_an_issue_has(self, forge: Forge, shop: Repository, remote: Remote) -> None:
        ada = forge.user("ada", "write")
        issue = remote.create_issue("Dashboard", labels=["one", "two"], assignee="ada")
        assert [label.name for label in issue.get_labels()] == ["one", "two"]
        assert [label.name for label in remote.get_labels()] == ["one", "two"]
        assert remote.get_label("ONE").name == "one"
        issue.remove_from_assignees("ada")
        forge.user("reader", "read")
        issue.add_to_assignees("reader")
        assert shop.issues[1].assignees == {}
        comment = issue.get_comment(issue.create_comment("Hello").id)
        comment.delete_reaction(comment.create_reaction("rocket").id)
        assert comment.get_reactions().totalCount == 0
        assert client(forge).get_user("ada").id == ada.id
        assert refused(lambda: client(forge).get_user("nobody"))[0] == 404

    def test_labels_are_replaced(self, forge: Forge, shop: Repository) -> None:
        shop.open_issue(title="Dashboard").labels["one"] = shop.label("one")
        url = f"{forge.api_url}/repos/acme/shop/issues/1/labels"
        answer = httpx.put(url, json={"labels": ["two"]}, headers={"authorization": f"Bearer {forge.token}"})
        assert [label["name"] for label in answer.json()] == ["two"]


class TestGitData:
    def test_a_commit_is_made_from_blobs_and_moves_a_branch(self, shop: Repository, remote: Remote) -> None:
        base = remote.get_git_commit(remote.get_git_ref("heads/main").object.sha)
        blob = remote.create_git_blob("print('hello')\n", "utf-8")
        entries = [
            InputGitTreeElement("pkg/main.py", "100755", "blob", sha=blob.sha),
            InputGitTreeElement("note.txt", "100644", "blob", content="text\n"),
            InputGitTreeElement("app.py", "100644", "blob", sha=None),
        ]
        tree = remote.create_git_tree(entries, remote.get_git_tree(base.tree.sha))
        author = InputGitAuthor("Ada", "ada@example.com", "2026-01-02T03:04:05Z")
        commit = remote.create_git_commit("Change", tree, [base], author)
        assert commit.verification.verified is False
        remote.create_git_ref("refs/heads/autolock/lost-update", commit.sha)
        assert refused(lambda: remote.create_git_ref("refs/heads/autolock/lost-update", commit.sha))[0] == 422
        assert set(shop.files("autolock/lost-update")) == {"docs/index.md", "note.txt", "pkg/main.py"}
        names = [ref.ref for ref in remote.get_git_matching_refs("heads/autolock/")]
        assert names == ["refs/heads/autolock/lost-update"]
        made = shop.git.commit(commit.sha)
        assert (made.author.name, made.author.when, made.parents) == ("Ada", 1767323045, (base.sha,))

    def test_an_empty_repository_has_no_refs(self, forge: Forge) -> None:
        forge.repository("acme/new")
        remote = client(forge).get_repo("acme/new")
        assert refused(lambda: remote.get_git_ref("heads/main")) == (409, "Git Repository is empty.")
        assert refused(lambda: remote.create_pull("main", "fix", title="Fix"))[0] == 422

    def test_a_ref_moves_forward_only_unless_forced(self, shop: Repository, remote: Remote) -> None:
        first = shop.commit("fix", {"app.py": "one\n"})
        shop.commit("fix", {"app.py": "two\n"})
        ref = remote.get_git_ref("heads/fix")
        assert refused(lambda: ref.edit(first)) == (422, "Update is not a fast forward")
        ref.edit(first, force=True)
        assert shop.head("fix") == first

    def test_files_are_read(self, shop: Repository, remote: Remote) -> None:
        contents: Any = remote.get_contents("docs/index.md")
        assert contents.decoded_content == b"# Shop\n"
        folder: Any = remote.get_contents("docs")
        assert [one.path for one in folder] == ["docs/index.md"]
        assert refused(lambda: remote.get_contents("absent.py"))[0] == 404
        assert base64.b64decode(remote.get_git_blob(contents.sha).content) == b"# Shop\n"

    def test_branches(self, shop: Repository, remote: Remote) -> None:
        head = shop.commit("autolock/fix", {"app.py": "one\n"})
        assert [branch.name for branch in remote.get_branches()] == ["autolock/fix", "main"]
        assert remote.get_branch("autolock/fix").commit.sha == head
        assert refused(lambda: remote.get_branch("absent")) == (404, "Branch not found")


class TestChecks:
    def test_the_newest_status_of_each_context_counts(self, shop: Repository, remote: Remote) -> None:
        commit = remote.get_commit(shop.head("main") or "")
        assert commit.get_combined_status().state == "pending"
        commit.create_status("failure", context="autolock", description="2 findings")
        commit.create_status("success", context="autolock")
        commit.create_status("success", context="tests")
        combined = commit.get_combined_status()
        assert combined.state == "success"
        assert [status.context for status in combined.statuses] == ["autolock", "tests"]
        assert refused(lambda: commit.create_status("success", description="x" * 141))[0] == 422

    def test_only_an_app_makes_check_runs(self, forge: Forge, shop: Repository, remote: Remote) -> None:
        head = shop.head("main") or ""
        assert refused(lambda: remote.create_check_run("autolock", head))[0] == 403
        ours = client(forge, forge.actions_token(shop)).get_repo("acme/shop")
        annotation: Any = {
            "path": "app.py",
            "start_line": 2,
            "end_line": 2,
            "annotation_level": "warning",
            "message": "Race",
        }
        output: Any = {"title": "1 finding", "summary": "One", "annotations": [annotation] * 50}
        run = ours.create_check_run("autolock", head, status="in_progress", output=output)
        run.edit(conclusion="neutral", output=output)
        assert run.status == "completed"
        assert run.get_annotations().totalCount == 100
        assert ours.get_check_run(run.id).conclusion == "neutral"
        output["annotations"] = [annotation] * 51
        assert refused(lambda: run.edit(output=output))[0] == 422
        forge.violations.clear()
        assert [one.conclusion for one in ours.get_commit(head).get_check_runs()] == ["neutral"]


class TestWhoMay:
    def test_a_wrong_token_and_one_that_may_not_see(self, forge: Forge, remote: Remote) -> None:
        assert refused(client(forge, "wrong").get_user().update) == (401, "Bad credentials")
        stranger = forge.user("stranger", "none")
        assert refused(lambda: client(forge, stranger.token).get_repo("acme/shop"))[0] == 404

    def test_a_reader_comments_and_changes_nothing(self, forge: Forge, shop: Repository) -> None:
        reader = forge.user("reader", "read")
        read = client(forge, reader.token).get_repo("acme/shop")
        read.create_issue("Hello", labels=["dropped"])
        assert list(shop.issues[1].labels) == []
        assert refused(lambda: read.create_git_ref("refs/heads/x", shop.head("main") or ""))[0] == 403
        issue = shop.open_issue(title="Not mine")
        assert refused(lambda: read.get_issue(issue.number).edit(state="closed"))[0] == 403

    def test_the_permission_of_a_collaborator(self, forge: Forge, shop: Repository, remote: Remote) -> None:
        forge.user("maintainer", "maintain")
        shop.collaborators[forge.user("ada").login] = "write"
        forge.user("reader", "triage")
        found = {name: remote.get_collaborator_permission(name) for name in ("maintainer", "ada", "reader")}
        assert found == {"maintainer": "write", "ada": "write", "reader": "read"}


class TestApp:
    def test_a_token_is_narrowed_to_repositories_and_permissions(self, forge: Forge, shop: Repository) -> None:
        other = forge.repository("acme/other", {"a.py": ""})
        installation = forge.install(shop, other)
        signature = Auth.AppAuth(forge.app.id, forge.app.private_key)
        integration = GithubIntegration(auth=signature, base_url=forge.api_url, **IMPATIENT)
        assert integration.get_repo_installation("acme", "shop").id == installation.id
        assert integration.get_app().slug == "autolock"
        assert [one.id for one in integration.get_installations()] == [installation.id]
        assert integration.get_app_installation(installation.id).app_id == forge.app.id
        url = f"{forge.api_url}/app/installations/{installation.id}/access_tokens"
        headers = {"authorization": f"Bearer {signature.token}"}
        narrow = {"repositories": ["shop"], "permissions": {"contents": "read", "pull_requests": "write"}}
        answer = httpx.post(url, headers=headers, json=narrow).json()
        bearer = {"authorization": f"Bearer {answer['token']}"}
        assert [one["name"] for one in answer["repositories"]] == ["shop"]
        seen = httpx.get(f"{forge.api_url}/installation/repositories", headers=bearer).json()
        assert [one["full_name"] for one in seen["repositories"]] == ["acme/shop"]
        assert httpx.get(f"{forge.api_url}/repos/acme/shop", headers=bearer).status_code == 200
        assert httpx.get(f"{forge.api_url}/repos/acme/other", headers=bearer).status_code == 404
        ref = {"ref": "refs/heads/x", "sha": shop.head("main")}
        refused = httpx.post(f"{forge.api_url}/repos/acme/shop/git/refs", headers=bearer, json=ref)
        assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
        beyond = httpx.post(url, headers=headers, json={"permissions": {"administration": "write"}})
        assert beyond.status_code == 422
        forge.advance(3601)
        assert httpx.get(f"{forge.api_url}/repos/acme/shop", headers=bearer).status_code == 401

    def test_a_signature_has_to_be_right_and_short_lived(self, forge: Forge) -> None:
        def asked(key: str = forge.app.private_key, **changed: Any) -> int:
            now = int(forge.time())
            claims = {"iss": str(forge.app.id), "iat": now - 10, "exp": now + 300} | changed
            token = jwt.encode(claims, key, algorithm="RS256" if "RSA" in key else "HS256")
            return httpx.get(f"{forge.api_url}/app", headers={"authorization": f"Bearer {token}"}).status_code

        now = int(forge.time())
        assert asked() == 200
        assert asked(iss=forge.app.client_id) == 200
        assert asked(iss="1") == asked(exp=now + 700) == asked(exp=now - 1) == asked(iat=now + 90) == 401
        assert asked(key="a shared secret that is long enough for the algorithm") == 401

    def test_its_commits_are_verified(self, forge: Forge, shop: Repository) -> None:
        remote = client(forge, forge.actions_token(shop)).get_repo("acme/shop")
        base = remote.get_git_commit(shop.head("main") or "")
        commit = remote.create_git_commit("Change", remote.get_git_tree(base.tree.sha), [base])
        assert commit.verification.verified is True
        assert commit.author.name == "github-actions[bot]"

    def test_a_workflow_may_open_pull_requests_only_where_that_is_allowed(self, forge: Forge, shop: Repository) -> None:
        remote = client(forge, forge.actions_token(shop)).get_repo("acme/shop")
        shop.commit("fix", {"app.py": "one\n"})
        shop.actions_may_open_pulls = False
        not_permitted = "GitHub Actions is not permitted to create or approve pull requests."
        assert refused(lambda: remote.create_pull("main", "fix", title="Fix")) == (403, not_permitted)
        shop.actions_may_open_pulls = True
        assert remote.create_pull("main", "fix", title="Fix").user.login == "github-actions[bot]"

    def test_what_it_may_not(self, forge: Forge, shop: Repository) -> None:
        token = forge.actions_token(shop, contents="read")
        remote = client(forge, token).get_repo("acme/shop")
        assert refused(lambda: remote.create_issue("No"))[0] == 403
        assert refused(client(forge, token).get_user().update)[0] == 403


class TestGit:
    def test_clone_push_and_a_pull_request_that_follows(self, tmp_path: Path, forge: Forge, shop: Repository) -> None:
        work = self.clone(tmp_path, forge, shop)
        assert (work / "app.py").read_text() == APP
        git(work, "checkout", "-q", "-b", "fix")
        (work / "app.py").write_text("one\n")
        git(work, "commit", "-qam", "Fix")
        git(work, "push", "-q", "origin", "fix")
        pull = client(forge).get_repo("acme/shop").create_pull(base="main", head="fix", title="Fix")
        (work / "app.py").write_text("two\n")
        git(work, "commit", "-qam", "Fix more")
        git(work, "push", "-q", "origin", "fix")
        assert shop.pulls[1].head_sha == git(work, "rev-parse", "HEAD").strip()
        git(work, "fetch", "-q", "origin", f"refs/pull/{pull.number}/head")
        assert [exchange.face for exchange in forge.writes] == ["git", "github", "git"]

    def test_a_lease_on_another_commit_is_refused(self, tmp_path: Path, forge: Forge, shop: Repository) -> None:
        expected = shop.commit("fix", {"app.py": "one\n"})
        work = self.clone(tmp_path, forge, shop)
        git(work, "checkout", "-q", "-b", "mine", "origin/main")
        (work / "app.py").write_text("ours\n")
        git(work, "commit", "-qam", "Ours")
        human = shop.commit("fix", {"app.py": "theirs\n"})
        with pytest.raises(subprocess.CalledProcessError) as refusal:
            git(work, "push", f"--force-with-lease=fix:{expected}", "origin", "mine:fix")
        assert "stale info" in refusal.value.stderr
        assert shop.head("fix") == human

    def test_a_push_that_is_raced_is_refused_by_the_server(
        self, tmp_path: Path, forge: Forge, shop: Repository
    ) -> None:
        expected = shop.commit("fix", {"app.py": "one\n"})
        work = self.clone(tmp_path, forge, shop)
        git(work, "commit", "-q", "--allow-empty", "-m", "Ours")
        forge.meanwhile("POST", "/git-receive-pack", lambda: shop.commit("fix", {"app.py": "theirs\n"}))
        with pytest.raises(subprocess.CalledProcessError):
            git(work, "push", f"--force-with-lease=fix:{expected}", "origin", "HEAD:fix")
        assert shop.files("fix")["app.py"] == "theirs\n"

    @pytest.mark.parametrize("who", ["wrong", "reader", "stranger"])
    def test_who_may_not(self, tmp_path: Path, forge: Forge, shop: Repository, who: str) -> None:
        tokens = {"reader": forge.user("reader", "read").token, "stranger": forge.user("stranger", "none").token}
        work = self.clone(tmp_path, forge, shop)
        url = address(shop, tokens.get(who, "wrong"))
        with pytest.raises(subprocess.CalledProcessError) as refusal:
            git(work, "push", url, "HEAD:refs/heads/new")
        said = {"wrong": "Authentication failed", "reader": "403", "stranger": "not found"}
        assert said[who] in refusal.value.stderr
        assert shop.head("new") is None

    def test_a_push_whose_answer_is_lost_has_happened(self, tmp_path: Path, forge: Forge, shop: Repository) -> None:
        work = self.clone(tmp_path, forge, shop)
        forge.drop("POST", "/git-receive-pack", after=True)
        with pytest.raises(subprocess.CalledProcessError):
            git(work, "push", "origin", "HEAD:new")
        assert shop.head("new") == shop.head("main")

    @staticmethod
    def clone(tmp_path: Path, forge: Forge, shop: Repository) -> Path:
        git(tmp_path, "clone", "-q", address(shop, forge.token), "work")
        return tmp_path / "work"


def address(repository: Repository, token: str) -> str:
    return repository.clone_url.replace("http://", f"http://anybody:{token}@")


def git(folder: Path, *arguments: str) -> str:
    identity = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))
    }
    environment = {**ENVIRONMENT, **identity, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "HOME": os.fspath(folder)}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


class TestFaults:
    @pytest.fixture
    def asking(self, forge: Forge, shop: Repository) -> Callable[..., httpx.Response]:
        """Opens an issue, and says how that went."""
        headers = {"authorization": f"Bearer {forge.token}"}
        return lambda title="One": httpx.post(
            f"{forge.api_url}/repos/acme/shop/issues", headers=headers, json={"title": title}, timeout=5
        )

    @pytest.mark.parametrize("after", [False, True])
    def test_a_dropped_connection(
        self, forge: Forge, shop: Repository, asking: Callable[..., httpx.Response], after: bool
    ) -> None:
        fault = forge.drop("POST", "/issues", after=after)
        with pytest.raises(httpx.TransportError):
            asking()
        assert (len(shop.issues), fault.hits, forge.requests[-1].status) == (int(after), 1, None)
        assert asking().status_code == 201

    def test_an_answer_that_is_cut_off(
        self, forge: Forge, shop: Repository, asking: Callable[..., httpx.Response]
    ) -> None:
        forge.cut("POST", "/issues")
        with pytest.raises(httpx.TransportError):
            asking()
        assert len(shop.issues) == 1

    @pytest.mark.parametrize("after", [False, True])
    def test_a_server_error(
        self, forge: Forge, shop: Repository, asking: Callable[..., httpx.Response], after: bool
    ) -> None:
        forge.fail("POST", "/issues", 502, after=after, times=2, skip=1)
        assert [asking().status_code for _ in range(4)] == [201, 502, 502, 201]
        assert len(shop.issues) == (4 if after else 2)

    def test_limits(self, forge: Forge, shop: Repository, asking: Callable[..., httpx.Response]) -> None:
        forge.secondary_limit("POST", "/issues", retry_after=30)
        answer = asking()
        assert (answer.status_code, answer.headers["retry-after"]) == (403, "30")
        assert "secondary rate limit" in answer.json()["message"]
        forge.primary_limit(reset_in=600)
        answer = asking()
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (403, "0")
        assert client(forge).get_rate_limit().resources.core.remaining == 0
        forge.advance(float(answer.headers["x-ratelimit-reset"]) - forge.time())
        assert asking().status_code == 201
        assert len(shop.issues) == 1

    def test_a_push_that_the_api_does_not_know_of_yet(self, forge: Forge, shop: Repository, remote: Remote) -> None:
        shop.commit("fix", {"app.py": "one\n"})
        forge.unseen_push()
        assert refused(lambda: remote.create_pull("main", "fix", title="Fix")) == (422, "Validation Failed; invalid")
        assert remote.create_pull("main", "fix", title="Fix").number == 1

    def test_what_others_do_meanwhile(
        self, forge: Forge, shop: Repository, asking: Callable[..., httpx.Response]
    ) -> None:
        forge.meanwhile("POST", "/issues", lambda: asking("Theirs"))
        asking("Ours")
        assert [issue.title for issue in shop.issues.values()] == ["Theirs", "Ours"]

    def test_a_slow_answer(self, forge: Forge, shop: Repository) -> None:
        forge.slow("GET", "/shop", seconds=30)
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(
                f"{forge.api_url}/repos/acme/shop", headers={"authorization": f"Bearer {forge.token}"}, timeout=0.2
            )


class TestDescription:
    def test_a_request_that_github_does_not_describe_is_found_out(self, forge: Forge, shop: Repository) -> None:
        headers = {"authorization": f"Bearer {forge.token}"}
        with httpx.Client(base_url=f"{forge.api_url}/repos/acme/shop", headers=headers) as http:
            http.post("/issues", json={"title": "One", "boddy": "Typing error"})
            http.get("/pulls", params={"state": "merged"})
            http.get("/pulls", params={"stat": "all"})
            http.get("/milestones")
        found = "\n".join(forge.violations)
        forge.violations.clear()
        for part in ("'boddy'", "'merged'", "stat, which is unknown", "/milestones: the forge does not have it"):
            assert part in found

    def test_leaving_the_forge_raises(self, forge: Forge, tmp_path: Path) -> None:
        with pytest.raises(AssertionError, match="does not have it"), type(forge)(tmp_path / "other") as other:
            httpx.get(f"{other.api_url}/nothing", headers={"authorization": f"Bearer {other.token}"})


class TestWebhooks:
    def test_a_payload_is_about_what_the_forge_has(self, forge: Forge, shop: Repository) -> None:
        installation = forge.install(shop)
        shop.commit("fix", {"app.py": "one\n"})
        shop.open_pull("fix", title="Fix")
        opened = forge.webhooks.about("pull_request.opened", shop, installation=installation, number=1)
        assert opened["pull_request"]["head"]["sha"] == shop.head("fix")
        assert opened["installation"]["id"] == installation.id
        comment = shop.comment(1, "@autolock rebase", forge.user("ada", "write"))
        commented = forge.webhooks.about("issue_comment.created", shop, comment=comment)
        assert (commented["sender"]["login"], commented["comment"]["body"]) == ("ada", "@autolock rebase")
        assert commented["issue"]["pull_request"]["url"].endswith("/pulls/1")
        pushed = forge.webhooks.about("push", shop, branch="main", forced=True)
        assert (pushed["ref"], pushed["after"], pushed["forced"]) == ("refs/heads/main", shop.head("main"), True)

    def test_a_delivery_is_signed(self, forge: Forge) -> None:
        headers, body = forge.webhooks.signed("ping", forge.webhooks.payload("ping"), "It's a Secret to Everybody")
        assert headers["x-github-event"] == "ping"
        assert headers["x-hub-signature-256"].startswith("sha256=")
        assert b"zen" in body
        assert set(forge.webhooks.names()) >= {"ping", "push", "installation.created", "pull_request.synchronize"}
