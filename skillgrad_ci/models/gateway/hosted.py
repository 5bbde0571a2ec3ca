"""What a call may ask of the provider besides the model's reply, and what we therefore take out of it.

Tools that run at the provider (search, fetching pages, running code, other servers) are a network for an agent that
has none, and cost what no token count tells. A dearer tier of service costs what the ledger does not hold for it.
"""

from collections.abc import Mapping
from typing import Any

from skillgrad_ci.models.gateway.dialect import Json

KEYS = {
    "anthropic": ("mcp_servers", "container", "service_tier", "speed"),
    "responses": ("service_tier", "background", "previous_response_id", "conversation", "prompt"),
    "chat": ("web_search_options", "service_tier"),
    "gemini": ("cachedContent", "serviceTier"),
}
RUN_AT_ANTHROPIC = ("web_search", "web_fetch", "code_execution", "mcp_toolset", "advisor")
RUN_AT_OPENAI = ("web_search", "file_search", "code_interpreter", "image_generation", "mcp", "programmatic")


def without_hosted(dialect: str, body: Json) -> Json:
    """The body, without what would run at the provider, or cost more there than the ledger knows."""
    kept = {key: value for key, value in body.items() if key not in KEYS[dialect]}
    if not isinstance(body.get("tools"), list):
        return kept
    tools = [tool for tool in map(_client_side(dialect), body["tools"]) if tool]
    return kept | {"tools": tools} if tools else {key: value for key, value in kept.items() if key != "tools"}


def _client_side(dialect: str) -> Any:
    def declared(tool: Json) -> Json:
        """Gemini has one tool for all functions, and a key for each that runs at Google."""
        return {key: value for key, value in tool.items() if key == "functionDeclarations"}

    def typed(tool: Json) -> Json | None:
        kind, place = str(tool.get("type", "")), tool.get("environment")
        local = isinstance(place, Mapping) and place.get("type") == "local"  # OpenAI's shell has its containers too
        hosted = kind.startswith((*RUN_AT_ANTHROPIC, *RUN_AT_OPENAI)) or (kind == "shell" and not local)
        return None if hosted else tool

    return declared if dialect == "gemini" else typed
