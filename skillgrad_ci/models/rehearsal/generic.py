"""The generic rehearsal: a script for a suite that has none beside it, made from the suite's own references.

The tasks take turns: some are solved from the start, some once marked lines are in a layer of the
skill, and some never are. A solution is seen by the rehearsal's executor alone. All that
it writes into a skill says that it is a rehearsal's.
"""

import base64
import gzip
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import PurePosixPath

from pydantic import PrivateAttr

from skillgrad_ci.method.task import digest_of
from skillgrad_ci.models.rehearsal.script import (
    Conduct,
    JudgeRule,
    Mechanism,
    Need,
    PatternEntry,
    Script,
    ScriptedEdit,
    ScriptedFinding,
    ScriptedRemedy,
)
from skillgrad_ci.skill.skill import MAIN

MARK = "(Rehearsal)"
RESOURCE = "references/rehearsal.md"
RULE = f"- {MARK} A rule that a model would write here, after it has seen why tasks fail."
POINTER = f"- {MARK} Read `{RESOURCE}` before a task that needs details."
DETAILS = f"# Details {MARK}\n\nHere a model would write what only some tasks need, each with its steps.\n"
DESCRIPTION_BOUND = 1024  # characters, by the Agent Skills specification
COMMAND_BOUND = 90_000  # characters of one command; a system takes no argument of 128 KiB
HEAD = 600  # characters by which a shortened instruction is known
SOLVED, NEVER = "solved", "never"
TURNS = (SOLVED, "body", "resource", "body", "resource", NEVER)  # the kinds, as the tasks take turns in them
FAILS = "Rehearsal: this task is left undone."


@dataclass(frozen=True)
class Solution:
    """What solves a task: `files` to write into the work folder, a `command` that makes them, the last message."""

    instruction: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    answer: str = ""
    command: str = ""

    @property
    def shell(self) -> str:
        """The command that lays the solution; empty where nothing is to be written."""
        return "\n".join([*filter(None, [self.command]), *(_written(name, data) for name, data in self.files.items())])


class GenericScript(Script):
    """A script that knows its tasks by their instructions. `_plays` maps one to its mechanism and its solution."""

    _plays: dict[str, tuple[str, Solution]] = PrivateAttr(default_factory=dict)

    @property
    def digest(self) -> str:
        plays = [[task, kind, played.shell, played.answer] for task, (kind, played) in self._plays.items()]
        return digest_of([super().digest, plays])

    def mechanism_of(self, instruction: str) -> tuple[str, Mechanism, dict[str, str]] | None:
        whole = [task for task in self._plays if task in instruction]
        found = max(whole or [task for task in self._plays if task[:HEAD] in instruction], key=len, default=None)
        if found is None:
            return None
        name, solution = self._plays[found]
        return name, self.mechanisms[name], {"command": solution.shell or "true", "answer": solution.answer or "Done."}


def generic_script(
    solutions: Sequence[Solution], queries: Sequence[str], description: str, beside: str = ""
) -> GenericScript:
    """The script of the tasks that can be solved, in the suite's order; it leaves all others undone.

    `queries` should activate the skill. `description` is the skill's; '' where there is no skill to change.
    `beside` is the skill's name where further skills lie beside it.
    """
    script = GenericScript(version=1, mechanisms=_mechanisms(description, beside), judge=[_ECHO])
    turns = cycle(TURNS)
    for query in queries:
        script._plays[query.strip()] = (SOLVED, Solution(query))
    for solution in solutions:
        task = solution.instruction.strip()
        if task not in script._plays:  # of tasks with the same words, the first is solved
            kind = next(turns) if len(solution.shell) <= COMMAND_BOUND else NEVER
            script._plays[task] = (kind, solution)
    return script


def _mechanisms(description: str, beside: str) -> dict[str, Mechanism]:
    body = Need(layer="body", text=_exactly(RULE))
    resource = Need(layer="reference", text=_exactly(MARK), pointer=_exactly(MARK))
    room = 0 < len(description) < DESCRIPTION_BOUND - len(MARK)
    replace = ScriptedEdit(op="replace", file=MAIN, target="description", content=f"{description} {MARK}")
    described = [replace] if room else []
    return {
        SOLVED: _mechanism("Nothing is missing.", [], [], beside),
        "body": _mechanism("A rule is missing in the body.", [body], [_append(RULE)], beside),
        "resource": _mechanism(
            "Details are missing that only some tasks need.",
            [resource, *([Need(layer="description", text=_exactly(MARK))] if described else [])],
            [_append(DETAILS, RESOURCE), _append(POINTER), *described],
            beside,
        ),
        NEVER: _mechanism("No edit helps this task.", [Need(layer="body", text=re.compile(r"(?!)"))], [], beside),
    }


def _mechanism(line: str, needs: list[Need], edits: list[ScriptedEdit], beside: str) -> Mechanism:
    named = [Need(layer="description", text=_exactly(beside))] if beside else []
    said = f"{line} {MARK}"
    return Mechanism.model_validate(
        {
            "match": "(?P<command>)(?P<answer>)",  # the groups' names; `mechanism_of` finds the task by its text
            "needs": [*named, *needs],
            "with": Conduct(commands=["{{command}}"], answer="{{answer}}"),
            "without": Conduct(answer=FAILS),
            "finding": ScriptedFinding(summary=said, cause=said, difference=f"The task is solved. {MARK}"),
            "pattern": PatternEntry(line=said, anchor="tasks that the rehearsal chose", description=said),
            "remedies": [ScriptedRemedy(note="", why=said, edits=edits)] if edits else [],
        }
    )


def _append(content: str, file: str = MAIN) -> ScriptedEdit:
    return ScriptedEdit(op="append", file=file, target="file", content=content)


def _exactly(words: str) -> re.Pattern[str]:
    return re.compile(re.escape(words))


def _written(name: str, data: bytes) -> str:
    """The command that writes a file, whatever its bytes."""
    folder = PurePosixPath(name).parent
    packed = base64.b64encode(gzip.compress(data, mtime=0)).decode()
    return f"mkdir -p {shlex.quote(str(folder))} && echo {packed} | base64 -d | gunzip > {shlex.quote(name)}"


_ECHO = JudgeRule.model_validate({"statement": "(?P<all>.+)", "evidence": "{{all}}"})
