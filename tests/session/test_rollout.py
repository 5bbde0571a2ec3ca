"""What an ended run lacks is made again by the next start, once."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.graders.text import TextGrader
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.ports import Session
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.session.journal.file_journal import END, FileJournal
from skillgrad_ci.session.rollout import OUTAGE, PARTLY, Rollouts, workspace
from skillgrad_ci.skill.skill import Skill
from tests.support import worlds

TASK = Task("t", "Say done.", [GraderSpec("text", {"exact": "done"})])


@dataclass
class Ends:
    """`ports.Executor`: ends as it says, and counts."""

    stopped: str
    identity: str = "ends/1"
    executed: int = 0

    def execute(self, task: Task, skill: Skill | None, session: Session) -> Trajectory:
        self.executed += 1
        return Trajectory(stopped=self.stopped)


def test_an_input_file_that_is_gone_is_an_outage(tmp_path: Path) -> None:
    gone = replace(TASK, files={"in.csv": tmp_path / "table.csv"})
    said = r"task t: .*table\.csv cannot be copied \(No such file or directory\); put it there"
    with pytest.raises(EnvironmentFailure, match=said), workspace(gone, []):
        pass


@pytest.mark.parametrize(
    ("stopped", "end", "again"),
    [("timeout", OUTAGE, 1), ("timeout", PARTLY, 0), ("timeout", "", 0), ("answered", OUTAGE, 0)],
)
def test_what_a_clock_ended_is_made_again_once_where_the_run_lacks_it(
    stopped: str, end: str, again: int, tmp_path: Path
) -> None:
    executor = Ends(stopped)

    def ask(journal: FileJournal) -> None:
        rollouts = Rollouts(
            executor, NoSandbox(), {"text": TextGrader()}, journal, worlds.silent, lambda iteration, evidence: None
        )
        rollouts.execute(worlds.SKILL, TASK, iteration="base")

    with FileJournal(tmp_path) as journal:
        ask(journal)
        journal.record(END, "end", {"stop": end})
    with FileJournal(tmp_path) as journal:
        ask(journal)
        ask(journal)  # as the base run asks for what was begun ahead of it
    assert executor.executed == 1 + again
