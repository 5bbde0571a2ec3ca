"""What happened in an execution, read from its calls: what the model said, and what the tools gave back.

A call carries the whole conversation so far. What the model said is taken from the replies. So only two things of a
call are new: messages, and results of tools, that were not seen before. This holds too if an agent cuts or sums up its
conversation.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skillgrad_ci.method.evidence import ModelCall, Usage
from skillgrad_ci.method.prompting import cut_middle
from skillgrad_ci.models.gateway.dialect import Asked, ToolResult
from skillgrad_ci.models.replies import Said

BOUND = 16_000  # characters that are kept of one message or result, as of the built-in agent
_EXIT = re.compile(r'(?:exit(?:ed with)?[ _]code"?:?|Process exited with code)\s*(\d{1,3})\b', re.IGNORECASE)

Event = Mapping[str, Any]


@dataclass
class Recorder:
    """The events of one execution, as a `Trajectory` has them. `notice` is told each as it happens."""

    notice: Callable[[Event], None]
    events: list[Event] = field(default_factory=list)
    model_calls: list[ModelCall] = field(default_factory=list)
    answer: str = ""
    _seen: set[str] = field(default_factory=set)
    _tools: dict[str, str] = field(default_factory=dict)  # a call's id: its tool's name
    _unnamed: int = 0

    def asked(self, call: Asked) -> None:
        """The messages and results of a call that are new."""
        for role, text in call.said:
            if text.strip() and self._is_new(f"{role}:{text}"):
                self._message(role, text)
        for result in call.results:
            if self._is_new(f"result:{result.id}"):
                self._result(result)

    def heard(self, said: Said, usage: Usage) -> None:
        self.model_calls.append(ModelCall(len(self.events), usage))
        if said.text.strip():
            self.answer = said.text.strip()
            self._keep({"kind": "message", "role": "assistant", "text": said.text})
        for call in said.calls:
            given = call.id or f"call_{self._unnamed}"  # Gemini gives no ids: calls are counted
            self._unnamed += not call.id
            self._tools[given] = call.name
            arguments = _parsed(call.arguments)
            self._keep({"kind": "tool_call", "id": given, "tool": call.name, "arguments": arguments})

    def _message(self, role: str, text: str) -> None:
        """An agent's own instructions are long, and the same in every execution: only their size is kept."""
        if role in ("system", "developer"):
            role, text = "system", f"(the agent's own instructions, {len(text):,} characters)"
        self._keep({"kind": "message", "role": role, "text": cut_middle(text, BOUND)})

    def _result(self, result: ToolResult) -> None:
        output = cut_middle(result.output, BOUND)
        tool = self._tools.get(result.id, "")
        code = _exit_code(result)
        self._keep({"kind": "tool_result", "id": result.id, "tool": tool, "output": output, "exit_code": code})

    def _keep(self, event: Event) -> None:
        self.events.append(event)
        self.notice(event)

    def _is_new(self, what: str) -> bool:
        new = what not in self._seen
        self._seen.add(what)
        return new


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _exit_code(result: ToolResult) -> int | None:
    """As the tool's output tells it, at its start or its end; 0 for one that the dialect says went well."""
    told = _EXIT.search(result.output[:300]) or _EXIT.search(result.output[-100:])
    if told and result.failed is not False:
        return int(told[1])
    return 0 if result.failed is False else None
