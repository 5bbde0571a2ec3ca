"""References are proved while others execute; what is not proved is not executed."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from skillgrad_ci.config.config import SkillRun
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.errors import Cancelled, UserError
from skillgrad_ci.method.events import Event, Starting
from skillgrad_ci.method.task import Task
from skillgrad_ci.secrets import Redactor
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.session.open_run import OpenRun, open_run
from skillgrad_ci.session.parts import StopRequest
from tests.support.scripted_answers import Reply
from tests.support.scripted_server import ScriptedServer, serve

SKILL = "---\nname: greeter\ndescription: Use it to write greetings.\n---\n\n# Greetings\n"
GATE = "while [ ! -e {gate} ]; do sleep 0.05; done; cat greeting.txt"
PATIENCE = 60.0  # seconds until a test that waits has failed


def task(name: str, grader: str, reference: str = "Hi") -> str:
    return (
        f"  - id: {name}\n    instruction: The task {name}.\n    split: train\n    grader: {grader}\n"
        f"    reference: {{command: \"printf '{reference}' > greeting.txt\"}}\n"
    )


@dataclass(frozen=True)
class Stage:
    """An open run over a real server, and what was said."""

    opened: OpenRun
    server: ScriptedServer
    said: list[str]

    def task(self, name: str) -> Task:
        return next(task for task in self.opened.inputs.suite.tasks if task.id == name)

    def asked(self, name: str) -> int:
        """How many requests a task's executions made."""
        return sum(f"The task {name}." in str(request) for request in self.server.requests)

    def wait_for(self, name: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.asked(name) and time.monotonic() < deadline:
            time.sleep(0.02)


@contextmanager
def stage(folder: Path, *tasks: str) -> Iterator[Stage]:
    """Agents answer at once and leave nothing."""
    (folder / "greeter").mkdir()
    (folder / "greeter/SKILL.md").write_text(SKILL)
    (folder / "tasks.yaml").write_text("version: 1\ntasks:\n" + "".join(tasks))
    said: list[str] = []

    def observe(event: Event) -> None:
        if isinstance(event, Starting):
            said.append(event.stage)

    with serve(lambda _: Reply("Done.")) as server:
        models = {"executor": "openai/scripted", "api_base": server.url}
        settings = Settings.model_validate({"models": models, "sandbox": "none", "concurrency": 2})
        inputs = read_inputs(SkillRun(folder / "greeter", folder / "tasks.yaml", settings, folder))
        with open_run(inputs, folder / "out", observe, StopRequest(), Redactor()) as opened:
            yield Stage(opened, server, said)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "scripted-key-for-tests")


def test_a_proved_task_is_executed_while_another_is_proved_and_paid_once(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    slow = task("slow", f"{{type: command, run: {GATE.format(gate=gate)!r}}}")
    with stage(tmp_path, slow, task("quick", "{type: text, output: greeting.txt, exact: Hi}")) as on:
        on.opened.ahead(None, [(on.task("slow"), 0), (on.task("quick"), 0)], "base")
        on.wait_for("quick")
        assert on.asked("quick")
        assert not on.asked("slow"), "a task ran before its own reference was proved"
        assert not on.opened.proofs.ended
        gate.touch()
        assert [task.id for task in on.opened.suite.tasks] == ["slow", "quick"]
        rows = [on.opened.rollout(None, on.task(name), iteration="base") for name in ("quick", "slow")]
        assert [row.task_id for row in rows if row.measured] == ["quick", "slow"]
        assert (on.asked("quick"), on.asked("slow")) == (1, 1), "what was begun ahead was paid again"


def test_a_task_whose_reference_fails_is_never_executed_and_what_was_paid_is_said(tmp_path: Path) -> None:
    grader = "{type: text, output: greeting.txt, exact: Hi}"
    with stage(tmp_path, *(task(name, grader, "Ho") for name in ("one", "two"))) as on:
        on.opened.ahead(None, [(on.task(name), 0) for name in ("one", "two")], "base")
        with pytest.raises(UserError, match=r"2 of 2 reference answers fail .*; 1 calls \(.*\) were paid until then"):
            _ = on.opened.suite
        with pytest.raises(UserError, match="task one: its reference answer fails its own grader"):
            on.opened.rollout(None, on.task("one"), iteration="base")
        assert on.asked("one") == on.asked("two") == 0


def test_after_a_stop_no_reference_is_proved_and_so_no_task_executed(tmp_path: Path) -> None:
    slow = f"{{type: command, run: {GATE.format(gate=tmp_path / 'gate')!r}}}"
    with stage(tmp_path, *(task(name, slow) for name in ("one", "two", "three"))) as on:  # two are proved at once
        on.opened.stop.set()
        with pytest.raises(Cancelled, match="interrupted while reference answers were proved"):
            on.opened.rollout(None, on.task("three"), iteration="base")
        assert on.asked("three") == 0


def test_what_two_threads_ask_for_at_once_is_executed_once(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with stage(tmp_path, task("one", f"{{type: command, run: {GATE.format(gate=gate)!r}}}")) as on:
        with ThreadPoolExecutor(2) as pool:
            keys = [pool.submit(on.opened.rollout.execute, None, on.task("one"), iteration="1") for _ in range(2)]
            gate.touch()
            assert len({key.result(PATIENCE) for key in keys}) == 1
        assert on.asked("one") == 1


def test_each_part_of_the_start_has_its_line(tmp_path: Path) -> None:
    with stage(tmp_path, task("one", "{type: text, output: greeting.txt, exact: Hi}")) as on:
        assert on.opened.suite.tasks
        assert {"0 of 1 references are proved", "testing the sandbox", "loading the models' library"} <= set(on.said)
        assert "the sandbox is tested: none (not sandboxed)" in on.said
        assert on.said[-1] == "asking whether the models can be used"
