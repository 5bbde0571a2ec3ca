"""Suites in Harbor's form: what is read, what is refused by name, and what no agent sees."""

from pathlib import Path

import pytest

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.errors import UserError
from skillgrad_ci.method.leaks.grader_words import words_of
from skillgrad_ci.session.agents import containers_of, refuse_unfit
from skillgrad_ci.suites import load_suite
from tests.support import harbor_tasks
from tests.support.harbor_tasks import CONFIG


def test_a_task_is_its_container_its_limits_and_its_tests(tmp_path: Path) -> None:
    suite = load_suite(harbor_tasks.write(tmp_path))
    assert (suite.format, suite.warnings) == ("harbor", [])
    assert [task.id for task in suite.tasks] == ["count-alpha", "count-beta", "count-gamma"]
    task = suite.tasks[0]
    assert task.instruction.startswith("Count the lines of /app/data/alpha.txt")
    assert (task.timeout, task.network, list(task.tags), dict(task.files)) == (120.0, False, ["counting"], {})
    place = task.environment
    assert place is not None
    assert (place.build, place.cpus, place.memory) == (suite.root / "count-alpha/environment", 1, 512 << 20)
    [grader] = task.graders
    assert (grader.kind, grader.options["timeout"], grader.options["network"]) == ("reward", 60.0, False)
    assert dict(grader.references) == {"tests": suite.root / "count-alpha/tests"}
    assert task.reference is not None
    assert dict(task.reference.beside) == {"/solution": suite.root / "count-alpha/solution"}


def test_one_task_is_a_suite_of_one(tmp_path: Path) -> None:
    suite = load_suite(harbor_tasks.write(tmp_path) / "count-beta")
    assert [task.id for task in suite.tasks] == ["count-beta"]


@pytest.mark.parametrize(
    "name", ["task.toml", "tests/alpha.txt", "environment/Dockerfile", "environment/data/alpha.txt"]
)
def test_what_changes_a_result_changes_the_digest(tmp_path: Path, name: str) -> None:
    path = harbor_tasks.write(tmp_path)
    before = load_suite(path).tasks[0].digest
    file = path / "count-alpha" / name
    file.write_text(file.read_text().replace("512M", "256M") + "\n")
    assert load_suite(path).tasks[0].digest != before


def test_tests_and_solution_are_the_suites_secrets(tmp_path: Path) -> None:
    suite = load_suite(harbor_tasks.write(tmp_path))
    hidden = [suite.root / "count-alpha" / name for name in ("tests/test.sh", "solution/solve.sh")]
    assert all(any(path.is_relative_to(named) for named in suite.named) for path in hidden)
    words = [words.text for words in words_of(suite.tasks[0])]
    assert "Hidden from whoever does the task." in words


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG + "[[steps]]\nname = 'a'\n", "task.toml: steps: cannot be given here"),
        (CONFIG + "os = 'windows'\n", "environment.os: cannot be given here"),
        (CONFIG + "gpus = 1\n", "environment.gpus: cannot be given here"),
        (CONFIG + "mcp_servers = [{name = 'a'}]\n", "environment.mcp_servers: cannot be given here"),
        (CONFIG.replace("60.0", "60.0\nenvironment_mode = 'separate'"), "verifier.environment: cannot be given here"),
        (CONFIG.replace("512M", "lots"), "environment.memory: expected a size like 2G or 512M, got 'lots'"),
        (CONFIG.replace("120", "'soon'"), "agent.timeout_sec: expected a valid number"),
        (CONFIG.replace("120", "0"), "agent.timeout_sec: "),
        (CONFIG + "workdir = 'app'\n", "environment.workdir: 'app' is no absolute path"),
        (CONFIG + "workdir = '/tests'\n", "environment.workdir: '/tests' is no absolute path"),
        (CONFIG.replace("timeout_sec = 120", "timeout_sek = 120"), "agent.timeout_sek: unknown key; did you mean"),
        ("[agent\n", "no valid TOML"),
    ],
)
def test_what_cannot_be_had_is_named(tmp_path: Path, config: str, said: str) -> None:
    with pytest.raises(UserError, match=r"task\.toml: ") as refused:
        load_suite(harbor_tasks.write(tmp_path, config))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tests/test.sh", "it has no tests/test.sh"),
        ("environment/Dockerfile", "no docker_image and has no environment"),
    ],
)
def test_a_part_that_is_missing_is_named(tmp_path: Path, name: str, said: str) -> None:
    path = harbor_tasks.write(tmp_path)
    (path / "count-beta" / name).unlink()
    with pytest.raises(UserError, match=said):
        load_suite(path)


def test_an_instruction_without_a_word_is_named(tmp_path: Path) -> None:
    path = harbor_tasks.write(tmp_path)
    (path / "count-beta/instruction.md").write_text(" \n")
    with pytest.raises(UserError, match=r"count-beta/instruction\.md:1: the instruction is empty; say what"):
        load_suite(path)


def test_a_folder_whose_name_is_no_id_is_named(tmp_path: Path) -> None:
    path = harbor_tasks.write(tmp_path)
    (path / "count-beta").rename(path / "count,beta")
    with pytest.raises(UserError, match="task id 'count,beta' cannot name a folder; use letters, digits, - and _"):
        load_suite(path)


def test_several_services_are_refused(tmp_path: Path) -> None:
    path = harbor_tasks.write(tmp_path)
    (path / "count-beta/environment/docker-compose.yaml").write_text("services: {}\n")
    with pytest.raises(UserError, match="docker-compose"):
        load_suite(path)


@pytest.mark.parametrize(
    ("lines", "network", "warned"),
    [
        ('network_mode = "public"', True, ""),
        ("allow_internet = true", True, ""),
        ("allow_internet = false", False, ""),
        ('network_mode = "allowlist"', False, "network_mode allowlist cannot be kept"),
        ("", False, "says nothing of the network, so there is none"),
    ],
)
def test_the_network_is_given_only_where_the_file_asks_for_it(
    tmp_path: Path, lines: str, network: bool, warned: str
) -> None:
    suite = load_suite(harbor_tasks.write(tmp_path, CONFIG.replace('network_mode = "no-network"', lines)))
    assert {task.network for task in suite.tasks} == {network}
    assert {task.graders[0].options["network"] for task in suite.tasks} == {network}
    assert bool(suite.warnings) is bool(warned)
    assert all(warned in warning for warning in suite.warnings)


def test_a_variable_of_this_machine_is_never_handed_on(tmp_path: Path) -> None:
    given = '[verifier]\nenv = {MODE = "strict", KEY = "${OPENAI_API_KEY}"}'
    suite = load_suite(harbor_tasks.write(tmp_path, CONFIG.replace("[verifier]", given)))
    assert suite.tasks[0].graders[0].options["env"] == {"MODE": "strict"}
    assert "variables are not set: KEY" in suite.warnings[0]


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"agent": "chat"}, "where agent chat does nothing"), ({"sandbox": "none"}, "which sandbox none has not")],
)
def test_what_cannot_run_them_is_refused(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    suite = load_suite(harbor_tasks.write(tmp_path))
    job = SkillRun(tmp_path, suite.root, Settings.model_validate(settings), tmp_path)

    def prepare() -> None:
        refuse_unfit(job, suite)
        containers_of(suite, job.settings.sandbox, None)

    with pytest.raises(UserError, match=said):
        prepare()
