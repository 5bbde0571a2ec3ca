"""Prompts and structured replies: templates filled in one pass, data fenced, JSON validated.

Whatever comes from a task, a trajectory or a skill is data. It is fenced, and since a template is
filled in a single pass, a `{{placeholder}}` inside data is never expanded.
"""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from skillgrad_ci.document.inert_text import fence
from skillgrad_ci.errors import ReplyError
from skillgrad_ci.method.events import Replied
from skillgrad_ci.method.ports import Model, ModelReply, ModelRequest, Observer, Reply
from skillgrad_ci.skill.skill import MAIN, Skill

_PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")
RESOURCES_BOUND = 60_000  # characters of the skill's resources that one prompt may hold
SHARED_BOUND = 24_000  # of these, those in the part that all calls on a skill have in common


def load_prompt(name: str) -> str:
    """The template `prompts/<name>.md`: inside the installed package, else in the source tree."""
    packaged = resources.files("skillgrad_ci") / "prompts" / f"{name}.md"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "prompts" / f"{name}.md").read_text(encoding="utf-8")


def fill(template: str, **values: str) -> str:
    """Replace each `{{name}}`. Strict both ways: a missing or an unused value is a ValueError."""
    wanted = set(_PLACEHOLDER.findall(template))
    if wanted != set(values):
        raise ValueError(f"placeholders {sorted(wanted)} and values {sorted(values)} differ")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def cut_middle(text: str, bound: int) -> str:
    """`text` with its middle replaced by a note once it is longer than `bound` characters."""
    if len(text) <= bound:
        return text
    head, tail = bound * 2 // 3, bound - bound * 2 // 3
    return f"{text[:head]}\n[… {len(text) - bound} characters cut …]\n{text[len(text) - tail :]}"


def render_skill(skill: Skill, bound: int = RESOURCES_BOUND) -> str:
    """The skill for a prompt: `SKILL.md` whole, text resources in at most `bound` characters, the others by name."""
    skill = skill.for_agents()
    shown, listed = _resources(skill, bound)
    parts = [f"### {MAIN}\n\n{fence(skill.text, 'markdown')}", *(_shown(*row) for row in shown.items())]
    if listed:
        parts.append("Further files:\n" + "\n".join(listed))
    return "\n\n".join(parts)


def in_force(skill: Skill) -> str:
    """The first part of every prompt on a skill: the same bytes for all agents, so that a provider's cache can hit."""
    return f"## The skill in force\n\n{render_skill(skill, SHARED_BOUND)}"


def further_files(skill: Skill, wanted: Collection[str] | None = None) -> list[str]:
    """A prompt's part with the resources that `in_force` leaves out for its bound: those `wanted`, None for all."""
    skill = skill.for_agents()
    known, _ = _resources(skill, SHARED_BOUND)
    whole, _ = _resources(skill, RESOURCES_BOUND)
    rows = [_shown(*row) for row in whole.items() if row[0] not in known and (wanted is None or row[0] in wanted)]
    return ["## Further files of the skill\n\n" + "\n\n".join(rows)] if rows else []


def _resources(skill: Skill, bound: int) -> tuple[dict[str, str], list[str]]:
    """The text of each resource that `bound` characters have room for, and a line for each of the others."""
    shown: dict[str, str] = {}
    listed = []
    for name in skill.resources:
        try:
            text = skill.files[name].decode("utf-8")
        except UnicodeDecodeError:
            listed.append(f"- {name} (binary, {len(skill.files[name])} bytes)")
            continue
        if len(text) > bound - sum(map(len, shown.values())):
            listed.append(f"- {name} ({len(text)} characters, not shown)")
        else:
            shown[name] = text
    return shown, listed


def _shown(name: str, text: str) -> str:
    return f"### {name}\n\n{fence(text)}"


@dataclass(frozen=True)
class StructuredAgent:
    """`ports.Agent`: one call, its reply validated against a schema, one repair of a bad reply.

    `model` gives the (metered, journaled) model of a role.
    """

    model: Callable[[str], Model]
    observe: Observer
    max_tokens: int = 8192

    def __call__(self, role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        model = self.model(role)
        messages = [{"role": "system", "content": system.rstrip()}, {"role": "user", "content": user}]
        request = ModelRequest(messages, schema=reply, max_tokens=self.max_tokens, shared=shared)
        answer = model.complete(request)
        self.observe(Replied(role, answer.text))
        try:
            return read_reply(answer, reply)
        except ReplyError as problem:
            correction = (
                f"That reply cannot be used: {problem}. Send the whole corrected JSON object, and nothing else."
            )
            said = [{"role": "assistant", "content": answer.text or "(empty)"}, {"role": "user", "content": correction}]
        answer = model.complete(replace(request, messages=[*messages, *said]))
        self.observe(Replied(role, answer.text))
        try:
            return read_reply(answer, reply)
        except ReplyError as problem:
            raise ReplyError(f"{role}: no usable reply from {model.name}, after one repair: {problem}") from None


def read_reply(answer: ModelReply, reply: type[Reply]) -> Reply:
    """Validate a reply's JSON object, found bare, fenced, or after other words."""
    if answer.stop == "content_filter":
        raise ReplyError("the provider's content filter stopped the reply")
    if answer.stop == "length":
        raise ReplyError("the reply was cut at the output limit")
    try:
        return reply.model_validate(_first_object(answer.text))
    except ValidationError as error:
        places = (".".join(map(str, problem["loc"])) + ": " + problem["msg"] for problem in error.errors()[:5])
        raise ReplyError("; ".join(places)) from None


def _first_object(text: str) -> object:
    """The first JSON object in `text`; ReplyError where there is none, or one that is not text in UTF-8."""
    problem = "there is no JSON object in it"
    for brace in re.finditer(r"\{", text):
        try:
            value = json.JSONDecoder().raw_decode(text, brace.start())[0]
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ReplyError("it holds half of a surrogate pair (\\udXXX); write the character itself") from None
        except RecursionError:
            raise ReplyError("its JSON is nested too deeply") from None
        except ValueError as error:
            problem = f"it is no valid JSON ({error})" if problem.startswith("there") else problem
        else:
            return value
    raise ReplyError(problem)
