"""The rehearsal's script: one YAML file that says how every agent behaves, checked as it is read.

A script is a list of *mechanisms*: kinds of task, each with the guidance that it needs, what an
executor does with and without that guidance, what a diagnoser says of it, and the remedies that a
patcher tries one after the other. The keys are described in the example's own script.
"""

import hashlib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from skillgrad_ci.document.document import Document, Known

PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")


def _compiled(value: object) -> re.Pattern[str]:
    if isinstance(value, re.Pattern):
        return value
    if not isinstance(value, str):
        raise ValueError("expected a regular expression as text")
    try:
        return re.compile(value, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from None


Expression = Annotated[
    re.Pattern[str], BeforeValidator(_compiled), PlainSerializer(lambda value: value.pattern, return_type=str)
]


class Prices(Known):
    """US dollars for a million tokens. They are the rehearsal's own and nobody charges them."""

    input: float = Field(default=0.25, ge=0)
    cached: float = Field(default=0.025, ge=0)
    output: float = Field(default=2.0, ge=0)


class Need(Known):
    """Guidance that must have been read: `text` in the named layer of the skill.

    A `description` need decides whether a skill is activated, and which. A `reference` need names the
    words of the body's pointer (`pointer`): the file on that line is read, no other.
    """

    layer: Literal["description", "body", "reference"]
    text: Expression
    pointer: Expression | None = None

    @model_validator(mode="after")
    def _only_references_are_pointed_to(self) -> Self:
        if (self.pointer is not None) != (self.layer == "reference"):
            raise ValueError("expected `pointer` with the layer reference, and only there")
        return self


class Conduct(Known):
    """What the executor does: shell commands in order, then its last message."""

    commands: list[str] = Field(default_factory=list)
    answer: str


class ScriptedFinding(Known):
    """What the diagnoser says: `summary` and `cause` of a failure, `difference` of a success."""

    summary: str
    cause: str
    difference: str
    skipped_step: str = ""
    quote: str = ""


class PatternEntry(Known):
    """What the momentum agent writes into the record; the mechanism's name is the slug."""

    kind: Literal["operation", "workflow", "mixed"] = "operation"
    line: str
    anchor: str
    description: str


class ScriptedEdit(Known):
    """One edit as the patcher proposes it; pattern and reason are the mechanism's."""

    op: Literal["append", "insert_after", "replace", "delete"]
    file: str
    target: Literal["description", "heading", "text", "file"]
    address: str = ""
    content: str = ""


class ScriptedRemedy(Known):
    """One attempt: what the momentum agent notes for it, and the edits that make it."""

    note: str
    why: str
    edits: list[ScriptedEdit] = Field(min_length=1)


class Mechanism(Known):
    """A kind of task. `match` finds it in an instruction; its named groups fill `{{placeholders}}`."""

    match: Expression
    needs: list[Need] = Field(default_factory=list)
    weak: Expression | None = None
    guided: Conduct = Field(alias="with")
    unguided: Conduct = Field(alias="without")
    finding: ScriptedFinding
    pattern: PatternEntry
    remedies: list[ScriptedRemedy] = Field(default_factory=list)

    @model_validator(mode="after")
    def _every_placeholder_is_a_group(self) -> Self:
        text = "\n".join([*self.guided.commands, self.guided.answer, *self.unguided.commands, self.unguided.answer])
        unknown = set(PLACEHOLDER.findall(text)) - set(self.match.groupindex)
        if unknown:
            raise ValueError(f"expected a named group in `match` for the placeholder {{{{{sorted(unknown)[0]}}}}}")
        return self


class ScriptedTheme(Known):
    """The workflow theme that the momentum agent sees wherever tasks succeed."""

    theme: str
    line: str


class JudgeRule(Known):
    """What the judge looks for: a statement like this passes where `evidence` is in the result."""

    statement: Expression
    evidence: str = Field(min_length=1)

    @model_validator(mode="after")
    def _every_placeholder_is_a_group(self) -> Self:
        unknown = set(PLACEHOLDER.findall(self.evidence)) - set(self.statement.groupindex)
        if unknown:
            raise ValueError(f"expected a named group in `statement` for {{{{{sorted(unknown)[0]}}}}}")
        return self


class FixedReply(Known):
    """A reply to any further structured request: its schema's name, and what the prompt must hold."""

    schema_name: str = Field(alias="schema")
    match: Expression
    reply: dict[str, Any]


class ScriptedProposals(Known):
    """Tasks that the proposer knows, one for each entry of `values`, which fill `{{placeholders}}` of `task`.

    `task` has the fields of a proposal; it is proposed where its `quote` is in the material.
    """

    values: list[dict[str, str]] = Field(default_factory=list)
    task: dict[str, Any]

    @model_validator(mode="after")
    def _is_told_by_its_id(self) -> Self:
        if not isinstance(self.task.get("id"), str) or not isinstance(self.task.get("quote"), str):
            raise ValueError("expected `id` and `quote` in the task")
        return self


class Script(Known):
    """The whole script. `mechanisms` are tried in order; the first that matches plays."""

    version: Literal[1]
    prices: Prices = Prices()
    look: list[str] = Field(default_factory=list)
    mechanisms: dict[Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")], Mechanism] = Field(min_length=1)
    theme: ScriptedTheme | None = None
    judge: list[JudgeRule] = Field(default_factory=list)
    replies: list[FixedReply] = Field(default_factory=list)
    proposals: list[ScriptedProposals] = Field(default_factory=list)

    @property
    def digest(self) -> str:
        """Content address of all that it plays."""
        return hashlib.sha256(self.model_dump_json(by_alias=True).encode()).hexdigest()

    @classmethod
    def load(cls, path: Path) -> "Script":
        """Read a script. Raises UserError: file, line or key, and what was expected there."""
        document = Document.read(path, "write the rehearsal script beside the suite, or name a real model")
        return document.parse(cls)

    def mechanism_of(self, instruction: str) -> tuple[str, Mechanism, dict[str, str]] | None:
        """The first mechanism that matches an instruction: name, mechanism, and its groups' values."""
        for name, mechanism in self.mechanisms.items():
            if found := mechanism.match.search(instruction):
                return name, mechanism, {key: value or "" for key, value in found.groupdict().items()}
        return None
