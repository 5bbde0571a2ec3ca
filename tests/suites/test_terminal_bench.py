"""Suites in terminal-bench's older form: what is read, what is refused by name, and a whole run of one."""

import json
from pathlib import Path

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.errors import UserError
from skillgrad_ci.suites import load_suite
from tests.support import harbor_tasks
from tests.support.docker_image import docker_image
from tests.support.terminal_bench_tasks import COMPOSE, CONFIG, with_pytest, write

LINES = {"alpha": 3, "beta": 5}


def test_a_task_is_its_container_its_limits_and_its_tests(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, LINES))
    assert suite.format == "terminal-bench"
    assert suite.warnings == ["2 tasks have no network here, which terminal-bench gives (allow_internet: true asks)"]
    assert [task.id for task in suite.tasks] == ["count-alpha", "count-beta"]
    task, folder = suite.tasks[0], suite.root / "count-alpha"
    assert task.instruction == "Count the lines of /app/data/alpha.txt and write the number to /app/count.txt."
    assert (task.timeout, task.network, list(task.tags)) == (120.0, False, ["counting"])
    assert task.environment is not None
    assert (task.environment.build, task.environment.image) == (folder, "")
    [grader] = task.graders
    assert (grader.kind, grader.options["timeout"], grader.options["verdict"]) == ("reward", 90.0, "pytest")
    assert dict(grader.references) == {"tests": folder / "tests", "script": folder / "run-tests.sh"}
    assert task.reference is not None
    assert [path.name for path in suite.named] == ["count-alpha", "count-beta"]


def test_one_task_is_a_suite_of_one_and_says_where_it_wants_the_network(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, LINES, CONFIG + "allow_internet: true\n") / "count-beta")
    assert [(task.id, task.network) for task in suite.tasks] == [("count-beta", True)]
    assert (suite.tasks[0].graders[0].options["network"], suite.warnings) == (True, [])


def test_a_service_names_its_image_its_folder_and_what_is_not_applied(tmp_path: Path) -> None:
    more = "tools:1\n    working_dir: /srv\n    ports: ['80']"
    named = COMPOSE.replace("${T_BENCH_TASK_DOCKER_CLIENT_IMAGE_NAME}", more).replace(
        "- TEST", "- MODE=x\n      - TEST"
    )
    named = named.replace("    build:\n      dockerfile: Dockerfile\n", "")
    suite = load_suite(write(tmp_path, {"alpha": 1}, CONFIG, named))
    place = suite.tasks[0].environment
    assert place is not None
    assert (place.image, place.build, place.workdir) == ("tools:1", None, "/srv")
    assert suite.warnings[:2] == [
        "count-alpha: variables are not set: MODE",
        "count-alpha: of docker-compose.yaml not applied: ports",
    ]


@pytest.mark.parametrize(
    ("config", "compose", "said"),
    [
        (CONFIG.replace("pytest", "swebench"), COMPOSE, "parser_name: 'swebench' is not read, pytest alone"),
        (CONFIG.replace("shell: false", "shell: true"), COMPOSE, "run_tests_in_same_shell: the agent's shell"),
        (CONFIG.replace("120.0", "soon"), COMPOSE, "max_agent_timeout_sec: expected a valid number"),
        (CONFIG.replace("max_test", "max_tset"), COMPOSE, "max_tset_timeout_sec: unknown key; did you mean"),
        (CONFIG, COMPOSE + "  database: {image: postgres}\n", "several services (client, database)"),
        (CONFIG, COMPOSE + "    privileged: true\n", "services.client.privileged: cannot be given here"),
        (CONFIG, COMPOSE + "      - ./secrets:/secrets\n", "./secrets:/secrets cannot be given here"),
        (CONFIG, "services: {}\n", "expected services"),
        (CONFIG, COMPOSE.replace("dockerfile: Dockerfile", "dockerfile: Other"), "call it Dockerfile"),
        (CONFIG, COMPOSE + "    working_dir: app\n", "'app' is no absolute path"),
    ],
)
def test_what_cannot_be_had_is_named(tmp_path: Path, config: str, compose: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        load_suite(write(tmp_path, {"alpha": 1}, config, compose))
    assert said in str(refused.value)
    assert "count-alpha" in str(refused.value)


@pytest.mark.parametrize(
    "line", ["COPY . .", "COPY --chown=me tests/x /x", "add ./solution.sh /", 'COPY ["run-tests.sh", "/"]']
)
def test_an_image_that_would_hold_tests_or_solution_is_refused(tmp_path: Path, line: str) -> None:
    suite = write(tmp_path, {"alpha": 1})
    with (suite / "count-alpha/Dockerfile").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(UserError, match="where the agent is"):
        load_suite(suite)


@pytest.mark.parametrize(
    ("name", "said"), [("run-tests.sh", "has no run-tests.sh"), ("Dockerfile", "has no Dockerfile")]
)
def test_a_part_that_is_missing_is_named(tmp_path: Path, name: str, said: str) -> None:
    suite = write(tmp_path, {"alpha": 1})
    (suite / "count-alpha" / name).unlink()
    with pytest.raises(UserError, match=said):
        load_suite(suite)


@pytest.mark.docker
def test_the_solution_proves_the_tests_and_an_agent_is_graded_by_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docker_image()
    suite = with_pytest(write(tmp_path, LINES))
    assert main(["suite", str(suite), "--check"]) == 0
    assert "checked 2 tasks: 2 proved" in capsys.readouterr().out
    (suite / "rehearsal.yaml").write_text(harbor_tasks.REHEARSAL.replace("COMMANDS", "! ls /tests /solution"))
    skill = harbor_tasks.write_skill(tmp_path, "Write a number.")
    words = ["evaluate", str(skill), "--tasks", str(suite), "--model", "rehearsal", "--json"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["arms"]["with skill"]["passed"], facts["arms"]["with skill"]["measured"]) == (0, 2)
    assert "test_the_count_has_its_unit" in facts["tasks"][0]["feedback"]
