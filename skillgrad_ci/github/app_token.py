"""Tokens of a GitHub App, minted when they are needed: an installation's token lives one hour, a run may take six."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from github.Auth import AppAuth, AppInstallationAuth


@dataclass(frozen=True)
class App:
    """A GitHub App: its id, and its private key in PEM form."""

    id: str
    private_key: str = field(repr=False)

    @property
    def auth(self) -> "AppAuth":
        from github import Auth

        return Auth.AppAuth(self.id, self.private_key)

    def installation(self, repository: str, ask: Callable[[str], Any]) -> "AppInstallationAuth":
        """The App in one repository; mints a token, and a new one when that is about to expire.

        `ask` gets a path of the API as the App itself.
        """
        return self.auth.get_installation_auth(int(ask(f"/repos/{repository}/installation")["id"]))
