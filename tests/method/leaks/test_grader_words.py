"""What a task's graders say, each text of them, so that no edit can copy it."""

from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.method.leaks.grader_words import words_of
from skillgrad_ci.method.task import GraderSpec, Task


def told(spec: GraderSpec, **fields: Any) -> list[tuple[str, str, str]]:
    task = Task("t1", "Do it.", [spec], **fields)
    return [(one.kind, one.what, one.text) for one in words_of(task)]


def answers(**options: Any) -> list[str]:
    found = told(GraderSpec("text", options))
    assert {kind for kind, _, _ in found} <= {"answer"}
    return [text for _, _, text in found]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"exact": "Springfield"}, ["Springfield"]),
        ({"choice": "B", "choices": ["A", "B"]}, ["B"]),
        ({"contains": ["one", "two"]}, ["one", "two"]),
        ({"number": 1234567.25}, ["1234567.25"]),
        ({"number": 0}, ["0"]),
        ({"json": {"a": ["x", 12, True, None, {"b": 1.5}]}}, ["x", "12", "1.5"]),
        ({"equals_json": ["y"]}, ["y"]),
        ({}, []),
    ],
)
def test_every_form_of_an_expected_answer_is_told(options: dict[str, Any], found: list[str]) -> None:
    assert answers(**options) == found


def test_a_regular_expression_is_told_with_what_it_says_literally() -> None:
    for regex, parts in (
        (r"^total 48,151\.?$", ["total 48,151"]),
        (r"(?i)Spring\-field|(north west)\s+[0-9]+", ["Spring-field", "north west"]),
    ):
        whole, *rest = answers(regex=regex)
        assert (whole, [part for part in rest if part]) == (regex, parts)


def test_a_word_of_letters_and_digits_is_looked_for_also_without_quotes() -> None:
    found = script("grep -q XYZZY42 out.txt && python312 sha256sum")
    assert [said for kind, said in found if kind == "answer"] == ["XYZZY42"]


def test_a_table_is_told_as_it_is_compared() -> None:
    spec = GraderSpec("table", {"targets": ["one", "two"], "canonical": ["1", "2"]})
    assert [text for _, _, text in told(spec)] == ["one", "two", "1", "2"]
    assert len(told(GraderSpec("table", {"targets": ["one"]}))) == 1


def test_of_a_golden_table_the_cells_that_are_in_no_input_are_told(tmp_path: Path) -> None:
    golden, one, other = (tmp_path / name for name in ("golden.csv", "one.csv", "other.csv"))
    golden.write_text('north; "Springfield" ;sum\n"north";48151;in the other\n')
    one.write_text("north,sum\n")
    other.write_text("in the other\n")
    spec = GraderSpec("csv", {"delimiter": ";"}, {"golden": golden})
    assert told(spec, files={"a": one, "b": other}) == [
        ("answer", "an expected answer", "Springfield"),
        ("answer", "an expected answer", "48151"),
    ]


def script(text: str) -> list[tuple[str, str]]:
    return [(kind, said) for kind, _, said in told(GraderSpec("command", {"run": text}))]


def test_a_check_is_told_line_by_line_with_its_comments_and_what_it_looks_for() -> None:
    found = script("#!/bin/sh\n# The town is  Springfield.\n\n// so it is\n  grep -q 'Spring field' out.txt\n")
    assert ("program", "#!/bin/sh") in found
    assert ("statement", "The town is  Springfield.") in found
    assert ("statement", "so it is") in found
    assert ("program", "grep -q 'Spring field' out.txt") in found
    assert ("answer", "Spring field") in found
    assert ("program", "") not in found


def test_a_checks_own_verdict_is_no_answer() -> None:
    report = '{"score": 1.0, "reason": "all is right"}'
    found = script(f"echo '{report}'\necho '{{\"score\": $x}}'\necho 'the score of Springfield'\n")
    looked_for = [said for kind, said in found if kind == "answer"]
    assert report not in looked_for
    assert not [said for said in looked_for if "$x" in said]
    assert "the score of Springfield" in looked_for


def test_scripts_of_a_check_are_read_in_files_and_folders_and_nothing_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text("# first comment\n")
    folder = tmp_path / "tests" / "deep"
    folder.mkdir(parents=True)
    (folder / "b.py").write_text("# third comment\n")
    (tmp_path / "tests" / "a.py").write_text("# second comment\n")
    (tmp_path / "tests" / "c.bin").write_bytes(b"# no\0 text\n")
    (tmp_path / "tests" / "d.txt").write_bytes(b"# half \xff text\n")
    references = {"check": tmp_path / "check.py", "tests": tmp_path / "tests", "gone": tmp_path / "gone"}
    spec = GraderSpec("command", {"run": "# run it", "setup": "# set it up"}, references)
    assert [text for kind, _, text in told(spec) if kind == "statement"] == [
        "run it", "set it up", "first comment", "second comment", "half \N{REPLACEMENT CHARACTER} text",
        "third comment",
    ]  # fmt: skip


def test_a_judges_statements_rubric_and_expected_output_are_told_sentence_by_sentence() -> None:
    options = {"assertions": ["It is short."], "rubric": "It is kind. It is true.", "expected_output": "Dear Ann."}
    found = told(GraderSpec("judge", options))
    assert found[0] == ("statement", "a judge's statement", "It is short.")
    assert {what for _, what, _ in found} == {"a judge's statement", "a judge's rubric", "a judge's expected output"}
    assert told(GraderSpec("judge", {"rubric": ""}))[0][2] == ""


def test_of_a_probe_its_query_is_told_and_of_other_tasks_the_instruction_is_not() -> None:
    spec = GraderSpec("trigger", {"should_trigger": True})
    assert told(spec, probe=True) == [("statement", "a trigger query", "Do it.")]
    assert told(spec) == []
