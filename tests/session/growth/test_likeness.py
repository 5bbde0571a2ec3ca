"""One question is one task, however it is spelt; another question, or another answer, is another task."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from skillgrad_ci.method.task import GraderSpec, Reference, Task
from skillgrad_ci.session.growth.likeness import alike, near_duplicate


def task(task_id: str, instruction: str, answer: str = "4", **fields: object) -> Task:
    made = Task(task_id, instruction, [GraderSpec("text", {"exact": answer})], reference=Reference(answer=answer))
    return replace(made, **fields)  # type: ignore[arg-type]


ASKED = task("asked", "Write the sum of column B of `sales.csv`. Reply with the number alone.")


def test_another_spelling_of_one_question_is_found() -> None:
    for wording in (
        "write  the SUM of column B of sales.csv; reply with the number alone",
        "Please write the sum of column B of `sales.csv`. Reply with the number alone, please.",
        "Reply with the number alone: write the sum of column B of `sales.csv`.",
        ASKED.instruction.replace("number", "num\u200bber")
        .replace("sum", "s\u00adum")
        .replace("column", "col\u200bumn"),
    ):
        assert near_duplicate(task("new", wording), [ASKED]) == "asked", wording


def test_words_in_another_order_are_a_duplicate_only_where_the_same_is_right() -> None:
    one = "Turn every amount in the list from euros into pounds."
    other = "In the list, turn every amount from pounds into euros, every one."
    judged = [GraderSpec("judge", {"assertions": ["It holds amounts."]})]
    assert near_duplicate(task("new", other), [task("old", one)]) == "old"
    assert not near_duplicate(task("new", other, answer="5"), [task("old", one)])
    assert not near_duplicate(task("new", other, graders=judged), [task("old", one, graders=judged)])


def test_another_question_or_another_answer_is_no_duplicate() -> None:
    assert not near_duplicate(task("new", "How many rows has `sales.csv`?"), [ASKED])
    assert not near_duplicate(task("new", ASKED.instruction.replace("sum", "mean"), answer="2"), [ASKED])
    assert near_duplicate(task("new", ASKED.instruction, answer="5"), [ASKED]), "one question has one answer"


def test_a_workbook_counts_by_its_cells_and_not_by_when_it_was_saved(tmp_path: Path) -> None:
    books = []
    for number, value in enumerate((1, 1, 2)):
        book = Workbook()
        book.worksheets[0]["A1"] = value
        book.properties.creator = f"person {number}"
        book.save(tmp_path / f"{number}.xlsx")
        books.append(tmp_path / f"{number}.xlsx")
    golden = [
        Task(f"t{number}", "Fill in A1.", [GraderSpec("xlsx", {}, {"golden": book})], files={"book.xlsx": book})
        for number, book in enumerate(books)
    ]
    assert near_duplicate(golden[1], [golden[0]]) == "t0"
    assert not near_duplicate(golden[2], [golden[0]])


def test_a_damaged_archive_counts_by_its_bytes(tmp_path: Path) -> None:
    judged = [GraderSpec("judge", {"assertions": ["It says what is lost."]})]
    tasks: list[Task] = []
    for name in "abb":
        path = tmp_path / f"{len(tasks)}.xlsx"
        path.write_bytes(name.encode() + b"PK\x05\x06" + b"\x01\x00" * 4 + b"\xff" * 10 + b"\0\0")
        tasks.append(Task(path.stem, "Say what is lost in the book.", judged, files={"book.xlsx": path}))
    assert not near_duplicate(tasks[1], [tasks[0]])
    assert near_duplicate(tasks[2], [tasks[1]]) == "1"


def test_statements_fix_no_answer_so_the_inputs_decide(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    judged = [GraderSpec("judge", {"assertions": ["It is short."]})]
    first = Task("first", "Summarise the note.", judged, files={"n": tmp_path / "a"}, reference=Reference(answer="x"))
    again = replace(first, id="again", reference=Reference(answer="something else"))
    other = replace(first, id="other", files={"n": tmp_path / "b"})
    assert near_duplicate(again, [first]) == "first"
    assert not near_duplicate(other, [first])


@given(st.text(min_size=1, max_size=60), st.text(max_size=60))
def test_likeness_is_a_share_and_knows_itself(first: str, second: str) -> None:
    assert 0 <= alike(first, second) <= 1
    assert alike(first, first) == 1
