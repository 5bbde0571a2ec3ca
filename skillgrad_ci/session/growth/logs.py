"""What each agent's log says, line by line. How its records look was read in sources and samples of November 2026."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from skillgrad_ci.document.json_text import loads
from skillgrad_ci.session.growth.recorded import Reader, Recording, Row, Rows, text_in

MOST_BYTES = 100_000_000
_REJECTED = re.compile(r"doesn't want to proceed|tool use was rejected|user rejected", re.IGNORECASE)
_NOT_TYPED = re.compile(
    r"^\s*(?:<(?:command-message|local-command-stdout|local-command-stderr|system-reminder)\b|Caveat:)"
)
_COMMAND = re.compile(
    r"<command-name>\s*/?(?P<name>[\w:.-]+)\s*</command-name>(?:.*?<command-args>(?P<args>.*?)</command-args>)?",
    re.DOTALL,
)
_SCAFFOLDING = re.compile(
    r"^\s*(?:# AGENTS\.md instructions|<(?:INSTRUCTIONS|environment_context|permissions instructions|"
    r"user_shell_command|user_instructions|turn_aborted)\b)"
)
_READS_SKILL = re.compile(r"(?:^|[\s/\"'\\])(?P<name>[\w.-]+)[/\\]+SKILL\.md\b")
_MENTIONED = re.compile(r"(?:^|\s)\$(?P<name>[a-z0-9][a-z0-9-]*)\b")
_ADDED = re.compile(r"^\*\*\* Add File: (?P<path>.+)\n(?P<lines>(?:\+.*\n?)+)", re.M)


def skill_name(name: object) -> str:
    """A skill's own name: a plugin's stands before it."""
    return str(name).rpartition(":")[2]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


# Claude Code


def _claude(rows: Rows, recording: Recording) -> None:
    seen: set[str] = set()
    calls: dict[str, str] = {}  # calls of the tool Skill whose result is not known yet
    for line, row in rows:
        uuid = row.get("uuid")
        if row.get("isSidechain") or (isinstance(uuid, str) and uuid in seen):
            continue  # a sub-agent's, or replayed after a resume or a compaction
        seen.add(str(uuid))
        recording.headless |= str(row.get("entrypoint", "cli")) not in ("cli", "None")
        if row.get("type") == "queue-operation" and row.get("operation") == "remove":
            recording.asked(line, str(row.get("content") or ""))  # said while the agent worked
        elif row.get("type") == "system" and row.get("subtype") == "local_command":
            _claude_command(line, str(row.get("content") or ""), recording)
        elif row.get("type") in ("user", "assistant") and not row.get("isMeta"):
            _claude_message(line, row, recording, calls)
    recording.inner = not seen and any(row.get("isSidechain") for _, row in rows)


def _claude_message(line: int, row: Row, recording: Recording, calls: dict[str, str]) -> None:
    content = _mapping(row.get("message")).get("content")
    text = text_in(content)
    if row["type"] == "assistant":
        recording.happened(line, "said", text)
    elif "<command-name>" in text:
        _claude_command(line, text, recording)
    elif not _NOT_TYPED.match(text):
        recording.asked(line, text)
    for block in content if isinstance(content, list) else []:
        block = _mapping(block)
        if block.get("type") == "tool_use":
            _claude_call(line, block, recording, calls)
        elif block.get("type") == "tool_result":
            skill, said = calls.pop(str(block.get("tool_use_id")), ""), text_in(block.get("content"))
            if skill and not block.get("is_error"):
                recording.skills.add(skill)
            if block.get("is_error") and _REJECTED.search(said):
                recording.happened(line, "rejected", said)


def _claude_call(line: int, block: Mapping[str, Any], recording: Recording, calls: dict[str, str]) -> None:
    name, given = str(block.get("name")), _mapping(block.get("input"))
    recording.happened(line, "tool", name)
    if name == "Skill":
        calls[str(block.get("id"))] = skill_name(given.get("skill"))
    if name == "Write":
        recording.wrote(given.get("file_path"), given.get("content"))


def _claude_command(line: int, text: str, recording: Recording) -> None:
    """A slash command. One that names a skill activates it, and its arguments are what was asked."""
    if found := _COMMAND.search(text):
        recording.skills.add(skill_name(found["name"]))
        recording.asked(line, found["args"] or "")


# Codex


def _codex(rows: Rows, recording: Recording) -> None:
    events = any(_payload(row).get("type") == "user_message" for _, row in rows)
    for line, row in rows:
        kind, payload = str(row.get("type")), _payload(row)
        what = str(payload.get("type"))
        if kind == "session_meta":
            _codex_start(payload, recording)
        elif kind == "event_msg" and what == "user_message":
            _codex_asked(line, str(payload.get("message") or ""), recording)
        elif kind == "event_msg" and what == "turn_aborted":
            recording.happened(line, "interrupted", "the user interrupted the agent")
        elif what == "message" and payload.get("role") == "user" and not events:  # else the event says the same
            text = text_in(payload.get("content"))
            if not _SCAFFOLDING.match(text):
                _codex_asked(line, text, recording)
        elif what == "message" and payload.get("role") == "assistant":
            recording.happened(line, "said", text_in(payload.get("content")))
        elif what in ("function_call", "custom_tool_call", "local_shell_call"):
            _codex_call(line, payload, recording)


def _payload(row: Row) -> Mapping[str, Any]:
    """A line's content; older files have it without an envelope."""
    return _mapping(row["payload"]) if isinstance(row.get("payload"), dict) else row


def _codex_start(payload: Mapping[str, Any], recording: Recording) -> None:
    source = payload.get("source")
    recording.inner |= bool(payload.get("parent_thread_id") or payload.get("parent_session_id"))
    recording.inner |= isinstance(source, dict) and "subagent" in source
    recording.headless |= payload.get("originator") == "codex_exec" or source == "exec"


def _codex_asked(line: int, text: str, recording: Recording) -> None:
    recording.asked(line, text)
    recording.skills |= {found["name"] for found in _MENTIONED.finditer(text)}


def _codex_call(line: int, payload: Mapping[str, Any], recording: Recording) -> None:
    recording.happened(line, "tool", str(payload.get("name") or "shell"))
    told = str(payload.get("arguments") or payload.get("input") or payload.get("action") or "")
    given = _decoded(told)
    command = json.dumps(given, ensure_ascii=False) if given else told
    recording.skills |= {found["name"] for found in _READS_SKILL.finditer(command)}
    for patch in (told, *(value for value in given.values() if isinstance(value, str))):
        for added in _ADDED.finditer(patch):
            lines = [one.removeprefix("+") for one in added["lines"].splitlines()]
            recording.wrote(added["path"].strip(), "\n".join(lines) + "\n")


def _decoded(text: str) -> Mapping[str, Any]:
    try:
        return _mapping(loads(text))
    except ValueError:
        return {}


# ATIF, and our own trajectories


def _atif(rows: Rows, recording: Recording) -> None:
    for number, step in enumerate(_steps(rows), 1):
        if step.get("is_copied_context"):
            continue
        text = text_in(step.get("message"))
        if step.get("source") == "user":
            recording.asked(number, text)
        elif step.get("source") == "agent":
            recording.happened(number, "said", text)
        calls = step.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            _call(number, str(_mapping(call).get("function_name")), _mapping(call).get("arguments"), recording)


def _steps(rows: Rows) -> Iterator[Mapping[str, Any]]:
    for _, row in rows:
        steps = row.get("steps")
        yield from (_mapping(step) for step in (steps if isinstance(steps, list) else []))


def _call(line: int, name: str, arguments: object, recording: Recording) -> None:
    """A tool's call, with what other programs say of an activation: a tool for it, or a read of SKILL.md."""
    recording.happened(line, "tool", name)
    given = _mapping(arguments) or _decoded(str(arguments))
    if name in ("activate_skill", "Skill"):
        recording.skills.add(skill_name(given.get("name") or given.get("skill")))
    recording.skills |= {found["name"] for found in _READS_SKILL.finditer(json.dumps(given, ensure_ascii=False))}
    recording.wrote(given.get("file_path") or given.get("path"), given.get("content"))


def _own(rows: Rows, recording: Recording) -> None:
    for line, row in rows:
        if row.get("kind") == "message" and row.get("role") == "user":
            recording.asked(line, str(row.get("text") or ""))
        elif row.get("kind") == "message" and row.get("role") == "assistant":
            recording.happened(line, "said", str(row.get("text") or ""))
        elif row.get("kind") == "tool_call":
            _call(line, str(row.get("tool")), row.get("arguments"), recording)
        elif row.get("kind") == "verdict" and row.get("outcome") == "failed":
            recording.happened(line, "correction", f"the grader said: {row.get('text')}")


READERS: Mapping[str, tuple[Callable[[Row], bool], Reader]] = {
    "atif": (lambda row: str(row.get("schema_version", "")).startswith("ATIF"), _atif),
    "skillgrad": (lambda row: row.get("kind") in ("message", "tool_call", "verdict"), _own),
    "codex": (lambda row: row.get("type") in ("session_meta", "event_msg", "response_item", "turn_context"), _codex),
    "claude-code": (lambda row: row.get("type") in ("user", "assistant") and "message" in row, _claude),
}


def read_recording(path: Path) -> Recording | None:
    """The session in a file; None where nothing in it is known."""
    if path.stat().st_size > MOST_BYTES:
        return None
    data = path.read_bytes()
    rows = list(objects_in(data.decode("utf-8", "replace")))
    for agent, (knows, reader) in READERS.items():
        if any(knows(row) for _, row in rows):
            recording = Recording(agent, sha256(data).hexdigest()[:8])
            reader(rows, recording)
            return recording
    return None


def objects_in(text: str) -> Iterator[tuple[int, Row]]:
    """The JSON objects of a file: one a line, or one that is the whole file. A text in them may hold U+2028."""
    try:
        whole = loads(text)
    except ValueError:
        whole = None
    if isinstance(whole, dict):
        yield 1, whole
        return
    for number, line in enumerate(text.split("\n"), 1):
        try:
            row = loads(line)
        except ValueError:
            continue  # torn, or of another kind
        if isinstance(row, dict):
            yield number, row
