"""The command line's grammar. Imports nothing heavy: `--help` answers at once."""

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from skillgrad_ci import __version__
from skillgrad_ci.commands.exits import USER

COMMANDS = {
    "optimize": "optimize a skill on a suite; writes a run folder",
    "demo": "write the example repository, and optimize its skill with the rehearsal model",
    "evaluate": "measure a skill on a suite, without changing it",
    "grade": "grade outputs that exist already, with no model",
    "suite": "say what a suite holds and what is wrong with it",
    "lint": "check skills against the rules of their layers",
    "action": "answer a GitHub event, as the action does",
}
EPILOG = "exit codes: 0 done; 2 something that you must fix; 3 stopped at a budget, the best kept; 1 anything else"


class OneLine(argparse.ArgumentParser):
    """A grammar whose errors are one line, as all others are; the usage is a `--help` away."""

    def error(self, message: str) -> NoReturn:
        self.exit(USER, f"skillgrad-ci: the command line: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    main = OneLine(
        prog="skillgrad-ci",
        description="Optimize agent skills the way gradient descent optimizes a parameter.",
        epilog=EPILOG,
    )
    main.add_argument("--version", action="version", version=f"skillgrad-ci {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="command")
    made = {name: commands.add_parser(name, help=text, description=f"{text}.") for name, text in COMMANDS.items()}
    for name, command in made.items():
        command.epilog = EPILOG
        command.add_argument("-v", "--verbose", action="store_true", help="show the agents' replies, and tracebacks")
        if name != "action":
            command.add_argument("--json", action="store_true", help="one JSON document on standard output")
    _optimize(made["optimize"])
    _evaluate(made["evaluate"])
    _grade(made["grade"])
    _suite(made["suite"])
    made["demo"].add_argument(
        "folder", nargs="?", type=Path, default=Path("skillgrad-demo"), metavar="DIR", help="folder (skillgrad-demo)"
    )
    made["lint"].add_argument("skills", nargs="+", type=Path, metavar="SKILL", help="a folder with SKILL.md")
    return main


def _optimize(command: argparse.ArgumentParser) -> None:
    _skill(command)
    _models(command)
    _settings(command)
    command.add_argument("--iterations", type=int, metavar="N", help="iterations of the loop (10)")
    command.add_argument("--batch-size", type=int, metavar="N", help="training tasks per iteration (4)")
    command.add_argument("--train-tasks", type=int, metavar="N", help="the most training tasks to learn from (40)")
    command.add_argument("--accept", metavar="MODE", help="always, validate or final (final)")
    command.add_argument("--seed", type=int, metavar="N", help="decides splits and batches (0)")
    command.add_argument(
        "--no-momentum", dest="momentum", action="store_false", default=None, help="ablation: no memory"
    )
    command.add_argument(
        "--no-contrastive", dest="contrastive", action="store_false", default=None, help="ablation: failures only"
    )
    command.add_argument("--in-place", action="store_true", help="write the final skill and its memory where they lie")


def _evaluate(command: argparse.ArgumentParser) -> None:
    _skill(command)
    _models(command)
    _settings(command)
    command.add_argument("--no-skill", action="store_true", help="also run without the skill, side by side")


def _grade(command: argparse.ArgumentParser) -> None:
    command.add_argument("suite", type=Path, metavar="SUITE", help="a suite in any known format")
    command.add_argument("--outputs", type=Path, required=True, metavar="DIR", help="DIR/<task id>/<output file>")
    _models(command)
    _machine(command)


def _suite(command: argparse.ArgumentParser) -> None:
    command.add_argument("suite", type=Path, metavar="SUITE", help="a suite in any known format")
    command.add_argument(
        "--check", action="store_true", help="prove the graders by reference answers and untouched inputs"
    )
    command.add_argument("--split", action="store_true", help="show which tasks train, choose and report")
    command.add_argument("--write", action="store_true", help="with --split: write the split down beside the suite")
    command.add_argument("--seed", type=int, metavar="N", help="decides the split (0)")
    command.add_argument("--skill", type=Path, metavar="SKILL", help="with --trials: the skill to run the tasks with")
    command.add_argument(
        "--trials", type=int, metavar="N", help="run each task N times: which always pass, fail, flicker"
    )
    _models(command)
    _machine(command)
    _budget(command)


def _skill(command: argparse.ArgumentParser) -> None:
    command.add_argument("skill", type=Path, metavar="SKILL", help="a folder with SKILL.md")
    command.add_argument(
        "--tasks", type=Path, metavar="SUITE", help="a suite in any known format (from the configuration)"
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="configuration (the nearest .skillgrad.yml)")
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="run folder (runs/<skill>/<fingerprint>); resumes what is there"
    )


def _models(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model", metavar="M", help="model that works on the tasks, as litellm names it; or rehearsal"
    )
    command.add_argument("--optimizer-model", metavar="M", help="model that diagnoses and edits (the same)")
    command.add_argument("--judge-model", metavar="M", help="model that grades assertions (the optimizer's)")
    command.add_argument("--api-base", metavar="URL", help="address of an OpenAI-compatible server")


def _settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--trials", type=int, metavar="N", help="executions per task and measurement (1)")
    command.add_argument("--max-turns", type=int, metavar="N", help="the most turns on a task (30)")
    _machine(command)
    _budget(command)


def _machine(command: argparse.ArgumentParser) -> None:
    command.add_argument("--concurrency", type=int, metavar="N", help="executions at once (4)")
    command.add_argument("--sandbox", metavar="KIND", help="auto, sandlock, docker, or none at your own risk (auto)")
    command.add_argument("--image", metavar="IMAGE", help="container image for --sandbox docker")


def _budget(command: argparse.ArgumentParser) -> None:
    command.add_argument("--budget-usd", type=float, metavar="X", help="the most US dollars to spend (10)")
    command.add_argument("--budget-tokens", type=int, metavar="N", help="the most tokens to take")
    command.add_argument("--budget-minutes", type=float, metavar="X", help="the most minutes to run")


SETTINGS: Mapping[str, tuple[str, ...]] = {
    "model": ("models", "executor"),
    "optimizer_model": ("models", "optimizer"),
    "judge_model": ("models", "judge"),
    "api_base": ("models", "api_base"),
    "budget_usd": ("budget", "usd"),
    "budget_tokens": ("budget", "tokens"),
    "budget_minutes": ("budget", "minutes"),
    **{
        key: (key,)
        for key in (
            "iterations", "batch_size", "train_tasks", "accept", "seed", "trials", "max_turns", "concurrency",
            "sandbox", "image", "momentum", "contrastive",
        )
    },
}  # fmt: skip


def flags_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The flags that were given, as settings nested as in a configuration file."""
    flags: dict[str, Any] = {}
    for name, place in SETTINGS.items():
        value = getattr(arguments, name, None)
        if value is not None:
            into = flags
            for key in place[:-1]:
                into = into.setdefault(key, {})
            into[place[-1]] = value
    return flags


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command, with the command line that repeats it as `reproduce`."""
    return parser().parse_args(argv, argparse.Namespace(reproduce=shlex.join(["skillgrad-ci", *argv])))
