"""H: the fields of the Agent Skills specification, those of a skill's hosts, and no others."""

import datetime
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from skillgrad_ci.skill.frontmatter import FIRST_LINE
from skillgrad_ci.skill.hosts import HOSTS, own_fields, problems
from skillgrad_ci.skill.rules import Finding, finding
from skillgrad_ci.skill.skill import MAIN, Skill

MAX_DESCRIPTION_WORDS = 50
FIELDS = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
_NAME = re.compile(r"(?=.{1,64}\Z)[a-z0-9]+(-[a-z0-9]+)*")
_OTHER_NAME = re.compile(r"(?=.{1,64}\Z)[^\W_]+(-[^\W_]+)*")


def lint_metadata(skill: Skill, hosts: Sequence[str] = ()) -> Iterator[Finding]:
    """The findings of the frontmatter; `hosts` are names of `HOSTS`."""
    at = _At(skill)
    yield from _name(skill, at)
    yield from _description(skill, at)
    yield from _optional(skill, at, hosts)
    known = FIELDS | set(own_fields(hosts))
    for name in sorted(set(skill.metadata) - known):
        defined = [host for host, rules in HOSTS.items() if name in rules.fields]
        advice = f"a field of {' and '.join(defined)}: name the host in hosts" if defined else "not a known field"
        yield at("H005", name, f"{name}: {advice}, put it under metadata, or remove it")
    for host in hosts:
        for name, message in problems(host, skill.metadata):
            yield at("H012", name, f"{name}: {message}")


class _At:
    """Makes findings at a field's line."""

    def __init__(self, skill: Skill) -> None:
        self._fields = skill.frontmatter

    def __call__(self, rule: str, name: str, message: str) -> Finding:
        match = re.search(rf"^['\"]?{re.escape(name)}['\"]?\s*:", self._fields, re.MULTILINE)
        before = self._fields[: match.start()] if match else ""
        return finding(rule, MAIN, before.count("\n") + FIRST_LINE, message)


def _name(skill: Skill, at: _At) -> Iterator[Finding]:
    name = skill.metadata.get("name")
    if not isinstance(name, str):
        told = _read_as(name) or "missing"
        yield at("H001", "name", f"name: {told}; write 1 to 64 of a-z, 0-9 and single hyphens inside")
    elif not _NAME.fullmatch(name):
        if not (_OTHER_NAME.fullmatch(name) and name == name.lower()):
            yield at("H001", "name", f"name: {name!r} is not 1 to 64 of a-z, 0-9 and single hyphens inside")
            return
        yield at("H010", "name", f"name: {name!r} has letters that are not a-z; some hosts do not find it")
    if isinstance(name, str) and _composed(name) != _composed(skill.folder):
        yield at("H002", "name", f"name: {name!r} is not the folder's name {skill.folder!r}; make them equal")


def _composed(name: str) -> str:
    """File systems write the same letters in several ways."""
    return unicodedata.normalize("NFC", name)


def _description(skill: Skill, at: _At) -> Iterator[Finding]:
    description = skill.metadata.get("description")
    if (told := _read_as(description)) is not None:
        yield at("H003", "description", f"description: {told}")
    elif not isinstance(description, str) or not description.strip():
        yield at("H003", "description", "description: missing; say what the skill does and when to use it")
    elif len(description) > 1024:
        yield at("H003", "description", "description: longer than 1,024 characters; shorten it")
    elif (words := len(description.split())) > MAX_DESCRIPTION_WORDS:
        yield at("H004", "description", f"description: {words} words, more than {MAX_DESCRIPTION_WORDS}; shorten it")


def _optional(skill: Skill, at: _At, hosts: Sequence[str]) -> Iterator[Finding]:
    fields = skill.metadata
    if "license" in fields and not _is_text(fields["license"]):
        yield _unquoted(at, "license", fields["license"]) or at("H006", "license", "license: a license's name, as text")
    compatibility = fields.get("compatibility", "any")
    if not _is_text(compatibility) or len(compatibility) > 500:
        told = _unquoted(at, "compatibility", compatibility)
        yield told or at("H007", "compatibility", "compatibility: 1 to 500 characters of text")
    metadata = fields.get("metadata", {})
    values = list(metadata.values()) if isinstance(metadata, dict) else []
    if not isinstance(metadata, dict) or not all(isinstance(v, str) or _read_as(v) for v in values):
        yield at("H008", "metadata", "metadata: maps text to text; write lists as text, and no mapping inside")
    elif bare := [name for name, value in metadata.items() if _read_as(value) or not isinstance(name, str)]:
        yield at("H011", "metadata", f"metadata: {', '.join(map(str, bare))}: {_read_as(metadata[bare[0]])}")
    tools = fields.get("allowed-tools", "any")
    may_be_list = any(HOSTS[host].tools_may_be_a_list for host in hosts)
    if not _is_text(tools) and not (may_be_list and isinstance(tools, list)):
        yield at("H009", "allowed-tools", "allowed-tools: names separated by spaces, as one text, not a list")


def _unquoted(at: _At, name: str, value: Any) -> Finding | None:
    told = _read_as(value)
    return at("H011", name, f"{name}: {told}") if told else None


def _read_as(value: Any) -> str | None:
    """What YAML made of a value without quotes, with the remedy; None for a text and for what has no such form."""
    kinds = {bool: "true or false", int: "a number", float: "a number", datetime.date: "a date"}
    for kind, what in kinds.items():
        if isinstance(value, kind):
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            return f"YAML reads it as {what} ({shown[:40]}); put it in quotes"
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
