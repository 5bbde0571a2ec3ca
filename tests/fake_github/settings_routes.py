"""What an administrator's token sees: Actions' settings, secrets' names, workflows; and a repository's labels."""

from typing import Any

from tests.fake_github.hub import Hub, Refused, Token, route

Names = Any


def _administers(hub: Hub, who: Token) -> None:
    hub.need(who, "administration", "read")


@route("GET", "~/labels/{name}")
def get_label(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    if names["name"] not in hub.settings.labels:
        raise Refused(404, "Not Found")
    return 200, {"name": names["name"]}


@route("GET", "~/actions/permissions")
def get_actions(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    _administers(hub, who)
    return 200, {"enabled": hub.settings.actions, "allowed_actions": hub.settings.allowed_actions}


@route("GET", "~/actions/permissions/workflow")
def get_workflow_permissions(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    _administers(hub, who)
    allowed = hub.actions_may_open_pulls
    return 200, {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": allowed}


@route("GET", "~/actions/secrets")
def list_secrets(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    _administers(hub, who)
    return 200, _secrets(hub.settings.secrets)


@route("GET", "~/actions/organization-secrets")
def list_organization_secrets(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    _administers(hub, who)
    return 200, _secrets(hub.settings.organization_secrets)


def _secrets(names: set[str]) -> dict[str, Any]:
    rows = [{"name": name} for name in sorted(names)]
    return {"total_count": len(rows), "secrets": rows}


@route("GET", "~/actions/workflows")
def list_workflows(hub: Hub, who: Token, names: Names, query: Names, body: Any) -> tuple[int, Any]:
    hub.need(who, "actions", "read")
    rows = [{"path": path, "state": state} for path, state in hub.settings.workflows.items()]
    return 200, {"total_count": len(rows), "workflows": rows}
