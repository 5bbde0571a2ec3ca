"""From a command's arguments to the job that it asks for."""

import argparse
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from skillgrad_ci.commands.flags import given
from skillgrad_ci.config.config import FILE, SkillRun, load_config, with_flags
from skillgrad_ci.config.settings import Settings
from skillgrad_ci.document.inert_text import terminal_safe
from skillgrad_ci.errors import UserError
from skillgrad_ci.session.journal.set_aside import set_aside
from skillgrad_ci.skill.skill import MAIN

DEEPEST = 5  # folders, the skill's own among them
SHOWN = 3  # skills that a message names


def skill_job(arguments: argparse.Namespace) -> SkillRun:
    """The run of `SKILL`: its entry in the configuration, if it has one, under the flags.

    Without `--config` the nearest `.skillgrad.yml` above the skill counts, where it lists the skill.
    """
    skill: Path = arguments.skill
    if not skill.is_dir():
        raise UserError(f"{skill}: not a folder; a skill is a folder with SKILL.md{_named(skill.name, arguments)}")
    if not (skill / MAIN).is_file():
        raise UserError(f"{skill}: no {MAIN} in it; name a skill's own folder{_named(skill.name, arguments)}")
    flags = given(arguments)
    config = arguments.config or nearest_config(skill)
    run = None
    if config is not None:
        here = skill.resolve()
        run = next((one for one in load_config(config, flags).skills if one.path.resolve() == here), None)
        if run is None and arguments.config is not None:
            raise UserError(f"{config}: skills: none has the path {skill}; add it, or leave --config out")
    if run is None:
        if arguments.tasks is None:
            raise UserError(
                f"{skill}: no suite is named; give --tasks, or list the skill in {FILE} (skillgrad-ci init writes one)"
            )
        return SkillRun(skill, arguments.tasks, with_flags(Settings(), flags), Path.cwd())
    return SkillRun(skill, arguments.tasks or run.tasks, run.settings, run.root, run.reports_ties)


def run_folder(arguments: argparse.Namespace, folder: Path) -> Path:
    """`folder`, where a command writes its run. With `--fresh` what an earlier start left there is set aside first."""
    if arguments.fresh and (aside := set_aside(folder)):
        sys.stderr.write(
            f"begun anew: what the earlier start left is kept in {terminal_safe(os.path.relpath(aside))}\n"
        )
    return folder


def named_root(arguments: argparse.Namespace) -> Path:
    """The folder that was named. Raises UserError where there is none."""
    root: Path = arguments.folder
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; name the root of a repository")
    return root


def _named(name: str, arguments: argparse.Namespace) -> str:
    """Where the configured skill of that name, or nearly, lies: people give a skill's name, as the bot takes it.

    Else which skills there are, a few folders down: a whole disk is not searched for a word that was mistyped.
    """
    config = arguments.config or nearest_config(Path())
    places = {run.name: run.path for run in load_config(config, {}).skills} if config is not None else {}
    near = get_close_matches(name, places, 1)
    if near:
        return f"; did you mean {os.path.relpath(places[near[0]])}?"
    there = [file.parent.as_posix() for depth in range(DEEPEST) for file in Path().glob("*/" * depth + MAIN)]
    more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    return f"; below here are {', '.join(there[:SHOWN])}{more}" if there else "; none is below here"


def suite_job(arguments: argparse.Namespace, *, asks: bool = False) -> SkillRun:
    """A job for work on a suite without a skill.

    Work that `asks` a model takes the settings of the entry that lists the suite, or its skill, under the flags. What
    is done without a model stays without one, whatever a configuration names.
    """
    flags, skill = given(arguments), getattr(arguments, "skill", None)
    run = listed(arguments.suite, skill, flags) if asks else None
    if run is not None:
        return replace(run, path=skill or run.path, tasks=arguments.suite)
    return SkillRun(skill or Path(), arguments.suite, with_flags(Settings(), flags), Path.cwd())


def listed(suite: Path, skill: Path | None = None, flags: Mapping[str, Any] | None = None) -> SkillRun | None:
    """The configuration's entry for this skill, for this suite, or for the skill that the suite lies in or is."""
    config = nearest_config(suite)
    runs = load_config(config, flags).skills if config else ()
    own, here = skill.resolve() if skill else None, suite.resolve()
    if own is not None:
        return next((run for run in runs if run.path.resolve() == own), None)
    exact = next((run for run in runs if run.tasks.resolve() == here), None)
    return exact or next((run for run in runs if here.is_relative_to(run.path.resolve())), None)


def nearest_config(skill: Path) -> Path | None:
    """The configuration that a repository keeps at its root: no further up than a folder with `.git`."""
    for folder in (skill.resolve(), *skill.resolve().parents):
        if (folder / FILE).is_file():
            return folder / FILE
        if (folder / ".git").exists():
            return None
    return None
