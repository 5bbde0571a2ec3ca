"""From a repository with a skill and tasks to a configuration that the next command takes."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from skillgrad_ci.__main__ import main
from skillgrad_ci.commands.start.demo import example
from skillgrad_ci.commands.start.label import make_label
from skillgrad_ci.config.config import load_config
from skillgrad_ci.suites import load_suite

MODEL = "openai/some-model"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The example's skill and suite, and a skill whose suite is Agent Skills' own."""
    root = tmp_path / "a repository"
    shutil.copytree(example(), root, ignore=shutil.ignore_patterns(".github", ".skillgrad.yml", "__pycache__"))
    skill = root / "skills" / "greeter"
    (skill / "evals").mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: greeter\ndescription: Greets people by name.\n---\n# Greeter\n")
    rows = [{"id": n, "prompt": f"Greet number {n}.", "expectations": ["It greets."]} for n in range(3)]
    (skill / "evals" / "evals.json").write_text(json.dumps({"skill_name": "greeter", "evals": rows}))
    return root


def test_skills_and_suites_are_found_and_the_next_command_reads_them(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-present")
    assert main(["init", str(repository), "--yes", "--model", MODEL]) == 0
    said = capsys.readouterr().out
    assert "Written. Next: skillgrad-ci doctor" in said
    skills = {job.name: job for job in load_config(repository / ".skillgrad.yml").skills}
    assert set(skills) == {"greeter", "workbook-reports"}
    workflow = (repository / ".github/workflows/skillgrad.yml").read_text()
    assert "secrets.OPENAI_API_KEY" in workflow
    assert workflow.startswith("# It works on the default branch")
    form = yaml.safe_load((repository / ".github/ISSUE_TEMPLATE/optimize-skill.yml").read_text())
    assert form["labels"] == ["optimize-skill"]
    main(["doctor", str(repository)])
    command = next(line for line in capsys.readouterr().out.splitlines() if "prove its graders: " in line)
    suite = shlex.split(command.split("prove its graders: ")[1])[2]
    assert Path(suite).is_dir(), "the command can be pasted, whatever the folder's name"
    monkeypatch.chdir(repository)
    main(["doctor"])
    said = capsys.readouterr().out
    assert "ok      skill workbook-reports: reads well" in said
    assert "ok      suite of greeter: 3 task(s) of the format" in said
    assert f"ok      model {MODEL}: its key is set" in said


def test_a_missing_key_is_named_with_its_remedy(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert main(["init", str(repository), "--yes", "--model", "anthropic/some-model"]) == 0
    assert "secrets.ANTHROPIC_API_KEY" in (repository / ".github/workflows/skillgrad.yml").read_text()
    capsys.readouterr()
    assert main(["doctor", str(repository), "--json"]) == 2
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    missing = rows["model anthropic/some-model"]
    assert (missing["ok"], missing["remedy"]) == (False, "export ANTHROPIC_API_KEY=…")


def test_a_rehearsal_leaves_a_workflow_that_names_a_real_key(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(repository), "--yes", "--model", "rehearsal"]) == 0
    workflow = (repository / ".github/workflows/skillgrad.yml").read_text()
    assert "secrets.OPENAI_API_KEY" in workflow
    assert "REHEARSAL_API_KEY" not in workflow
    assert "before you push, name a model" in capsys.readouterr().out


def test_nothing_is_overwritten_and_nothing_is_written_unasked(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(repository.rglob("*"))
    for words, missing in ([], "--model and --yes"), (["--model", MODEL], "--yes"), (["--yes"], "--model"):
        assert main(["init", str(repository), *words]) == 2  # no terminal to ask
        told = f"skillgrad-ci: nobody can be asked here (no terminal); give {missing}\n"
        assert capsys.readouterr() == ("", told), "nothing is shown that cannot be agreed to"
    assert sorted(repository.rglob("*")) == before
    workflow = repository / ".github/workflows/skillgrad.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text("mine")
    assert main(["init", str(repository), "--yes", "--model", MODEL]) == 0
    assert workflow.read_text() == "mine"
    assert main(["init", str(repository), "--yes", "--model", MODEL]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["openai/", " "])
def test_a_model_that_no_run_would_take_is_refused_before_anything_is_written(
    repository: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    before = sorted(repository.rglob("*"))
    assert main(["init", str(repository), "--yes", "--model", model]) == 2
    assert "names no model; write provider/model" in capsys.readouterr().err
    assert sorted(repository.rglob("*")) == before
    assert main(["init", str(repository), "--yes", "--model", MODEL]) == 0


def test_a_repository_without_a_skill_hears_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path), "--yes", "--model", MODEL]) == 2
    assert "no SKILL.md is below" in capsys.readouterr().err
    assert main(["doctor", str(tmp_path)]) == 2
    assert "run: skillgrad-ci init" in capsys.readouterr().out


def test_a_skill_without_tasks_gets_a_first_one_that_nobody_has_reviewed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "skills" / "lonely").mkdir(parents=True)
    (tmp_path / "skills" / "lonely" / "SKILL.md").write_text("---\nname: lonely\ndescription: Waits.\n---\n")
    assert main(["init", str(tmp_path), "--yes", "--model", MODEL]) == 0
    assert "Review evals/lonely/tasks.yaml" in capsys.readouterr().out
    [task] = load_suite(tmp_path / "evals" / "lonely").tasks
    assert (task.unreviewed, "Waits." in task.instruction) == (True, True)
    monkeypatch.chdir(tmp_path)
    assert main(["optimize", "skills/lonely", "--model", "rehearsal", "--budget-usd", "5"]) == 2
    assert "unreviewed" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_beside_a_skill_with_tasks_one_without_is_not_listed_yet(repository: Path) -> None:
    (repository / "skills" / "lonely").mkdir()
    (repository / "skills" / "lonely" / "SKILL.md").write_text("---\nname: lonely\ndescription: Waits.\n---\n")
    assert main(["init", str(repository), "--yes", "--model", MODEL]) == 0
    assert (repository / "evals" / "lonely" / "tasks.yaml").is_file()
    assert {job.name for job in load_config(repository / ".skillgrad.yml").skills} == {"greeter", "workbook-reports"}


def test_a_person_who_ends_the_input_writes_nothing(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keyboard, terminal = os.openpty()
    with os.fdopen(terminal, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(keyboard, b"\x04")
        assert main(["init", str(repository), "--model", MODEL]) == 2
    os.close(keyboard)
    told = capsys.readouterr()
    assert "Write these files? [y/N]" in told.out
    assert told.err.startswith("skillgrad-ci: no answer came, and nothing was written")
    assert not (repository / ".skillgrad.yml").exists()


def test_the_cap_is_one_that_can_be_kept_and_the_cost_is_told_before_anything_is_written(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["init", str(repository), "--yes", "--api-base", "http://localhost:1/v1"]
    assert main([*words, "--model", MODEL]) == 0
    said = capsys.readouterr().out
    assert re.search(r"greeter: a run takes at most \d+ executions .* at an unknown price", said)
    [written] = {job.settings.budget.tokens for job in load_config(repository / ".skillgrad.yml").skills}
    assert written == 5_000_000
    assert load_config(repository / ".skillgrad.yml").skills[0].settings.models.api_base == "http://localhost:1/v1"
    (repository / ".skillgrad.yml").unlink()
    assert main(["init", str(repository), "--yes", "--model", "openai/gpt-4o-mini"]) == 0
    assert re.search(r"greeter: a run takes .* \d+\.\d\d USD", capsys.readouterr().out)
    assert load_config(repository / ".skillgrad.yml").skills[0].settings.budget.usd == 5


@pytest.mark.parametrize(("status", "said"), [(201, "is made in o/r"), (422, "in o/r already"), (403, "HTTP 403")])
def test_the_label_is_made_with_a_token(status: int, said: str, tmp_path: Path) -> None:
    asked: list[tuple[str, str | None, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers["Authorization"], body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.handle_request, daemon=True).start()
    api = f"http://127.0.0.1:{server.server_address[1]}"
    told = make_label(tmp_path, {"GITHUB_TOKEN": "t-1", "GITHUB_REPOSITORY": "o/r", "GITHUB_API_URL": api})
    server.server_close()
    assert said in told
    [(path, key, body)] = asked
    assert (path, key, body["name"]) == ("/repos/o/r/labels", "Bearer t-1", "optimize-skill")


def test_without_a_token_the_command_that_makes_the_label_is_told(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "remote", "add", "origin", "git@github.com:o/r.git"], check=True)
    told = make_label(tmp_path, {})
    assert "GITHUB_TOKEN is not set" in told
    assert told.endswith("gh label create optimize-skill")
    assert "origin is not on GitHub" in make_label(tmp_path / "elsewhere", {"GITHUB_TOKEN": "t"})


def test_a_suite_with_a_mistake_is_named_with_its_place_and_not_called_missing(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(repository / "skills" / "workbook-reports")
    (repository / "skills/greeter/evals/evals.json").write_text('{"evals": [{"id": 1, "prmpt": "Greet."}]}')
    assert main(["init", str(repository), "--yes", "--model", MODEL]) == 2
    said = capsys.readouterr().err
    assert "evals.json:1: evals[0].prmpt: unknown key; did you mean prompt?" in said
    assert not (repository / ".skillgrad.yml").exists()
