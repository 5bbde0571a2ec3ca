"""What tasks are proposed from is found, named, and masked; a heldout failure is never material."""

import json
from pathlib import Path

import pytest

from skillgrad_ci.errors import UserError
from skillgrad_ci.session.growth.material import gather
from skillgrad_ci.skill.skill import Skill
from skillgrad_ci.suites import load_suite

SKILL = "---\nname: ledger-sums\ndescription: d\n---\n# Sums\n\n{}\n\n## Credits\n\nA bracket is a minus. {}\n"
TASKS = """version: 1
tasks:
  - {id: taught, instruction: Sum it., grader: {type: text, exact: a}, split: train}
  - {id: kept, instruction: Mean it., grader: {type: text, exact: b}, split: heldout}
"""


@pytest.fixture
def skill(tmp_path: Path) -> Skill:
    folder = tmp_path / "ledger-sums"
    (folder / "references").mkdir(parents=True)
    (folder / "SKILL.md").write_text(SKILL.format("Add up. " * 80, "Read `references/dates.md`. " * 30))
    (folder / "references/dates.md").write_text("# Dates\n\nThe day stands first.\n")
    return Skill.load(folder)


def test_a_skill_gives_its_sections_and_references(tmp_path: Path, skill: Skill) -> None:
    pieces = gather(None, skill, None).pieces
    assert [piece.origin for piece in pieces] == [
        "skill ledger-sums, SKILL.md, Sums",
        "skill ledger-sums, SKILL.md, Credits",
        "skill ledger-sums, references/dates.md",
    ]
    assert gather(str(tmp_path / "ledger-sums"), None, None).pieces == pieces


def test_only_failures_of_tasks_that_train_are_material(tmp_path: Path) -> None:
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/tasks.yaml").write_text(TASKS)
    run = tmp_path / "run"
    (run / "trajectories/base").mkdir(parents=True)
    (run / "journal.jsonl").write_text("")
    for task in ("taught", "kept"):
        rows = [
            {"kind": "message", "role": "assistant", "text": f"I am\u2028{task}; mail ida.holm@northwind-cables.se"},
            {"kind": "verdict", "outcome": "failed", "text": "expected 13"},
        ]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (run / f"trajectories/base/{task}.0.jsonl").write_text("\n".join(lines))
    found = gather(str(run), None, load_suite(tmp_path / "suite"))
    assert [piece.origin for piece in found.pieces] == ["a failure of the task taught in a run"]
    text = found.pieces[0].text
    assert "expected 13" in text
    assert "northwind" not in text
    (run / "report.json").write_text(json.dumps({"tasks": [{"id": "taught", "split": "heldout"}]}))
    with pytest.raises(UserError, match="no training task of this suite failed"):
        gather(str(run), None, load_suite(tmp_path / "suite"))
    (run / "report.json").write_text(json.dumps({"tasks": [{"id": "taught", "split": "train"}]}))
    assert gather(str(run), None, load_suite(tmp_path / "suite")).pieces
    (tmp_path / "suite/tasks.yaml").write_text(TASKS.replace("split: train", "split: heldout"))
    with pytest.raises(UserError, match="no training task of this suite failed"):
        gather(str(run), None, load_suite(tmp_path / "suite"))  # it was taken out of training since the run


def session(folder: Path, name: str, skill: str, **fields: str) -> None:
    use = [{"type": "tool_use", "id": "c", "name": "Skill", "input": {"skill": skill}}]
    done = [{"type": "tool_result", "tool_use_id": "c", "content": "ok"}]
    rows = [
        {"type": "user", "message": {"content": "Sum /home/idaholm/ledger.csv."}, "cwd": "/home/idaholm", **fields},
        {"type": "assistant", "message": {"content": use}},
        {"type": "user", "message": {"content": done}},
        {"type": "user", "message": {"content": "Credits are negative!"}, "gitBranch": "merger-with-acme"},
    ]
    (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_sessions_are_kept_where_this_skill_was_used_and_the_rest_is_counted(tmp_path: Path, skill: Skill) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    session(logs, "a", "ledger-sums")
    session(logs, "b", "other-skill")
    session(logs, "c", "ledger-sums", entrypoint="sdk-cli")
    (logs / "d.jsonl").write_text("nothing")
    found = gather(str(logs), skill, None)
    assert found.told == "read 4 sessions, kept 1: 1 without the skill, 1 started by a program, 1 of no known form"
    (piece,) = found.pieces
    assert "correction: Credits are negative!" in piece.text
    for private in ("idaholm", "acme", "a.jsonl"):
        assert private not in piece.text + piece.origin


def test_a_runs_trajectories_are_no_sessions(tmp_path: Path, skill: Skill) -> None:
    base = tmp_path / "run/trajectories/base"
    base.mkdir(parents=True)
    session(base, "kept.0", "ledger-sums")
    assert len(gather(str(base), skill, None).pieces) == 1
    (tmp_path / "run/journal.jsonl").write_text("")
    for place in (base, base / "kept.0.jsonl", tmp_path):
        with pytest.raises(UserError, match=r"[12] of runs, each to be named itself"):
            gather(str(place), skill, None)


def test_where_no_session_is_found_it_says_where_it_looked(
    tmp_path: Path, skill: Skill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    with pytest.raises(UserError, match=r"read 0 sessions, kept 0; looked in .*claude/projects, .*codex/sessions"):
        gather("sessions", skill, None)
    place = tmp_path / "claude/projects/-home-x"
    place.mkdir(parents=True)
    session(place, "a", "office:ledger-sums")
    assert len(gather("sessions", skill, None).pieces) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("issues.json", json.dumps([{"title": "Wrong sum", "body": "Credits count twice."}, {"title": "Slow"}])),
        ("issues.json", json.dumps({"items": [{"title": "Wrong sum", "body": "Credits."}, {"body": "Slow"}]})),
        ("issues.jsonl", '{"title": "Wrong sum"}\n{"title": "Slow"}\n'),
        ("issues.md", "# Wrong sum\n\nCredits count twice.\n\n# Slow\n\nIt takes long.\n"),
        ("issues.txt", "Wrong sum\n---\nSlow\n"),
        ("issues.md", "# Wrong sum\n```sh\n# a comment\n---\n```\n## Steps\nOne.\n# Slow\n## Steps\nTwo.\n"),
        ("issues.md", "## Wrong sum\nCredits.\n## Slow\n### Steps\nOne.\n### Seen\nTwo.\n"),
    ],
)
def test_issues_come_one_by_one(tmp_path: Path, skill: Skill, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    pieces = gather(str(tmp_path / name), skill, None).pieces
    assert [piece.origin for piece in pieces] == [f"issue 1 of {name}", f"issue 2 of {name}"]
    assert "Wrong sum" in pieces[0].text
    assert "Slow" in pieces[1].text


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nowhere.md", None, "no such file or folder; give a skill, a run folder"),
        ("run/journal.jsonl", "", "a run's failures need the suite that it was made with"),
        ("issues.json", "[]", r"no issue text in it; expected a list of \{title, body\}"),
        ("issues.md", "---\n", "no issue text in it"),
        ("empty/SKILL.md", "---\nname: empty\ndescription: d\n---\n", "the body of SKILL.md is empty; write one"),
    ],
)
def test_what_holds_no_material_is_refused(tmp_path: Path, name: str, content: str | None, said: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=said):
        gather(str(path if path.parent == tmp_path else path.parent), None, None)


def test_issues_that_nest_without_end_are_refused(tmp_path: Path, skill: Skill) -> None:
    (tmp_path / "issues.json").write_text('{"a":' * 100_000)
    with pytest.raises(UserError, match="no valid JSON"):
        gather(str(tmp_path / "issues.json"), skill, None)


def test_without_a_skill_it_asks_for_one() -> None:
    with pytest.raises(UserError, match="give --skill SKILL"):
        gather(None, None, None)
