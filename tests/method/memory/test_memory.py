"""The memory: what people read and edit is exactly what the next run reads."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import UserError
from skillgrad_ci.method.memory import (
    Absorption,
    Pattern,
    PatternKind,
    PatternMemory,
    RejectedEdit,
    Remedy,
    Stamp,
    Theme,
)
from skillgrad_ci.method.memory.memory_file import parse_memory

line = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs"])).map(
    lambda text: " ".join(text.split())
)
slug = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True).filter(lambda text: len(text) < 40)
task_id = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_. -]{0,20}[A-Za-z0-9_-]", fullmatch=True)
stamp = st.builds(Stamp, st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True), st.integers(0, 99))
stamps = st.lists(stamp, max_size=3).map(tuple)
tasks = st.lists(task_id, max_size=3).map(tuple)
pattern = st.builds(
    Pattern,
    slug=slug,
    kind=st.sampled_from(get_args(PatternKind)),
    line=line,
    anchor=line,
    appeared_in=stamps,
    evidence=tasks,
    absorption=st.sampled_from(get_args(Absorption)),
    description=line,
    shows_in=line,
    observed=line,
    executor_action=line,
    remedy_log=st.lists(st.builds(Remedy, stamp, line), max_size=3).map(tuple),
)
theme = st.builds(Theme, slug, line, stamps, tasks)
rejected = st.builds(
    RejectedEdit,
    st.from_regex(r"E[0-9]{1,3}", fullmatch=True),
    stamp,
    line,
    st.lists(slug, max_size=2).map(tuple),
    line,
    line,
)
memories = st.builds(
    PatternMemory,
    skill=line,
    patterns=st.lists(pattern, max_size=4, unique_by=lambda p: p.slug).map(tuple),
    themes=st.lists(theme, max_size=3, unique_by=lambda t: t.slug).map(tuple),
    rejected=st.lists(rejected, max_size=3).map(tuple),
)


@given(memories)
def test_what_is_rendered_reads_back_the_same(memory: PatternMemory) -> None:
    assert parse_memory(memory.render()) == memory
    assert parse_memory(memory.render().replace("\n", "\r\n")) == memory


@given(memories, st.integers(600, 4_000))
def test_its_share_of_a_prompt_is_bounded(memory: PatternMemory, bound: int) -> None:
    assert len(memory.for_prompt(bound)) <= bound + len("\n(9999 further patterns are not shown.)\n")


@pytest.mark.parametrize(("number", "whole"), [(5, True), (40, True), (80, False)])
def test_every_pattern_has_a_line_in_a_prompt_so_that_it_can_be_merged_with(number: int, whole: bool) -> None:
    patterns = [
        Pattern(
            f"pattern-number-{n}", "operation", f"line of {n} " + "y" * 200, anchor="SKILL.md, Steps",
            evidence=tuple(f"task-{t}" for t in range(n)), description="z" * 500,
            absorption="absorbed" if n % 2 else "unresolved",
        )
        for n in range(number)
    ]  # fmt: skip
    prompt = PatternMemory("s", tuple(patterns)).for_prompt(20_000)
    assert len(prompt) <= 20_001
    places = [prompt.index(f"\n- pattern-number-{n} (operation, ") for n in range(number)]
    assert places == sorted(places, reverse=True), "what more tasks show comes first"
    assert (f"tasks: {number - 1}) [SKILL.md, Steps]: line of {number - 1}" in prompt) is whole
    detailed = [n for n in range(number) if f"\n## pattern-number-{n} (" in prompt]
    assert detailed
    if len(detailed) < number:
        assert f"({number - len(detailed)} further patterns stand above with their line alone.)" in prompt
        assert all(n % 2 == 0 for n in detailed), "details of the open ones first"


def test_what_is_open_comes_first_in_a_prompt() -> None:
    old = [Pattern(f"done-{n}", "operation", "x" * 200, absorption="absorbed") for n in range(100)]
    memory = PatternMemory("s", (*old, Pattern("hurts", "operation", "still", absorption="unresolved")))
    shown = memory.for_prompt(3_000)
    assert "## hurts" in shown
    assert "further patterns are not shown" in shown


@pytest.mark.parametrize(
    ("edit", "line", "expected"),
    [
        (("# Pattern memory: s", "Pattern memory"), 1, "a first line"),
        (("## slow-sum (operation): sums", "## slow sum: sums"), 5, "a heading"),
        (("(operation)", "(magic)"), 5, "one of the kinds"),
        (("- absorption: recurring", "- absorption: gone"), 11, "one of new, recurring"),
        (("- absorption: recurring\n", ""), 5, "one of new, recurring"),
        (("- anchor: a", "- ancor: a"), 8, "one of the fields"),
        (("- anchor: a", "some prose"), 8, "'- field: value'"),
        (("- appeared in: r#1", "- appeared in: yesterday"), 9, "a stamp"),
        (("- appeared in: r#1", f"- appeared in: r#{'1' * 5_000}"), 9, "a stamp"),
        (("- evidence: t1", "- anchor: t1"), 10, "'anchor' only once"),
        (("## slow-sum (operation): sums\n", ""), 6, "a heading .* above it"),
        (
            ("- latest executor action: l", "- latest executor action: l\n\n## slow-sum (mixed): again"),
            16,
            "'slow-sum' only once",
        ),
    ],
)
def test_a_broken_hand_edit_is_named_by_its_line(edit: tuple[str, str], line: int, expected: str) -> None:
    good = Pattern("slow-sum", "operation", "sums", "in", "a", (Stamp("r", 1),), ("t1",), "recurring", "d", "o", "l")
    text = PatternMemory("s", (good,)).render()
    assert edit[0] in text
    with pytest.raises(UserError, match=rf"^momentum\.md:{line}: expected .*{expected}"):
        parse_memory(text.replace(*edit))


def test_two_rejected_edits_may_have_one_number_for_each_run_counts_its_own() -> None:
    edit = RejectedEdit("E1", Stamp("r", 1), "s", ("a", "b"), "lint", "why")
    memory = PatternMemory("s").with_rejected([edit, replace(edit, summary="t", reason="else")])
    assert len(memory.rejected) == 2
    assert parse_memory(memory.render()) == memory


def test_a_hand_edits_line_ends_and_spaces_change_nothing() -> None:
    seen = (Stamp("r", 1), Stamp("r", 2))
    memory = PatternMemory("s", (Pattern("a", "mixed", "1", appeared_in=seen, evidence=("t1", "t2")),))
    text = memory.render().replace("t1, t2", "t1 ,t2").replace("\n\n", "\n  \n\n")
    assert parse_memory(text.replace("\n", "\r\n")) == memory


def test_how_much_it_holds_is_told_in_words() -> None:
    pattern, edit = Pattern("a", "mixed", "1"), RejectedEdit("E1", Stamp("r", 1), "s", (), "lint", "why")
    memory = PatternMemory("s")
    assert memory.extent == ""
    assert replace(memory, patterns=(pattern,)).extent == "1 pattern"
    assert replace(memory, rejected=(edit,) * 2).extent == "2 rejected edits"
    assert replace(memory, patterns=(pattern,) * 3, rejected=(edit,)).extent == "3 patterns and 1 rejected edit"


def test_a_pattern_keeps_its_place_and_a_new_one_goes_last() -> None:
    one, two = Pattern("a", "mixed", "1"), Pattern("b", "mixed", "2")
    memory = PatternMemory("s", (one, two)).with_pattern(replace(one, line="3"))
    assert [p.line for p in memory.patterns] == ["3", "2"]
    assert [p.slug for p in memory.with_pattern(Pattern("c", "mixed", "")).patterns] == ["a", "b", "c"]


def test_what_reviewers_refused_is_shown_whatever_the_lint_refused_since() -> None:
    people = RejectedEdit("E1", Stamp("a", 1), "s", (), "reviewer", "not our way")
    lint = [RejectedEdit(f"E{n}", Stamp("b", n), "s", (), "lint", "leak") for n in range(100)]
    assert "not our way" in PatternMemory("s").with_rejected([people, *lint]).for_prompt()


def test_an_edit_is_rejected_once() -> None:
    edit = RejectedEdit("E1", Stamp("r", 1), "s", (), "lint", "why")
    memory = PatternMemory("s").with_rejected([edit]).with_rejected([edit])
    assert memory.rejected == (edit,)
