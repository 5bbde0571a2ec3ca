"""`--fresh` begins anew where an earlier start would be taken over, and keeps what that one paid for."""

import re
from pathlib import Path

import pytest
from filelock import FileLock

from skillgrad_ci.__main__ import main
from skillgrad_ci.commands.cli import parse_arguments
from skillgrad_ci.errors import UserError
from skillgrad_ci.session.journal.file_journal import LOCK, NAME
from skillgrad_ci.session.journal.set_aside import set_aside
from tests.support.scripted_answers import Reply
from tests.support.scripted_server import serve

SKILL = "---\nname: sayer\ndescription: Says things.\n---\n# Sayer\n\nSay it.\n"
TASKS = "version: 1\ntasks:\n- {id: one, instruction: Say one., grader: {type: text, exact: one}}\n"


def test_a_server_that_was_mended_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-scripted")
    for file, text in ("sayer/SKILL.md", SKILL), ("evals/tasks.yaml", TASKS):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(text)
    said = ["wrong"]
    with serve(lambda request: Reply("ready" if "word ready" in str(request) else said[0])) as server:

        def passed(*words: str) -> tuple[int, str]:
            flags = ["--tasks", "evals", "--model", "openai/x", "--api-base", server.url, "--sandbox", "none"]
            assert main(["evaluate", "sayer", *flags, "--budget-tokens", "1000000", *words]) == 0
            told = capsys.readouterr()
            return int("100.0%" in told.out), told.err

        assert passed()[0] == 0
        said[0] = "one"
        again, told = passed()
        assert again == 0
        assert re.search(
            r"taken over from an earlier start, and not repeated: 1 execution and .* \(--fresh begins anew\)", told
        )
        anew, told = passed("--fresh")
        assert (anew, "taken over" in told) == (1, False)
        (kept,) = (tmp_path / "runs/sayer").glob("evaluate-*.before-1")
        assert f"begun anew: what the earlier start left is kept in {kept.relative_to(tmp_path)}" in told
        assert (kept / NAME).is_file()
        assert passed()[0] == 1
        assert passed("--fresh")[0] == 1
        assert len([*kept.parent.glob("*.before-?")]) == 2, "none is written over"


def test_the_command_that_goes_on_does_not_begin_anew_once_more() -> None:
    for word in ("--fresh", "--fre"):
        arguments = parse_arguments(["optimize", "skill", word, "--folds", "4"])
        assert (arguments.fresh, arguments.reproduce) == (True, "skillgrad-ci optimize skill --folds 4")


def test_only_the_folder_of_a_run_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    assert set_aside(folder) is None
    folder.mkdir()
    (folder / "thesis.txt").touch()
    assert set_aside(folder) is None
    (folder / NAME).touch()
    with FileLock(folder / LOCK), pytest.raises(UserError, match="another process runs here"):
        set_aside(folder)
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match="holds the folder that you are in"):
        set_aside(Path())
    monkeypatch.chdir(tmp_path)
    assert set_aside(Path("mine")) == tmp_path / "mine.before-1"
    assert (tmp_path / "mine.before-1/thesis.txt").exists()


def test_a_folder_that_cannot_be_renamed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ("x" * 250)  # with what is added, longer than a name may be
    folder.mkdir()
    (folder / NAME).touch()
    with pytest.raises(UserError, match=r"cannot be renamed \(File name too long\); choose another --out"):
        set_aside(folder)
