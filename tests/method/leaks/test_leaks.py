"""Nothing of a training task enters a skill, however it is written; ordinary words do."""

from dataclasses import replace
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


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("123456", "at 123456."),
        ("123456", "123456, then more"),
        ("v1.2.34", "as of v1.2.34, which"),
        ("#12345", "see #12345"),
        ("(+1) 555", "call (+1) 555"),
        ("12.5 kg/m²", "about 12.5 kg/m2 there"),
        ("$98765.4", "which is 98,765.4 in all"),
        ("98765.4%", "which is 98765.4 in all"),
        ("123456", "one 999999 and one 123456 and one 888888"),
        ("abcdef", "abcdef"),
        ("34 boxes", "then 34 boxes"),
        ("boxes: 34", "boxes: 34."),
        ("100000", "10000000%"),
    ],
)
def test_an_answer_of_six_characters_is_found_among_other_numbers_and_marks(expected: str, line: str) -> None:
    assert rules(line, task_of(expected)) == ["L003"]


@pytest.mark.parametrize(
    ("expected", "line"),
    [
        ("abcde", "abcde"),
        ("34 boxes", "12.34 boxes"),
        ("34 boxes", "12,34 boxes"),
        ("boxes: 34", "boxes: 34.5"),
        ("boxes: 34", "boxes: 345"),
        ("123456", "123456.7"),
        ("456.789", "123,456.7890"),
        ("$100 per box, 20 boxes", "100"),
        ("1234.5678", "1234.6"),
        ("1234567.25", "1234570"),
    ],
)
def test_a_part_of_a_longer_number_or_a_coarse_rounding_is_no_answer(expected: str, line: str) -> None:
    assert rules(line, task_of(expected)) == []


def test_lines_that_do_not_follow_each_other_make_no_answer() -> None:
    old = skill_of("# A\n\nfirst\n\nkept\n\nlast\n")
    new = skill_of("# A\n\nfirst Shelby\n\nkept\n\nville last\n")
    assert leaks(old, new, [task_of("Shelby ville")]) == []
    apart = added("Shelby").with_file("references/a.md", "ville\n")
    assert leaks(BEFORE, apart, [task_of("Shelby ville")]) == []


def test_findings_come_in_the_order_of_files_lines_and_rules() -> None:
    after = added("Springfield\n\nsales-17").with_file("references/a.md", "sales-17\nsales-18\n")
    tasks = [task_of(id="sales-18"), task_of("Springfield", id="sales-17"), task_of("sales-17", id="t3")]
    places = [(item.file, item.line, item.rule) for item in leaks(BEFORE, after, tasks)]
    assert places == sorted(places)
    assert {(rule, file) for file, _, rule in places} == {
        ("L003", MAIN),
        ("L001", MAIN),
        ("L001", "references/a.md"),
    }


def test_files_that_are_no_text_hide_and_break_nothing() -> None:
    before = replace(BEFORE, files={**BEFORE.files, "assets/logo.png": b"\xff\xfe Springfield"})
    after = before.with_file(MAIN, f"{before.text}\nSpringfield\n")
    assert leaks(before, after, [task_of("Springfield")]) == []
