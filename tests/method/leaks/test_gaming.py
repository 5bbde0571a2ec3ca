"""Lines that may teach the test and not the work are flagged, each by its kind; ordinary guidance is not."""

from dataclasses import replace

import pytest

from skillgrad_ci.method.leaks.gaming import COMPARED, GRADER, OUTPUT, WORDING, gaming
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.skill.skill import MAIN
from tests.support.skills import skill_of

KNOWN = "The reviewer's checker runs at night. Save reports in `weekly-summary.txt` by Friday."
BEFORE = skill_of(f"# Reports\n\n{KNOWN}\n")
TASK = Task(
    "t-1",
    "Write the number of open orders of the second quarter to `open-orders.txt` and round it to whole dozens.",
    [GraderSpec("text", {})],
    outputs=("open-orders.txt",),
)


def kinds(line: str, task: Task = TASK) -> list[str]:
    return [flag.kind for flag in gaming(BEFORE, BEFORE.with_file(MAIN, f"{BEFORE.text}\n{line}\n"), [task])]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("The grader reads the first line alone.", GRADER),
        ("Results are graded by their last number.", GRADER),
        ("Otherwise the evaluation script counts it as wrong.", GRADER),
        ("This passes the tests.", GRADER),
        ("Write it as the golden file has it.", GRADER),
        ("Answers need an exact match.", COMPARED),
        ("Leave no trailing newline.", COMPARED),
        ("Names are case-sensitive there.", COMPARED),
        ("Always create `open-orders.txt` first.", OUTPUT),
        ("When asked for the number of open orders of the second quarter, count twice.", WORDING),
        ("When asked for the **number of open orders** of the `second` quarter, count twice.", WORDING),
    ],
)
def test_a_line_that_may_game_the_gate_is_flagged(line: str, kind: str) -> None:
    assert kinds(line) == [kind]


@pytest.mark.parametrize(
    "line",
    [
        "- Add up the rows that are not hidden.",
        "Upgrade the degraded parts first, then grades of steel.",
        "The checker runs at night, so write before six.",  # it stood in the skill
        "Round to whole dozens.",
        "Look into weekly-summary.txt as well.",
        "Match names after trimming them.",
    ],
)
def test_ordinary_guidance_is_not(line: str) -> None:
    assert kinds(line) == []


def test_what_the_skill_said_before_is_free() -> None:
    assert kinds(f"Again: {KNOWN}", replace(TASK, instruction=KNOWN, outputs=("weekly-summary.txt",))) == []


def test_a_flag_names_file_and_line() -> None:
    flag = gaming(BEFORE, BEFORE.with_file("references/x.md", "# X\n\nThe grader sees it.\n"), [])[0]
    assert (flag.file, flag.line, flag.text) == ("references/x.md", 3, "The grader sees it.")


def test_every_line_that_games_is_flagged_and_short_names_are_nobodys() -> None:
    known = replace(TASK, outputs=("a.csv", "ab.csv"))
    text = "Write a.csv as it is.\nWrite ab.csv first.\nThe grader reads it."
    after = BEFORE.with_file(MAIN, f"{BEFORE.text}\n{text}\n")
    found = [(flag.kind, flag.line) for flag in gaming(BEFORE, after, [known])]
    first = BEFORE.text.count("\n") + 2
    assert found == [(OUTPUT, first + 1), (GRADER, first + 2)]
