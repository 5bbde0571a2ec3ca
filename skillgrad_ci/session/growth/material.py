"""What tasks are proposed from: the skill's own text, the failures of a run, recorded sessions, or a file of issues.

All but the skill is data from outside. It is masked before a model sees it, and of a run only tasks that train are
read: what a heldout task failed on must not become a lesson.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from skillgrad_ci.document.json_text import loads
from skillgrad_ci.document.parsing import read_text
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.prompting import cut_middle
from skillgrad_ci.method.task import Split, Suite, folder_of
from skillgrad_ci.session.growth.logs import objects_in, read_recording
from skillgrad_ci.session.growth.personal import masked
from skillgrad_ci.session.growth.recorded import Recording, files_below
from skillgrad_ci.session.journal.file_journal import NAME as JOURNAL
from skillgrad_ci.session.split import assign, read_recorded, recorded_path
from skillgrad_ci.skill.markdown import outline
from skillgrad_ci.skill.skill import MAIN, Skill

BOUND = 12_000  # characters of one piece
SMALL = 400  # characters; a section below is read with the one before it


@dataclass(frozen=True)
class Material:
    """One piece that tasks are proposed from. `origin` says where it came from, in words that a suite may hold."""

    origin: str
    text: str


@dataclass(frozen=True)
class Gathered:
    """The pieces, and what was read to find them, for a person."""

    pieces: Sequence[Material]
    told: str


def gather(source: str | None, skill: Skill | None, suite: Suite | None) -> Gathered:
    """The pieces that `source` names: `skill`, `sessions` (where agents keep them), or a path of any kind.

    Raises UserError where nothing can be read, and says where it looked.
    """
    if source is None or source == "skill":
        return _of_skill(_needed(skill))
    if source == "sessions":
        return _of_sessions(_kept_places(), _needed(skill))
    path = Path(source)
    if not path.exists():
        raise UserError(f"--from {source}: no such file or folder; give a skill, a run folder, sessions or issues")
    if (path / MAIN).is_file():
        return _of_skill(Skill.load(path))
    if (path / JOURNAL).is_file():
        return _of_run(path, suite)
    if path.is_dir() or _is_recording(path):
        return _of_sessions([path], _needed(skill))
    return _of_issues(path)


def _needed(skill: Skill | None) -> Skill:
    if skill is None:
        raise UserError("--grow: which skill is it for? give --skill SKILL, or the skill's own folder as the suite")
    return skill


def _of_skill(skill: Skill) -> Gathered:
    """A piece for each section of the body that says enough, and for each reference in Markdown."""
    texts = [(f"skill {skill.name}, {MAIN}{heading}", text) for heading, text in _sections(skill.body)]
    texts += [
        (f"skill {skill.name}, {name}", skill.read(name))
        for name in skill.for_agents().resources
        if name.endswith(".md")
    ]
    pieces = [Material(origin, cut_middle(text, BOUND)) for origin, text in texts if text.strip()]
    if not pieces:
        raise UserError(f"{skill.folder}: the body of {MAIN} is empty; write one to propose tasks from")
    return Gathered(pieces, f"{len(pieces)} pieces of the skill {skill.name}")


def _sections(body: str) -> Iterator[tuple[str, str]]:
    """The body in pieces of one section or several small ones, each with what its first heading says."""
    shape = outline(body)
    starts = sorted({0, *(section.start for section in shape.sections if section.level <= 2)})
    text = ""
    for start, end in zip(starts, [*starts[1:], len(shape.lines)], strict=True):
        text += "".join(shape.lines[start:end])
        if len(text) >= SMALL or end == len(shape.lines):
            title = re.search(r"^#+ +(.+)$", text, re.MULTILINE)
            yield f", {' '.join(title[1].split())[:80]}" if title else "", text
            text = ""


def _of_run(folder: Path, suite: Suite | None) -> Gathered:
    """The failures of a run's training tasks, as its trajectories hold them."""
    if suite is None:
        raise UserError(f"--from {folder}: a run's failures need the suite that it was made with")
    recorded = read_recorded(recorded_path(suite)) or {}
    assigned = assign(suite.tasks, None, recorded).splits
    decided = {task.id: task.split or recorded.get(task.id) for task in suite.tasks}
    kept_back = {
        task: split for task, split in decided.items() if split not in (None, Split.TRAIN)
    }  # since the run, perhaps
    splits = {**assigned, **_splits_of(folder), **kept_back}
    training = {folder_of(task.id): task for task in suite.tasks if splits.get(task.id) is Split.TRAIN}
    pieces, seen = [], set()
    for path in sorted((folder / "trajectories").rglob("*.jsonl")):
        task = training.get(path.name.rsplit(".", 2)[0])
        rows = [row for _, row in objects_in(path.read_text("utf-8"))]
        verdict = next((row for row in reversed(rows) if row.get("kind") == "verdict"), None)
        if task is None or verdict is None or verdict.get("outcome") != "failed" or task.id in seen:
            continue
        seen.add(task.id)
        said = next((str(row.get("text")) for row in reversed(rows) if row.get("role") == "assistant"), "")
        text = f"Task: {task.instruction}\n\nThe agent's last message: {said}\n\nThe grader said: {verdict.get('text')}"
        pieces.append(Material(f"a failure of the task {task.id} in a run", masked(cut_middle(text, BOUND))))
    if not pieces:
        raise UserError(f"--from {folder}: no training task of this suite failed in this run; nothing to learn from")
    return Gathered(pieces, f"{len(pieces)} failures of training tasks in {folder}")


def _splits_of(folder: Path) -> Mapping[str, Split]:
    """The splits that the run itself used, where it ended with a report."""
    try:
        rows = json.loads((folder / "report.json").read_text("utf-8"))["tasks"]
        return {row["id"]: Split(row["split"]) for row in rows if row.get("split")}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _kept_places() -> list[Path]:
    """Where Claude Code and Codex keep their sessions."""
    home = Path.home()
    claude = Path(os.environ.get("CLAUDE_CONFIG_DIR") or home / ".claude")
    codex = Path(os.environ.get("CODEX_HOME") or home / ".codex")
    return [claude / "projects", codex / "sessions", codex / "archived_sessions"]


def _is_recording(path: Path) -> bool:
    return path.suffix in (".jsonl", ".json") and read_recording(path) is not None


def _of_sessions(places: Sequence[Path], skill: Skill) -> Gathered:
    """The sessions in which a person asked something and this skill was really activated."""
    counts: Counter[str] = Counter()
    pieces = []
    for path in (file for place in places if place.exists() for file in files_below(place)):
        recording = read_recording(path)
        left_out = "of runs, each to be named itself" if _in_run(path) else _left_out(recording, skill)
        counts[left_out or "kept"] += 1
        if recording is not None and not left_out:
            origin = f"a session of {recording.agent}, {recording.digest}"
            pieces.append(Material(origin, masked(cut_middle(_shown(recording), BOUND))))
    why = ", ".join(f"{number} {reason}" for reason, number in counts.items() if reason != "kept")
    told = f"read {sum(counts.values())} sessions, kept {counts['kept']}" + (f": {why}" if why else "")
    if not pieces:
        looked = ", ".join(map(str, places))
        raise UserError(f"--from: no session with the skill {skill.name}; {told}; looked in {looked}: name others")
    return Gathered(pieces, told)


def _in_run(path: Path) -> bool:
    """Whether a recording is a run's trajectory: read as a session, a heldout task's would become a lesson."""
    return any((folder / JOURNAL).is_file() for folder in path.resolve().parents)


def _left_out(recording: Recording | None, skill: Skill) -> str:
    if recording is None:
        return "of no known form"
    if recording.inner:
        return "of sub-agents"
    if recording.headless:
        return "started by a program"
    if not recording.has_request:
        return "without a request"
    return "" if skill.name in recording.skills else "without the skill"


def _shown(recording: Recording) -> str:
    """What was asked, what was said against it, what was used, how it ended, and the files in text that it wrote."""
    moments = recording.moments
    asked = [f"[line {one.line}] {one.kind}: {one.text}" for one in moments if one.kind not in ("said", "tool")]
    tools = Counter(one.text for one in moments if one.kind == "tool")
    ends = [f"[line {one.line}] the agent said last: {one.text}" for one in moments if one.kind == "said"][-1:]
    files = [f"The agent wrote {name}:\n{cut_middle(content, 3000)}" for name, content in recording.files.items()]
    used = f"Tools used: {', '.join(f'{name} ({number})' for name, number in tools.items())}" if tools else ""
    note = "Files that scripts made are not in the recording."
    return "\n\n".join(filter(None, [*asked, used, *ends, *files, note]))


def _of_issues(path: Path) -> Gathered:
    """Issues: JSON or JSON lines of objects with a title and a body, or Markdown parted by headings or rules."""
    texts = [text.strip() for text in _issue_texts(path) if text.strip()]
    if not texts:
        raise UserError(f"--from {path}: no issue text in it; expected a list of {{title, body}}, or Markdown")
    pieces = [
        Material(f"issue {number} of {path.name}", masked(cut_middle(text, BOUND)))
        for number, text in enumerate(texts, 1)
    ]
    return Gathered(pieces, f"{len(pieces)} issues of {path.name}")


_RULE = re.compile(r"-{3,}\s*$")  # under a line of text, too, where Markdown takes that line for a heading


def _parts(text: str) -> Iterator[str]:
    """Markdown, parted at its rules and at the highest headings that stand there more than once.

    A comment in a code block is no heading, and an issue's own headings (`## Steps`) do not part it.
    """
    shape = outline(text)
    sections = [section for section in shape.sections if shape.lines[section.start].lstrip().startswith("#")]
    counts = Counter(section.level for section in sections)
    level = min((level for level, number in counts.items() if number > 1), default=1)
    heads = {section.start for section in sections if section.level <= level}
    rules = {number for number, line in enumerate(shape.lines) if _RULE.match(line) and not shape.is_code(number)}
    starts = sorted({0, *heads, *rules, len(shape.lines)})
    yield from ("".join(shape.lines[start:end]).strip("-\n ") for start, end in pairwise(starts))


def _issue_texts(path: Path) -> Iterator[str]:
    text = read_text(path)
    if path.suffix not in (".json", ".jsonl"):
        yield from _parts(text)
        return
    lines = [line for line in text.split("\n") if line.strip()] if path.suffix == ".jsonl" else []
    try:
        value = [loads(line) for line in lines] or loads(text)
    except ValueError as error:
        raise UserError(f"--from {path}: no valid JSON ({str(error)[:80]}); mend it") from None
    rows = next((item for item in value.values() if isinstance(item, list)), []) if isinstance(value, dict) else value
    for row in rows:
        fields = row if isinstance(row, dict) else {"body": row}
        yield "\n\n".join(str(fields[key]) for key in ("title", "body", "text") if fields.get(key))
