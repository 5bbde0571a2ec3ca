"""Nothing of a training task enters a skill, however it is written; ordinary words do."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.method.leaks import MIN_CHARACTERS, leaks
from skillgrad_ci.method.task import Task
from skillgrad_ci.skill.skill import MAIN, Skill
from tests.support.skills import skill_of

BEFORE = skill_of("# Demo\n\nHarbour works as before.\n")


def task_of(expected: str = "", *, id: str = "t1", instruction: str = "Do it.", file: str = "") -> Task:
    files = {file: Path("/suite") / file} if file else {}
    return Task(id, instruction, (), files, expected=[expected] if expected else [])


def added(text: str) -> Skill:
    return BEFORE.with_file(MAIN, f"{BEFORE.text}\n{text}\n")


def rules(text: str, task: Task) -> list[str]:
    return [item.rule for item in leaks(BEFORE, added(text), [task])]


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("Springfield", "The town is Springfield."),
        ("Springfield", "the town is SPRINGFIELD"),
        ("Springfield", "**Spring**field"),
        ("New  York\nCity", "It is new york `city`."),
        ("New York City", "It is new\nyork city."),
        ("ＡＢＣ１２３", "abc123"),
        ("東京都庁舎前", "答えは東京都庁舎前です。"),
        ("$1,234.50", "Write $1,234.50 there."),
        ("1234567", "about 1,234,567 rows"),
        ("1,234,567", "about 1234567.00 rows"),
        ("1 234 567", "about 1'234'567 rows"),
        ("-4021.75", "a loss of 4,021.75"),
        ("0.456789", "which is 45.6789%"),
        ("3.14159265358", "roughly 3.14159"),
        ("3.14159265358", "roughly 3.1415927"),
        (f"0.{'123456789' * 9}", f"0.{'123456789' * 8}"),
        ("2026-03-15 00:00:00", "on 2026-03-15"),
        ("=SUM(A1:A9)", "write =sum(a1:a9)"),
    ],
)
def test_an_expected_answer_is_found_however_it_is_written(expected: str, line: str) -> None:
    assert rules(line, task_of(expected)) == ["L003"]


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("short", "short"),
        ("cargo ship", "cargo shipping"),
        ("123456", "1123456 and 1234567 and 0.123456"),
        ("3.14159265358", "roughly 3.1416"),
        ("3.14159265358", "exactly 3.14160"),
        ("3.14159265358", f"in full 3.14159265358{'9' * 5000}"),
        ("9" * 400, f"{'9' * 399}.{'1' * 50}"),
        ("10000.0", "10000"),
        ("Harbour works", "harbour works again"),
        ("Springfield", "spring field"),
        ("-", "-"),
        ("", "anything"),
    ],
)
def test_short_strings_parts_of_words_and_what_was_known_are_free(expected: str, line: str) -> None:
    assert rules(line, task_of(expected)) == []


def test_what_the_own_instruction_says_is_free_and_anothers_is_not() -> None:
    asks = task_of("Total revenue", instruction="Fill the column *total  revenue* from 1,000,000 rows.")
    other = task_of("Total revenue", id="t2")
    assert rules("Sum the total revenue.", asks) == []
    assert [i.rule for i in leaks(BEFORE, added("Sum the total revenue."), [asks, other])] == ["L003"]
    assert rules("Up to 1000000 rows.", task_of("1000000", instruction=asks.instruction)) == []


@pytest.mark.parametrize(
    ("task", "line", "rule"),
    [
        (task_of(id="sales-17"), "As in SALES-17, sort first.", "L001"),
        (task_of(id="sales-17"), "As in sales-171 or presales-17.", ""),
        (task_of(id="59-1"), "59-1", ""),
        (task_of(file="orders.xlsx"), "Open `orders.xlsx` first.", "L002"),
        (task_of(file="in/orders_17.xlsx"), "Open in/orders_17 first.", "L002"),
        (task_of(file="orders.xlsx"), "Orders come first.", ""),
        (task_of(file="orders.xlsx", instruction="Sort orders.xlsx."), "Open orders.xlsx.", ""),
    ],
)
def test_ids_and_input_files_are_found(task: Task, line: str, rule: str) -> None:
    assert rules(line, task) == ([rule] if rule else [])


def test_the_name_on_disk_counts_as_the_input_file() -> None:
    task = Task("t1", "Do it.", (), {"input.xlsx": Path("/suite/1_59_input.xlsx")})
    assert rules("1_59_input.xlsx", task) == ["L002", "L002"]


def test_a_finding_names_file_and_line_and_each_string_once() -> None:
    after = added("one\n\nSpringfield\n\nSpringfield").with_file("references/a.md", "x\n\nmore\nShelby\nville\n")
    found = leaks(
        BEFORE, after, [task_of("Springfield"), task_of("Springfield", id="t2"), task_of("Shelby ville", id="t3")]
    )
    assert [(f.file, f.line) for f in found] == [(MAIN, 11), ("references/a.md", 4)]
    assert "'springfield' is an expected answer of a training task" in found[0].message


def test_moved_and_removed_lines_add_nothing() -> None:
    old = skill_of("# A\n\nSpringfield\n\nb\n")
    task = task_of("Springfield")
    assert leaks(old, skill_of("# A\n\nb\n\nSpringfield\n"), [task]) == []
    assert leaks(old, skill_of("# A\n"), [task]) == []
    assert leaks(old, skill_of("# A\n\nIt is Springfield.\n"), [task]) == []


@given(st.text(min_size=1), st.lists(st.text(max_size=30), max_size=4))
def test_any_strings_are_searched_and_found_on_a_line(secret: str, lines: list[str]) -> None:
    after = added("\n".join([*lines, secret]))
    for item in leaks(BEFORE, after, [task_of(secret)]):
        assert 1 <= item.line <= after.text.count("\n") + 1


@given(st.decimals(min_value=Decimal("0.001"), max_value=10**12, places=4), st.sampled_from([",", "'", "_", " ", ""]))
def test_a_number_is_found_with_any_grouping(value: Decimal, grouping: str) -> None:
    written = f"{value:,f}".replace(",", grouping)
    expected = len(written) >= MIN_CHARACTERS and len(str(value)) >= MIN_CHARACTERS
    assert rules(f"it is {written}, roughly", task_of(str(value))) == (["L003"] if expected else [])
