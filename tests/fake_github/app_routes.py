"""A GitHub App: who it is, where it is installed, and the tokens that it mints."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from tests.fake_github.hub import Hub, Refused, Token, route
from tests.fake_github.issue_routes import account

Names = Mapping[str, str]
APP = "robot"


def app_of(hub: Hub, token: str) -> Token | None:
    """The App that signed a token with its private key; None where it is none, or signed by another."""
    try:
        jwt.decode(token, hub.app_key, algorithms=["RS256"])
    except (jwt.PyJWTError, ValueError):
        return None
    return Token(APP, {})


def _need_app(who: Token) -> None:
    if who.login != APP:
        raise Refused(401, "A JSON web token could not be decoded")


@route("GET", "/app")
def get_app(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    _need_app(who)
    return 200, {"id": 1, "slug": APP, "name": APP}


@route("GET", "~/installation")
def get_installation(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    _need_app(who)
    return 200, {"id": 5, "app_slug": APP, "account": account("acme")}


@route("POST", "/app/installations/{installation_id}/access_tokens")
def mint(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    _need_app(who)
    token = f"minted-{len(hub.minted) + 1}"
    hub.minted.append(token)
    hub.tokens[token] = Token(f"{APP}[bot]")
    expires = datetime.now(UTC) + timedelta(minutes=hub.minutes_a_token_lives)
    return 201, {"token": token, "expires_at": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}
