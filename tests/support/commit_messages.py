"""A repository as strangers have one, with an Agent Skills `evals.json`; and a provider of one's own for it.

The provider plays a model that writes commit messages, the judge and the optimizing agents: it does what a skill
says, no more, once it has read the skill.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.scripted_answers import Answer, Call, Reply, error
from tests.support.worlds import diagnosis, edit, patterns

KEY = "right-key"
SKILL = """\
---
name: commit-message
description: Writes commit messages for this team's repositories. Use it whenever somebody asks for a commit message.
---
# Commit messages

Write a subject in the imperative, then a blank line, then what changed.
"""
RULES = {  # kind of change: the line that its message needs, and the guidance that says so
    "small": ("Refs: none", "End with the line `Refs: none` where no ticket is named."),
    "wide": ("BREAKING: yes", "Mark a change of an interface by the line `BREAKING: yes`."),
}
PLACES = ["parser", "cache", "login", "exporter", "mailer", "queue", "search", "menu", "clock", "index"]


def make(folder: Path) -> Path:
    """Write the repository below `folder`, under git; returns `folder`. Twenty evals, half of each kind."""
    skill = folder / "skills/commit-message"
    (skill / "evals").mkdir(parents=True)
    (skill / "SKILL.md").write_text(SKILL)
    kinds = [(place, kind) for place in PLACES for kind in RULES]
    rows = [
        {
            "id": number,
            "prompt": f"Write the commit message for a {kind} change in the {place}.",
            "expected_output": "A short message.",
            "assertions": [f"The message holds the line '{RULES[kind][0]}'."],
        }
        for number, (place, kind) in enumerate(kinds, 1)
    ]
    (skill / "evals/evals.json").write_text(json.dumps({"skill_name": "commit-message", "evals": rows}))
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def answer(request: dict[str, Any]) -> Answer:
    """The reply to a request in OpenAI's protocol; a model of another name is not known."""
    if request["model"] != "scripted":
        return error(404, f"The model `{request['model']}` does not exist", code="model_not_found")
    messages = request["messages"]
    text = "\n".join(str(message.get("content")) for message in messages) + json.dumps(request.get("response_format"))
    if "Reply with the word ready." in text:
        return Reply("ready")
    if "JudgeReply" in text:
        return Reply(json.dumps({"verdicts": _verdicts(str(messages[-1]["content"]))}))
    if "DiagnosisReply" in text:
        return Reply(json.dumps(diagnosis(f"lacks-{_kind(str(messages[-1]['content']))}")))
    if "You keep the record of patterns" in text:
        return Reply(json.dumps(patterns(text)))
    if "tools" in request:
        return _message(messages, text)
    known = dict.fromkeys(re.findall(r"lacks-(\w+)", text))
    edits = [edit(f"\n{RULES[kind][1]}\n", f"lacks-{kind}") for kind in known if RULES[kind][1] not in text]
    return Reply(json.dumps({"edits": edits}))


def _message(messages: Sequence[Any], text: str) -> Reply:
    if not any(message["role"] == "tool" for message in messages):
        return Reply(calls=[Call("activate_skill", {"name": "commit-message"})])
    line, guidance = RULES[_kind(text)]
    return Reply("Change it as asked\n" + (f"\n{line}" if guidance in text else ""))


def _kind(text: str) -> str:
    return str(re.findall(r"for a (\w+) change", text)[-1])


def _verdicts(question: str) -> list[dict[str, Any]]:
    result, asked = question.split("## The result", 1)[1].rsplit("## The ", 1)
    verdicts: list[dict[str, Any]] = []
    for number, statement in re.findall(r"^(\d+)\. (.+)$", asked, re.MULTILINE):
        line = next(iter(re.findall("'(.+)'", statement)), None)
        there = line is not None and line in result
        seen = {"evidence": line, "verdict": "passed"} if there else {"evidence": "", "verdict": "failed"}
        verdicts.append({"statement": int(number), "reason": "so it is", **seen})
    return verdicts
