"""The command `transfer`: whether a finished skill helps other models and agents too, and what it costs them."""

import argparse

from skillgrad_ci.commands.side_by_side.setups import compare_setups
from skillgrad_ci.errors import UserError
from skillgrad_ci.session.evaluation import INITIAL, WITHOUT
from skillgrad_ci.session.inputs import read_skill
from skillgrad_ci.skill.skill import Skill


def transfer(arguments: argparse.Namespace) -> int:
    controls: dict[str, Skill | None] = {WITHOUT: None}
    if arguments.initial is not None:
        controls[INITIAL] = read_skill(arguments.initial)
    agents, models = _listed(arguments.agents, "agents"), _listed(arguments.models, "models")
    return compare_setups(arguments, agents, models, controls, heldout=not arguments.all)


def _listed(words: str | None, flag: str) -> list[str | None]:
    """The names of a list with commas; [None] where it was not given."""
    if words is None:
        return [None]
    names: list[str | None] = [word.strip() for word in words.split(",")]
    if not all(names):
        raise UserError(f"--{flag}: {words!r} has an empty name; write them as in a,b")
    return names
