"""The command line over a small repository: what it prints, writes and answers with."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci import __main__
from skillgrad_ci.__main__ import main
from skillgrad_ci.commands.cli import COMMANDS, parse_arguments
from skillgrad_ci.commands.flags import YAML_ONLY, given, setting_flags
from skillgrad_ci.config.config import with_flags
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.method.memory.memory_file import parse_memory
from skillgrad_ci.skill.skill import Skill
from tests.support import small_repository

OPEN = ["--sandbox", "none"]  # the commands are the rehearsal's, and a self-test takes time


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands in this process, in a small repository of their own."""

    def __init__(self, root: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capture = capture

    def __call__(self, *words: str) -> Done:
        self._capture.readouterr()
        try:
            code = main([*words])
        except SystemExit as end:
            code = int(end.code or 0)
        return Done(code, *self._capture.readouterr())


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    root = small_repository.make(tmp_path / "a repository")
    monkeypatch.chdir(root)
    return Shell(root, capsys)  # type: ignore[return-value]


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_takes_a_blink(words: list[str]) -> None:
    def seconds() -> float:
        process = subprocess.Popen([sys.executable, "-m", "skillgrad_ci", *words], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        return usage.ru_utime + usage.ru_stime

    assert min(seconds() for _ in range(3)) < 0.3


def test_every_setting_flag_reaches_the_settings() -> None:
    """Each field of the settings but switches, lists and those said to be YAML's alone is a flag, with its own help."""
    values: dict[type, str] = {int: "7", float: "7.5", str: "x"}
    words: list[str] = []
    for flag in setting_flags().values():
        known = {"accept": "validate", "sandbox": "docker", "optimizer": "skillopt"}
        known |= {"decide_by": "score", "flicker": "0.1", "gate_level": "0.1", "split": "cross", "trials": "auto"}
        value = known.get(flag.name, values[flag.kind])
        words += [f"--{flag.name.replace('_', '-')}", value]
        assert flag.help, flag.name
    flags = given(parse_arguments(["optimize", "s", *words]))
    read = with_flags(Settings(), flags).model_dump(mode="json", exclude_unset=True)
    for flag in setting_flags().values():
        found: Any = read
        for key in flag.place:
            found = found[key]
        assert found is not None
    assert given(parse_arguments(["optimize", "s"])) == {}
    kept_in_yaml = YAML_ONLY | {
        "momentum",
        "contrastive",
        "allow_scripts",
        "reuse_baseline",
        "with_skills",
        "models",
        "budget",
    }
    assert {flag.place[0] for flag in setting_flags().values()} == set(Settings.model_fields) - kept_in_yaml | {
        "models",
        "budget",
    }


@pytest.mark.parametrize("words", [["--no-momentum"], ["--no-contrastive"], ["--judge-trials", "3"]])
def test_what_few_turn_is_said_in_the_configuration_alone(words: list[str], shell: Shell) -> None:
    assert shell("optimize", "skills/greeter", *words).code == 2


def test_a_rehearsal_plays_every_role_that_no_flag_gives_away() -> None:
    configured = Settings.model_validate({"models": {"executor": "a/b", "optimizer": "a/c", "judge": "a/d"}})
    flags = given(parse_arguments(["optimize", "s", "--model", "rehearsal"]))
    assert set(with_flags(configured, flags).models.named) == {"rehearsal"}
    flags = given(parse_arguments(["optimize", "s", "--model", "rehearsal", "--judge-model", "x/y"]))
    assert with_flags(configured, flags).models.of("judge") == "x/y"


def test_optimize_writes_a_run_folder_and_leaves_the_skill_alone(shell: Shell) -> None:
    before = Skill.load(shell.root / "skills/greeter")
    done = shell("optimize", "skills/greeter", *OPEN, "--json")
    assert done.code == 0, done.err
    assert Skill.load(shell.root / "skills/greeter") == before
    [folder] = (shell.root / "runs/greeter").iterdir()
    assert done.document == json.loads((folder / "report.json").read_text())
    assert done.document["kept"]
    assert done.document["rehearsal"]
    assert done.document["reproduce"] == "skillgrad-ci optimize skills/greeter --sandbox none --json"
    assert "iteration 1: accepted" in done.err
    parse_memory((folder / "momentum.md").read_text(), "momentum.md")

    again = shell("optimize", "skills/greeter", *OPEN)  # everything is in the journal: nothing is paid for again
    assert again.code == 0
    assert "This is a rehearsal" in again.out
    assert "without a sandbox" in again.out
    records = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert len({r["key"] for r in records if r["kind"] != "end"}) == sum(r["kind"] != "end" for r in records)

    command = again.out.split("To take it: ")[1].strip()
    subprocess.run("git init -q . && " + command, cwd=shell.root, shell=True, check=True)
    assert Skill.load(shell.root / "skills/greeter").digest == done.document["final_digest"]


def test_the_patch_of_a_skill_beside_this_folder_can_be_taken_too(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shell.root / "elsewhere").mkdir()
    monkeypatch.chdir(shell.root / "elsewhere")
    done = shell("optimize", "../skills/greeter", "--tasks", "../evals", "--model", "rehearsal", *OPEN)
    assert done.code == 0, done.err
    command = done.out.split("To take it: ")[1].strip()
    before = Skill.load(shell.root / "skills/greeter")
    subprocess.run(command, cwd=shell.root / "elsewhere", shell=True, check=True)
    assert Skill.load(shell.root / "skills/greeter") != before


def test_in_place_without_a_gain_keeps_the_memory_and_the_next_run_says_so(shell: Shell) -> None:
    script = shell.root / "evals/rehearsal.yaml"
    useless = small_repository.MECHANISMS.replace('"use capital letters"', '"use big letters"')
    script.write_text(useless.replace("starts with Dear and the name.", "has a form."))
    before = Skill.load(shell.root / "skills/greeter")
    done = shell("optimize", "skills/greeter", *OPEN, "--in-place")
    assert done.code == 0, done.err
    assert "from earlier runs" not in done.err
    assert "To take it" not in done.out
    assert "patch   " not in done.out
    assert "its memory is beside the configuration" in done.out
    assert Skill.load(shell.root / "skills/greeter") == before
    memory = parse_memory((shell.root / ".skillgrad/greeter/momentum.md").read_text(), "momentum.md")
    assert memory.rejected
    again = shell("optimize", "skills/greeter", *OPEN, "--iterations", "1")
    said = f"{len(memory.patterns)} patterns and {len(memory.rejected)} rejected edits from earlier runs"
    assert said in again.err


def test_in_place_writes_the_skill_and_its_memory(shell: Shell) -> None:
    done = shell("optimize", "skills/greeter", *OPEN, "--in-place", "--out", "elsewhere")
    assert done.code == 0, done.err
    report = json.loads((shell.root / "elsewhere/report.json").read_text())
    assert Skill.load(shell.root / "skills/greeter").digest == report["final_digest"] != report["initial_digest"]
    assert (shell.root / ".skillgrad/greeter/momentum.md").is_file()
    assert not (shell.root / "runs").exists()


def test_a_cap_ends_with_3_and_a_report(shell: Shell) -> None:
    done = shell("optimize", "skills/greeter", *OPEN, "--budget-tokens", "60000", "--json")
    assert done.code == 3, done.err
    assert done.document["stopped"] == "budget"
    assert done.document["headline"] == "The run came to its cap before an edit was accepted: the skill is as it was."
    assert any("budget" in remark for remark in done.document["remarks"])
    cost = done.document["cost"]
    assert cost["prompt_tokens"] + cost["completion_tokens"] <= 60_000
    told = shell("optimize", "skills/greeter", *OPEN, "--budget-tokens", "60000")
    assert "Start it again with a larger budget" in told.out, "the same budget would end at the same call"


def test_evaluate_compares_with_and_without_the_skill(shell: Shell) -> None:
    (shell.root / "skills/greeter/SKILL.md").write_text(small_repository.SKILL + "\n- use capital letters\n")
    done = shell("evaluate", "skills/greeter", *OPEN, "--no-skill", "--json")
    assert done.code == 0, done.err
    arms = done.document["arms"]
    assert arms["with skill"]["accuracy"] == 0.5
    assert arms["without skill"]["accuracy"] == 0
    assert arms["with skill"]["tokens_per_task"] > arms["without skill"]["tokens_per_task"] > 0
    assert done.document["delta"]["change"] == 0.5
    assert len(done.document["tasks"]) == 24
    text = shell("evaluate", "skills/greeter", *OPEN, "--no-skill").out
    assert f"Measured with agent {done.document['agent']}, model rehearsal, sandbox " in text
    assert re.search(r"The skill changes accuracy by \+50.0 points \(95% interval .*, 24 tasks, p = .*\)\.\n", text)
    assert "tokens per task" in text


def test_the_agents_replies_are_shown_where_they_are_asked_for(shell: Shell) -> None:
    evaluate = ["evaluate", "skills/greeter", "--model", "rehearsal", *OPEN]
    assert " replies:" not in shell(*evaluate, "--out", "quiet").err
    assert "executor on " in shell(*evaluate, "--out", "told", "-v").err


def test_grade_needs_no_model_and_accounts_for_every_task(shell: Shell) -> None:
    secret = shell.root / "evals/references/cora.txt"
    for task, content in (("greet-ada", "ADA"), ("greet-bela", "wrong")):
        (shell.root / "out" / task).mkdir(parents=True)
        (shell.root / "out" / task / "greeting.txt").write_text(content)
    (shell.root / "out/greet-cora").mkdir()
    (shell.root / "out/greet-cora/greeting.txt").symlink_to(secret)  # the reference itself: a link is not an output
    done = shell("grade", "evals", "--outputs", "out", "--json")
    assert done.code == 0, done.err
    verdicts = {task["id"]: (task["verdict"], task["score"], task["feedback"]) for task in done.document["tasks"]}
    assert len(verdicts) == 24
    assert (done.document["measured"], done.document["unmeasured"]) == (3, 21)
    assert verdicts["greet-ada"][:2] == ("passed", 1.0)
    assert verdicts["greet-bela"][0] == verdicts["greet-cora"][0] == "failed"
    assert verdicts["greet-dora"] == ("unmeasured", 0.0, "no output found at out/greet-dora")
    told = shell("grade", "evals", "--outputs", "out").out
    assert "1 of 3 tasks pass, 21 unmeasured" in told
    assert re.search(r"greet-dora +unmeasured +no output found", told), "what is unmeasured has no score"
    assert "answer.txt" in shell("grade", "--help").out
    assert sorted(path.name for path in (shell.root / "out/greet-ada").iterdir()) == ["greeting.txt"]


def test_suite_check_proves_each_grader_or_says_what_is_wrong(shell: Shell) -> None:
    done = shell("suite", "evals", "--check", "--json")
    assert done.code == 0, done.err
    assert done.document["check"]["standing"]["proved"] == done.document["check"]["tasks"] == 24
    (shell.root / "evals/references/ada.txt").write_text("ada")
    tasks = shell.root / "evals/tasks.yaml"
    free = "  - {id: free, instruction: Do it., outputs: [x], grader: {type: text, output: x, exact: ''}, files: [x]}\n"
    (shell.root / "evals/x").touch()
    tasks.write_text(tasks.read_text() + free)
    done = shell("suite", "evals", "--check")
    assert done.code == 2
    assert "1 reference fails" in done.out
    assert "1 passes untouched" in done.out
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    assert "expected 'ADA', got 'ada'" in rows["greet-ada"]
    assert "does nothing passes it" in rows["free"]


def test_suite_split_is_shown_and_written_and_kept(shell: Shell) -> None:
    tasks = shell.root / "evals/tasks.yaml"
    tasks.write_text("".join(line for line in tasks.read_text().splitlines(True) if "split:" not in line))
    first = shell("suite", "evals", "--split", "--seed", "5", "--write", "--json").document
    assert sum(map(len, first["split"].values())) == 24
    assert json.loads((shell.root / "evals/split.json").read_text()) == {
        k: sorted(v) for k, v in first["split"].items()
    }
    assert shell("suite", "evals", "--split", "--seed", "6", "--json").document["split"] == first["split"]
    assert "heldout tasks show a change of" in shell("suite", "evals").out


def test_suite_trials_say_what_the_tasks_can_teach(shell: Shell) -> None:
    done = shell("suite", "evals", "--trials", "2", "--model", "rehearsal", "--skill", "skills/greeter", *OPEN)
    assert done.code == 0, done.err
    assert "pass@2 0.0%, pass^2 0.0%; 100.0% of the tasks can teach" in done.out
    assert "always pass: none" in done.out
    assert "two runs of one skill disagree on 0.0% of the tasks (flicker: 0)" in done.out


def test_lint_answers_with_rule_file_and_line(shell: Shell) -> None:
    assert shell("lint", "skills/greeter").code == 0
    skill = shell.root / "skills/greeter/SKILL.md"
    skill.write_text(skill.read_text() + "\nRead `references/none.md` when lost.\n")
    done = shell("lint", "skills/greeter", "--json")
    assert done.code == 2
    [finding] = [item for item in done.document["findings"] if item["severity"] == "error"]
    assert (finding["rule"], finding["file"]) == ("Q001", "SKILL.md")
    assert f"skills/greeter/SKILL.md:{finding['line']}: error Q001" in shell("lint", "skills/greeter").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optimize", "nowhere", "--tasks", "evals", "--model", "rehearsal"], "nowhere: not a folder"),
        (["optimize", "greeter", "--model", "rehearsal"], "did you mean skills/greeter?"),
        (["optimize", "skills/greter", "--model", "rehearsal"], "did you mean skills/greeter?"),
        (["optimize", "skills/greeter", "--tasks", "nowhere"], "nowhere: no such file or folder"),
        (["optimize", "skills/greeter", "--batch-size", "0"], "the command line: batch_size: expected"),
        (["optimize", "skills/greeter", "--accept", "maybe"], "accept: expected 'always'"),
        (["optimize", "skills/greeter", "--config", "nowhere.yml"], "nowhere.yml: no such file"),
        (["optimize", "skills/greeter", "--sandbox", "fort"], "sandbox: expected"),
        (["suite", "skills"], "skills: no suite is recognised"),
        (["grade", "evals", "--outputs", "nowhere"], "nowhere: no such folder"),
        (["grade", "evals", "--outputs", "skills"], "skills: no folder in it is named by a task's id"),
        (["suite", "evals", "--trials", "2", "--model", "nobody"], "model 'nobody': no such provider"),
        (["optimize", "skills/greeter", "--model", "nobody"], "model 'nobody': no such provider"),
        (["optimize", "skills/greeter", "--model", "openai/new", "--budget-usd", "5"], "take usd out of the budget"),
    ],
)
def test_what_the_user_must_fix_is_one_line_and_a_2(shell: Shell, words: list[str], said: str) -> None:
    done = shell(*words, "--json")
    assert done.code == 2
    assert said in done.err.splitlines()[-1]
    assert done.err.splitlines()[-1].startswith("skillgrad-ci: ")
    assert done.out == ""
    assert not Path("runs").exists()


def test_validate_without_validation_tasks_is_refused_before_anything_is_spent(shell: Shell) -> None:
    for file in Path("evals").rglob("tasks.yaml"):
        file.write_text(file.read_text().replace("split: validation", "split: heldout"))
    done = shell("optimize", "skills/greeter", *OPEN, "--accept", "validate")
    assert done.code == 2
    assert "accept: validate needs validation tasks" in done.err
    assert not Path("runs").exists()


def test_a_skill_that_no_configuration_lists_needs_its_suite(shell: Shell) -> None:
    shutil.copytree("skills/greeter", "skills/other")
    skill = Path("skills/other/SKILL.md")
    skill.write_text(skill.read_text().replace("name: greeter", "name: other"))
    assert "give --tasks" in shell("evaluate", "skills/other").err
    assert "none has the path skills/other" in shell("evaluate", "skills/other", "--config", ".skillgrad.yml").err


def test_arguments_that_cannot_be_read_are_a_2(shell: Shell) -> None:
    for words in ([], ["optimise"], ["grade", "evals"], ["optimize", "skills/greeter", "--iterations", "x"]):
        done = shell(*words)
        assert (done.code, done.out) == (2, "")
        [line] = done.err.splitlines()
        assert line.startswith("skillgrad-ci: the command line: ")
        assert line.endswith(" --help")


def test_a_mistake_of_the_program_is_a_1_in_one_line(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-0123456789")
    monkeypatch.setitem(__main__.COMMANDS, "lint", ("no_module_sk-0123456789", "x"))
    done = shell("lint", "skills/greeter")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "please report it" in done.err
    assert "sk-0123456789" not in done.err
    assert "Traceback" not in shell("lint", "skills/greeter", "--verbose").err
    told = shell("lint", "skills/greeter", "--debug")
    assert "Traceback" in told.err
    assert "sk-0123456789" not in told.err


def test_a_terminal_obeys_nothing_that_an_error_quotes(shell: Shell) -> None:
    for more in ([], ["--debug"]):
        done = shell("optimize", "skills/\x1b[31mred\r::set-output", *more)
        assert done.code == 2
        assert "[31mred" in done.err
        assert not set(done.err) & {"\x1b", "\r"}


def test_a_reader_that_leaves_is_no_error_message(shell: Shell) -> None:
    command = f"{sys.executable} -m skillgrad_ci suite evals --split --json | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, cwd=shell.root)
    assert "Traceback" not in done.stderr


def test_sigterm_ends_in_seconds_with_a_report_and_the_next_start_goes_on(shell: Shell) -> None:
    words = [sys.executable, "-m", "skillgrad_ci", "optimize", "skills/greeter", *OPEN, "--out", "run"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    seen = 0
    for line in process.stderr:
        seen += "failed" in line
        if seen == 3:
            process.terminate()
            break
    _, rest = process.communicate(timeout=20)
    assert process.returncode == 1, rest
    report = json.loads((shell.root / "run/report.json").read_text())
    assert (report["stopped"], report["kept"]) == ("cancelled", False)
    done = shell("optimize", "skills/greeter", *OPEN, "--out", "run", "--json")
    assert done.code == 0, done.err
    assert done.document["stopped"] == "iterations"
    records = [json.loads(line) for line in (shell.root / "run/journal.jsonl").read_text().splitlines()]
    executed = [record["key"] for record in records if record["kind"] == "execution"]
    assert len(set(executed)) == len(executed)


def test_lint_shows_every_skill_though_one_cannot_be_read(shell: Shell) -> None:
    (shell.root / "skills/broken").mkdir()
    (shell.root / "skills/broken/SKILL.md").write_text("---\nname: broken\ndescription: Use it for: sums.\n---\nx\n")
    (shell.root / "skills/third/deep").mkdir(parents=True)
    (shell.root / "skills/third/SKILL.md").write_text("---\nname: third\ndescription: d\nversion: 1\n---\nx\n")
    done = shell("lint", "skills", "nowhere", "--json")
    assert done.code == 2
    found = {(Path(item["skill"]).name, item["rule"], item["line"]) for item in done.document["findings"]}
    assert found == {("broken", "H000", 3), ("third", "H005", 4), ("nowhere", "H000", 1)}
    assert done.document["skills"] == 4
    one = shell("lint", "skills/broken/SKILL.md")
    assert "skills/broken/SKILL.md:3: error H000" in one.out
    assert "put the description in quotes" in one.out


def test_lint_answers_for_code_scanning_and_for_a_workflow(shell: Shell) -> None:
    skill = shell.root / "skills/greeter/SKILL.md"
    skill.write_text(skill.read_text() + "\n[100%, gone](a,b.md)\n")
    line = skill.read_text().count("\n")
    sarif = shell("lint", "skills/greeter", "--format", "sarif").document
    [result] = sarif["runs"][0]["results"]
    assert sarif["version"] == "2.1.0"
    assert (result["ruleId"], result["level"]) == ("Q001", "error")
    assert sarif["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "Q001"
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("skills/greeter/SKILL.md", line)
    annotations = shell("lint", "skills/greeter", "--format", "github").out
    assert f"::error file=skills/greeter/SKILL.md,line={line},title=Q001::points to a,b.md" in annotations


def test_lint_knows_the_hosts_of_the_configuration_and_of_the_command_line(shell: Shell) -> None:
    skill = shell.root / "skills/greeter/SKILL.md"
    skill.write_text(skill.read_text().replace("name: greeter", "name: greeter\nmodel: large"))
    assert shell("lint", "skills/greeter").code == 2
    assert shell("lint", "skills/greeter", "--hosts", "claude-code").code == 0
    config = shell.root / ".skillgrad.yml"
    config.write_text(config.read_text() + "hosts: [claude-code]\n")
    assert shell("lint", "skills/greeter").code == 0
    assert "--hosts: 'none' is not known" in shell("lint", "skills/greeter", "--hosts", "none").err


def test_an_output_that_cannot_show_a_character_never_ends_the_program(shell: Shell) -> None:
    folder = shell.root / "skills/größe"
    folder.mkdir()
    (folder / "SKILL.md").write_text("---\nname: größe\ndescription: d\n---\nx\n")
    command = [sys.executable, "-m", "skillgrad_ci", "lint", "skills/größe"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=shell.root, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"H010" in done.stdout
