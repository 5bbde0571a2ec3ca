"""Momentum: the record's step M_t → M_{t+1}, and the overlay O_t of this batch.

One structured call replies with *changes*; this code merges them. So five things hold
whatever the reply says: remedy logs only grow; no iteration and no task is invented; every task of the batch has its
overlay entry; a pattern that still fails is not absorbed; and a workflow theme needs two successes.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, Field, field_validator

from skillgrad_ci.document.inert_text import printable
from skillgrad_ci.method.gradient import Diagnosis, slug
from skillgrad_ci.method.memory import (
    Absorption,
    Overlay,
    OverlayEntry,
    Pattern,
    PatternKind,
    PatternMemory,
    Remedy,
    Stamp,
    Theme,
)  # fmt: skip
from skillgrad_ci.method.ports import Agent
from skillgrad_ci.method.prompting import in_force, load_prompt
from skillgrad_ci.skill.skill import Skill

MAX_THEMES = 3
MAX_TEXT = 600  # characters of one field of the record


class PatternChange(BaseModel):
    """A pattern to add, or the fields of a known one as they should be now."""

    slug: str = Field(description="kebab-case name; a known pattern's slug updates it")
    kind: PatternKind
    line: str = Field(description="the pattern in one line")
    shows_in: str = Field(default="", description="where it shows: the operation, phase or kind of input")
    anchor: str = Field(description="file and heading of the skill where its guidance stands, or belongs")
    description: str = Field(description="two or three sentences on the mechanism")
    absorption: Absorption
    observed: str = Field(default="", description="what agents did last when it showed")
    latest_executor_action: str = Field(description="what an agent should do instead, sharper than what stands there")
    remedy: str = Field(description="what to note about the remedies tried, or should differ; empty if nothing")
    tasks: list[str] = Field(description="ids of this batch's tasks that show it")

    _slug = field_validator("slug")(lambda value: slug(value) or _nameless())


class EntryReply(BaseModel):
    """What one task of the batch says about the patterns."""

    task: str
    patterns: list[str] = Field(description="slugs of the patterns at work in it")
    note: str = Field(description="the signal, in one line: what this batch adds")
    gap: str = Field(default="", description="what the skill does not give an agent for it yet; empty if nothing")
    change: str = Field(default="", description="the change of the skill to try next, and where; empty if none")


class WorkflowTheme(BaseModel):
    """A way of working that successes have in common."""

    theme: str = Field(description="kebab-case name; a known theme's name continues it")
    line: str = Field(description="the way of working in one line")
    tasks: list[str] = Field(description="ids of this batch's successes that show it")

    _theme = field_validator("theme")(lambda value: slug(value) or _nameless())


class MomentumReply(BaseModel):
    """Changes to the record, and this batch's overlay."""

    changes: list[PatternChange]
    overlay: list[EntryReply]
    themes: list[WorkflowTheme]


def _brief(text: str) -> str:
    """A model's text as the record keeps it: one printable line, so short that no entry can crowd out the others."""
    return printable(text, MAX_TEXT)


def _nameless() -> str:
    raise ValueError("a name needs letters or digits")


def momentum(
    agent: Agent, skill: Skill, memory: PatternMemory, diagnoses: Sequence[Diagnosis], at: Stamp
) -> tuple[PatternMemory, Overlay]:
    """One step of the record by one structured call. Raises what the agent raises; then keep the old record."""
    user = "\n\n".join(
        [
            f"## The record so far\n\n{memory.for_prompt()}",
            "## This batch's diagnoses\n\n" + "\n".join(diagnosis.render() for diagnosis in diagnoses),
        ]
    )
    reply = agent("momentum", load_prompt("momentum"), user, MomentumReply, shared=in_force(skill))
    return merge(memory, reply, diagnoses, at)


def without_memory(diagnoses: Sequence[Diagnosis], at: Stamp) -> tuple[PatternMemory, Overlay]:
    """The ablation: a record of this batch alone, one pattern for each label, no call."""
    memory = PatternMemory()
    for diagnosis in diagnoses:
        seen = memory.get(diagnosis.label) or Pattern(diagnosis.label, "mixed", diagnosis.summary, appeared_in=(at,))
        memory = memory.with_pattern(replace(seen, evidence=(*seen.evidence, diagnosis.task_id)))
    entries = (OverlayEntry(d.task_id, (d.label,), d.cause) for d in diagnoses)
    return memory, Overlay(tuple(entries))


def merge(
    memory: PatternMemory, reply: MomentumReply, diagnoses: Sequence[Diagnosis], at: Stamp
) -> tuple[PatternMemory, Overlay]:
    """Apply a reply to the record, within the rules at the top of this file."""
    batch = {diagnosis.task_id: diagnosis for diagnosis in diagnoses}
    shown: dict[str, list[str]] = {task: [] for task in batch}  # task → patterns
    for change in reply.changes:
        for task in change.tasks:
            if task in shown and change.slug not in shown[task]:
                shown[task].append(change.slug)
    changed = {change.slug for change in reply.changes if any(change.slug in slugs for slugs in shown.values())}
    known = memory.slugs | changed
    for entry in reply.overlay:
        for name in entry.patterns:
            if entry.task in shown and name in known and name not in shown[entry.task]:
                shown[entry.task].append(name)
    changes = {change.slug: change for change in reply.changes if change.slug in known}
    for name in dict.fromkeys([*changes, *(name for slugs in shown.values() for name in slugs)]):
        tasks = [task for task, slugs in shown.items() if name in slugs]
        failing = any(batch[task].kind == "failure" for task in tasks)
        memory = memory.with_pattern(_step(memory.get(name), changes.get(name), tasks, failing, at))
    said = {entry.task: entry for entry in reply.overlay}
    entries = (_entry(batch[task], tuple(shown[task]), said.get(task)) for task in batch)
    successes = {task for task, diagnosis in batch.items() if diagnosis.kind == "contrastive"}
    memory, themes = _themes(memory, reply.themes, successes, at)
    return memory, Overlay(tuple(entries), themes)


def _entry(diagnosis: Diagnosis, patterns: tuple[str, ...], said: EntryReply | None) -> OverlayEntry:
    """A task's overlay entry; what the reply left out is taken from the diagnosis."""
    if said is None:
        return OverlayEntry(diagnosis.task_id, patterns, _brief(diagnosis.cause))
    note = _brief(said.note) or _brief(diagnosis.cause)
    return OverlayEntry(diagnosis.task_id, patterns, note, _brief(said.gap), _brief(said.change))


def _step(old: Pattern | None, change: PatternChange | None, tasks: list[str], failing: bool, at: Stamp) -> Pattern:
    """One pattern's next value. `tasks` of this batch show it; `failing` if one of them failed."""
    pattern = old or Pattern("", "mixed", "")
    if change is not None:
        pattern = replace(
            pattern,
            slug=change.slug,
            kind=change.kind,
            line=_brief(change.line) or pattern.line,
            shows_in=_brief(change.shows_in) or pattern.shows_in,
            anchor=_brief(change.anchor) or pattern.anchor,
            description=_brief(change.description) or pattern.description,
            observed=_brief(change.observed) or pattern.observed,
            executor_action=_brief(change.latest_executor_action) or pattern.executor_action,
            absorption=change.absorption,
        )
        if _brief(change.remedy):
            pattern = replace(pattern, remedy_log=(*pattern.remedy_log, Remedy(at, _brief(change.remedy))))
    if tasks and at not in pattern.appeared_in:
        pattern = replace(pattern, appeared_in=(*pattern.appeared_in, at))
    evidence = tuple(dict.fromkeys([*pattern.evidence, *tasks]))
    return replace(pattern, evidence=evidence, absorption=_absorption(old, pattern, failing))


def _absorption(old: Pattern | None, pattern: Pattern, failing: bool) -> Absorption:
    """What the facts allow of the reply's claim: `new` once, `absorbed` never while it fails."""
    if old is None:
        return "new"
    if failing and pattern.absorption not in ("recurring", "unresolved"):
        return "unresolved" if pattern.remedy_log else "recurring"
    return "recurring" if pattern.absorption == "new" else pattern.absorption


def _themes(
    memory: PatternMemory, replies: Sequence[WorkflowTheme], successes: set[str], at: Stamp
) -> tuple[PatternMemory, tuple[Theme, ...]]:
    """Record the themes; of this batch's, support needs two successes here, or one here and one before."""
    old = {theme.slug: theme for theme in memory.themes}
    record, supported = dict(old), []
    for reply in {reply.theme: reply for reply in replies}.values():
        here = [task for task in dict.fromkeys(reply.tasks) if task in successes]
        before = old.get(reply.theme)
        if not here:
            continue
        theme = Theme(
            reply.theme,
            _brief(reply.line),
            tuple(dict.fromkeys([*(before.seen if before else ()), at])),
            tuple(dict.fromkeys([*(before.tasks if before else ()), *here])),
        )
        record[theme.slug] = theme
        if len(here) >= 2 or before is not None:
            supported.append(theme)
    return replace(memory, themes=tuple(record.values())), tuple(supported[:MAX_THEMES])
