"""What the forge knows in the shape of GitHub's answers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from forge.description import description
from forge.git import ChangedFile, Commit, Person
from forge.people import App, Installation, Role, User
from forge.state import CheckRun, Comment, Issue, Label, Pull, Reaction, Repository, Review, ReviewComment, Status

_REACTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket")


class Objects:
    """Makes the answers of one forge; `api` and `site` are the roots of their URLs."""

    def __init__(self, api: str, site: str) -> None:
        self._api = api
        self._site = site

    def user(self, user: User) -> dict[str, Any]:
        url = f"{self._api}/users/{user.login}"
        return _complete(
            "simple-user",
            url,
            id=user.id,
            login=user.login,
            type=user.kind,
            url=url,
            html_url=f"{self._site}/{user.login}",
        )

    def public_user(self, user: User) -> dict[str, Any]:
        return _complete("public-user", "", **self.user(user), name=user.login, email=None, user_view_type="public")

    def repository(self, repo: Repository, role: Role, schema: str = "full-repository") -> dict[str, Any]:
        url = self._repo(repo)
        return _complete(
            schema,
            url,
            id=repo.id,
            name=repo.name,
            full_name=repo.full_name,
            owner=self.user(repo.owner),
            private=repo.private,
            fork=repo.parent is not None,
            visibility="private" if repo.private else "public",
            url=url,
            html_url=f"{self._site}/{repo.full_name}",
            clone_url=repo.clone_url,
            ssh_url=f"git@{self._site.partition('//')[2]}:{repo.full_name}.git",
            default_branch=repo.default_branch,
            has_issues=True,
            allow_merge_commit=True,
            allow_squash_merge=True,
            allow_rebase_merge=True,
            created_at=moment(repo.created),
            updated_at=moment(repo.created),
            pushed_at=moment(repo.created),
            permissions={
                "admin": role >= Role.ADMIN,
                "maintain": role >= Role.MAINTAIN,
                "push": role >= Role.WRITE,
                "triage": role >= Role.TRIAGE,
                "pull": role >= Role.READ,
            },
        )

    def label(self, repo: Repository, label: Label) -> dict[str, Any]:
        return _complete(
            "label",
            "",
            id=label.id,
            url=f"{self._repo(repo)}/labels/{label.name}",
            name=label.name,
            color=label.color,
            description=label.description,
        )

    def issue(self, item: Issue) -> dict[str, Any]:
        repo = item.repository
        url = f"{self._repo(repo)}/issues/{item.number}"
        kind = "pull" if item.is_pull else "issues"
        values = self._shared(item) | {
            "url": url,
            "html_url": f"{self._site}/{repo.full_name}/{kind}/{item.number}",
            "repository_url": self._repo(repo),
            "comments": len(item.comments),
            "closed_by": self.user(item.closed_by) if item.closed_by else None,
            "state_reason": "completed" if item.state == "closed" else None,
        }
        if isinstance(item, Pull):
            pull = f"{self._site}/{repo.full_name}/pull/{item.number}"
            values["draft"] = item.draft
            values["pull_request"] = {
                "url": f"{self._repo(repo)}/pulls/{item.number}",
                "html_url": pull,
                "diff_url": f"{pull}.diff",
                "patch_url": f"{pull}.patch",
                "merged_at": moment(item.merged_at),
            }
        if item.app:
            values["performed_via_github_app"] = self.app(item.app)
        return _complete("issue", url, **values)

    def pull(self, pull: Pull) -> dict[str, Any]:
        """The whole of a pull request, as it is answered alone."""
        files = pull.files
        mergeable = pull.mergeable()
        states = {None: "unknown", True: "draft" if pull.draft else "clean", False: "dirty"}
        return self._pull(
            "pull-request",
            pull,
            merged=pull.merged,
            mergeable=mergeable,
            rebaseable=mergeable,
            mergeable_state=states[mergeable],
            merged_by=self.user(pull.merged_by) if pull.merged_by else None,
            comments=len(pull.comments),
            review_comments=len(pull.review_comments),
            maintainer_can_modify=pull.maintainer_can_modify,
            commits=len(pull.commits),
            additions=sum(file.additions for file in files),
            deletions=sum(file.deletions for file in files),
            changed_files=len(files),
        )

    def pull_simple(self, pull: Pull) -> dict[str, Any]:
        """A pull request as it stands in a list."""
        return self._pull("pull-request-simple", pull)

    def _pull(self, schema: str, pull: Pull, **values: Any) -> dict[str, Any]:
        repo = pull.repository
        url = f"{self._repo(repo)}/pulls/{pull.number}"
        issue = f"{self._repo(repo)}/issues/{pull.number}"
        page = f"{self._site}/{repo.full_name}/pull/{pull.number}"
        links = {
            "self": url,
            "html": page,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{url}/comments",
            "review_comment": f"{self._repo(repo)}/pulls/comments{{/number}}",
            "commits": f"{url}/commits",
            "statuses": f"{self._repo(repo)}/statuses/{pull.head_sha}",
        }
        return _complete(
            schema,
            url,
            **self._shared(pull),
            url=url,
            html_url=page,
            diff_url=f"{page}.diff",
            patch_url=f"{page}.patch",
            **{f"{name}_url": link for name, link in links.items() if name not in ("self", "html")},
            _links={name: {"href": link} for name, link in links.items()},
            draft=pull.draft,
            merged_at=moment(pull.merged_at),
            merge_commit_sha=pull.merge_sha,
            head=self._end(pull.source, pull.head, pull.head_sha),
            base=self._end(repo, pull.base, pull.base_sha),
            requested_reviewers=[self.user(user) for user in pull.requested_reviewers.values()],
            requested_teams=[self.team(repo, slug) for slug in pull.requested_teams],
            **values,
        )

    def _shared(self, item: Issue) -> dict[str, Any]:
        assignees = [self.user(user) for user in item.assignees.values()]
        return {
            "id": item.id,
            "number": item.number,
            "state": item.state,
            "locked": item.locked,
            "title": item.title,
            "body": item.body or None,
            "user": self.user(item.author),
            "labels": [self.label(item.repository, label) for label in item.labels.values()],
            "assignee": assignees[0] if assignees else None,
            "assignees": assignees,
            "author_association": association(item.repository, item.author),
            "created_at": moment(item.created),
            "updated_at": moment(item.updated),
            "closed_at": moment(item.closed),
        }

    def _end(self, repo: Repository, branch: str, sha: str) -> dict[str, Any]:
        return {
            "label": f"{repo.owner.login}:{branch}",
            "ref": branch,
            "sha": sha,
            "user": self.user(repo.owner),
            "repo": self.repository(repo, Role.READ, "repository"),
        }

    def team(self, repo: Repository, slug: str) -> dict[str, Any]:
        url = f"{self._api}/organizations/{repo.owner.id}/team/{slug}"
        return _complete("team", url, url=url, slug=slug, name=slug, permission="pull", privacy="closed")

    def comment(self, comment: Comment) -> dict[str, Any]:
        repo = comment.item.repository
        url = f"{self._repo(repo)}/issues/comments/{comment.id}"
        kind = "pull" if comment.item.is_pull else "issues"
        return _complete(
            "issue-comment",
            url,
            id=comment.id,
            url=url,
            html_url=f"{self._site}/{repo.full_name}/{kind}/{comment.item.number}#issuecomment-{comment.id}",
            issue_url=f"{self._repo(repo)}/issues/{comment.item.number}",
            body=comment.body,
            user=self.user(comment.author),
            author_association=association(repo, comment.author),
            created_at=moment(comment.created),
            updated_at=moment(comment.updated),
            performed_via_github_app=self.app(comment.app) if comment.app else None,
            reactions={
                "url": f"{url}/reactions",
                "total_count": len(comment.reactions),
                **{name: sum(one.content == name for one in comment.reactions) for name in _REACTIONS},
            },
        )

    def reaction(self, reaction: Reaction) -> dict[str, Any]:
        return _complete(
            "reaction",
            "",
            id=reaction.id,
            user=self.user(reaction.user),
            content=reaction.content,
            created_at=moment(reaction.created),
        )

    def review_comment(self, comment: ReviewComment) -> dict[str, Any]:
        pull = comment.pull
        url = f"{self._repo(pull.repository)}/pulls/comments/{comment.id}"
        page = f"{self._site}/{pull.repository.full_name}/pull/{pull.number}#discussion_r{comment.id}"
        whole = f"{self._repo(pull.repository)}/pulls/{pull.number}"
        values = {
            "id": comment.id,
            "pull_request_review_id": comment.review,
            "url": url,
            "html_url": page,
            "pull_request_url": whole,
            "_links": {"self": {"href": url}, "html": {"href": page}, "pull_request": {"href": whole}},
            "path": comment.path,
            "body": comment.body,
            "diff_hunk": comment.diff_hunk,
            "commit_id": pull.head_sha if comment.line is not None else comment.commit_id,
            "original_commit_id": comment.commit_id,
            "user": self.user(comment.author),
            "author_association": association(pull.repository, comment.author),
            "created_at": moment(comment.created),
            "updated_at": moment(comment.updated),
            "start_line": comment.start_line,
            "original_start_line": comment.original_start_line,
            "subject_type": "file" if comment.is_on_file else "line",
            "side": comment.side,
        }
        # GitHub sends null for the line of a comment that is outdated; the description lets it be missing only.
        more = {
            "line": comment.line,
            "original_line": comment.original_line,
            "start_side": comment.start_side,
            "in_reply_to_id": comment.in_reply_to,
        }
        values |= {name: value for name, value in more.items() if value is not None}
        return _complete("pull-request-review-comment", url, **values)

    def review(self, pull: Pull, review: Review) -> dict[str, Any]:
        page = f"{self._site}/{pull.repository.full_name}/pull/{pull.number}#pullrequestreview-{review.id}"
        whole = f"{self._repo(pull.repository)}/pulls/{pull.number}"
        values = {
            "id": review.id,
            "user": self.user(review.author),
            "body": review.body,
            "state": review.state,
            "html_url": page,
            "pull_request_url": whole,
            "_links": {"html": {"href": page}, "pull_request": {"href": whole}},
            "commit_id": review.commit_id,
            "author_association": association(pull.repository, review.author),
        }
        if review.submitted is not None:
            values["submitted_at"] = moment(review.submitted)
        return _complete("pull-request-review", whole, **values)

    def file(self, repo: Repository, head: str, file: ChangedFile) -> dict[str, Any]:
        values = {
            "sha": file.blob,
            "filename": file.path,
            "status": file.status,
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": f"{self._site}/{repo.full_name}/blob/{head}/{file.path}",
            "raw_url": f"{self._site}/{repo.full_name}/raw/{head}/{file.path}",
            "contents_url": f"{self._repo(repo)}/contents/{file.path}?ref={head}",
            "patch": file.patch,
            "previous_filename": file.previous,
        }
        return {name: value for name, value in values.items() if value is not None}

    def ref(self, repo: Repository, name: str, sha: str) -> dict[str, Any]:
        return {
            "ref": name,
            "node_id": "",
            "url": f"{self._repo(repo)}/git/{name}",
            "object": {"type": "commit", "sha": sha, "url": f"{self._repo(repo)}/git/commits/{sha}"},
        }

    def git_commit(self, repo: Repository, commit: Commit) -> dict[str, Any]:
        url = f"{self._repo(repo)}/git/commits"
        return {
            "sha": commit.sha,
            "node_id": "",
            "url": f"{url}/{commit.sha}",
            "html_url": f"{self._site}/{repo.full_name}/commit/{commit.sha}",
            "author": _signature(commit.author),
            "committer": _signature(commit.committer),
            "message": commit.message,
            "tree": {"sha": commit.tree, "url": f"{self._repo(repo)}/git/trees/{commit.tree}"},
            "parents": [
                {"sha": sha, "url": f"{url}/{sha}", "html_url": f"{self._site}/{repo.full_name}/commit/{sha}"}
                for sha in commit.parents
            ],
            "verification": _verification(repo, commit),
        }

    def commit(self, repo: Repository, commit: Commit) -> dict[str, Any]:
        url = f"{self._repo(repo)}/commits"
        page = f"{self._site}/{repo.full_name}/commit"
        return {
            "sha": commit.sha,
            "node_id": "",
            "url": f"{url}/{commit.sha}",
            "html_url": f"{page}/{commit.sha}",
            "comments_url": f"{url}/{commit.sha}/comments",
            "commit": {
                "url": f"{self._repo(repo)}/git/commits/{commit.sha}",
                "author": _signature(commit.author),
                "committer": _signature(commit.committer),
                "message": commit.message,
                "comment_count": 0,
                "tree": {"sha": commit.tree, "url": f"{self._repo(repo)}/git/trees/{commit.tree}"},
                "verification": _verification(repo, commit),
            },
            "author": self._account(repo, commit.author),
            "committer": self._account(repo, commit.committer),
            "parents": [{"sha": sha, "url": f"{url}/{sha}", "html_url": f"{page}/{sha}"} for sha in commit.parents],
        }

    def _account(self, repo: Repository, person: Person) -> dict[str, Any] | None:
        known = (user for user in repo.world.users.values() if user.email == person.email)
        user = next(known, None)
        return self.user(user) if user else None

    def branch(self, repo: Repository, name: str, sha: str) -> dict[str, Any]:
        url = f"{self._repo(repo)}/branches/{name}"
        return {
            "name": name,
            "commit": {"sha": sha, "url": f"{self._repo(repo)}/commits/{sha}"},
            "protected": False,
            "protection": {"enabled": False},
            "protection_url": f"{url}/protection",
        }

    def branch_with_protection(self, repo: Repository, name: str, sha: str) -> dict[str, Any]:
        url = f"{self._repo(repo)}/branches/{name}"
        return {
            **self.branch(repo, name, sha),
            "commit": self.commit(repo, repo.git.commit(sha)),
            "_links": {"html": f"{self._site}/{repo.full_name}/tree/{name}", "self": url},
        }

    def content(self, repo: Repository, path: str, ref: str, sha: str, content: bytes) -> dict[str, Any]:
        return {
            **self.content_entry(repo, path, ref, "file", sha, len(content)),
            "encoding": "base64",
            "content": base64.encodebytes(content).decode(),
        }

    def content_entry(self, repo: Repository, path: str, ref: str, kind: str, sha: str, size: int) -> dict[str, Any]:
        url = f"{self._repo(repo)}/contents/{path}?ref={ref}"
        page = f"{self._site}/{repo.full_name}/{'blob' if kind == 'file' else 'tree'}/{ref}/{path}"
        git = f"{self._repo(repo)}/git/{'blobs' if kind == 'file' else 'trees'}/{sha}"
        return {
            "type": kind,
            "size": size,
            "name": path.rpartition("/")[2],
            "path": path,
            "sha": sha,
            "url": url,
            "git_url": git,
            "html_url": page,
            "download_url": f"{self._site}/{repo.full_name}/raw/{ref}/{path}" if kind == "file" else None,
            "_links": {"self": url, "git": git, "html": page},
        }

    def status(self, repo: Repository, status: Status) -> dict[str, Any]:
        return {
            "id": status.id,
            "node_id": "",
            "url": f"{self._repo(repo)}/statuses/{status.sha}",
            "avatar_url": None,
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
            "creator": self.user(status.creator),
            "created_at": moment(status.created),
            "updated_at": moment(status.created),
        }

    def combined_status(self, repo: Repository, sha: str, newest: list[Status]) -> dict[str, Any]:
        states = {status.state for status in newest}
        state = "success" if states == {"success"} else "pending"
        state = "failure" if states & {"failure", "error"} else state
        url = f"{self._repo(repo)}/commits/{sha}"
        statuses = [{**self.status(repo, status), "required": None} for status in newest]
        return {
            "sha": sha,
            "state": state,
            "total_count": len(newest),
            "statuses": [{name: value for name, value in one.items() if name != "creator"} for one in statuses],
            "repository": self.repository(repo, Role.READ, "minimal-repository"),
            "commit_url": url,
            "url": f"{url}/status",
        }

    def check_run(self, repo: Repository, run: CheckRun) -> dict[str, Any]:
        url = f"{self._repo(repo)}/check-runs/{run.id}"
        pulls = [pull for pull in repo.pulls.values() if pull.head_sha == run.head_sha and pull.state == "open"]
        return _complete(
            "check-run",
            url,
            id=run.id,
            name=run.name,
            head_sha=run.head_sha,
            external_id=run.external_id,
            url=url,
            html_url=f"{self._site}/{repo.full_name}/runs/{run.id}",
            details_url=run.details_url,
            status=run.status,
            conclusion=run.conclusion,
            started_at=run.started,
            completed_at=run.completed,
            output={
                "title": run.title,
                "summary": run.summary,
                "text": run.text,
                "annotations_count": len(run.annotations),
                "annotations_url": f"{url}/annotations",
            },
            check_suite={"id": run.id},
            app=self.app(run.app),
            pull_requests=[self._pull_of_check(pull) for pull in pulls],
        )

    def _pull_of_check(self, pull: Pull) -> dict[str, Any]:
        repo = pull.repository
        where = {"id": repo.id, "url": self._repo(repo), "name": repo.name}
        return {
            "id": pull.id,
            "number": pull.number,
            "url": f"{self._repo(repo)}/pulls/{pull.number}",
            "head": {"ref": pull.head, "sha": pull.head_sha, "repo": where},
            "base": {"ref": pull.base, "sha": pull.base_sha, "repo": where},
        }

    def annotation(self, repo: Repository, run: CheckRun, annotation: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "path": annotation["path"],
            "blob_href": f"{self._site}/{repo.full_name}/blob/{run.head_sha}/{annotation['path']}",
            **{
                name: annotation.get(name)
                for name in (
                    *("start_line", "end_line", "start_column", "end_column"),
                    *("annotation_level", "title", "message", "raw_details"),
                )
            },
        }

    def app(self, app: App) -> dict[str, Any]:
        return _complete(
            "integration",
            "",
            id=app.id,
            slug=app.slug,
            client_id=app.client_id,
            name=app.slug,
            owner=self.user(app.owner),
            external_url=self._site,
            html_url=f"{self._site}/apps/{app.slug}",
            permissions=dict(app.permissions),
            events=["push", "pull_request", "issue_comment"],
            created_at=moment(0.0),
            updated_at=moment(0.0),
        )

    def installation(self, installation: Installation) -> dict[str, Any]:
        url = f"{self._api}/app/installations/{installation.id}"
        return _complete(
            "installation",
            url,
            id=installation.id,
            account=self.user(installation.account),
            app_id=installation.app.id,
            app_slug=installation.app.slug,
            client_id=installation.app.client_id,
            target_id=installation.account.id,
            target_type=installation.account.kind,
            repository_selection="selected",
            permissions=dict(installation.permissions),
            events=["push", "pull_request", "issue_comment"],
            access_tokens_url=f"{url}/access_tokens",
            repositories_url=f"{self._api}/installation/repositories",
            html_url=f"{self._site}/settings/installations/{installation.id}",
            created_at=moment(installation.created),
            updated_at=moment(installation.created),
            suspended_at=moment(installation.created) if installation.suspended else None,
        )

    def _repo(self, repo: Repository) -> str:
        return f"{self._api}/repos/{repo.full_name}"


def moment(seconds: float | None) -> Any:
    """A time as GitHub writes it; null for none."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def association(repo: Repository, user: User) -> str:
    """What the author of something is to the repository."""
    if user is repo.owner:
        return "OWNER"
    role = repo.role(user)
    return "MEMBER" if role >= Role.WRITE and user.kind == "User" else "COLLABORATOR" if role > Role.READ else "NONE"


def _complete(schema: str, base: str, /, **values: Any) -> dict[str, Any]:
    return description().complete(schema, base, values)


def _signature(person: Person) -> dict[str, Any]:
    return {"name": person.name, "email": person.email, "date": moment(person.when)}


def _verification(repo: Repository, commit: Commit) -> dict[str, Any]:
    signed = commit.sha in repo.verified
    return {
        "verified": signed,
        "reason": "valid" if signed else "unsigned",
        "signature": "-----BEGIN PGP SIGNATURE-----" if signed else None,
        "payload": f"tree {commit.tree}" if signed else None,
        "verified_at": moment(commit.committer.when) if signed else None,
    }
