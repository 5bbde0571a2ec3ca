"""`.skillgrad.yml`: what it means, and what a wrong one is answered."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.config.config import Configuration, File, layered, load_config, refuse_outside, with_flags
from skillgrad_ci.config.settings import Budget, Models, Settings
from skillgrad_ci.errors import UserError

SCHEMA = Path(__file__).parents[2] / "docs" / "skillgrad.schema.json"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("xlsx", "pdf"):
        (tmp_path / "skills" / name).mkdir(parents=True)
        (tmp_path / "skills" / name / "SKILL.md").write_text(f"---\nname: {name}\ndescription: d\n---\n")
    return tmp_path


def read(root: Path, text: str, **flags: Any) -> Configuration:
    (root / ".skillgrad.yml").write_text(text)
    return load_config(root / ".skillgrad.yml", flags)


SKILLS = "skills:\n  - path: skills/*\n    tasks: evals/{name}\n"


def test_a_glob_gives_each_skill_its_own_suite(repository: Path) -> None:
    runs = read(repository, SKILLS).skills
    assert [(run.name, run.tasks) for run in runs] == [
        ("pdf", repository / "evals" / "pdf"),
        ("xlsx", repository / "evals" / "xlsx"),
    ]


def test_an_entry_overrides_the_file_and_a_flag_overrides_both(repository: Path) -> None:
    text = (
        "models: {executor: a, optimizer: b}\nbatch_size: 2\niterations: 3\n"
        "skills:\n  - {path: skills/xlsx, tasks: t, batch_size: 6, models: {optimizer: c}}\n"
        "  - {path: skills/pdf, tasks: t}\n"
    )
    xlsx, pdf = read(repository, text, iterations=7).skills
    assert (xlsx.settings.batch_size, pdf.settings.batch_size) == (6, 2)
    assert (xlsx.settings.models.optimizer, pdf.settings.models.optimizer) == ("c", "b")
    assert xlsx.settings.models.executor == "a"
    assert xlsx.settings.iterations == pdf.settings.iterations == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SKILLS + "batchsize: 3\n", r":4: batchsize: unknown key; did you mean batch_size\?"),
        (SKILLS + "budget:\n  usdd: 3\n", r":5: budget.usdd: unknown key; did you mean usd\?"),
        (SKILLS + "models: {prices: {x: {promt: 1}}}\n", r":4: models.prices.x.promt: .*did you mean prompt"),
        (SKILLS + "    seeed: 3\n", r":4: skills\[0\].seeed: unknown key; did you mean seed\?"),
        (SKILLS + "pull_request: {zzz: 1}\n", r":4: pull_request.zzz: unknown key; known here: draft_on_tie"),
        (SKILLS + "batch_size: 0\n", r":4: batch_size: expected greater than or equal to 1, got 0"),
        (SKILLS + "models: {executor: openai/}\n", r":4: models.executor: 'openai/' names no model"),
        (SKILLS + "models: {judge: ' '}\n", r":4: models.judge: ' ' names no model"),
        (SKILLS + "accept: maybe\n", r":4: accept: expected 'always', 'validate', 'final' or 'no-worse', got 'maybe'"),
        (SKILLS + "seed: 1\nseed: 2\n", r":5: the key 'seed' stands twice"),
        ("skills:\n  - path: skills/xlsx\n", r":2: skills\[0\].tasks: is missing"),
        ("skills: []\n", r":1: skills: "),
        ("seed: 1\n", r"skills: is missing"),
        ("skills: [\n", r":2: no valid YAML"),
        ("- a\n", r":1: expected a mapping of fields"),
        ("", r":1: expected a mapping of fields"),
        ("skills:\n  - {path: ../out, tasks: t}\n", r":2: skills\[0\].path: .*leaves the repository"),
        ("skills:\n  - {path: /etc, tasks: t}\n", r"leaves the repository"),
        ("skills:\n  - {path: nothing/*, tasks: t}\n", r":2: skills\[0\].path: .*no folder with SKILL.md"),
        (SKILLS + "  - {path: skills/pdf, tasks: t}\n", r"two skills are named 'pdf'"),
        ("a: &a [*a]\nskills: []\n", r":1: a: unknown key"),
    ],
)
def test_a_wrong_file_is_answered_with_line_key_and_what_to_do(repository: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        read(repository, text)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_wrong_flag_say_so(repository: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_config(repository / "absent.yml")
    with pytest.raises(UserError, match="the command line: batch_size: expected"):
        with_flags(Settings(), {"batch_size": 0})


def test_a_configuration_that_is_a_pipe_is_refused_and_not_waited_for(repository: Path) -> None:
    os.mkfifo(repository / "pipe.yml")
    with pytest.raises(UserError, match=r"pipe\.yml: no file; write one"):
        load_config(repository / "pipe.yml")


def test_a_skill_reached_by_a_link_out_of_the_repository_is_not_one(repository: Path, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "SKILL.md").write_text("---\nname: x\n---\n")
    (repository / "skills" / "linked").symlink_to(outside)
    assert {run.name for run in read(repository, SKILLS).skills} == {"pdf", "xlsx"}


def test_a_skill_is_found_by_exact_name_or_path_alone(repository: Path) -> None:
    configuration = read(repository, SKILLS)
    for exact in ("pdf", "skills/pdf", "./skills/pdf/", " pdf "):
        found = configuration.find(exact)
        assert found is not None
        assert found.name == "pdf"
    for other in ("pd", "PDF", "skills", "skills/../skills/pdf", "", "*"):
        assert configuration.find(other) is None


def test_roles_fall_back_to_the_role_above() -> None:
    assert Models(executor="a").of("judge") == "a"
    assert Models(executor="a", optimizer="b").of("judge") == "b"
    assert Models(executor="a", optimizer="b", judge="c").of("optimizer") == "b"
    with pytest.raises(UserError, match="--model"):
        Models(optimizer="b").of("executor")


def test_a_dollar_cap_without_a_price_is_never_an_infinity() -> None:
    with pytest.raises(UserError, match=r"the price of a/new is unknown.*models\.prices"):
        Budget(usd=5).cap({"a/new"})
    cap, notes = Budget(minutes=3).cap({"a/new"})
    assert cap.usd is None
    assert cap.tokens
    assert "the price of a/new is unknown" in notes[0]
    assert Budget().cap()[0].usd == 10
    assert Budget(tokens=7).cap({"a/new"})[0].tokens == 7


def test_the_digest_covers_what_changes_results_and_nothing_else() -> None:
    base = Settings()
    assert base.digest == Settings(concurrency=9, budget=Budget(usd=1), reevaluate_days=3, reuse_baseline=False).digest
    changes: list[dict[str, Any]] = [
        {"seed": 1},
        {"accept": "always"},
        {"trials": 2},
        {"models": Models(executor="x")},
        {"sandbox": "none"},
    ]
    assert len({Settings(**change).digest for change in changes} | {base.digest}) == len(changes) + 1


keys = st.sampled_from("abc")
nested = st.recursive(st.integers(), lambda inner: st.dictionaries(keys, inner), max_leaves=8)
mappings = st.dictionaries(keys, nested)


@given(mappings, mappings)
def test_merging_keeps_every_flag_and_changes_neither_side(under: dict[str, Any], over: dict[str, Any]) -> None:
    before = json.dumps([under, over])
    merged = layered(under, over)
    assert layered(merged, over) == merged
    assert set(merged) == set(under) | set(over)
    assert json.dumps([under, over]) == before


OPTIMIZERS = [
    # file, entry, flags, and what holds: preset, iterations, acceptance, epochs
    ("optimizer: skillopt\niterations: 6\n", "", {}, ("skillopt", 6, "validate", 4)),
    ("iterations: 6\n", "    optimizer: skillopt\n", {}, ("skillopt", 100, "validate", 4)),
    ("iterations: 6\naccept: always\n", "", {"optimizer": "skillopt"}, ("skillopt", 100, "validate", 4)),
    ("iterations: 6\n", "", {"optimizer": "skillopt", "iterations": 8}, ("skillopt", 8, "validate", 4)),
    ("iterations: 6\n", "    iterations: 7\n", {"optimizer": "skillgrad"}, ("skillgrad", 7, "final", 4)),
    ("optimizer: {preset: skillopt, epochs: 2}\niterations: 6\n", "", {"optimizer": "skillopt"},
     ("skillopt", 6, "validate", 2)),
    ("optimizer: {preset: skillopt, epochs: 2}\niterations: 6\n", "", {"optimizer": "skillgrad"},
     ("skillgrad", 10, "final", 4)),
    ("optimizer: {preset: skillopt, epochs: 2}\n", "    optimizer: trace2skill\n", {}, ("trace2skill", 1, "always", 1)),
    ("optimizer: skillopt\n", "    optimizer: {rate: linear}\n", {}, ("skillopt", 100, "validate", 4)),
    ("optimizer: skillopt\niterations: 6\n", "    iterations: 5\n", {}, ("skillopt", 5, "validate", 4)),
]  # fmt: skip


@pytest.mark.parametrize(("file", "entry", "flags", "holds"), OPTIMIZERS)
def test_another_optimizer_sets_aside_what_was_said_of_the_one_under_it(
    repository: Path, file: str, entry: str, flags: dict[str, Any], holds: tuple[str, int, str, int]
) -> None:
    path = repository / ".skillgrad.yml"
    path.write_text(SKILLS + entry + file)
    settings = load_config(path, flags).skills[0].settings
    parts = settings.optimizer
    assert (parts.preset, settings.iterations, settings.accept, parts.epochs) == holds
    if "linear" in entry:
        assert parts.rate == "linear"


def test_the_schema_for_editors_is_the_model_that_reads() -> None:
    """After a change of a setting, replace the file's content by what this test expects."""
    assert SCHEMA.read_text() == json.dumps(File.model_json_schema(), indent=2) + "\n"


def test_every_setting_is_documented() -> None:
    page = (SCHEMA.parent / "configuration.md").read_text()
    for key in File.model_fields:
        assert f"`{key}`" in page, key


def test_the_documented_example_is_valid(repository: Path) -> None:
    page = (SCHEMA.parent / "configuration.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(example)
    (repository / ".skillgrad.yml").write_text(example)
    assert load_config(repository / ".skillgrad.yml").skills


def test_a_path_of_the_settings_stays_in_the_repository(repository: Path) -> None:
    run = read(repository, SKILLS).skills[0]
    assert refuse_outside(run, "evals/../evals/t.json") == repository.resolve() / "evals" / "t.json"
    for outside in ("../x", "/etc/passwd"):
        with pytest.raises(UserError, match="leaves"):
            refuse_outside(run, outside)


def test_a_file_that_is_nested_without_end_is_the_users_to_fix(tmp_path: Path) -> None:
    file = tmp_path / ".skillgrad.yml"
    file.write_text("a: " + "[" * 100_000 + "]" * 100_000)
    with pytest.raises(UserError, match="nested more than 100 deep"):
        load_config(file)


def test_a_model_of_a_retired_service_is_named_so() -> None:
    with pytest.raises(UserError, match="GitHub Models was retired on 30 July 2026"):
        Models(executor="github/gpt-4o").of("executor")


def test_a_run_knows_whether_its_tie_would_be_proposed(repository: Path) -> None:
    """Only then does it measure what a reader of the draft looks for."""
    wanted = read(repository, SKILLS + "pull_request: {draft_on_tie: true}\n")
    assert {run.reports_ties for run in wanted.skills} == {True}
    assert {run.reports_ties for run in read(repository, SKILLS).skills} == {False}
