"""The rehearsal's executor: its next turn, from the conversation so far and nothing else.

It knows what a mechanism needs, and follows the guided conduct only when it has really read that
guidance where the agent reads it: the description in the system prompt, the body in what
`activate_skill` returned, a reference in what `read_reference` returned. It runs every command
through the `shell` tool and gives up when one fails.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from skillgrad_ci.models.rehearsal.script import PLACEHOLDER, Mechanism, Script

Message = Mapping[str, Any]
_FILE = re.compile(r"\b(?:references|scripts|assets)/[\w./-]*\w")
_FAILED = re.compile(r"\bexit code[: ]+([1-9]\d*)|\bcommand was ended\b", re.IGNORECASE)
_LISTED = re.compile(r"^[-*] `?(?P<name>[a-z0-9-]+)`?: .*$", re.MULTILINE)  # a skill in the system prompt
UNKNOWN = "Rehearsal: no mechanism of the script matches this task, so nothing was done."


@dataclass(frozen=True)
class Turn:
    """An assistant's turn: a text, or one tool call (name, arguments)."""

    text: str = ""
    tool: str = ""
    arguments: Mapping[str, str] | None = None


@dataclass(frozen=True)
class ExecutorRequest:
    """What an executor's request shows: texts by role, and each tool call with its result."""

    system: str
    instruction: str
    calls: Sequence[tuple[str, Mapping[str, Any], str]]  # tool, arguments, result

    @classmethod
    def of(cls, messages: Sequence[Message]) -> "ExecutorRequest":
        results = {str(m.get("tool_call_id")): text_of(m) for m in messages if m.get("role") == "tool"}
        calls = [
            (call["function"]["name"], json.loads(call["function"]["arguments"] or "{}"), results.get(call["id"], ""))
            for message in messages
            for call in message.get("tool_calls") or ()
        ]
        texts = {role: "\n".join(text_of(m) for m in messages if m.get("role") == role) for role in ("system", "user")}
        return cls(texts["system"], texts["user"], calls)

    def read(self, tool: str) -> str:
        """Everything that a tool has returned."""
        return "\n".join(result for name, _, result in self.calls if name == tool)

    def layer(self, name: str) -> str:
        """What the executor has read of a layer."""
        if name == "description":
            return "\n".join(found[0] for found in _LISTED.finditer(self.system))
        return self.read("activate_skill" if name == "body" else "read_reference")


def text_of(message: Message) -> str:
    """A message's text, whether it is a string or a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content)


def next_turn(script: Script, messages: Sequence[Message], tools: Sequence[Message]) -> Turn:
    """The executor's next turn in a conversation."""
    conversation = ExecutorRequest.of(messages)
    found = script.mechanism_of(conversation.instruction)
    if found is None:
        return Turn(UNKNOWN)
    _, mechanism, values = found
    reading = next(_unread(mechanism, conversation, tools), None)
    if reading is not None:
        return reading
    conduct = mechanism.guided if _is_guided(mechanism, conversation) else mechanism.unguided
    results = [result for name, _, result in conversation.calls if name == "shell"]
    if results and (failed := _FAILED.search(results[-1])):
        return Turn(f"The last command failed ({failed[0]}); the task is not done.")
    commands = [with_values(command, values) for command in [*script.look, *conduct.commands]]
    if len(results) < len(commands):
        return Turn(tool="shell", arguments={"command": commands[len(results)]})
    return Turn(with_values(conduct.answer, values))


def _unread(mechanism: Mechanism, conversation: ExecutorRequest, tools: Sequence[Message]) -> Iterator[Turn]:
    """What is still to be read: the skill if its description fits, then the references it points to."""
    offered = {tool["function"]["name"] for tool in tools}
    called = [name for name, _, _ in conversation.calls]
    fitting = _fitting_skill(mechanism, conversation)
    if "activate_skill" not in offered or fitting is None:
        return
    if "activate_skill" not in called:
        yield Turn(tool="activate_skill", arguments={"name": fitting})
    done = {str(arguments.get("path")) for name, arguments, _ in conversation.calls if name == "read_reference"}
    for need in mechanism.needs:
        for line in conversation.read("activate_skill").splitlines() if need.pointer else ():
            path = _FILE.search(line)
            if path and need.pointer and need.pointer.search(line.replace(path[0], "")) and path[0] not in done:
                yield Turn(tool="read_reference", arguments={"path": path[0]})


def _met(mechanism: Mechanism, conversation: ExecutorRequest, *layers: str) -> bool:
    needs = (need for need in mechanism.needs if need.layer in layers)
    return all(need.text.search(conversation.layer(need.layer)) for need in needs)


def _is_guided(mechanism: Mechanism, conversation: ExecutorRequest) -> bool:
    everywhere = ("description", "body", "reference")
    return bool(conversation.read("activate_skill")) and _met(mechanism, conversation, *everywhere)


def _fitting_skill(mechanism: Mechanism, conversation: ExecutorRequest) -> str | None:
    """The first skill listed in the system prompt whose description holds all that the mechanism needs of one."""
    needs = [need.text for need in mechanism.needs if need.layer == "description"]
    for listed in _LISTED.finditer(conversation.system):
        if all(text.search(listed[0]) for text in needs):
            return listed["name"]
    return None


def with_values(text: str, values: Mapping[str, str]) -> str:
    """A command or an answer with its placeholders replaced."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], text)
