"""GitLab's and Gitea's face of the forge, driven by clients that no one here wrote: python-gitlab, and the client that
is generated from Gitea's own description, which takes no answer that is not of its types.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import gitea_api_client as gitea
import gitlab
import httpx
import pytest
from gitlab.exceptions import GitlabAuthenticationError, GitlabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from forge import Forge
    from forge.state import Repository

APP = "def total(items):\n    return sum(items)\n\n\n# The end\n"


@pytest.fixture
def shop(forge: Forge) -> Repository:
    repository = forge.repository("acme/shop", {"app.py": APP})
    repository.commit("fix", {"app.py": APP.replace("sum(items)", "sum(items, 0)")})
    return repository


class TestGitLab:
    @pytest.fixture
    def project(self, forge: Forge, shop: Repository) -> Any:
        return self.client(forge).projects.get("acme/shop")

    @staticmethod
    def client(forge: Forge, token: str | None = None) -> gitlab.Gitlab:
        return gitlab.Gitlab(forge.url, private_token=token or forge.token, retry_transient_errors=False)

    @staticmethod
    def refused(ask: Callable[[], object]) -> tuple[int | None, str]:
        with pytest.raises(GitlabError) as raised:
            ask()
        return raised.value.response_code, str(raised.value.error_message)

    @staticmethod
    def merge_request(project: Any, **more: Any) -> Any:
        return project.mergerequests.create(
            {"source_branch": "fix", "target_branch": "main", "title": "Fix", "description": "Because", **more}
        )

    def test_a_merge_request_is_opened_once_and_merged_for_good(self, shop: Repository, project: Any) -> None:
        request = self.merge_request(project)
        assert (request.iid, request.sha, request.state, request.draft) == (1, shop.head("fix"), "opened", False)
        again = self.refused(lambda: self.merge_request(project))
        assert again == (409, "['Another open merge request already exists for this source branch: !1']")
        assert project.mergerequests.get(1).detailed_merge_status == "mergeable"
        head = shop.commit("fix", {"new.py": "x = 1\n"})
        assert project.mergerequests.get(1).sha == head
        project.mergerequests.get(1).merge()
        assert project.mergerequests.get(1).state == "merged"
        assert "new.py" in shop.files()

    def test_it_is_closed_and_reopened_and_keeps_what_it_was_given(self, forge: Forge, project: Any) -> None:
        ada = forge.user("ada", "write")
        request = self.merge_request(project, title="Draft: Fix", labels="race")
        assert request.draft
        request.title, request.add_labels, request.assignee_ids = "Fix", "autolock,bot", [ada.id]
        request.save()
        request.state_event = "close"
        request.save()
        request = project.mergerequests.get(1)
        assert (request.title, request.state, request.draft) == ("Fix", "closed", False)
        assert (request.labels, request.assignee["username"]) == (["autolock", "bot", "race"], "ada")
        assert [one.iid for one in project.mergerequests.list(state="opened", get_all=True)] == []
        assert [one.iid for one in project.mergerequests.list(source_branch="fix", get_all=True)] == [1]
        request.state_event = "reopen"
        request.save()
        assert project.mergerequests.get(1).state == "opened"

    def test_it_is_closed_with_its_branch(self, project: Any) -> None:
        self.merge_request(project)
        project.branches.delete("fix")
        assert project.mergerequests.get(1).state == "closed"
        assert self.refused(lambda: project.branches.delete("fix")) == (404, "404 Branch Not Found")

    def test_numbers_of_issues_are_counted_apart(self, shop: Repository, project: Any) -> None:
        assert self.merge_request(project).iid == 1
        issue = project.issues.create({"title": "Dashboard", "description": "Nothing yet"})
        assert issue.iid == 1
        issue.description, issue.state_event = "Something", "close"
        issue.save()
        found = project.issues.list(search="Dashboard", **{"in": "title"}, get_all=True)
        assert [(one.description, one.state) for one in found] == [("Something", "closed")]

    def test_notes_of_people_and_of_gitlab_itself(self, forge: Forge, project: Any) -> None:
        request = self.merge_request(project, assignee_ids=[forge.user("ada", "write").id])
        note = request.notes.create({"body": "Hello"})
        note.body = "Hello again"
        note.save()
        notes = request.notes.list(sort="asc", get_all=True)
        assert [(one.system, one.body) for one in notes] == [(True, "assigned to @ada"), (False, "Hello again")]
        note.delete()
        assert [one.system for one in request.notes.list(get_all=True)] == [True]

    def test_a_line_that_the_diff_does_not_change_is_named_on_both_sides(self, project: Any) -> None:
        request = project.mergerequests.get(self.merge_request(project).iid)

        def commenting(**lines: int) -> Any:
            position = {**request.diff_refs, "position_type": "text", "old_path": "app.py", "new_path": "app.py"}
            return request.discussions.create({"body": "Look", "position": {**position, **lines}})

        assert commenting(new_line=2).attributes["notes"][0]["position"]["new_line"] == 2
        commenting(new_line=3, old_line=3)
        assert self.refused(lambda: commenting(new_line=3))[0] == 400
        assert self.refused(lambda: commenting(new_line=40))[0] == 400
        assert len(request.discussions.list(get_all=True)) == 2

    def test_the_diff_and_what_is_said_of_a_commit(self, forge: Forge, shop: Repository, project: Any) -> None:
        self.merge_request(project)
        root, head = f"{forge.gitlab_url}/projects/acme%2Fshop", shop.head("fix")
        with httpx.Client(headers={"private-token": forge.token}) as http:
            diffs = http.get(f"{root}/merge_requests/1/diffs").json()
            assert [one["new_path"] for one in diffs] == ["app.py"]
            assert diffs[0]["diff"].startswith("@@ -1,5 +1,5 @@\n")
            for state in ("failed", "success"):
                said = http.post(f"{root}/statuses/{head}", json={"state": state, "name": "autolock"})
                assert said.status_code == 201
            newest = http.get(f"{root}/repository/commits/{head}/statuses").json()
            assert [(one["name"], one["status"]) for one in newest] == [("autolock", "success")]
            http.post(f"{root}/statuses/{head}", json={"state": "running", "name": "autolock"})
            again = http.post(f"{root}/statuses/{head}", json={"state": "running", "name": "autolock"})
            assert again.status_code == 400

    def test_what_else_a_project_has(self, forge: Forge, shop: Repository, project: Any) -> None:
        ada = forge.user("ada", "write")
        assert self.client(forge).users.list(username="ada", get_all=True)[0].id == ada.id
        assert project.members_all.get(ada.id).access_level == 30
        assert [branch.name for branch in project.branches.list(get_all=True)] == ["fix", "main"]
        assert project.branches.get("fix").commit["id"] == shop.head("fix")
        assert project.files.raw("app.py", ref="main").decode() == APP
        project.labels.create({"name": "race", "color": "#d73a4a"})
        assert [label.name for label in project.labels.list(get_all=True)] == ["race"]
        assert [one.id for one in self.merge_request(project).commits()] == [shop.head("fix")]

    def test_notes_of_an_issue(self, project: Any) -> None:
        issue = project.issues.get(project.issues.create({"title": "Dashboard"}).iid)
        note = issue.notes.create({"body": "Hello"})
        note.body = "Bye"
        note.save()
        assert [one.body for one in issue.notes.list(get_all=True)] == ["Bye"]
        note.delete()
        assert issue.notes.list(get_all=True) == []

    def test_a_limit(self, forge: Forge, project: Any) -> None:
        forge.primary_limit(reset_in=90)
        answer = httpx.get(f"{forge.gitlab_url}/projects/acme%2Fshop", headers={"private-token": forge.token})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "90")
        forge.advance(90)
        assert self.client(forge).projects.get("acme/shop").id == project.id

    def test_members_and_who_may_not(self, forge: Forge, shop: Repository, project: Any) -> None:
        forge.user("ada", "write")
        reader, stranger = forge.user("reader", "read"), forge.user("stranger", "none")
        levels = {one.username: one.access_level for one in project.members_all.list(get_all=True)}
        assert (levels["ada"], levels["reader"], levels["autolock-bot"]) == (30, 10, 30)
        assert "stranger" not in levels
        with pytest.raises(GitlabAuthenticationError):
            self.client(forge, "wrong").projects.get("acme/shop")
        hidden = self.refused(lambda: self.client(forge, stranger.token).projects.get("acme/shop"))
        assert hidden == (404, "404 Project Not Found")
        theirs = self.client(forge, reader.token).projects.get("acme/shop")
        assert self.refused(lambda: self.merge_request(theirs)) == (403, "403 Forbidden")


class Waiting:
    """A part of the generated client, which is asynchronous, whose every call is waited for."""

    def __init__(self, part: Any, forge: Forge, loop: asyncio.AbstractEventLoop, token: str | None = None) -> None:
        client = gitea.ApiClient(gitea.Configuration(host=forge.gitea_url))
        client.default_headers["Authorization"] = f"token {token or forge.token}"
        self._part = part(client)
        self._loop = loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments, **named: self._loop.run_until_complete(getattr(self._part, name)(*arguments, **named))


class TestGitea:
    @pytest.fixture
    def loop(self) -> Iterator[asyncio.AbstractEventLoop]:
        loop = asyncio.new_event_loop()
        yield loop
        loop.close()

    @pytest.fixture
    def repositories(self, forge: Forge, loop: asyncio.AbstractEventLoop) -> Any:
        return Waiting(gitea.RepositoryApi, forge, loop)

    @pytest.fixture
    def issues(self, forge: Forge, loop: asyncio.AbstractEventLoop) -> Any:
        return Waiting(gitea.IssueApi, forge, loop)

    @staticmethod
    def refused(ask: Callable[[], object]) -> int | None:
        with pytest.raises(gitea.ApiException) as raised:
            ask()
        status: int | None = raised.value.status
        return status

    @staticmethod
    def pull(repositories: Any, **more: Any) -> Any:
        option = gitea.CreatePullRequestOption(**{"head": "fix", "base": "main", "title": "Fix", "body": "So", **more})
        return repositories.repo_create_pull_request("acme", "shop", option)

    def test_a_pull_request_is_opened_once_and_merged_for_good(self, shop: Repository, repositories: Any) -> None:
        pull = self.pull(repositories)
        assert (pull.number, pull.head.sha, pull.state, pull.draft) == (1, shop.head("fix"), "open", False)
        assert self.refused(lambda: self.pull(repositories)) == 409
        assert self.refused(lambda: self.pull(repositories, head="absent")) == 404
        head = shop.commit("fix", {"new.py": "x = 1\n"})
        assert repositories.repo_get_pull_request("acme", "shop", 1).head.sha == head
        files = repositories.repo_get_pull_request_files("acme", "shop", 1)
        assert [(file.filename, file.status) for file in files] == [("app.py", "changed"), ("new.py", "added")]
        repositories.repo_merge_pull_request("acme", "shop", 1, gitea.MergePullRequestOption(do="merge"))
        assert repositories.repo_get_pull_request("acme", "shop", 1).merged
        assert "new.py" in shop.files()

    def test_it_is_changed_closed_and_listed(self, shop: Repository, repositories: Any) -> None:
        assert self.pull(repositories, title="WIP: Fix").draft
        option = gitea.EditPullRequestOption(title="Fix", body="Now", state="closed")
        repositories.repo_edit_pull_request("acme", "shop", 1, option)
        assert repositories.repo_list_pull_requests("acme", "shop") == []
        closed = repositories.repo_list_pull_requests("acme", "shop", state="closed")
        assert [(one.title, one.body, one.draft) for one in closed] == [("Fix", "Now", False)]
        again = gitea.EditPullRequestOption(state="open")
        assert repositories.repo_edit_pull_request("acme", "shop", 1, again).state == "open"
        repositories.repo_delete_branch("acme", "shop", "fix")
        assert repositories.repo_get_pull_request("acme", "shop", 1).state == "closed"

    @pytest.mark.filterwarnings("ignore:Pydantic serializer")
    def test_labels_have_numbers(self, shop: Repository, repositories: Any, issues: Any) -> None:
        self.pull(repositories)
        label = issues.issue_create_label("acme", "shop", gitea.CreateLabelOption(name="race", color="#d73a4a"))
        # Gitea takes numbers and names here, which its description calls objects.
        wanted = gitea.IssueLabelsOption.model_construct(labels=[label.id])
        put = issues.issue_add_label("acme", "shop", 1, wanted)
        assert [(one.name, one.color) for one in put] == [("race", "d73a4a")]
        assert list(shop.pulls[1].labels) == ["race"]

    def test_what_else_a_repository_has(self, forge: Forge, shop: Repository, repositories: Any, issues: Any) -> None:
        forge.user("ada", "write")
        self.pull(repositories)
        reviewers = gitea.PullReviewRequestOptions(reviewers=["ada"])
        requested = repositories.repo_create_pull_review_requests("acme", "shop", 1, reviewers)
        assert [(one.user.login, one.state) for one in requested] == [("ada", "REQUEST_REVIEW")]
        assert [one.name for one in repositories.repo_list_branches("acme", "shop")] == ["fix", "main"]
        assert repositories.repo_get_branch("acme", "shop", "fix").commit.id == shop.head("fix")
        commits = repositories.repo_get_pull_request_commits("acme", "shop", 1)
        assert [commit.sha for commit in commits] == [shop.head("fix")]
        assert self.refused(lambda: repositories.repo_pull_request_is_merged("acme", "shop", 1)) == 404
        assert "+    return sum(items, 0)" in repositories.repo_download_pull_diff_or_patch("acme", "shop", 1, "diff")
        label = issues.issue_create_label("acme", "shop", gitea.CreateLabelOption(name="race", color="d73a4a"))
        shop.pulls[1].labels["race"] = shop.labels["race"]
        assert [one.id for one in issues.issue_get_labels("acme", "shop", 1)] == [label.id]
        issues.issue_remove_label("acme", "shop", 1, label.id)
        assert issues.issue_get_issue("acme", "shop", 1).labels == []
        assert [one.name for one in issues.issue_list_labels("acme", "shop")] == ["race"]

    def test_comments_and_issues(self, shop: Repository, issues: Any) -> None:
        issue = issues.issue_create_issue("acme", "shop", gitea.CreateIssueOption(title="Dashboard"))
        comment = issues.issue_create_comment("acme", "shop", 1, gitea.CreateIssueCommentOption(body="Hello"))
        issues.issue_edit_comment("acme", "shop", comment.id, gitea.EditIssueCommentOption(body="Bye"))
        assert [one.body for one in issues.issue_get_comments("acme", "shop", 1)] == ["Bye"]
        issues.issue_delete_comment("acme", "shop", comment.id)
        issues.issue_edit_issue("acme", "shop", issue.number, gitea.EditIssueOption(body="New", state="closed"))
        found = issues.issue_list_issues("acme", "shop", state="all", type="issues", q="Dashboard")
        assert [(one.body, one.state, one.comments) for one in found] == [("New", "closed", 0)]

    def test_a_review_with_a_comment_on_a_line(self, shop: Repository, repositories: Any) -> None:
        self.pull(repositories)
        comment = gitea.CreatePullReviewComment(path="app.py", body="Look", new_position=2)
        option = gitea.CreatePullReviewOptions(commit_id=shop.head("fix"), event="COMMENT", comments=[comment])
        review = repositories.repo_create_pull_review("acme", "shop", 1, option)
        found = repositories.repo_get_pull_review_comments("acme", "shop", 1, review.id)
        assert [(one.path, one.position, one.body) for one in found] == [("app.py", 2, "Look")]
        assert found[0].diff_hunk.endswith("+    return sum(items, 0)")

    def test_statuses_and_files(self, shop: Repository, repositories: Any) -> None:
        head = shop.head("fix") or ""
        for state in ("failure", "success"):
            option = gitea.CreateStatusOption(state=state, context="autolock", description="Done")
            repositories.repo_create_status("acme", "shop", head, option)
        said = repositories.repo_list_statuses_by_ref("acme", "shop", head)
        assert [one.status for one in said] == ["success", "failure"]
        contents = repositories.repo_get_contents("acme", "shop", "app.py")
        assert base64.b64decode(contents.content).decode() == APP

    def test_who_may_not(self, forge: Forge, shop: Repository, loop: asyncio.AbstractEventLoop) -> None:
        reader, stranger = forge.user("reader", "read"), forge.user("stranger", "none")
        theirs = Waiting(gitea.RepositoryApi, forge, loop, reader.token)
        assert self.refused(lambda: theirs.repo_delete_branch("acme", "shop", "fix")) == 403
        hidden = Waiting(gitea.RepositoryApi, forge, loop, stranger.token)
        assert self.refused(lambda: hidden.repo_get("acme", "shop")) == 404
        wrong = Waiting(gitea.RepositoryApi, forge, loop, "wrong")
        assert self.refused(lambda: wrong.repo_get("acme", "shop")) == 401

    def test_the_permission_of_others_is_told_to_admins_only(
        self, forge: Forge, shop: Repository, repositories: Any
    ) -> None:
        forge.user("ada", "write")
        assert self.refused(lambda: repositories.repo_get_repo_permissions("acme", "shop", "ada")) == 403
        assert repositories.repo_get_repo_permissions("acme", "shop", forge.bot.login).permission == "write"
        shop.collaborators[forge.bot.login] = "admin"
        assert repositories.repo_get_repo_permissions("acme", "shop", "ada").permission == "write"
