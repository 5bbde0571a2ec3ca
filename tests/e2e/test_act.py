"""The action for real: its image, built from a base without a registry, run by act as a dry run, offline.

The flags are those of `docs/act.md`. Each test reads what a person would: the log, and the run folder.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
WORKFLOW = ROOT / "examples/xlsx/.github/workflows/skillgrad.yml"
EXAMPLE = ".github/workflows/skillgrad.yml"
EVALUATE = ".github/workflows/skillgrad-evaluate.yml"
BASE = "skillgrad-base:test"
ACT_VERSION = "v0.2.87"
pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("docker")]


def sh(*command: str | Path, cwd: Path = ROOT, **environ: str) -> str:
    """A command's output; a failure shows it."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **environ}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout


def uses() -> str:
    """The action as the example's workflow names it."""
    found = re.search(r"uses: *(\S*skillgrad\S*@\S+)", WORKFLOW.read_text())
    assert found, "the example's workflow does not use the action"
    return found[1]


def idle_action(folder: Path) -> Path:
    """An action that does nothing, also under `restore` and `save`: for the cache and the artifact."""
    idle = folder / "idle-action"
    for place in (idle, idle / "restore", idle / "save"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "action.yml").write_text('{name: idle, runs: {using: composite, steps: [{run: "true", shell: sh}]}}')
    return idle


@pytest.fixture(scope="session")
def image() -> str:
    """The action's image, built without BuildKit; its jobs run in it as well, for it has Python, tar and docker."""
    sh("sh", "tests/e2e/docker-base.sh", BASE)
    name = "skillgrad-ci:e2e"
    build = ["docker", "build", "--network", "host", "--build-arg", f"BASE_IMAGE={BASE}"]
    sh(*build, "--build-arg", "WITH_LIBREOFFICE=0", "-t", name, ".", DOCKER_BUILDKIT="0")
    return name


@pytest.fixture(scope="session")
def released(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The action as a release has it: with an image in place, which is not built when it is used."""
    folder = tmp_path_factory.mktemp("action")
    shutil.copy(ROOT / "action.yml", folder)
    for name in ("entry", "skillgrad_ci", ".github"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    sh(folder / "entry/pin.sh", image, "libreoffice:none")
    return folder


def from_go(module: str, version: str) -> Path:
    """A Go program at a pinned version, through the module proxy; kept between runs."""
    name = module.rpartition("/")[2]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "skillgrad-ci"
    binary = cache / f"{name}-{version}" / name
    if not binary.exists():
        assert shutil.which("go"), f"go is not installed: it builds {name}"
        sh("go", "install", f"{module}@{version}", GOBIN=str(binary.parent), GOFLAGS="-mod=mod")
    return binary


@pytest.fixture(scope="session")
def act() -> Path:
    return from_go("github.com/nektos/act", ACT_VERSION)


def others(workflow: Path) -> list[str]:
    """A workflow's other actions, but for checkout, which act replaces by a copy: there is no network here."""
    found = dict.fromkeys(re.findall(r"uses: *(actions/[\w-]+)[\w/-]*(@\w+)", workflow.read_text()))
    return [f"{name}{version}" for name, version in found if name != "actions/checkout"]


def local(places: Sequence[str]) -> list[str]:
    return [word for place in places for word in ("--local-repository", place)]


@dataclass
class Repository:
    """A clone of the example, with act in it."""

    folder: Path
    act: Path
    action: Path
    image: str

    def run(self, event: str, payload: dict[str, Any] | None = None, *flags: str) -> str:
        idle = [f"{action}={idle_action(self.folder.parent)}" for action in others(self.folder / EXAMPLE)]
        return self.start(event, payload, "-W", EXAMPLE, "--bind", *local(idle), *flags)

    def start(self, event: str, payload: dict[str, Any] | None, *flags: str) -> str:
        command: list[str | Path] = [
            self.act, event, "-P", f"ubuntu-latest={self.image}", "--pull=false", "--rebuild=false",
            "--action-offline-mode", "--no-cache-server", "-a", "octocat", "-s", "GITHUB_TOKEN=", "--rm",
            "--local-repository", f"{uses()}={self.action}", *flags,
        ]  # fmt: skip
        if payload is not None:
            file = self.folder.parent / "event.json"
            file.write_text(json.dumps(payload))
            command += ["-e", file]
        return sh(*command, cwd=self.folder, ACT_DISABLE_VERSION_CHECK="1")

    def report(self) -> dict[str, Any]:
        found = sorted((self.folder / "skillgrad-run").rglob("report.json"))
        assert len(found) == 1, found
        report: dict[str, Any] = json.loads(found[0].read_text())
        return report


def sweep() -> None:
    """Remove what an act that was killed left behind: its next run of the same job would stumble over it."""
    for listing, removing in ((["ps", "--all"], ["rm"]), (["volume", "ls"], ["volume", "rm"])):
        found = sh("docker", *listing, "--quiet", "--filter", "name=act-SkillGrad").split()
        if found:
            sh("docker", *removing, "--force", *found)


@pytest.fixture
def repository(image: str, released: Path, act: Path, tmp_path: Path) -> Iterator[Repository]:
    """The example repository as a user has it, with the rehearsal model named in the workflow."""
    sweep()
    folder = tmp_path / "repository"
    shutil.copytree(ROOT / "examples/xlsx", folder, ignore=shutil.ignore_patterns("__pycache__"))
    workflow = folder / EXAMPLE
    text = workflow.read_text()
    rehearsed = re.sub(r"(uses: *\S*skillgrad\S*@\S+[^\n]*\n( +)with:\n)", r"\1\2  model: rehearsal\n", text)
    assert "model: rehearsal" in rehearsed
    workflow.write_text(rehearsed)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "Start"]):
        sh("git", "-c", "user.name=a", "-c", "user.email=a@example.org", *command, cwd=folder)
    yield Repository(folder, act, released, image)
    sh("rm", "-rf", folder)


def event(name: str) -> dict[str, Any]:
    """An event as the example has it, for people to rehearse with."""
    payload: dict[str, Any] = json.loads((ROOT / "examples/xlsx/.github/events" / f"{name}.json").read_text())
    return payload


def labeled(label: str) -> dict[str, Any]:
    return event("labeled") | {"label": {"name": label}}


def assert_optimized(repository: Repository, log: str) -> None:
    report = repository.report()
    assert report["rehearsal"] is True
    assert report["sandbox"].startswith("docker ")
    assert report["heldout"]["final"]["accuracy"] > report["heldout"]["baseline"]["accuracy"]
    assert "This is a rehearsal" in log
    assert "POST /repos/" in log  # the calls that it would have made
    assert (repository.folder / "skills/workbook-reports/SKILL.md").read_bytes() == (
        ROOT / "examples/xlsx/skills/workbook-reports/SKILL.md"
    ).read_bytes()


def test_a_labelled_issue_becomes_a_pull_request_on_paper(repository: Repository) -> None:
    assert_optimized(repository, repository.run("issues", labeled("optimize-skill")))


def test_another_label_starts_no_job_and_without_the_gate_the_bot_says_why_not(repository: Repository) -> None:
    log = repository.run("issues", labeled("question"))
    assert "Run Main" not in log
    gate = re.compile(r"^    if: >-\n(?:      .*\n)+", re.MULTILINE)
    workflow = repository.folder / ".github/workflows/skillgrad.yml"
    ungated = gate.sub("", workflow.read_text())
    assert ungated != workflow.read_text()
    workflow.write_text(ungated)
    log = repository.run("issues", labeled("question"))
    assert "status=ignored" in log
    assert "question" in log
    assert "entry/run.sh" not in log
    assert not (repository.folder / "skillgrad-run").exists()


def evaluated(repository: Repository) -> str:
    """The example's second workflow: its checkout names a commit, so act would fetch it, and gets an idle one."""
    workflow = repository.folder / EVALUATE
    text = workflow.read_text()
    rehearsed = text.replace(f"uses: {uses()}\n", f"uses: {uses()}\n        with: {{model: rehearsal}}\n")
    assert rehearsed != text
    workflow.write_text(rehearsed)
    (checkout,) = set(re.findall(r"uses: *(actions/checkout@\w+)", text))
    idle = local([f"{checkout}={idle_action(repository.folder.parent)}"])
    return repository.start("pull_request", event("pull_request"), "-W", EVALUATE, "--bind", *idle)


def test_the_example_runs_in_three_jobs_and_more_is_rehearsed_on_what_they_left(repository: Repository) -> None:
    """A command on the pull request that they would have opened, and an evaluation of what they propose."""
    log = repository.run("issues", labeled("optimize-skill"))
    for status in ("ready", "optimized", "dry_run"):
        assert f"status={status}" in log, status
    log = repository.run("issue_comment", event("comment"))
    assert "status=answered" in log
    assert "E1 was dropped by ann, because: our lists are never sorted" in log
    calls = (repository.folder / "skillgrad-run/api-calls.jsonl").read_text()
    assert "Skillgrad-Edit: E2" in calls
    assert "Skillgrad-Edit: E1\\n" not in calls
    log = evaluated(repository)
    assert "status=evaluated" in log
    assert "its newest run in the run folder proposes stands for the head" in log
    calls = (repository.folder / "skillgrad-run/api-calls.jsonl").read_text()
    assert "/check-runs" in calls
    assert "Measured on all" in calls


def test_the_schedule_optimizes_what_changed(repository: Repository) -> None:
    assert_optimized(repository, repository.run("schedule"))


def test_a_dispatch_names_skill_and_iterations(repository: Repository) -> None:
    inputs = {"skill": "workbook-reports", "iterations": "1", "dry_run": "true"}
    log = repository.run("workflow_dispatch", {**labeled("x"), "inputs": inputs})
    assert len(repository.report()["iterations"]) == 1
    assert "This is a rehearsal" in log


CALLER = """\
on: workflow_dispatch
permissions: {}
jobs:
  skillgrad:
    permissions: {contents: write, pull-requests: write, issues: write}
    uses: SHARDED
    with: {shards: 3, iterations: "1", model: rehearsal}
"""


def told(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what a clock says, and how the run was started."""
    return {name: value for name, value in report.items() if name not in ("minutes", "cost", "reproduce")}


def test_a_matrix_of_three_shards_gives_the_report_of_one_job(repository: Repository, tmp_path: Path) -> None:
    """The reusable workflow, on jobs that share nothing but artifacts."""
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    owner, _, version = uses().partition("@")
    caller = repository.folder / ".github/workflows/caller.yml"
    caller.write_text(CALLER.replace("SHARDED", f"{owner}/.github/workflows/sharded.yml@{version}"))
    standins = {"actions/upload-artifact": "upload", "actions/download-artifact": "download"}
    places = [
        f"{action}={ROOT / 'tests/e2e/standins' / standins[name] if name in standins else idle_action(tmp_path)}"
        for action in others(ROOT / ".github/workflows/sharded.yml")
        for name in [action.partition("@")[0]]
    ]
    flags = ("--container-options", f"-v {artifacts}:/artifacts", "--env", "GITHUB_RUN_ID=5")
    log = repository.start("workflow_dispatch", None, "-W", ".github/workflows/caller.yml", *local(places), *flags)
    for status, times in (("ready", 1), ("executed", 3), ("optimized", 1), ("dry_run", 1)):
        assert len(set(re.findall(rf"^\[(.*?)\].*status={status}\b", log, re.MULTILINE))) == times, status
    assert "goes on from the shards'" in log
    assert len(list(artifacts.glob("5/skillgrad-shard-*/*/*/shards/*-of-3/journal.jsonl"))) == 3
    (folder,) = (path.parent for path in artifacts.glob("5/skillgrad-run/*/*/report.json"))
    executed = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    keys = [record["key"] for record in executed if record["kind"] == "execution"]
    assert len(keys) == len(set(keys))  # nothing was measured on two machines
    repository.run("workflow_dispatch", {"inputs": {"iterations": "1", "dry_run": "true"}, **labeled("x")})
    assert told(json.loads((folder / "report.json").read_text())) == told(repository.report())
    sh("rm", "-rf", artifacts)
