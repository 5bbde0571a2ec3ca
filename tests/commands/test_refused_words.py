"""Words of a command line that mean nothing: one line says which, and what to write. Nothing is spent."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main
from tests.support import small_repository

TWO = "  - {path: skills/greeter, tasks: evals}\n  - {path: skills/other, tasks: evals}\n"
WORDS = [
    (
        "optimize nowhere",
        "nowhere: not a folder; a skill is a folder with SKILL.md; below here are skills/greeter, skills/",
    ),
    ("optimize skills", "skills: no SKILL.md in it; name a skill's own folder; below here are skills/greeter, skills/"),
    ("view runs-of-old --port 80000", "--port 80000: there are 0 (any that is free) to 65535; choose one"),
    ("init nowhere --yes", "nowhere: no such folder; name the root of a repository"),
    ("doctor nowhere", "nowhere: no such folder; name the root of a repository"),
    ("blame nowhere", "nowhere: not a folder; a skill is a folder with SKILL.md"),
    ("lint skills/greeter --hosts claude-code,emacs", "--hosts: 'emacs' is not known; known are "),
    ("plan skills/greeter --shards 0", "--shards 0: expected a number from 1"),
    ("compare two.yml", "two.yml: skills: has 2 skills; leave the one that is compared"),
    ("compare one.yml one.yaml", "one.yaml: another setting is named one; give the file another name"),
    ("compare none.yml", "none.yml: another setting is named none; give the file another name"),
    ("transfer skills/greeter --models a,,b", "--models: 'a,,b' has an empty name; write them as in a,b"),
    ("transfer skills/greeter --agents chat,", "--agents: 'chat,' has an empty name; write them as in a,b"),
    ("suite evals --grow 0", "--grow: give the number of tasks that shall wait for a review, at least 1"),
    ("suite --triggers evals nowhere/*", "--triggers evals nowhere/*: no folder with SKILL.md there; name skills"),
    ("suite --triggers skills/other", "skills/other: nothing says when it should fire; add a trigger set"),
]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = small_repository.make(tmp_path / "repository")
    shutil.copytree(root / "skills/greeter", root / "skills/other")
    skill = root / "skills/other/SKILL.md"
    skill.write_text(skill.read_text().replace("name: greeter", "name: other"))
    config = (root / ".skillgrad.yml").read_text()
    (root / "two.yml").write_text(TWO.join(config.split("  - {path: skills/greeter, tasks: evals}\n")))
    for name in ("one.yml", "none.yml", "one.yaml"):
        (root / name).write_text(config)
    shutil.copytree(root / "evals", root / "untaught")
    tasks = root / "untaught/tasks.yaml"
    tasks.write_text(tasks.read_text().replace("split: train", "split: heldout"))
    (root / "runs-of-old/one").mkdir(parents=True)
    (root / "runs-of-old/one/journal.jsonl").touch()
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(("words", "said"), WORDS, ids=[words for words, _ in WORDS])
def test_a_word_that_means_nothing_is_named(
    repository: Path, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    assert main([*words.split(), "--json"]) == 2
    printed = capsys.readouterr()
    [line] = printed.err.splitlines()
    assert line.startswith(f"skillgrad-ci: {said}")
    assert printed.out == ""
    assert not (repository / "runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("optimise skills/greeter", "; did you mean optimize?; see skillgrad-ci --help"),
        ("lint skills --format jsn", "; did you mean json?; see skillgrad-ci lint --help"),
        ("optimize x --modle y", "arguments: --modle y; did you mean --model?; see skillgrad-ci optimize --help"),
        ("optimize x --itertions=3", "--itertions=3; did you mean --iterations?; see skillgrad-ci optimize --help"),
        ("evaluate x --iterations 3", "arguments: --iterations 3; see skillgrad-ci evaluate --help"),
        ("optimize x y", "unrecognized arguments: y; see skillgrad-ci optimize --help"),
        ("frobnicate", "'lint', 'action'); see skillgrad-ci --help"),
    ],
)
def test_a_word_that_was_mistyped_leads_to_the_one_that_was_meant(
    capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("skillgrad-ci: the command line: ")
    assert line.endswith(said)


def test_a_suite_that_can_teach_nothing_is_refused_before_anything_is_paid(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["optimize", "skills/greeter", "--tasks", "untaught"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(
        "skillgrad-ci: untaught: every task is marked validation or heldout, so none can teach; mark"
    )
    assert not (repository / "runs").exists()


def test_a_working_folder_that_is_gone_is_told(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(repository)
    assert main(["lint", "."]) == 2
    assert capsys.readouterr().err == "skillgrad-ci: the folder that you are in was removed; move to another one\n"


def test_a_terminal_gets_an_error_broken_between_words(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen, terminal = os.openpty()
    monkeypatch.setenv("COLUMNS", "60")
    with os.fdopen(terminal, "w", encoding="utf-8") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        assert main(["optimize", "skills"]) == 2
        shown = os.read(screen, 10_000).decode().splitlines()
    os.close(screen)
    assert len(shown) > 1
    assert max(map(len, shown)) <= 60
    assert " ".join(shown).startswith(
        "skillgrad-ci: skills: no SKILL.md in it; name a skill's own folder; below here are"
    )
