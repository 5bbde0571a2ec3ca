"""Several machines measure what one would have: shards in any order, repeated or killed, give its journal and run."""

import itertools
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.graders.text import TextGrader
from skillgrad_ci.method.budget import Cap, Ledger
from skillgrad_ci.method.evidence import Trajectory, Usage
from skillgrad_ci.method.memory import PatternMemory
from skillgrad_ci.method.optimize import optimize
from skillgrad_ci.method.ports import Session
from skillgrad_ci.method.run import Run
from skillgrad_ci.method.task import GraderSpec, Split, Suite, Task
from skillgrad_ci.method.world import World
from skillgrad_ci.method.world.foresight import FINAL_SHARE
from skillgrad_ci.sandbox.no_sandbox import NoCommands
from skillgrad_ci.session.inputs import Inputs
from skillgrad_ci.session.journal.file_journal import NAME, FileJournal
from skillgrad_ci.session.journal.merging import merge_journals
from skillgrad_ci.session.rollout import Rollouts
from skillgrad_ci.session.shards import FOLDER, Shard, measure_part, merge_shards, plan, share_of
from skillgrad_ci.skill.skill import Skill
from tests.support import worlds

SPLITS = [Split.TRAIN, Split.TRAIN, Split.VALIDATION, Split.HELDOUT]
PRICE = Usage(1, 10, 0, 10, 0.01)


class Killed(BaseException):
    """The machine is gone."""


@dataclass
class Reader:
    """An executor that answers with the skill's text, and dies at its execution number `dies`."""

    ledger: Ledger
    dies: int | None = None
    identity: str = "reader/1"
    number: int = 0

    def execute(self, task: Task, skill: Skill | None, session: Session) -> Trajectory:
        self.ledger.hold(PRICE)
        self.ledger.settle("executor", PRICE, PRICE)
        self.number += 1
        if self.number == self.dies:
            raise Killed
        command = {"command": f"echo {worlds.needs(task)}"}
        call = {"kind": "tool_call", "id": "1", "tool": "shell", "arguments": command}
        return Trajectory([call], answer=skill.text if skill else "", usage=PRICE)


def inputs_of(size: int = 16, trials: int = 1) -> Inputs:
    words = ("alpha", "beta", "gamma")
    tasks = [
        Task(
            f"task-{n}",
            f"Needs {words[n % 3]}.",
            [GraderSpec("text", {"contains": [f"always {words[n % 3]}"]})],
            split=SPLITS[n // 3 % 4],
            trials=3 if n % 5 == 0 else None,
        )
        for n in range(size)
    ]
    loop = Settings.model_validate({"iterations": 3, "trials": trials, "models": {"executor": "rehearsal"}})
    job = SkillRun(Path("skills/s"), Path("evals"), loop, Path())
    return Inputs(
        job=job, suite=Suite("s", "native", Path("evals"), tasks), skill=worlds.SKILL, memory=PatternMemory("s")
    )


@dataclass
class Machine:
    """One process on one folder, whose clock goes on by a second whenever somebody looks at it."""

    inputs: Inputs
    folder: Path
    dies: int | None = None

    def _world(self, journal: FileJournal, ledger: Ledger) -> World:
        ledger.resume(journal, journal.replayed_of("spent"), journal.elapsed)
        parts = Reader(ledger, self.dies), NoCommands(), {"text": TextGrader()}
        rollout = Rollouts(*parts, journal, worlds.silent, lambda iteration, evidence: None)
        return replace(worlds.world(agent=worlds.Oracle(), ledger=ledger), rollout=rollout)

    def measure(self, shard: Shard) -> None:
        with FileJournal(self.folder, clock=itertools.count().__next__) as journal:
            try:
                measure_part(self.inputs, plan(self.inputs, shard.of)[shard], self._world(journal, Ledger()), journal)
            except Killed:
                return

    def optimize(self) -> tuple[Run, Ledger]:
        ledger, known = Ledger(), self.inputs
        with FileJournal(self.folder) as journal:
            run = optimize(known.skill, known.suite, known.job.settings, known.memory, self._world(journal, ledger))
        return run, ledger


def content(folder: Path) -> dict[str, Any]:
    """The executions of a journal, without what a clock says."""
    with FileJournal(folder) as journal:
        values = {key: dict((journal.recall(key) or {})["evidence"]) for key in journal.replayed_of("execution")}
    return {key: value | {"seconds": 0} for key, value in values.items()}


def essence(run: Run) -> str:
    return re.sub(r"seconds=[\d.e-]+", "", worlds.as_json(vars(run)))


def spent(folder: Path) -> int:
    with FileJournal(folder) as journal:
        return len(journal.replayed_of("spent"))


@given(data=st.data(), number=st.integers(1, 5), trials=st.integers(1, 2))
@settings(max_examples=15, deadline=None)
def test_shards_in_any_order_repeated_or_killed_give_the_run_of_one_machine(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, number: int, trials: int
) -> None:
    root, inputs = tmp_path_factory.mktemp("run"), inputs_of(trials=trials)
    folders: list[Path] = []
    for shard in plan(inputs, number):
        folder = root / shard.folder
        dies = data.draw(st.none() | st.integers(1, 6), label=f"{shard} dies at")
        Machine(inputs, folder, dies).measure(shard)
        if data.draw(st.booleans(), label="its tail is torn"):
            path = folder / NAME
            path.write_bytes(path.read_bytes()[: -data.draw(st.integers(1, 200))])
        if data.draw(st.booleans(), label="an early copy is kept"):
            folders.append(Path(shutil.copytree(folder, root / f"early-{shard.folder}")))
        if data.draw(st.booleans(), label="it goes on"):
            Machine(inputs, folder).measure(shard)
        folders.append(folder)
    paid = sum(spent(folder) for folder in folders if not folder.name.startswith("early"))
    merged = root / "merged"
    for _ in range(2):  # merging again, with what is there, changes nothing
        merge_shards(data.draw(st.permutations(folders), label="order"), merged)
        assert spent(merged) == paid
    one, _ = Machine(inputs, root / "one").optimize()
    many, ledger = Machine(inputs, merged).optimize()
    assert essence(many) == essence(one)
    assert content(merged) == content(root / "one")
    assert ledger.by_role["executor"].calls == spent(merged)  # what was paid for on every machine is in the account


@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_shards_are_disjoint_and_of_one_size_and_take_the_base_runs_share(size: int, trials: int, number: int) -> None:
    inputs = inputs_of(size, trials)
    parts = plan(inputs, number)
    work = [(task.id, trial) for part in parts.values() for task, trial in part]
    assert len(set(work)) == len(work) > 0
    sizes = [len(part) for part in parts.values()]
    assert len(parts) == min(number, len(work))
    assert max(sizes) - min(sizes) <= 1
    assert sum(share_of(inputs, shard) for shard in parts) == pytest.approx(1 - FINAL_SHARE)


def test_the_seconds_of_all_machines_are_counted_once(tmp_path: Path) -> None:
    inputs, took = inputs_of(), 0.0
    for shard in plan(inputs, 3):
        Machine(inputs, tmp_path / FOLDER / shard.folder).measure(shard)
        with FileJournal(tmp_path / FOLDER / shard.folder) as journal:
            took += journal.earlier
    shutil.copytree(tmp_path / FOLDER / "1-of-3", tmp_path / FOLDER / "again")
    assert merge_shards([tmp_path], tmp_path)[0] == tmp_path  # the run folder itself, and all below it
    with FileJournal(tmp_path) as journal:
        assert journal.earlier == pytest.approx(took)
    first = (tmp_path / NAME).read_bytes()
    merge_shards([tmp_path / FOLDER], tmp_path)
    assert (tmp_path / NAME).read_bytes() == first


def fill(folder: Path, *records: tuple[str, str, Any]) -> Path:
    with FileJournal(folder) as journal:
        for key, kind, value in records:
            journal.record(key, kind, value)
    return folder


def evidence(outcome: str) -> dict[str, Any]:
    return {"evidence": {"task_id": "add", "trial": 2, "outcome": outcome}}


RUN = ("run", "run", {"fingerprint": "f" * 64, "skill": "s"})


def test_work_that_was_done_twice_is_an_error_that_names_it(tmp_path: Path) -> None:
    first = fill(tmp_path / "first", RUN, ("k", "execution", evidence("passed")))
    second = fill(tmp_path / "second", RUN, ("k", "execution", evidence("failed")))
    into = fill(tmp_path / "into", ("other", "call", {"text": "t"}))
    before = (into / NAME).read_bytes()
    with pytest.raises(UserError, match=r"first and .*second: .*task add, trial 2.*leave one folder out"):
        merge_shards([first, second], into)
    assert (into / NAME).read_bytes() == before
    assert sorted(path.name for path in into.iterdir() if path.suffix != ".lock") == [NAME]


def test_a_journal_that_went_on_from_a_copy_replaces_it(tmp_path: Path) -> None:
    early = fill(tmp_path / "early", RUN, ("k", "execution", evidence("unmeasured")))
    late = Path(shutil.copytree(early, tmp_path / "late"))
    fill(late, ("k", "execution", evidence("passed")))
    for order in ([early, late], [late, early]):
        merge_journals(order, tmp_path / "into")
        with FileJournal(tmp_path / "into") as journal:
            assert journal.recall("k") == evidence("passed")


def test_what_was_in_flight_on_two_machines_is_left_out(tmp_path: Path) -> None:
    folders = [fill(tmp_path / text, RUN, ("k", "turn", {"reply": text}), (text, "turn", {})) for text in ("a", "b")]
    merge_journals(folders, tmp_path / "into")
    with FileJournal(tmp_path / "into") as journal:
        assert journal.recall("k") is None
        assert journal.recall("a") == journal.recall("b") == {}


def test_shards_of_two_runs_are_refused(tmp_path: Path) -> None:
    other = ("run", "run", {"fingerprint": "0" * 64, "skill": "s"})
    with pytest.raises(UserError, match="shards of two runs"):
        merge_shards([fill(tmp_path / "a", RUN), fill(tmp_path / "b", other)], tmp_path / "into")
    more = ("parameters", "parameters", {"temperature": 1})
    with pytest.raises(UserError, match="do not belong to one run, for their parameters differ"):
        merge_journals([fill(tmp_path / "c", (*more[:2], {})), fill(tmp_path / "d", more)], tmp_path / "into")


def test_a_folder_without_a_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no journal is in or below it"):
        merge_shards([tmp_path], tmp_path / "into")
    with pytest.raises(UserError, match="is not a shard's"):
        merge_shards([fill(tmp_path / "a", ("k", "call", {}))], tmp_path / "into")


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "-1/3", "1/3/5"])
def test_a_shards_name_is_refused_where_it_names_none(text: str) -> None:
    with pytest.raises(UserError, match="expected I/N"):
        Shard.named(text)


def test_more_shards_than_executions_and_a_cross_fitting_are_refused() -> None:
    inputs = inputs_of(2)
    number = len(plan(inputs, 99))
    with pytest.raises(UserError, match=f"shard 99/99: the base run surely makes {number} executions; plan at most so"):
        share_of(inputs, Shard(99, 99))
    crossed = inputs.job.settings.model_copy(update={"split": "cross"})
    with pytest.raises(UserError, match="split: cross runs on one machine; start it without shards"):
        plan(replace(inputs, job=replace(inputs.job, settings=crossed)), 2)


def test_a_union_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    part = fill(tmp_path / "part", RUN)
    (tmp_path / "file").touch()
    with pytest.raises(
        EnvironmentFailure, match=r"file/into: cannot be written \(Not a directory\); choose another --out"
    ):
        merge_shards([part], tmp_path / "file/into")


def test_the_caps_of_all_shards_together_are_the_base_runs() -> None:
    inputs = inputs_of()
    cap = Cap(9.0, 900_000, 90)
    parts: Sequence[Cap] = [cap.part(share_of(inputs, shard)) for shard in plan(inputs, 4)]
    assert sum(part.usd or 0 for part in parts) == pytest.approx(6.0)
    assert sum(part.tokens or 0 for part in parts) == pytest.approx(600_000, abs=4)
    assert sum(part.minutes or 0 for part in parts) == pytest.approx(60)
    assert Cap().part(0.1) == Cap()


def test_records_keep_their_text_when_they_move(tmp_path: Path) -> None:
    value = {"text": 'quotes " and, "value": {"x": 1}', "half": "ü\u2028"}
    merge_journals([fill(tmp_path / "a", ("k", "call", value))], tmp_path / "into")
    with FileJournal(tmp_path / "into") as journal:
        assert journal.recall("k") == value
    (line,) = (tmp_path / "into" / NAME).read_text().splitlines()
    assert set(json.loads(line)) == {"sum", "key", "kind", "time", "elapsed", "value"}
