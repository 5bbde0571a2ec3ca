"""Whatever the momentum agent replies, code keeps the record's promises."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from skillgrad_ci.method.gradient import Diagnosis, Kind
from skillgrad_ci.method.memory import Absorption, Pattern, PatternMemory, Remedy, Stamp, Theme
from skillgrad_ci.method.memory.memory_file import parse_memory
from skillgrad_ci.method.optimizers.momentum import (
    EntryReply,
    MomentumReply,
    PatternChange,
    WorkflowTheme,
    merge,
    momentum,
    without_memory,
)
from skillgrad_ci.method.ports import Reply
from skillgrad_ci.method.prompting import SHARED_BOUND
from tests.support.skills import skill_of

BATCH = ("t1", "t2", "t3", "t4")
AT = Stamp("run", 2)
names = st.sampled_from(["old-one", "new-one", "Some Other", "ghost"])
FIELDS = {name: name for name in ("line", "shows_in", "anchor", "description", "observed")}
FIELDS["latest_executor_action"] = "executor_action"
ids = st.lists(st.sampled_from([*BATCH, "heldout-9", "invented"]), max_size=4)
text = st.text(max_size=20)


def diagnosis(task: str, kind: Kind = "failure") -> Diagnosis:
    return Diagnosis(task, kind, f"label-{task}", "what", f"cause of {task}", "missing")


def change(slug: str = "old-one", tasks: tuple[str, ...] = ("t1",), **other: object) -> PatternChange:
    fields = {
        "slug": slug, "kind": "operation", "line": "a line", "anchor": "", "description": "", "absorption": "new",
        "latest_executor_action": "", "remedy": "", "tasks": list(tasks),
    }  # fmt: skip
    return PatternChange.model_validate(fields | other)


def reply(*changes: PatternChange, themes: tuple[WorkflowTheme, ...] = ()) -> MomentumReply:
    return MomentumReply(changes=list(changes), overlay=[], themes=list(themes))


changes = st.builds(
    change,
    names,
    ids.map(tuple),
    remedy=text,
    absorption=st.sampled_from(["new", "recurring", "unresolved", "absorbed"]),
)
replies = st.builds(
    MomentumReply,
    changes=st.lists(changes, max_size=4),
    overlay=st.lists(
        st.builds(EntryReply, task=st.sampled_from([*BATCH, "invented"]), patterns=st.lists(names), note=text),
        max_size=4,
    ),
    themes=st.lists(st.builds(WorkflowTheme, theme=names, line=text, tasks=ids), max_size=5),
)
TRIED = Remedy(Stamp("run", 1), "tried")
OLD = Pattern("old-one", "operation", "line", appeared_in=(Stamp("run", 1),), evidence=("t0",), remedy_log=(TRIED,))
kinds: st.SearchStrategy[Kind] = st.sampled_from(("failure", "contrastive"))
batches = st.lists(kinds, min_size=1, max_size=4).map(
    lambda found: [diagnosis(task, kind) for task, kind in zip(BATCH, found, strict=False)]
)


@given(replies, batches)
def test_the_records_promises_hold_for_any_reply(answer: MomentumReply, batch: list[Diagnosis]) -> None:
    before = PatternMemory("s", (OLD,))
    after, overlay = merge(before, answer, batch, AT)
    seen = {d.task_id for d in batch}
    assert {entry.task for entry in overlay.entries} == seen
    assert len(overlay.entries) == len(seen)
    assert len(overlay.themes) <= 3
    for old in before.patterns:
        new = after.get(old.slug)
        assert new is not None
        assert new.remedy_log[: len(old.remedy_log)] == old.remedy_log
        assert set(old.evidence) <= set(new.evidence)
    for pattern in after.patterns:
        assert set(pattern.evidence) <= seen | {"t0"}
        assert set(pattern.appeared_in) <= {Stamp("run", 1), AT}
        assert all(remedy.at in {Stamp("run", 1), AT} for remedy in pattern.remedy_log)
    assert all(slug in after.slugs for entry in overlay.entries for slug in entry.patterns)


@given(replies, batches)
def test_a_pattern_that_fails_now_is_never_absorbed(answer: MomentumReply, batch: list[Diagnosis]) -> None:
    after, overlay = merge(PatternMemory("s", (OLD,)), answer, batch, AT)
    failing = {d.task_id for d in batch if d.kind == "failure"}
    for entry in overlay.entries:
        for slug in entry.patterns if entry.task in failing else ():
            pattern = after.get(slug)
            assert pattern is not None
            assert pattern.absorption != "absorbed"


def test_a_known_pattern_that_comes_again_is_recurring_and_unresolved_once_it_had_a_remedy() -> None:
    plain = replace(OLD, remedy_log=())
    again, _ = merge(PatternMemory("s", (plain,)), reply(change()), [diagnosis("t1")], AT)
    assert again.patterns[0].absorption == "recurring"
    again, _ = merge(PatternMemory("s", (OLD,)), reply(change()), [diagnosis("t1")], AT)
    assert again.patterns[0].absorption == "unresolved"
    assert again.patterns[0].appeared_in == (Stamp("run", 1), AT)


def test_a_new_pattern_needs_a_task_of_the_batch() -> None:
    after, overlay = merge(PatternMemory("s"), reply(change("made-up", ("heldout-9",))), [diagnosis("t1")], AT)
    assert after.patterns == ()
    assert overlay.entries[0].patterns == ()


def theme(*tasks: str) -> WorkflowTheme:
    return WorkflowTheme(theme="look-first", line="inspects before it acts", tasks=list(tasks))


def test_a_theme_needs_two_successes_here_or_one_here_and_one_before() -> None:
    batch = [diagnosis("t1", "contrastive"), diagnosis("t2", "contrastive"), diagnosis("t3")]
    _, two_here = merge(PatternMemory("s"), reply(themes=(theme("t1", "t2"),)), batch, AT)
    assert [t.slug for t in two_here.themes] == ["look-first"]
    memory, one_here = merge(PatternMemory("s"), reply(themes=(theme("t1"),)), batch, AT)
    assert one_here.themes == ()
    _, twice = merge(PatternMemory("s"), reply(themes=(theme("t1"), theme("t1"))), batch, AT)
    assert twice.themes == ()
    _, one_before = merge(memory, reply(themes=(theme("t2"),)), batch, Stamp("run", 3))
    assert [t.slug for t in one_before.themes] == ["look-first"]
    _, failed = merge(memory, reply(themes=(theme("t3"),)), batch, Stamp("run", 3))
    assert failed.themes == ()


def test_without_memory_a_batch_has_its_labels_as_patterns() -> None:
    twins = [replace(diagnosis("t1"), label="same"), replace(diagnosis("t2"), label="same"), diagnosis("t3")]
    memory, overlay = without_memory(twins, AT)
    assert [(p.slug, p.evidence) for p in memory.patterns] == [("same", ("t1", "t2")), ("label-t3", ("t3",))]
    assert overlay.tasks_of(["same"]) == ("t1", "t2")


hostile = st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(
    [
        "# Rejected edits",
        "a\n## b (mixed): c",
        "- anchor: x: y",
        "<!-- ",
        "x\r\n- evidence: t9",
        "\u202egnp",
        "y" * 20_000,
    ]
)


@given(st.lists(st.tuples(names, *[hostile] * 5), min_size=1, max_size=4), kinds)
def test_whatever_a_reply_says_the_record_stays_readable_and_short(rows: list[tuple[str, ...]], kind: Kind) -> None:
    changes = [
        change(slug, line=a, anchor=b, description=c, latest_executor_action=d, remedy=e, absorption="unresolved")
        for slug, a, b, c, d, e in rows
    ]
    themes = tuple(WorkflowTheme(theme=slug, line=line, tasks=["t1"]) for slug, line, *_ in rows)
    memory, _ = merge(PatternMemory("s", (OLD,)), reply(*changes, themes=themes), [diagnosis("t1", kind)], AT)
    assert parse_memory(memory.render()) == memory
    prompt = memory.for_prompt()
    assert all(f"\n- {name} (" in prompt and f"\n## {name} (" in prompt for name in memory.slugs), "none is crowded out"


def test_the_agent_reads_the_skill_with_its_references() -> None:
    asked: list[str] = []

    def agent(role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        user = f"{shared}\n\n{user}" if shared else user
        asked.append(user)
        return reply.model_validate({"changes": [], "overlay": [], "themes": []})

    skill = skill_of("# Demo\n", {"references/units.md": "Convert before you add.\n"})
    momentum(agent, skill, PatternMemory("s", (OLD,)), [diagnosis("t1")], AT)
    assert "Convert before you add." in asked[0]
    long = skill.with_file("references/long.md", "x" * (SHARED_BOUND + 1))
    momentum(agent, long, PatternMemory("s", (OLD,)), [diagnosis("t1")], AT)
    assert len(asked[1]) < len(asked[0]) + 200  # a reference that does not fit is named


def test_anchor_and_conduct_have_two_meanings_each_and_keep_what_a_reply_leaves_out() -> None:
    first = change(
        "new-one", shows_in="joining lists", anchor="SKILL.md, Keys", observed="took the first match",
        latest_executor_action="take the last match",
    )  # fmt: skip
    memory, _ = merge(PatternMemory("s"), reply(first), [diagnosis("t1")], AT)
    memory, _ = merge(memory, reply(change("new-one", latest_executor_action="sort first")), [diagnosis("t1")], AT)
    [pattern] = memory.patterns
    assert (pattern.shows_in, pattern.anchor) == ("joining lists", "SKILL.md, Keys")
    assert (pattern.observed, pattern.executor_action) == ("took the first match", "sort first")


def test_an_overlay_entry_tells_signal_gap_and_proposed_change() -> None:
    said = EntryReply(task="t1", patterns=["old-one"], note="seen\nagain", gap="no check", change="add a check")
    answer = MomentumReply(changes=[change()], overlay=[said], themes=[])
    _, overlay = merge(PatternMemory("s", (OLD,)), answer, [diagnosis("t1"), diagnosis("t2")], AT)
    assert overlay.render() == (
        "- t1: old-one: seen again\n  - gap: no check\n  - proposed change: add a check\n- t2: no pattern: cause of t2"
    )


@pytest.mark.parametrize("failing", [True, False])
@pytest.mark.parametrize("claimed", ["new", "recurring", "unresolved", "absorbed"])
@pytest.mark.parametrize("remedies", [(), (TRIED,)])
def test_what_facts_allow_of_a_claim(failing: bool, claimed: Absorption, remedies: tuple[Remedy, ...]) -> None:
    batch = [diagnosis("t1", "contrastive"), diagnosis("t2", "failure" if failing else "contrastive")]
    said = reply(change(tasks=("t1", "t2"), absorption=claimed))
    first, _ = merge(PatternMemory("s"), said, batch, AT)
    assert first.patterns[0].absorption == "new", "whatever is said of it"
    again, _ = merge(PatternMemory("s", (replace(OLD, remedy_log=remedies),)), said, batch, AT)
    fails = "unresolved" if remedies else "recurring"
    allowed = {"new": fails if failing else "recurring", "absorbed": fails if failing else "absorbed"}
    assert again.patterns[0].absorption == allowed.get(claimed, claimed)


def test_a_change_is_recorded_field_by_field_with_the_tasks_that_show_it() -> None:
    fields = {"kind": "workflow", "line": "another\nline", "description": "more", "remedy": "look twice"}
    said = change(tasks=("t2", "t1", "invented"), absorption="unresolved", **fields)
    before = PatternMemory("s", (OLD, replace(OLD, slug="other")))
    after, overlay = merge(before, reply(said), [diagnosis("t1"), diagnosis("t2"), diagnosis("t3")], AT)
    assert after.patterns == (
        replace(
            OLD, kind="workflow", line="another line", description="more", absorption="unresolved",
            appeared_in=(*OLD.appeared_in, AT), evidence=("t0", "t1", "t2"),
            remedy_log=(TRIED, Remedy(AT, "look twice")),
        ),
        before.patterns[1],
    )  # fmt: skip
    assert [(entry.task, entry.patterns) for entry in overlay.entries] == [
        ("t1", ("old-one",)),
        ("t2", ("old-one",)),
        ("t3", ()),
    ]


def test_a_change_without_a_task_of_the_batch_did_not_appear_in_it() -> None:
    after, _ = merge(PatternMemory("s", (OLD,)), reply(change(tasks=(), line="told better")), [diagnosis("t1")], AT)
    assert after.patterns == (replace(OLD, line="told better", absorption="recurring"),)


def test_a_task_may_be_laid_to_a_pattern_by_its_overlay_entry_alone() -> None:
    """Once, however often it is said, and only where both are known."""
    entries = [
        EntryReply(task="t1", patterns=["old-one", "old-one", "ghost"], note=""),
        EntryReply(task="invented", patterns=["old-one"], note="x"),
    ]
    answer = MomentumReply(changes=[change("new-one", ("t1", "t1"))], overlay=entries, themes=[])
    after, overlay = merge(PatternMemory("s", (OLD,)), answer, [diagnosis("t1")], AT)
    assert [(entry.task, entry.patterns, entry.note) for entry in overlay.entries] == [
        ("t1", ("new-one", "old-one"), "cause of t1")
    ]
    assert after.slugs == {"old-one", "new-one"}
    old = after.get("old-one")
    assert old
    assert (old.evidence, old.appeared_in, old.line) == (("t0", "t1"), (*OLD.appeared_in, AT), OLD.line)
    again, _ = merge(after, answer, [diagnosis("t1")], AT)
    assert {pattern.appeared_in for pattern in again.patterns} == {(*OLD.appeared_in, AT), (AT,)}


def test_themes_add_up_and_one_without_a_success_hides_no_other() -> None:
    batch = [diagnosis(task, "contrastive") for task in BATCH]
    names = ("failed-one", "a", "b", "c", "d")
    said = [WorkflowTheme(theme=name, line=name, tasks=["t1", "t2", "t1"]) for name in names]
    said[0] = said[0].model_copy(update={"tasks": ["heldout-9"]})
    memory, overlay = merge(PatternMemory("s"), reply(themes=tuple(said)), batch, AT)
    assert [theme.slug for theme in memory.themes] == list(names[1:])
    assert [theme.slug for theme in overlay.themes] == list(names[1:4])
    later = WorkflowTheme(theme="a", line="told better", tasks=["t3", "t1"])
    memory, overlay = merge(memory, reply(themes=(later,)), batch, Stamp("run", 3))
    assert memory.themes[0] == overlay.themes[0] == Theme("a", "told better", (AT, Stamp("run", 3)), ("t1", "t2", "t3"))
    assert len(memory.themes) == 4


def test_without_memory_a_pattern_is_what_its_diagnosis_says() -> None:
    memory, overlay = without_memory([diagnosis("t1")], AT)
    assert memory.patterns == (Pattern("label-t1", "mixed", "what", appeared_in=(AT,), evidence=("t1",)),)
    assert [(entry.task, entry.patterns, entry.note) for entry in overlay.entries] == [
        ("t1", ("label-t1",), "cause of t1")
    ]


@pytest.mark.parametrize("name", ["", "???", "-"])
def test_a_name_needs_something_to_be_called_by(name: str) -> None:
    with pytest.raises(ValidationError, match="a name needs letters or digits"):
        change(name)
    with pytest.raises(ValidationError, match="a name needs letters or digits"):
        WorkflowTheme(theme=name, line="", tasks=[])


def test_the_agent_reads_the_record_and_every_diagnosis() -> None:
    asked: list[str] = []

    def agent(role: str, system: str, user: str, reply: type[Reply], *, shared: str = "") -> Reply:
        asked.append(user)
        return reply.model_validate({"changes": [], "overlay": [], "themes": []})

    memory, batch = PatternMemory("s", (OLD,)), [diagnosis("t1"), diagnosis("t2", "contrastive")]
    momentum(agent, skill_of("# Demo\n", {}), memory, batch, AT)
    diagnoses = "\n".join(one.render() for one in batch)
    assert asked == [f"## The record so far\n\n{memory.for_prompt()}\n\n## This batch's diagnoses\n\n{diagnoses}"]


@given(st.fixed_dictionaries({name: st.sampled_from(["", " \n", "newly said"]) for name in FIELDS}))
def test_what_a_change_leaves_empty_stays_as_the_record_has_it(said: dict[str, Any]) -> None:
    fields: dict[str, Any] = {FIELDS[name]: f"old {name}" for name in FIELDS}
    old = Pattern("old-one", "operation", **fields)
    after = merge(PatternMemory("s", (old,)), reply(change(**said)), [diagnosis("t1")], AT)[0].get("old-one")
    assert {name: getattr(after, field) for name, field in FIELDS.items()} == {
        name: text.strip() or f"old {name}" for name, text in said.items()
    }
