"""Foreign agents as data: how one is installed, started, given skills and led to our gateway.

`agents/NAME.yaml` describes those that we ship; a path to a YAML file of the same form describes any other.
Nothing here knows one agent from another: what differs is in the descriptions.
"""

import re
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PlainSerializer, StringConstraints, model_validator

from skillgrad_ci.document.document import Document, Known
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.task import digest_of

SHIPPED = Path(__file__).parent / "agents"
PLACEHOLDERS = ("gateway", "key", "model", "home")
_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")

Text = Annotated[str, StringConstraints(min_length=1, strict=True)]
Home = Annotated[str, StringConstraints(pattern=r"^~(/\.?[\w-][\w.-]*)+$", strict=True)]
Expression = Annotated[re.Pattern[str], PlainSerializer(attrgetter("pattern"))]


class Login(Known):
    """The protocol's `authenticate` with the method `gateway`: address and headers of every model call.

    It is an extension that Claude Code, Codex and Gemini CLI have in common.
    """

    base: Text
    headers: dict[str, str]


class AgentDescription(Known):
    """One agent that speaks the Agent Client Protocol.

    `install` runs once in the image that the settings name, or in `image`. In `environment`, `files` and
    `login` the placeholders `{{gateway}}` (the address inside the sandbox), `{{key}}` (a token that is good
    for one execution), `{{model}}` (without its provider) and `{{home}}` are filled in. `files` are written
    below the agent's home before it starts. `fleeting` are regular expressions of what its tools' results hold that
    is new in every start and means nothing. `refusal` is the HTTP status that ends the agent at its first
    call, where its dialect does not know a better way.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", strict=True)]
    title: Text
    version: Text
    image: Text = "node:22-bookworm"
    install: Text
    command: Annotated[list[Text], Field(min_length=1)]
    skills: Home
    dialect: Literal["anthropic", "responses", "chat", "gemini"]
    login: Login | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    files: dict[Home, str] = Field(default_factory=dict)
    fleeting: list[Expression] = Field(default_factory=list)
    refusal: Annotated[int, Field(ge=400, le=499)] = 400

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Self:
        login = [self.login.base, *self.login.headers.values()] if self.login else []
        for text in [*self.environment.values(), *self.files.values(), *login, *self.command]:
            for name in _PLACEHOLDER.findall(text):
                if name not in PLACEHOLDERS:
                    raise ValueError(f"unknown placeholder {{{{{name}}}}}; there are {', '.join(PLACEHOLDERS)}")
        return self

    @property
    def installation(self) -> str:
        """The shell line that installs the pinned version."""
        return self.install.replace("{{version}}", self.version)

    @property
    def identity(self) -> str:
        """Name, version and a digest of all that makes the agent what it is: a delta never mixes two."""
        return f"{self.name}/{self.version} ({digest_of(self.model_dump(exclude={'fleeting'}))[:8]})"


def expand(text: str, values: Mapping[str, str]) -> str:
    """`text` with its placeholders replaced in one pass: what a value holds is never expanded."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def shipped() -> list[str]:
    """The names of the agents that are described here."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_agent(name: str, root: Path | None = None) -> AgentDescription:
    """The agent of a shipped name, or of a YAML file (its path, from `root`). Raises UserError."""
    is_file = name.endswith((".yaml", ".yml"))
    if not is_file and name not in shipped():
        known = ", ".join(["loop", "chat", *shipped()])
        raise UserError(f"agent: no agent is named {name!r}; there are {known}, or a path to a .yaml description")
    path = (root or Path()) / name if is_file else SHIPPED / f"{name}.yaml"
    return Document.read(path, "name an agent's .yaml description").parse(AgentDescription)
