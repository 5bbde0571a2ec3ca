"""The command `init`: a first configuration and workflow. It shows what it writes and overwrites nothing."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from skillgrad_ci.commands.cli import DONE
from skillgrad_ci.commands.demo import example
from skillgrad_ci.commands.terminal import say
from skillgrad_ci.config.config import FILE, load_config, with_flags
from skillgrad_ci.config.settings import REHEARSAL, Settings
from skillgrad_ci.errors import SkillGradError, UserError
from skillgrad_ci.session.estimate import planned_executions
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.session.split import assign
from skillgrad_ci.skill.folder import write_atomically
from skillgrad_ci.suites import is_suite, load_suite

WORKFLOW = Path(".github", "workflows", "skillgrad.yml")
FORM = Path(".github", "ISSUE_TEMPLATE", "optimize-skill.yml")
BESIDE = ("evals", "tests", "tasks", "benchmarks")  # folders in which repositories keep a suite for each skill
COPY = "Copy this file to .github/workflows/skillgrad.yml"  # what the example says first, done here
KEY = "OPENAI_API_KEY"  # what the example's workflow hands on
NOT_OURS = {"node_modules", "venv", "runs", "skillgrad-demo"}


def init(arguments: argparse.Namespace) -> int:
    root: Path = arguments.folder
    if (root / FILE).exists():
        raise UserError(f"{root / FILE} is there already; run: skillgrad-ci doctor")
    pairs, alone = find_skills(root)
    if not pairs:
        raise UserError(_nothing(root, alone))
    asked = arguments.model or _ask("Model that works on the tasks, as litellm names it (provider/model): ")
    model = _checked(asked.strip())
    files = made(root, pairs, model, arguments.agent)
    for path, text in files.items():
        say(f"--- {path}", text)
    for skill in alone:
        say(f"{skill} has no suite yet; docs/suites.md shows the smallest: a tasks.yaml with instruction and grader.")
    if not arguments.yes and _ask("Write these files? [y/N] ").strip().lower() not in ("y", "yes"):
        say("Nothing is written.")
        return DONE
    for path, text in files.items():
        write_atomically(root / path, text.encode())
    for job in load_config(root / FILE).skills:
        inputs = read_inputs(job)
        suite = inputs.suite.with_splits(assign(inputs.suite.tasks, None, {}, job.settings.seed).splits)
        most = planned_executions(suite, job.settings).total
        say(f"{job.name}: a run executes tasks {most} times at most ({len(suite.tasks)} tasks).")
    if model == REHEARSAL:
        say(
            f"The rehearsal writes nothing to GitHub: before you push, name a model in {FILE}, "
            f"and its key in {WORKFLOW}."
        )
    say("Written. Next: skillgrad-ci doctor" + (f" {root}" if root != Path() else ""))
    return DONE


def find_skills(root: Path) -> tuple[dict[Path, Path], list[Path]]:
    """The skills of a repository with their suites, and those without one; paths are relative to `root`."""
    pairs, alone = {}, []
    for file in sorted(root.rglob("SKILL.md")):
        skill = file.parent.relative_to(root)
        if any(part.startswith(".") or part in NOT_OURS for part in skill.parts):
            continue
        suite = next(filter(_is_suite, _places(root, skill)), None)
        if suite is None:
            alone.append(skill)
        else:
            pairs[skill] = suite.relative_to(root)
    return pairs, alone


def _places(root: Path, skill: Path) -> Iterator[Path]:
    """Where a skill's suite may lie, the likeliest first."""
    for folder in BESIDE:
        yield root / skill / folder
        yield root / folder / skill.name
    yield root / skill
    if sum(1 for _ in root.rglob("SKILL.md")) == 1:
        yield from (root / folder for folder in BESIDE)


def _is_suite(path: Path) -> bool:
    try:
        return path.exists() and bool(load_suite(path).tasks)
    except SkillGradError:
        return False


def made(root: Path, pairs: Mapping[Path, Path], model: str, agent: str | None) -> dict[Path, str]:
    """The files to write, by path; those that are there already are left out."""
    rows = [{"path": skill.as_posix(), "tasks": suite.as_posix()} for skill, suite in pairs.items()]
    content = {"skills": rows, "models": {"executor": model}, "budget": {"usd": 5, "minutes": 60}}
    if agent:
        content["agent"] = agent
    workflow = (example() / WORKFLOW).read_text("utf-8")
    files = {
        Path(FILE): "# What SkillGrad CI optimizes here: docs/configuration.md lists every key.\n"
        + yaml.safe_dump(content, sort_keys=False),
        WORKFLOW: workflow.replace(COPY, "It works").replace(KEY, _key_of(model)),
        FORM: _form([skill.name for skill in pairs]),
    }
    return {path: text for path, text in files.items() if not (root / path).exists()}


def _checked(model: str) -> str:
    """A model that the written configuration can name: what is written once is not overwritten."""
    with_flags(Settings(), {"models": {"executor": model}})
    return model


def _key_of(model: str) -> str:
    """The variable that holds the key of a model's provider, as the library names it."""
    from skillgrad_ci.models.litellm_library import litellm

    provider = model.split("/")[0]
    if provider == REHEARSAL:  # it has no key: the example's stands until a model takes its place
        return KEY
    found = litellm().validate_environment(model, api_key=None)
    return str((found["missing_keys"] or [f"{provider.upper()}_API_KEY"])[0])


def _form(names: list[str]) -> str:
    """An issue form whose label asks for a run."""
    skill = {"type": "dropdown", "id": "skill", "attributes": {"label": "Skill", "options": names}}
    why = {"type": "textarea", "id": "why", "attributes": {"label": "What goes wrong"}}
    form = {
        "name": "Optimize a skill", "description": "Ask SkillGrad CI to improve a skill on its tasks",
        "title": "Optimize a skill", "labels": ["optimize-skill"], "body": [skill, why],
    }  # fmt: skip
    return yaml.safe_dump(form, sort_keys=False)


def _nothing(root: Path, alone: list[Path]) -> str:
    """What to do where no skill has a suite. Raises UserError for a suite with a mistake in it."""
    if not alone:
        return f"{root}: no SKILL.md is below this folder; name a repository that holds a skill"
    for place in (place for skill in alone for place in _places(root, skill) if place.exists() and is_suite(place)):
        load_suite(place)  # what lies there cannot be read, or it would have been found: its own error says where
    names = ", ".join(map(str, alone[:3]))
    return (
        f"{root}: no suite was found for {names}; put one at evals/{alone[0].name} "
        "(docs/suites.md shows the smallest, and the formats that are read)"
    )


def _ask(question: str) -> str:
    """A person's answer. Raises UserError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UserError("nobody can be asked here: give both --model and --yes")
    return input(question)
