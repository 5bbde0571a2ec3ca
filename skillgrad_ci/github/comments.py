"""The bot's comments: one per purpose, found again by a hidden marker and by who wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skillgrad_ci.github.client import Api, Refusal

MARK = "<!-- skillgrad-ci:"


def marker(purpose: str) -> str:
    return f"{MARK}{purpose} -->"


def marked(text: str | None) -> bool:
    """Whether a comment is one of the bot's, also where its token, and so its account, is a person's."""
    return (text or "").startswith(MARK)


@dataclass
class Comment:
    """A comment of the bot's on an issue or a pull request, kept up to date in place."""

    api: Api
    issue: int
    purpose: str
    _known: Mapping[str, Any] | None = None

    def show(self, text: str) -> str:
        """Create the comment, or replace its text. Returns its address."""
        body = f"{marker(self.purpose)}\n{text}"
        known = self._known or self._find()
        if known is None:
            path = f"/issues/{self.issue}/comments"
            known = self.api.write("POST", path, {"body": body}, done=self._find)
        elif known.get("body") != body:
            known = self.api.write("PATCH", f"/issues/comments/{known['id']}", {"body": body})
        self._known = known
        return str(known["html_url"])

    def _find(self) -> Mapping[str, Any] | None:
        for row in self.api.pages(f"/issues/{self.issue}/comments"):
            mine = (row.get("user") or {}).get("login") == self.api.login
            if mine and (row["body"] or "").startswith(marker(self.purpose)):
                return row
        return None


def eyes(api: Api, target: str) -> None:
    """👀 on an issue (`/issues/3`) or a comment (`/issues/comments/7`): seen. Twice is once, says GitHub."""
    api.write("POST", f"{target}/reactions", {"content": "eyes"}, done=lambda: None)


def may_write(api: Api, login: str) -> bool:
    """Whether a person can push here. Whatever is not a clear yes is a no."""
    try:
        answer = api.get(f"/collaborators/{login}/permission")
    except Refusal:
        return False
    return answer.get("permission") in {"write", "admin"}
