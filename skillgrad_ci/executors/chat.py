"""One chat call without tools: the skills are in the system message, and the reply is the answer.

A skill's further files are named there, and one further turn brings those that the model asks for. It is
the cheapest way to measure a skill on questions, and it runs no command, so it needs no sandbox.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from skillgrad_ci.document.inert_text import fence
from skillgrad_ci.errors import EnvironmentFailure, ReplyError, UserError
from skillgrad_ci.executors.turns import Turns
from skillgrad_ci.method.evidence import ModelCall, Trajectory, Usage
from skillgrad_ci.method.ports import Journal, Model, ModelReply, ModelRequest, Session
from skillgrad_ci.method.prompting import cut_middle, fill
from skillgrad_ci.method.task import Suite, Task, digest_of
from skillgrad_ci.skill.skill import Skill

FILES_BOUND = 100_000  # characters of one task's input files, and of the files of skills, that a request holds
FOLLOW = "\nFollow this skill. It holds instructions that others found to work.\n\n"
OFFER = (
    "\n\nThe skill has further files. If you need some, reply with nothing but one line for each, as below; "
    "you are then given them, once.\n\n"
)
_ASKED = re.compile(r"\s*(?:[-*]\s+)?`?READ\s+(?P<path>[^\s`]+)`?\s*")


@dataclass(frozen=True)
class Chat:
    """`ports.Executor` by at most two calls. `prompt` is the template of the system message.

    Every skill that is present counts as activated: its body is in the request.
    """

    model: Model
    prompt: str
    max_tokens: int = 8192  # of one reply
    others: Sequence[Skill] = ()
    journal: Journal | None = None
    key: str = ""  # of the execution whose turns the journal keeps

    @property
    def identity(self) -> str:
        facts = [self.prompt, FOLLOW, OFFER, FILES_BOUND, self.max_tokens]
        facts += sorted([skill.name, skill.for_agents().digest] for skill in self.others)
        return f"chat/1 model={self.model.name} prompt={digest_of(facts)[:12]}"

    def resuming(self, journal: Journal, key: str) -> "Chat":
        """The executor of one execution, which pays for no call that the journal holds."""
        return replace(self, journal=journal, key=key)

    def execute(self, task: Task, skill: Skill | None, session: Session) -> Trajectory:  # noqa: ARG002 (no command is run)
        return _Conversation(self, task, skill, Turns(self.journal, self.key)).run()


@dataclass
class _Conversation:
    """One task's request, the events that are kept, and what the calls took."""

    chat: Chat
    task: Task
    measured: Skill | None
    paid: Turns
    events: list[Mapping[str, Any]] = field(default_factory=list)
    model_calls: list[ModelCall] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    turns: int = 0

    def run(self) -> Trajectory:
        present = [one.for_agents() for one in (self.measured, *self.chat.others) if one]
        skills = {skill.name: skill for skill in sorted(present, key=lambda skill: skill.name)}
        wanted: dict[str, str] = {}
        try:
            reply = self.ask(skills, wanted)
            wanted = _asked_for(reply.text, skills)
            if wanted:
                reply = self.ask(skills, wanted)
        except ReplyError as error:
            if not self.turns:  # the model did nothing yet: what is too long is ours, or a proxy's limit
                raise EnvironmentFailure(
                    f"{error} (the first request); shorten the task, or take a larger model"
                ) from None
            return self.end("context", "", skills, wanted)
        stopped = {"content_filter": "refused", "length": "length"}.get(reply.stop, "answered")
        return self.end(stopped, reply.text.strip(), skills, wanted)

    def ask(self, skills: Mapping[str, Skill], given: Mapping[str, str]) -> ModelReply:
        """One call. With files `given` the skills offer no others, so that the next reply is the answer."""
        texts = [_shown(skill, offer=not given) for skill in skills.values()]
        texts += [f"\n\n### {place}\n\n{fence(text)}" for place, text in given.items()]
        system = fill(self.chat.prompt, skills="".join(texts)).strip()
        messages = [{"role": "system", "content": system}, {"role": "user", "content": question(self.task)}]
        new = messages if not given else messages[:1]
        self.events += ({"kind": "message", "role": row["role"], "text": row["content"]} for row in new)
        request = ModelRequest(messages, max_tokens=self.chat.max_tokens)
        reply = self.paid.reply(lambda: self.chat.model.complete(request))
        self.turns += 1
        self.usage += reply.usage
        self.model_calls.append(ModelCall(len(self.events), reply.usage))
        self.events.append({"kind": "message", "role": "assistant", "text": reply.text})
        return reply

    def end(self, stopped: str, answer: str, skills: Mapping[str, Skill], read: Mapping[str, str]) -> Trajectory:
        mine = self.measured.name if self.measured else None
        used = [place.partition("/")[2] for place in read if place.partition("/")[0] == mine]
        others = [name for name in skills if name != mine]
        return Trajectory(
            self.events,
            answer,
            self.turns,
            mine is not None,
            used,
            stopped,
            self.usage,
            others_activated=others,
            model_calls=self.model_calls,
        )


def _shown(skill: Skill, *, offer: bool) -> str:
    """A skill's body, and the lines by which its files are asked for."""
    text = FOLLOW + cut_middle(skill.body.strip(), FILES_BOUND)
    if not offer or not skill.resources:
        return text
    return text + OFFER + "\n".join(f"READ {skill.name}/{name}" for name in skill.resources)


def _asked_for(reply: str, skills: Mapping[str, Skill]) -> dict[str, str]:
    """The files that a reply asks for, by place, with their text; none where the reply is an answer.

    A reply counts as a request when each of its lines is one. What cannot be given is said in its place.
    """
    lines = [line for line in reply.splitlines() if line.strip()]
    found = [_ASKED.fullmatch(line) for line in lines]
    if not any(skill.resources for skill in skills.values()) or not lines or not all(found):
        return {}
    texts, left = {}, FILES_BOUND
    for place in dict.fromkeys(match["path"] for match in found if match):
        place, text = _file(posixpath.normpath(place), skills)
        texts[place] = cut_middle(text, left) if left > 0 else "(left out: too many files were asked for)"
        left -= len(text)
    return texts


def _file(path: str, skills: Mapping[str, Skill]) -> tuple[str, str]:
    """A file's place and text. Without its skill's name a path is looked for in each skill."""
    for skill in skills.values():
        name = path.removeprefix(f"{skill.name}/")
        if name in skill.resources:
            try:
                return f"{skill.name}/{name}", skill.files[name].decode("utf-8")
            except UnicodeDecodeError:
                return path, "(no text: it cannot be shown)"
    return path, "(there is no such file)"


def question(task: Task) -> str:
    """The user's message: the task's own words, then its input files, as far as they are text."""
    parts, left = [task.instruction.strip()], FILES_BOUND
    for name, source in sorted(task.files.items()):
        text = _text_of(source) if left > 0 else None
        if text is None:
            parts.append(f"The file {name} is there, and cannot be shown here.")
            continue
        parts.append(f"The file {name}:\n{fence(cut_middle(text, left))}")
        left -= len(text)
    return "\n\n".join(parts)


def _text_of(source: Path) -> str | None:
    """A file's text; None for a folder, and for what is not text."""
    try:
        content = source.read_bytes() if source.is_file() else b"\0"
        return None if b"\0" in content else content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def refuse_files(suite: Suite) -> None:
    """Raises UserError for a suite that asks for files: such tasks would fail whatever the skill says."""
    writing = [task.id for task in suite.tasks if task.outputs or any(spec.kind == "xlsx" for spec in task.graders)]
    if writing:
        raise UserError(
            f"{suite.root}: agent chat writes no files, and {len(writing)} of {len(suite.tasks)} tasks ask for some "
            f"({', '.join(writing[:3])}{', …' if len(writing) > 3 else ''}); take the agent loop for this suite"
        )
