"""A conversation as chat completions have it, written item by item in the order in which an agent tells it.

What chat completions cannot hold is not passed on: what a model thought, and the signatures of it. A file that
they cannot hold is named to the model, so that it does not wait for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skillgrad_ci.method.ports import ModelRequest

Message = dict[str, Any]


@dataclass
class Transcript:
    """`messages` of a chat completion. What the model said and called in one turn becomes one message."""

    messages: list[Message] = field(default_factory=list)
    _shown: list[Message] = field(default_factory=list)  # images that tools gave back: they follow all results

    def told(self, role: str, parts: Sequence[Message]) -> None:
        """System and user messages. `parts` are texts and images."""
        self._show()
        if role in ("system", "developer"):
            text = "\n".join(part["text"] for part in parts if part["type"] == "text")
            if text:
                self.messages.append({"role": "system", "content": text})
        elif parts:
            self.messages.append({"role": "user", "content": list(parts)})

    def said(self, text: str) -> None:
        if text:
            turn = self._turn(fresh=True)
            turn["content"] = f"{turn['content']}\n{text}" if turn["content"] else text

    def called(self, id: str, name: str, arguments: str) -> None:
        function = {"name": name, "arguments": arguments}
        self._turn().setdefault("tool_calls", []).append({"id": id, "type": "function", "function": function})

    def result(self, id: str, parts: Iterable[Message]) -> None:
        """What a tool gave back. A chat completion takes texts alone here."""
        given = list(parts)
        text = "\n".join(part["text"] for part in given if part["type"] == "text")
        self.messages.append({"role": "tool", "tool_call_id": id, "content": text})
        self._shown += [part for part in given if part["type"] != "text"]

    def request(self, tools: Sequence[Mapping[str, Any]]) -> ModelRequest:
        self._show()
        return ModelRequest(self.messages, tools)

    def _show(self) -> None:
        if self._shown:
            self.messages.append({"role": "user", "content": [text("(what a tool showed)"), *self._shown]})
            self._shown = []

    def _turn(self, *, fresh: bool = False) -> Message:
        """The model's message that is being written. Text after a call begins another one."""
        self._show()
        last = self.messages[-1] if self.messages else {}
        if last.get("role") != "assistant" or (fresh and "tool_calls" in last):
            self.messages.append({"role": "assistant", "content": None})
        return self.messages[-1]


def text(words: str) -> Message:
    return {"type": "text", "text": words}


def image(url: str) -> Message:
    return {"type": "image_url", "image_url": {"url": url}}


def left_out(kind: object) -> Message:
    return text(f"(a part of the kind {kind} was here, which this model's provider cannot be sent)")


def function(name: str, description: object, parameters: object) -> Message:
    """A tool. `parameters` are its JSON schema."""
    known = {"name": name, "description": description or "", "parameters": parameters or {"type": "object"}}
    return {"type": "function", "function": known}
