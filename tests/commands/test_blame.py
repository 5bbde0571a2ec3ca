"""`blame`: each line that a run wrote leads back to its edit, and from there to what taught it and what let it in."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.bot.pull_request.branch import BranchContent, message, steps
from skillgrad_ci.report.provenance.blame import accepting_measurements
from skillgrad_ci.report.shelf import read_report
from skillgrad_ci.skill.edit import Edit
from skillgrad_ci.skill.skill import Skill
from tests.support import small_repository

SKILL = Path("skills/greeter")
FIELDS = set(Edit.__dataclass_fields__) - {"iteration"}
Blame = Callable[..., dict[str, Any]]


GIT = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@x", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@x",
       "GIT_CONFIG_GLOBAL": os.devnull}  # fmt: skip


@pytest.fixture(scope="module")
def optimized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose skill a run has optimized in place, with nothing committed since."""
    root = small_repository.make(tmp_path_factory.mktemp("blame") / "repository")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name, value in GIT.items():
            patch.setenv(name, value)
        git("init", "-q", "-b", "main")
        git("add", "skills")
        git("commit", "-qm", "The skill")
        assert main(["optimize", str(SKILL), "--sandbox", "none", "--in-place", "--json", "--out", "kept"]) == 0
    return root


@pytest.fixture
def repository(optimized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = shutil.copytree(optimized, tmp_path / "repository")
    monkeypatch.chdir(root)
    for name, value in GIT.items():
        monkeypatch.setenv(name, value)
    return root


@pytest.fixture
def blame(repository: Path, capsys: pytest.CaptureFixture[str]) -> Blame:
    def ask(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["blame", str(SKILL), "--json", *words]) == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    return ask


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True, timeout=30).stdout


def written(document: dict[str, Any]) -> dict[str, list[str]]:
    """The edits of each line, by its text."""
    origins = document["origins"]
    return {line["text"]: [origins[place]["edit"] for place in line["origins"]] for line in document["lines"]}


def commit_edits(repository: Path) -> None:
    """What the bot does: a commit for each edit, with its trailers."""
    report = read_report(Path("kept"))
    git("checkout", "-q", "--", "skills")
    git("clean", "-fdq", "skills")
    edits = [
        Edit(**{name: getattr(fact, name) for name in FIELDS}, iteration=step.number)
        for step in report.iterations for fact in step.edits if fact.status == "accepted"
    ]  # fmt: skip
    initial = Skill.load(SKILL)
    content = BranchContent(
        "greeter", str(SKILL), initial, initial, edits, "", "", report.run, {}, accepting_measurements(report)
    )
    for edit, before, after in steps(initial, edits):
        after.write_over(before, SKILL)
        git("add", "skills")
        git("commit", "-qm", message(edit, content))


def test_a_run_folder_knows_every_line_with_its_diagnoses_and_its_measurement(blame: Blame) -> None:
    document = blame("--run", "kept")
    lines = written(document)
    assert set(lines) == {
        "- Loud ones: use capital letters.",
        "- Read `references/forms.md` when a polite greeting is asked for. Skip when it is not.",
        "A polite greeting starts with Dear and the name.",
    }
    assert all(len(names) == 1 for names in lines.values())
    loud = next(
        origin for origin in document["origins"] if [origin["edit"]] == lines["- Loud ones: use capital letters."]
    )
    assert loud["why"] == "say how", "the last edit of a line wrote it"
    assert document["of"] > len(document["lines"])
    polite = next(origin for origin in document["origins"] if origin["layer"] == "Q")
    assert (polite["patterns"], polite["commit"]) == (["polite"], "")
    assert polite["iteration"] >= 1
    assert any("polite: It was not polite." in told for told in polite["diagnoses"])
    assert "points on 4 validation tasks" in polite["accepted_by"]


def test_commits_of_the_bot_say_it_without_a_run_folder(repository: Path, blame: Blame) -> None:
    known = written(blame("--run", "kept"))
    commit_edits(repository)
    document = blame()  # `kept` is not below `runs`
    assert written(document) == known
    for origin in document["origins"]:
        assert git("log", "-1", "--format=%b", origin["commit"]).count(f"Skillgrad-Edit: {origin['edit']}") == 1
        assert origin["iteration"] >= 1
        assert origin["tasks"]
        assert "points on 4 validation tasks" in origin["accepted_by"]
    person = SKILL / "SKILL.md"
    person.write_text(person.read_text() + "\nA person's line.\n")
    git("commit", "-qam", "Mine")
    assert "A person's line." not in written(blame())


def test_a_squash_names_all_its_edits_and_a_run_folder_tells_them_apart(
    repository: Path, blame: Blame, tmp_path: Path
) -> None:
    known = written(blame("--run", "kept"))
    git("branch", "before")
    commit_edits(repository)
    messages = git("log", "--reverse", "--format=* %B", "before..main")
    git("branch", "-f", "edited")
    git("reset", "-q", "--hard", "before")
    git("merge", "-q", "--squash", "edited")
    git("commit", "-qm", f"Improve the skill (#1)\n\n{messages}")
    squashed = written(blame())
    every = {name for names in known.values() for name in names}
    assert all(len(names) >= len(every) for names in squashed.values())
    (repository / "runs/greeter").mkdir(parents=True)
    (repository / "kept").rename("runs/greeter/kept")
    assert written(blame()) == known


def test_lines_that_no_run_wrote_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(small_repository.make(tmp_path / "repository"))
    assert main(["blame", str(SKILL)]) == 0
    assert "No line of greeter is known to be a run's" in capsys.readouterr().out
    assert main(["blame", str(SKILL), "--run", "nowhere"]) == 2
    assert "name a run folder" in capsys.readouterr().err


def test_the_text_groups_lines_and_tells_why(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    assert main(["blame", str(SKILL), "--run", "kept"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "references/forms.md:1" in said
    assert "keep the polite forms in a chapter" in said
    assert "It was not polite." in said


def test_a_run_folder_lists_refused_and_rejected_edits_too(repository: Path) -> None:
    rows = json.loads(Path("kept/edits.json").read_text())
    report = read_report(Path("kept"))
    assert [row["id"] for row in rows] == [edit.id for step in report.iterations for edit in step.edits]
    assert {row["status"] for row in rows} >= {"accepted"}
    assert all(bool(row["accepted_by"]) == (row["status"] == "accepted") for row in rows)
    assert all(row["reason"] for row in rows if row["status"] != "accepted")


def test_what_git_answers_is_said_where_it_knows_no_commit(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(".git")
    git("init", "-q", "-b", "main")
    git("add", "skills")
    assert main(["blame", str(SKILL)]) == 2
    said = f"skillgrad-ci: {SKILL}: git blame: fatal: no such ref: HEAD; name a run folder with --run\n"
    assert capsys.readouterr().err == said


def test_a_git_that_cannot_be_asked_is_said(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers once, and is gone."""
    tool = repository / "bin" / "git"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\n/bin/rm -- "$0"\necho true\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent))
    assert main(["blame", str(SKILL)]) == 2
    said = f"{SKILL}: git cannot be asked ([Errno 2] No such file or directory: 'git'); name a run folder with --run"
    assert said in capsys.readouterr().err
