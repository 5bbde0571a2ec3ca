"""What the fake knows: one repository, its people, issues and pull requests, and who may do what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from tests.fake_github.git_store import GitStore

BOT = "github-actions[bot]"
MAIN = "heads/main"


class Refused(Exception):
    """An HTTP error that GitHub would answer."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"message": message, "documentation_url": "https://docs.github.com/rest"}
        if errors is not None:
            self.body["errors"] = errors


@dataclass(frozen=True)
class Token:
    """Who a token speaks for, and what a workflow's `permissions:` gave it (`contents: write`)."""

    login: str = BOT
    permissions: Mapping[str, str] = field(
        default_factory=lambda: {"contents": "write", "issues": "write", "pull_requests": "write", "checks": "write"}
    )


@dataclass
class Comment:
    id: int
    issue: int
    author: str
    body: str
    reactions: list[tuple[str, str]] = field(default_factory=list)
    updated_at: str = "2026-11-02T10:00:00Z"
    edits: list[str] = field(default_factory=list)


@dataclass
class Issue:
    """An issue, or the issue's side of a pull request."""

    number: int
    title: str
    body: str
    author: str
    labels: list[str] = field(default_factory=list)
    reactions: list[tuple[str, str]] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)


@dataclass
class Pull:
    number: int
    head: str
    base: str
    base_sha: str
    head_sha: str
    state: str = "open"
    draft: bool = False
    merge_commit: str | None = None
    reviewers: list[str] = field(default_factory=list)
    head_repository: str = ""
    closed_by: str = ""
    hides_merge_commit: bool = False

    @property
    def base_ref(self) -> str:
        return f"heads/{self.base}"


@dataclass
class RepositorySettings:
    """What people set in the repository's pages; `workflows` are those of the default branch, each with its state."""

    labels: set[str] = field(default_factory=lambda: {"optimize-skill"})
    issues: bool = True
    actions: bool = True
    allowed_actions: str = "all"
    secrets: set[str] = field(default_factory=set)
    organization_secrets: set[str] = field(default_factory=set)
    workflows: dict[str, str] = field(default_factory=dict)


@dataclass
class Hub:
    full_name: str = "acme/skills"
    default_branch: str = "main"
    people: dict[str, str] = field(default_factory=lambda: {"ann": "admin", "wes": "write", "tim": "triage"})
    associations: dict[str, str] = field(default_factory=lambda: {"ann": "OWNER", "wes": "COLLABORATOR"})
    tokens: dict[str, Token] = field(default_factory=lambda: {"bot-token": Token()})
    actions_may_open_pulls: bool = True
    archived: bool = False
    restricted: str = ""  # a ruleset forbids making and moving refs that start with this
    protected: set[str] = field(default_factory=set)
    runs: dict[int, str] = field(default_factory=dict)  # workflow runs: id to status
    app_key: str = ""  # the public key of the GitHub App `robot` that is installed here
    minted: list[str] = field(default_factory=list)  # its installation's tokens
    minutes_a_token_lives: int = 60
    truncated: bool = False  # whether the root tree is too large to be listed
    settings: RepositorySettings = field(default_factory=RepositorySettings)
    git: GitStore = field(default_factory=GitStore)
    issues: dict[int, Issue] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    review_comments: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _ids: "count[int]" = field(default_factory=lambda: count(1001))

    # What people do, without the bot.

    def issue(self, title: str, body: str = "", *, author: str = "ann", labels: tuple[str, ...] = ()) -> Issue:
        issue = Issue(next(self._numbers), title, body, author, list(labels))
        self.issues[issue.number] = issue
        return issue

    def pull(self, title: str, body: str, head: str, base: str, author: str, *, draft: bool = False) -> Pull:
        issue = self.issue(title, body, author=author)
        shas = self.git.refs[f"heads/{base}"], self.git.refs[f"heads/{head}"]
        self.pulls[issue.number] = Pull(issue.number, head, base, *shas, draft=draft, head_repository=self.full_name)
        return self.pulls[issue.number]

    def comment(self, number: int, author: str, body: str) -> Comment:
        comment = Comment(next(self._ids), number, author, body)
        self.comments[comment.id] = comment
        return comment

    def comments_on(self, number: int) -> list[Comment]:
        return [comment for comment in self.comments.values() if comment.issue == number]

    def close(self, number: int, by: str = "ann", *, delete_branch: bool = False) -> None:
        pull = self.pulls[number]
        pull.state, pull.closed_by = "closed", by
        if delete_branch:
            del self.git.refs[f"heads/{pull.head}"]

    def merge(self, number: int, changes: Mapping[str, bytes | None] | None = None) -> None:
        """Merge as a squash of the branch, after people pushed `changes` on top of it."""
        pull = self.pulls[number]
        if changes:
            self.git.change(f"heads/{pull.head}", changes, "wes", "Adjust by hand")
        before, after = self.git.files(pull.base_sha), self.git.files(f"heads/{pull.head}")
        difference: dict[str, bytes | None] = {path: None for path in before if path not in after}
        difference |= {path: content for path, content in after.items() if before.get(path) != content}
        pull.merge_commit = self.git.change(pull.base_ref, difference, "wes", f"Merge #{number}")
        pull.head_sha, pull.state = self.git.refs[f"heads/{pull.head}"], "closed"

    def update_branch(self, number: int, who: str = "wes") -> str:
        """GitHub's button "Update branch": the base is merged into the branch, in the name of who pressed it."""
        pull = self.pulls[number]
        ours, theirs = self.git.refs[f"heads/{pull.head}"], self.git.refs[pull.base_ref]
        merged = self.git.flat(self.git.commits[theirs].tree)
        base = next(sha for sha in self.git.ancestors(ours) if sha in self.git.ancestors(theirs))
        before = self.git.flat(self.git.commits[base].tree)
        for path, entry in self.git.flat(self.git.commits[ours].tree).items():
            if before.get(path) != entry:
                merged[path] = entry
        sha = self.git.commit(
            self.git.tree(merged), [ours, theirs], f"Merge branch '{pull.base}' into {pull.head}", who
        )
        self.git.commits[sha] = replace(self.git.commits[sha], committer="web-flow")
        self.git.refs[f"heads/{pull.head}"] = pull.head_sha = sha
        return sha

    def next_id(self) -> int:
        return next(self._ids)

    def need(self, who: Token, permission: str, level: str = "write") -> None:
        if self.archived:
            raise Refused(403, "Repository was archived so is read-only.")
        ladder = ["none", "read", "write"]
        if ladder.index(who.permissions.get(permission, "none")) < ladder.index(level):
            raise Refused(403, "Resource not accessible by integration")


Handler = Callable[[Hub, Token, Mapping[str, str], Mapping[str, str], Any], tuple[int, Any]]
ROUTES: dict[tuple[str, str], Handler] = {}


def route(verb: str, path: str) -> Callable[[Handler], Handler]:
    """Register a handler for an operation of GitHub's description; `~` stands for the repository's path."""

    def register(handler: Handler) -> Handler:
        ROUTES[verb, path.replace("~", "/repos/{owner}/{repo}", 1)] = handler
        return handler

    return register
