"""One folder a task: what the check sees, what the agent sees, and what is refused."""

from pathlib import Path

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.suites import load_suite
from tests.support import documented


def test_the_documented_example(tmp_path: Path) -> None:
    (task,) = load_suite(documented.write("folder", tmp_path)).tasks
    assert task.id == "shout"
    assert set(task.files) == {"note.txt"}
    assert set(task.graders[0].references) == {"check.sh", "words.txt"}
    assert task.reference is not None
    assert set(task.reference.files) == {"loud.txt"}


def test_an_answer_is_a_reference_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "instruction.md").write_text("Say yes.")
    (tmp_path / "a" / "check.py").write_text("assert open('../result/answer.txt').read() == 'yes'\n")
    (tmp_path / "a" / "answer.md").write_text("yes\n")
    (task,) = load_suite(tmp_path).tasks
    assert task.reference is not None
    assert task.reference.answer == "yes"
    assert set(task.graders[0].references) == {"check.py"}


def test_mistakes(tmp_path: Path) -> None:
    folder = documented.write("folder", tmp_path) / "shout"
    (folder / "check.py").write_text("")
    with pytest.raises(UserError, match=r"shout: a task needs one of check.sh and check.py; it has both"):
        load_suite(tmp_path)
    (folder / "check.py").unlink()
    (folder / "check.sh").unlink()
    with pytest.raises(UserError, match="it has none"):
        load_suite(tmp_path)
    (folder / "instruction.md").write_text(" \n")
    with pytest.raises(UserError, match=r"instruction.md:1: the instruction is empty"):
        load_suite(tmp_path)


def test_a_check_without_an_instruction_is_a_warning(tmp_path: Path) -> None:
    documented.write("folder", tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "check.sh").write_text("true\n")
    suite = load_suite(tmp_path)
    assert len(suite.tasks) == 1
    assert "other: a check without instruction.md" in suite.warnings[0]


def test_links_out_of_the_suite_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    suite = documented.write("folder", tmp_path / "suite")
    (suite / "shout" / "files" / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="is a link out of"):
        load_suite(suite)


def test_an_instruction_is_no_link_out_of_the_suite(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("elsewhere")
    (tmp_path / "suite" / "a").mkdir(parents=True)
    (tmp_path / "suite" / "a" / "check.sh").write_text("true\n")
    (tmp_path / "suite" / "a" / "instruction.md").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="is a link out of"):
        load_suite(tmp_path / "suite")
