"""The command `init`: a first configuration and workflow. It shows what it writes and overwrites nothing."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from skillgrad_ci.commands.cli import DONE
from skillgrad_ci.commands.jobs import named_root
from skillgrad_ci.commands.start.demo import example
from skillgrad_ci.commands.start.first_suite import first_suite
from skillgrad_ci.commands.start.label import make_label
from skillgrad_ci.commands.terminal import say
from skillgrad_ci.config.config import FILE, LABEL, SkillRun, with_flags
from skillgrad_ci.config.settings import DEFAULT_TOKENS, REHEARSAL, Settings
from skillgrad_ci.errors import SkillGradError, UserError
from skillgrad_ci.session.estimate import announced, estimated
from skillgrad_ci.session.inputs import read_inputs
from skillgrad_ci.session.parts import Parts
from skillgrad_ci.session.split import assign
from skillgrad_ci.skill.folder import write_atomically
from skillgrad_ci.suites import is_suite, load_suite

WORKFLOW = Path(".github", "workflows", "skillgrad.yml")
FORM = Path(".github", "ISSUE_TEMPLATE", "optimize-skill.yml")
BESIDE = ("evals", "tests", "tasks", "benchmarks")  # folders in which repositories keep a suite for each skill
COPY = "Copy this file to .github/workflows/skillgrad.yml"  # what the example says first, done here
KEY = "OPENAI_API_KEY"  # what the example's workflow hands on
USD, MINUTES = 5, 60  # the cap that is written
NOT_OURS = {"node_modules", "venv", "runs", "skillgrad-demo"}


def init(arguments: argparse.Namespace) -> int:
    root = named_root(arguments)
    if (root / FILE).exists():
        raise UserError(f"{root / FILE} is there already; run: skillgrad-ci doctor")
    _refuse_unanswerable(arguments)
    pairs, alone = find_skills(root)
    if not pairs and not alone:
        raise UserError(f"{root}: no SKILL.md is below this folder; name a repository that holds a skill")
    _refuse_broken_suites(root, alone)
    first = dict(first_suite(root, skill) for skill in alone)
    for skill, suite in {**pairs, **dict(zip(alone, first, strict=True))}.items():
        told = "its tasks are in" if skill in pairs else "it has no tasks; a first one will be"
        say(f"skill {skill}: {told} {suite}")
    asked = arguments.model or _ask("Model that works on the tasks, as litellm names it (provider/model): ")
    model = _checked(asked.strip())
    listed = pairs or {skill: suite.parent for skill, suite in zip(alone, first, strict=True)}
    settings = _settings(model, arguments.api_base, arguments.agent)
    files = first | made(listed, settings)
    files = {path: text for path, text in files.items() if not (root / path).exists()}
    for path, text in files.items():
        say(f"--- {path}", text)
    for skill, suite in pairs.items():
        say(f"{skill.name}: a run takes {cost(root, skill, suite, settings)}")
    if not arguments.yes and _ask("Write these files? [y/N] ").strip().lower() not in ("y", "yes"):
        say("Nothing is written.")
        return DONE
    for path, text in files.items():
        write_atomically(root / path, text.encode())
    say(make_label(root))
    for path in first:
        say(f"Review {path}: a run takes no suite of unreviewed tasks alone.")
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


def _settings(model: str, api_base: str | None, agent: str | None) -> dict[str, Any]:
    """What the configuration says beside its skills. A cap in dollars needs a price."""
    from skillgrad_ci.models.provider import LitellmModel

    priced = model == REHEARSAL or LitellmModel(model).priced
    models = {"executor": model, **({"api_base": api_base} if api_base else {})}
    budget = {"usd": USD, "minutes": MINUTES} if priced else {"tokens": DEFAULT_TOKENS, "minutes": MINUTES}
    return {"models": models, "budget": budget, **({"agent": agent} if agent else {})}


def cost(root: Path, skill: Path, suite: Path, settings: Mapping[str, Any]) -> str:
    """What a run of a skill may take, before anything is measured."""
    job = SkillRun(root / skill, root / suite, with_flags(Settings(), settings), root.resolve(), False)
    inputs = read_inputs(job)
    known = inputs.suite.with_splits(assign(inputs.suite.tasks, None, inputs.recorded, job.settings.seed).splits)
    with closing(Parts(job, inputs.suite, lambda _: None)) as parts:
        most = estimated(known, inputs.job.settings, parts.models)
        return announced(most, inputs.job.settings, measured=False).text


def made(pairs: Mapping[Path, Path], settings: Mapping[str, Any]) -> dict[Path, str]:
    """The configuration, the workflow and the issue form, by path."""
    rows = [{"path": skill.as_posix(), "tasks": suite.as_posix()} for skill, suite in pairs.items()]
    workflow = (example() / WORKFLOW).read_text("utf-8")
    return {
        Path(FILE): "# What SkillGrad CI optimizes here: docs/configuration.md lists every key.\n"
        + yaml.safe_dump({"skills": rows, **settings}, sort_keys=False),
        WORKFLOW: workflow.replace(COPY, "It works").replace(KEY, _key_of(settings["models"]["executor"])),
        FORM: _form([skill.name for skill in pairs]),
    }


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
        "title": "Optimize a skill", "labels": [LABEL], "body": [skill, why],
    }  # fmt: skip
    return yaml.safe_dump(form, sort_keys=False)


def _refuse_broken_suites(root: Path, alone: list[Path]) -> None:
    """Raises UserError for a suite with a mistake in it: it is not called missing, its own error says where it is."""
    for place in (place for skill in alone for place in _places(root, skill) if place.exists() and is_suite(place)):
        load_suite(place)


def _refuse_unanswerable(arguments: argparse.Namespace) -> None:
    """Raises UserError where nobody can be asked what the arguments leave open, before anything is shown."""
    missing = [name for name, value in (("--model", arguments.model), ("--yes", arguments.yes)) if not value]
    if missing and not sys.stdin.isatty():
        raise UserError(f"nobody can be asked here (no terminal); give {' and '.join(missing)}")


def _ask(question: str) -> str:
    """A person's answer; one that ends the input answers nothing."""
    try:
        return input(question)
    except EOFError:
        say("")
        raise UserError("no answer came, and nothing was written; give --model and --yes to be asked nothing") from None
