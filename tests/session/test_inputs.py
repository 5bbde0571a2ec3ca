"""Skills measured beside others: what an agent sees of them, what a run makes of them, what is refused."""

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.config.config import load_config
from skillgrad_ci.errors import UserError
from skillgrad_ci.executors.skill_tools import SkillTools
from skillgrad_ci.executors.tool_loop import ToolLoop
from skillgrad_ci.method.evidence import Trajectory
from skillgrad_ci.method.prompting import load_prompt
from skillgrad_ci.method.task import GraderSpec, Task
from skillgrad_ci.report.power import telling_trials
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.session.inputs import Inputs, other_skills, read_inputs, refuse_twins
from skillgrad_ci.session.rollout import workspace
from skillgrad_ci.skill.skill import Skill
from tests.support import small_repository
from tests.support.scripted_answers import Answer, Call, Reply
from tests.support.scripted_server import ScriptedServer, model_of, serve


def named(name: str, **files: str) -> Skill:
    main = f"---\nname: {name}\ndescription: Use it for {name}.\n---\nThe body of {name}.\n"
    return Skill(name, {"SKILL.md": main.encode(), **{f"references/{n}.md": t.encode() for n, t in files.items()}})


MEASURED, OTHER = named("pdf", pages="Pages of pdf.", both="Both of pdf."), named("csv", both="Both of csv.")
TASK = Task("t", "Do it.", [GraderSpec("text")])
PROBE = Task("t", "Do it.", [GraderSpec("trigger", {"should_trigger": True})], probe=True)


def executed(
    answers: Sequence[Answer],
    skill: Skill | None = MEASURED,
    others: Sequence[Skill] = (OTHER,),
    task: Task = TASK,
    probe_turns: int | None = None,
) -> tuple[Trajectory, ScriptedServer]:
    present = [*([skill] if skill else []), *others]
    with serve(answers) as server, workspace(task, present) as folders, NoSandbox().open(folders) as session:
        loop = ToolLoop(model_of(server), load_prompt("execute"), others=others, probe_turns=probe_turns)
        return loop.execute(task, skill, session), server


def call(tool: str, **arguments: str) -> Reply:
    return Reply(calls=[Call(tool, arguments)])


def outputs(trajectory: Trajectory) -> list[str]:
    return [event["output"] for event in trajectory.events if event["kind"] == "tool_result"]


# What an agent meets


def test_every_skill_is_listed_by_name_and_description_and_any_can_be_activated() -> None:
    steps = [call("activate_skill", name="csv"), call("read_reference", path="references/both.md"), Reply("done")]
    trajectory, server = executed(steps)
    system = server.requests[0]["messages"][0]["content"]
    assert system.endswith("- `csv`: Use it for csv.\n- `pdf`: Use it for pdf.")
    assert "The body" not in system
    assert outputs(trajectory)[0].startswith("The body of csv.")
    assert outputs(trajectory)[1] == "Both of csv."
    assert (trajectory.activated, trajectory.others_activated, trajectory.references_read) == (False, ["csv"], [])


def test_the_last_activated_skill_that_has_a_file_gives_it_unless_the_path_names_one() -> None:
    tools = SkillTools([MEASURED, OTHER], bound=1_000)
    tools.activate("pdf")
    assert "has no file" in tools.read("../skill/csv/references/both.md"), "csv is not activated"
    tools.activate("csv")
    assert tools.read("references/both.md") == "Both of csv."
    assert tools.read("references/pages.md") == "Pages of pdf."
    assert tools.read("../skill/pdf/references/both.md") == "Both of pdf."
    assert tools.read("../skill/pdf/../../etc/passwd").count("has no file") == 2
    assert (tools.activated, tools.used("pdf")) == (["pdf", "csv"], ["references/pages.md", "references/both.md"])


@pytest.mark.parametrize(
    ("command", "activated"),
    [
        ("cat ../skill/csv/SKILL.md ../skill/pdf/references/pages.md", ["csv"]),
        ("cat ../skill/*/SKILL.md", ["csv", "pdf"]),
        ("cd ../skill/pdf && cat SKILL.md", ["pdf"]),
        ("cat ../skill/pdfs/SKILL.md", []),
    ],
)
def test_a_command_activates_the_skill_whose_body_it_reads(command: str, activated: list[str]) -> None:
    tools = SkillTools([MEASURED, OTHER], bound=1_000)
    tools.notice(command)
    assert tools.activated == activated


def test_all_skills_lie_beside_the_work_folder() -> None:
    trajectory, _ = executed([call("shell", command="cat ../skill/*/SKILL.md"), Reply("done")])
    assert "The body of csv." in outputs(trajectory)[0]
    assert "The body of pdf." in outputs(trajectory)[0]
    assert (trajectory.activated, trajectory.others_activated) == (True, ["csv"])


def test_without_the_measured_skill_the_others_are_still_there() -> None:
    trajectory, server = executed([call("activate_skill", name="pdf"), Reply("done")], skill=None)
    assert "`csv`" in server.requests[0]["messages"][0]["content"]
    assert outputs(trajectory) == ["There is no skill 'pdf'; there is 'csv'."]
    assert not trajectory.activated


def test_a_probe_ends_when_the_measured_skill_is_activated() -> None:
    trajectory, server = executed([call("activate_skill", name="pdf"), Reply("never asked for")], task=PROBE)
    assert (trajectory.stopped, trajectory.turns, len(server.requests)) == ("activated", 1, 1)
    assert trajectory.activated


def test_a_router_that_comes_first_ends_no_probe() -> None:
    steps = [call("activate_skill", name="csv"), call("shell", command="ls"), call("activate_skill", name="pdf")]
    trajectory, _ = executed([*steps, Reply("never asked for")], task=PROBE)
    assert (trajectory.stopped, trajectory.turns) == ("activated", 3)
    assert (trajectory.activated, trajectory.others_activated) == (True, ["csv"])
    trajectory, _ = executed([call("activate_skill", name="csv"), Reply("Done.")], task=PROBE)
    assert (trajectory.stopped, trajectory.activated, trajectory.others_activated) == ("answered", False, ["csv"])


def test_a_probe_has_all_turns_unless_fewer_are_set() -> None:
    assert executed([Reply("A poem.")], task=PROBE)[0].stopped == "answered"
    looking = [call("shell", command="ls")] * 5
    trajectory, _ = executed([*looking, Reply("Done.")], task=PROBE)
    assert (trajectory.stopped, trajectory.turns) == ("answered", 6)
    trajectory, _ = executed(looking, task=PROBE, probe_turns=2)
    assert (trajectory.stopped, trajectory.turns) == ("turns", 2)
    assert PROBE.digest != Task("t", "Do it.", PROBE.graders).digest


def test_another_neighbour_is_another_execution() -> None:
    changed = named("csv", both="Changed.")
    with serve([]) as server:
        made = [ToolLoop(model_of(server), "p", others=others).identity for others in ((), (OTHER,), (changed,))]
    assert len(set(made)) == 3


# What a configuration may say


def inputs(root: Path) -> Inputs:
    return read_inputs(load_config(root / ".skillgrad.yml").skills[0])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_repository.make(tmp_path / "repository")


def test_one_list_serves_all_skills_for_the_measured_one_is_left_out(root: Path) -> None:
    small_repository.add_neighbour(root, "with_skills: [skills/greeter, skills/parting, skills/parting/]\n")
    assert [skill.name for skill in inputs(root).others] == ["parting"]


def test_what_surrounds_a_skill_is_part_of_its_runs_fingerprint(root: Path) -> None:
    alone = inputs(root)
    assert alone.measure == alone.suite.digest
    small_repository.add_neighbour(root)
    seen = [inputs(root)]
    (root / "skills/parting/SKILL.md").write_text(small_repository.PARTING + "\nMore.\n")
    seen.append(inputs(root))
    (root / "evals/triggers.json").write_text(json.dumps(small_repository.TRIGGERS[:2]))
    seen.append(inputs(root))
    assert len({found.fingerprint for found in [alone, *seen]}) == 4
    assert len({found.measure for found in [alone, *seen]}) == 4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("with_skills: [skills/missing]\n", "skills/missing: not a folder"),
        ("with_skills: [../elsewhere]\n", "leaves"),
        ("with_skills: [skills/parting, other/greeter]\n", "two skills are named 'greeter'"),
        ("trigger: evals/missing.json\n", "missing.json: no such file"),
        ("trigger: evals\n", "is a suite of the format native; expected a list of"),
        ("trigger: ../triggers.json\n", "leaves"),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_is_spent(root: Path, settings: str, said: str) -> None:
    small_repository.add_neighbour(root, settings)
    (root / "other/greeter").mkdir(parents=True)
    (root / "other/greeter/SKILL.md").write_text(small_repository.SKILL)
    with pytest.raises(UserError, match=said):
        inputs(root)


@pytest.mark.parametrize("name", ["../../outside", "a/b", ".."])
def test_a_name_that_leads_out_of_the_workspace_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="cannot name a folder"), workspace(TASK, [named(name)]):
        pass
    with pytest.raises(UserError, match="two skills"):
        refuse_twins([MEASURED, named("pdf")])


def test_the_trigger_set_may_be_named_by_the_skill(root: Path) -> None:
    small_repository.add_neighbour(root, "trigger: evals/{name}.json\n")
    (root / "evals/triggers.json").rename(root / "evals/greeter.json")
    found = inputs(root).triggers
    assert found is not None
    assert len(found.tasks) == 3
    assert other_skills(inputs(root).job) == []


# Whole runs


def optimized(root: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(root)
    assert main(["optimize", "skills/greeter", "--sandbox", "none", "--out", str(out)]) == 0
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def edits_of(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [edit for step in report["iterations"] for edit in step["edits"]]


def test_a_description_that_steals_another_skills_queries_is_rejected_alone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_repository.add_neighbour(root)
    report = optimized(root, tmp_path / "out", monkeypatch)
    [stolen] = [edit for edit in edits_of(report) if edit["layer"] == "H"]
    assert stolen["status"] == "rejected"
    assert stolen["reason"] == "trigger accuracy fell from 100.0% to 66.7% (3 queries)"
    assert {edit["status"] for edit in edits_of(report) if edit["layer"] != "H"} == {"accepted"}
    assert report["kept"]
    assert "farewells" not in (tmp_path / "out/skill.patch").read_text()
    assert stolen["reason"] in (tmp_path / "out/momentum.md").read_text()
    assert report["triggers"]["baseline"]["accuracy"] == report["triggers"]["final"]["accuracy"] == 1.0
    assert "Trigger accuracy: 100.0% before, 100.0% after" in (tmp_path / "out/report.html").read_text()

    records = [json.loads(line) for line in (tmp_path / "out/journal.jsonl").read_text().splitlines()]
    executions = [record["value"]["evidence"] for record in records if record["kind"] == "execution"]
    probes = [row["trajectory"] for row in executions if row["task_id"].startswith("trigger-")]
    assert len(probes) == 18, "the initial skill's, and those of the one patch that edits the description, three times"
    assert {probe["turns"] for probe in probes if probe["activated"]} == {1}
    assert Counter(name for probe in probes for name in probe["others_activated"]) == {"parting": 3}
    assert report["cost"]["by_role"]["executor"]["calls"] == sum(r["trajectory"]["usage"]["calls"] for r in executions)


def test_without_a_trigger_set_the_theft_goes_unseen(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_repository.add_neighbour(root, "with_skills: [skills/parting]\n")
    report = optimized(root, tmp_path / "out", monkeypatch)
    assert {edit["status"] for edit in edits_of(report)} == {"accepted"}
    assert report["triggers"] is None


def test_a_trigger_set_is_a_suite_too(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_repository.add_neighbour(root)
    monkeypatch.chdir(root)
    words = ["evaluate", "skills/greeter", "--tasks", "evals/triggers.json", "--sandbox", "none", "--json"]
    assert main([*words, "--no-skill"]) == 0
    arms = json.loads(capsys.readouterr().out)["arms"]
    assert {name: (arm["passed"], arm["activated"]) for name, arm in arms.items()} == {
        "with skill": (9, 3),
        "without skill": (6, 0),
    }
    greedy = small_repository.SKILL.replace("write greetings", "write greetings and farewells")
    (root / "skills/greeter/SKILL.md").write_text(greedy)
    assert main(words) == 0
    stolen = json.loads(capsys.readouterr().out)
    assert stolen["arms"]["with skill"]["passed"] == 6
    [failed] = [task for task in stolen["tasks"] if task["feedback"]]
    assert failed["feedback"].startswith("the skill was activated, and should have stayed out")


def test_a_skill_that_never_fires_stops_the_run_before_anything_is_learned(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_repository.add_neighbour(root)
    (root / "evals/triggers.json").write_text(json.dumps([{"query": "Sing a song.", "should_trigger": True}]))
    monkeypatch.chdir(root)
    main(["optimize", "skills/greeter", "--sandbox", "none", "--out", str(tmp_path / "out")])
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["stopped"] == "flat signal"
    assert "none of 3 executions whose query should activate it" in report["why"]
    assert not report["iterations"]
    assert "diagnoser" not in report["cost"]["by_role"]


# Several skills side by side


def side_by_side(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, Any]:
    monkeypatch.chdir(root)
    code = main(["suite", "--triggers", "skills/*", "--model", "rehearsal", "--sandbox", "none", "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def test_the_matrix_names_who_takes_whose_queries(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_repository.add_neighbour(root)
    (root / "skills/parting/evals").mkdir()
    goodbye = [{"query": f"Say goodbye to {name}.", "should_trigger": True} for name in ("Ada", "Bela")]
    (root / "skills/parting/evals/triggers.json").write_text(json.dumps(goodbye))
    code, facts = side_by_side(root, monkeypatch, capsys)
    rows = {one["skill"]: one for one in facts["skills"]}
    assert code == 0
    assert {name: (row["precision"], row["recall"], row["executions"]) for name, row in rows.items()} == {
        "greeter": (1.0, 1.0, 3),
        "parting": (1.0, 1.0, 6),  # on a query that the greeter should leave alone it may fire
    }
    assert facts["stolen"] == []
    greedy = small_repository.SKILL.replace("write greetings", "write greetings and farewells")
    (root / "skills/greeter/SKILL.md").write_text(greedy)
    code, facts = side_by_side(root, monkeypatch, capsys)
    assert code == 1, "a recall of nothing is a broken signal"
    assert {(row["query"], row["owner"], row["thief"], row["times"]) for row in facts["stolen"]} == {
        ("Say goodbye to Ada.", "parting", "greeter", 3),
        ("Say goodbye to Bela.", "parting", "greeter", 3),
    }
    row = next(one for one in facts["skills"] if one["skill"] == "parting")
    assert (row["fired"], row["recall"]) == ({"greeter": 6}, 0.0)
    greedy_row = next(one for one in facts["skills"] if one["skill"] == "greeter")
    assert greedy_row["precision"] == 3 / 12, "three rightly; three on its own negative query, and six stolen"
    assert "none of 6 executions" in row["broken"]


def test_a_cap_ends_the_matrix_with_its_own_exit_code(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_repository.add_neighbour(root)
    (root / "skills/parting/evals").mkdir()
    goodbye = [{"query": "Say goodbye to Ada.", "should_trigger": True}]
    (root / "skills/parting/evals/triggers.json").write_text(json.dumps(goodbye))
    code, facts = side_by_side(root, monkeypatch, capsys, "--budget-tokens", "100")
    assert code == 3
    assert "budget.tokens" in facts["cut"]
    assert sum(one["executions"] for one in facts["skills"]) == 0


def test_without_a_set_the_queries_are_those_of_the_skills_own_suite(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_repository.add_neighbour(root, "with_skills: [skills/parting]\n")
    (root / "skills/parting/evals").mkdir()
    goodbye = [{"query": "Say goodbye to Ada.", "should_trigger": True}]
    (root / "skills/parting/evals/triggers.json").write_text(json.dumps(goodbye))
    _, facts = side_by_side(root, monkeypatch, capsys)
    row = next(one for one in facts["skills"] if one["skill"] == "greeter")
    assert (row["source"], row["queries"], row["executions"], row["recall"]) == ("native, evals", 10, 30, 1.0)


def test_one_skill_has_no_neighbour(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    assert main(["suite", "--triggers", "skills/*", "--model", "rehearsal"]) == 2
    assert "no neighbour" in capsys.readouterr().err
    assert main(["suite"]) == 2
    assert "no suite is named" in capsys.readouterr().err


def test_skills_side_by_side_need_names_of_their_own(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    shutil.copytree(root / "skills/greeter", root / "skills/copy")
    queries = json.dumps([{"query": "Greet Ada.", "should_trigger": True}])
    for name in ("greeter", "copy"):
        (root / f"skills/{name}/evals").mkdir()
        (root / f"skills/{name}/evals/triggers.json").write_text(queries)
    assert main(["suite", "--triggers", "skills/*", "--model", "rehearsal"]) == 2
    assert "two skills are named 'greeter'; rename one in its SKILL.md" in capsys.readouterr().err


# How often a task is executed, where that is chosen


def chosen(root: Path, budget: str, **settings: str) -> Inputs:
    lines = "".join(f"{key}: {value}\n" for key, value in {"trials": "auto", "budget": budget, **settings}.items())
    prices = "models:\n  executor: openai/small\n  prices: {openai/small: {prompt: 1, completion: 1}}\n"
    config = root / ".skillgrad.yml"
    config.write_text(small_repository.CONFIG.replace("models: {executor: MODEL}\n", prices) + lines)
    return read_inputs(load_config(config).skills[0])


def test_trials_are_chosen_for_the_tasks_that_report_and_within_the_budget(tmp_path: Path) -> None:
    root = small_repository.make(tmp_path / "repository")
    found = {usd: chosen(root, f"{{usd: {usd}}}") for usd in (1000, 3, 1)}
    trials = {usd: inputs.job.settings.trials for usd, inputs in found.items()}
    assert trials[1000] == telling_trials(8) == 3
    assert (trials[3], trials[1]) == (2, 1)
    assert len({inputs.fingerprint for inputs in found.values()}) == 1, "a larger budget goes on with the same run"
    assert chosen(root, "{tokens: 100}").job.settings.trials == 1
    assert chosen(root, "{usd: 1000}", flicker="0.4").job.settings.trials == telling_trials(8, 0.4) > 3
    said = chosen(root, "{usd: 1000}", trials="2")
    assert said.job.settings.trials == 2
    assert said.fingerprint != found[1000].fingerprint


@pytest.mark.parametrize("wrong", ["0", "-1", "some", "1.5"])
def test_other_trials_are_refused(wrong: str, tmp_path: Path) -> None:
    root = small_repository.make(tmp_path / "repository")
    with pytest.raises(UserError, match="trials: expected"):
        chosen(root, "{usd: 1}", trials=wrong)
