"""The leak check knows every grader, whole and in part; what holds for any task is free."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.leaks import leaks
from skillgrad_ci.method.patch import Rules, try_patch
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import MAIN, Skill
from tests.support.skills import skill_of

BEFORE = skill_of("# Demo\n\nKeep every column in its order.\n")
STATEMENT = "The letter thanks the reader for waiting eleven weeks"


def added(*lines: str) -> Skill:
    return BEFORE.with_file(MAIN, BEFORE.text + "\n" + "\n\n".join(lines) + "\n")


def judged(statement: str = STATEMENT, *, instruction: str = "Write it.", **options: Any) -> Task:
    return Task("t1", instruction, [GraderSpec("judge", {"assertions": [statement], **options})])


def texts(**options: Any) -> Task:
    return Task("t1", "Write it.", [GraderSpec("text", options)])


def checked(tmp_path: Path, script: str) -> Task:
    (tmp_path / "check.py").write_text(script)
    spec = GraderSpec("command", {"run": "python3 ../grader/check.py"}, {"check.py": tmp_path / "check.py"})
    return Task("t1", "Write it.", [spec])


def rules(task: Task, *lines: str) -> list[str]:
    return [item.rule for item in leaks(BEFORE, added(*lines), [task])]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"- {STATEMENT}.", ["L004"]),
        ("- the LETTER thanks *the reader* for waiting `eleven` weeks", ["L004"]),
        ("Say: thanks the reader for waiting eleven weeks, always.", ["L004"]),
        ("Say thanks the reader for waiting.", ["L005"]),
        ("Eleven weeks of waiting: the reader of a letter wants thanks.", ["L005"]),
        ("Thank people who waited, and say how long it was.", []),
        ("Begin a letter with what its reader waits for.", []),
    ],
)
def test_a_judges_statement_is_known_whole_and_in_part(line: str, expected: list[str]) -> None:
    assert rules(judged(), line) == expected


def test_what_the_instruction_or_the_skill_says_is_free() -> None:
    line = "The letter thanks the reader for waiting eleven weeks."
    assert rules(judged(instruction=f"Write a letter. {STATEMENT}."), line) == []
    known = BEFORE.with_file("references/a.md", line)
    assert leaks(known, known.with_file(MAIN, added(line).text), [judged()]) == []


def test_words_that_are_far_apart_are_no_copy() -> None:
    lines = ("Thank the reader.", "A letter has one page.", "After eleven rows, stop.", "Some weeks have no data.")
    assert rules(judged(), *lines) == []


@pytest.mark.parametrize(
    ("task", "line", "rule"),
    [
        (judged("x", rubric="Tone matters. Every figure carries its currency and its source."),
         "Every figure carries its currency and its source.", "L004"),
        (judged("x", expected_output="A note.\nThe seventh clause is struck out in red ink."),
         "The seventh clause is struck out in red ink", "L004"),
        (texts(regex=r"(?:Refund|Storno) no\. \d{4}"), r"Match (?:Refund|Storno) no\. \d{4} there.", "L004"),
        (texts(regex=r"(?:Gutschrift|credit memo)\s+\d+"), "Write credit memo before it.", "L004"),
        (texts(regex=r"\bno\b"), "Say no.", ""),
        (texts(json={"city": "Ulaanbaatar"}), "It is Ulaanbaatar.", "L003"),
        (texts(number=48213.75), "about 48,213.75 in all", "L003"),
        (texts(contains=["Ulaanbaatar"]), "ULAANBAATAR", "L003"),
        (Task("t1", "Do.", [GraderSpec("table", {"targets": ["Ulaanbaatar"]})]), "Ulaanbaatar", "L003"),
        (Task("t1", "Convert my invoices to the new template", [GraderSpec("trigger", {})], probe=True),
         "Use when asked: convert my invoices to the new template.", "L004"),
    ],
)  # fmt: skip
def test_every_kind_of_grader_is_known(task: Task, line: str, rule: str) -> None:
    assert set(rules(task, line)) == ({rule} if rule else set())


SCRIPT = """\
import json, sys
# The surcharge of the harbour authority must be added before tax.
report = json.load(open("report.json"))
assert report["total"] == 1188, "wrong"
assert report["reference"] == "Quay 7 north", report
assert "KX88WALRUS" in report["note"]
print(json.dumps({"score": 1.0}))
"""


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("Set the reference to Quay 7 north.", "L004"),
        ("Put KX88WALRUS into the note.", "L004"),
        ("The surcharge of the harbour authority must be added before tax.", "L004"),
        ("Run `import json, sys` first, with python3 and utf-8.", ""),
        ("Write report.json with a total.", ""),
        ("Print the score.", ""),
    ],
)
def test_a_checks_script_is_read(tmp_path: Path, line: str, rule: str) -> None:
    assert rules(checked(tmp_path, SCRIPT), line) == ([rule] if rule else [])


def test_a_long_line_of_code_is_a_copy_and_a_short_one_is_not(tmp_path: Path) -> None:
    line = "rows = sorted(r for r in data if r.kind == wanted and r.weight > lower and r.port != closed)"
    task = checked(tmp_path, f"{line}\nx = 1\n")
    assert rules(task, f"`{line}`") == ["L004"]
    assert rules(task, "x = 1 and rows = sorted(data)") == []


def test_a_goldens_cells_are_answers_unless_an_input_holds_them(tmp_path: Path) -> None:
    (tmp_path / "gold.csv").write_text("name,total\nUlaanbaatar,998877\n")
    (tmp_path / "in.csv").write_text("name\nUlaanbaatar\n")
    spec = GraderSpec("csv", {"output": "out.csv"}, {"golden": tmp_path / "gold.csv"})
    task = Task("t1", "Sum.", [spec], files={"in.csv": tmp_path / "in.csv"})
    assert rules(task, "Ulaanbaatar has a total.") == []
    assert rules(task, "It has 998,877.") == ["L003"]


def test_a_statement_without_word_spaces_is_known() -> None:
    task = judged("合計金額は税抜きで表示し、端数は切り捨てる")
    assert rules(task, "合計金額は税抜きで表示し、端数は切り捨てること") == ["L004"]
    assert rules(task, "金額を表示する") == []


def test_a_copy_is_refused_and_what_comes_near_is_let_through() -> None:
    def edit(content: str) -> Edit:
        return Edit("E1", 1, "B", MAIN, "append", "heading", "Demo", content, ("p",), (), "why")

    _, refused = try_patch(BEFORE, [edit(f"- {STATEMENT}.")], Rules([judged()], {"p"}))
    assert refused[0].status == "refused"
    assert refused[0].published == "L004: an added line repeats a training task's grader"
    _, let_through = try_patch(BEFORE, [edit("- Say thanks the reader for waiting.")], Rules([judged()], {"p"}))
    assert let_through[0].status == "accepted"


@given(
    st.lists(
        st.sampled_from(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]), min_size=6, max_size=12
    )
)
def test_any_statement_is_found_when_it_is_copied(words: list[str]) -> None:
    statement = " ".join(words)
    assert rules(judged(statement), f"As ever: {statement}!") == ["L004"]
