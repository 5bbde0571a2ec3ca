"""After a run by hand the pull request that the bot would open stands in the run's folder."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from skillgrad_ci.bot.by_hand.offer import write_offer
from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.method.acceptance import Verdict
from skillgrad_ci.method.ports import Observer
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.optimize_skill import Finished
from tests.support import commit_messages
from tests.support.bot_stage import SyntheticEngine, stage
from tests.support.scripted_server import serve

HERE = Path(__file__).parents[3]
ASKED = re.compile(r"^Asked for in #\d+\. Made by \[this workflow run\]\S+, .* an artifact\.\n\n", re.MULTILINE)


@dataclass
class Keeping(SyntheticEngine):
    """Keeps the run that ended."""

    ended: list[tuple[Finished, SkillRun]] = field(default_factory=list)

    def optimize(self, inputs: Inputs, folder: Path, observe: Observer) -> Finished:
        self.ended.append((super().optimize(inputs, folder, observe), inputs.job))
        return self.ended[-1][0]


@pytest.fixture
def ended(tmp_path: Path) -> Iterator[tuple[Finished, SkillRun, str]]:
    """A run of the bot's, its job, and the page that its dry run wrote."""
    with stage(tmp_path) as bot:
        bot.engine = Keeping()
        issue = bot.github.hub.issue("x", "skill: writer")
        assert bot.label(issue.number, dry_run="true").outputs["status"] == "dry_run"
        ((done, job),) = bot.engine.ended
        yield done, job, (done.folder / "pull-request.md").read_text()


def test_the_page_is_the_one_that_a_dry_run_of_the_action_writes(ended: tuple[Finished, SkillRun, str]) -> None:
    done, job, theirs = ended
    mine = write_offer(done, job)
    assert mine == done.folder / "pull-request.md"
    assert "### The skill's diff" in theirs
    assert ASKED.search(theirs)
    assert mine.read_text() == re.sub(r"\[(E\d+)\]\(\S+\)", r"\1", ASKED.sub("", theirs))


@pytest.mark.parametrize(("verdict", "ties"), [(Verdict.WORSE, True), (Verdict.UNCHECKED, True), (Verdict.TIE, False)])
def test_nothing_is_offered_where_the_bot_would_open_nothing(
    ended: tuple[Finished, SkillRun, str], verdict: Verdict, *, ties: bool
) -> None:
    done, job, _ = ended
    worse = replace(done, run=replace(done.run, verdict=verdict))
    assert write_offer(worse, replace(job, reports_ties=ties)) is None
    assert not (done.folder / "pull-request.md").exists()


def test_a_tie_is_offered_where_the_repository_wants_ties(ended: tuple[Finished, SkillRun, str]) -> None:
    done, job, _ = ended
    assert write_offer(replace(done, run=replace(done.run, verdict=Verdict.TIE)), replace(job, reports_ties=True))


def command(folder: Path, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """The program as a person starts it, in a folder."""
    known = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "GITHUB_", "GH_"))}
    return subprocess.run(
        [sys.executable, "-m", "skillgrad_ci", *words],
        cwd=folder,
        env=known | {"PYTHONPATH": str(HERE)} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_three_commands_lead_from_nothing_to_an_open_report_and_a_pull_requests_text(tmp_path: Path) -> None:
    folder = commit_messages.make(tmp_path / "work")
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{tmp_path}/opened"\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    with serve(commit_messages.answer) as server:
        said = command(folder, "init", "--yes", "--model", "openai/scripted", "--api-base", server.url)
        assert said.returncode == 0, said.stderr
        assert said.stdout.endswith("Written. Next: skillgrad-ci doctor\n")
        said = command(folder, "doctor", OPENAI_API_KEY=commit_messages.KEY)
        assert said.returncode == 0, said.stdout
        last = said.stdout.splitlines()[-1]
        assert last == "Nothing is missing. Next: skillgrad-ci optimize skills/commit-message --open"
        words = last.split("skillgrad-ci ")[1].split()
        said = command(folder, *words, OPENAI_API_KEY=commit_messages.KEY, BROWSER=str(browser))
    assert said.returncode == 0, said.stderr
    (page,) = folder.glob("runs/*/*/pull-request.md")
    assert f"request {page.relative_to(folder)}" in said.stdout
    assert page.read_text().startswith("# Optimize skill commit-message: +100.0 points on heldout tasks\n")
    assert (tmp_path / "opened").read_text() == page.with_name("report.html").as_uri()
