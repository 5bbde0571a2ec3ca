"""The command line's grammar. Imports nothing heavy: `--help` answers at once."""

import argparse
import re
import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NoReturn

from skillgrad_ci import __version__
from skillgrad_ci.commands.flags import CROSS, add_flags, loop_flags, setting_flags

DONE = 0  # the exit codes that the commands promise
ELSE = 1  # anything that the others do not say
USER = 2  # a person must fix something: one line says what
BUDGET = 3  # stopped at a cap, the best result kept

COMMANDS = {
    "init": "find skills and suites here, and write the configuration and the workflow",
    "doctor": "say what a run needs here and what is missing",
    "optimize": "optimize a skill on a suite; writes a run folder",
    "demo": "write the example repository, and optimize its skill with the rehearsal model",
    "plan": "divide a run's first measurement among machines",
    "execute": "measure one shard of a plan, on this machine",
    "merge": "make one journal of the shards', from which optimize goes on",
    "evaluate": "measure a skill on a suite, without changing it",
    "compare": "run several optimizers, or settings, on one suite at equal budget, side by side",
    "transfer": "measure a finished skill with other models and agents",
    "grade": "grade outputs that exist already, with no model",
    "suite": "say what a suite holds and what is wrong with it",
    "agree": "compare our graders with another one, on outputs made from a suite's right results",
    "report": "a run's report again, in another form",
    "blame": "say which edit of which run wrote each line of a skill, and why",
    "view": "run folders as pages: list, compare, follow",
    "lint": "check skills against the rules of their layers",
    "action": "answer a GitHub event, as the action does",
}
EPILOG = "exit codes: 0 done; 2 something that you must fix; 3 stopped at a budget, the best kept; 1 anything else"
FRESH = "--fresh"
MODELS = ("model", "optimizer_model", "judge_model", "api_base")
MACHINE = ("concurrency", "sandbox", "image")


class OneLine(argparse.ArgumentParser):
    """A grammar whose errors are one line, as all others are; the usage is a `--help` away."""

    def error(self, message: str) -> NoReturn:
        if wrong := re.search(r"invalid choice: '([^']*)' \(choose from", message):
            message += _meant(wrong[1], re.findall(r"'([^']*)'", message[wrong.end() :]))
        self.exit(USER, f"skillgrad-ci: the command line: {message}; see {self.prog} --help\n")

    def refuse(self, words: Sequence[str]) -> NoReturn:
        """What no argument takes, with the option that was nearly named."""
        near = next((_meant(word.split("=")[0], self._option_string_actions) for word in words if word[:1] == "-"), "")
        self.error(f"unrecognized arguments: {' '.join(words)}{near}")


def _meant(word: str, known: Collection[str]) -> str:
    """A question after the known word that is nearest to a wrong one, if any is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, known, 1, 0.75)
    return f"; did you mean {near[0]}?" if near else ""


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
        command.set_defaults(refuse=command.refuse)
        command.add_argument("-v", "--verbose", action="store_true", help="show the agents' replies")
        command.add_argument("--debug", action="store_true", help="show an error's traceback")
        if name != "action":
            command.add_argument("--json", action="store_true", help="one JSON document on standard output")
    _optimize(made["optimize"])
    _shards(made["plan"], made["execute"], made["merge"])
    _evaluate(made["evaluate"])
    _compare(made["compare"])
    _transfer(made["transfer"])
    _grade(made["grade"])
    _suite(made["suite"])
    _agree(made["agree"])
    made["demo"].add_argument(
        "folder", nargs="?", type=Path, default=Path("skillgrad-demo"), metavar="DIR", help="folder (skillgrad-demo)"
    )
    for name in ("optimize", "demo", "report", "view"):
        made[name].add_argument("--open", action="store_true", help="open the page in a browser")
    for name in ("init", "doctor"):
        made[name].add_argument(
            "folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="a repository's root (here)"
        )
    _init(made["init"])
    _lint(made["lint"])
    _report(made["report"])
    _blame(made["blame"])
    _view(made["view"])
    return main


def _init(command: argparse.ArgumentParser) -> None:
    command.add_argument("--yes", action="store_true", help="ask nothing, and write")
    command.add_argument("--model", metavar="M", help="model that works on the tasks, as litellm names it")
    command.add_argument(
        "--api-base",
        metavar="URL",
        help="the address of your own server, which speaks as the provider in the model's name",
    )
    command.add_argument("--agent", metavar="A", help="who works on the tasks (loop)")


def _lint(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "skills", nargs="+", type=Path, metavar="PATH", help="a folder with SKILL.md, a SKILL.md, or a folder of skills"
    )
    command.add_argument(
        "--format", choices=("text", "json", "sarif", "github"), default="text", help="form of the answer (text)"
    )
    command.add_argument(
        "--hosts", metavar="HOSTS", help="hosts whose fields and limits count, as in claude-code,codex"
    )


def _report(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    forms = ("html", "md", "json", "junit", "sarif", "atif")
    command.add_argument("--format", choices=forms, default="html", help="form (html)")


def _blame(command: argparse.ArgumentParser) -> None:
    command.add_argument("skill", type=Path, metavar="SKILL", help="a folder with SKILL.md")
    command.add_argument(
        "--run", type=Path, metavar="RUN", help="a run folder (the bot's commits, and the skill's folders below runs)"
    )


def _view(command: argparse.ArgumentParser) -> None:
    command.add_argument("runs", nargs="*", type=Path, default=[Path("runs")], metavar="RUNS", help="folders (runs)")
    command.add_argument("--host", default="127.0.0.1", help="address to serve on (127.0.0.1)")
    command.add_argument("--port", type=int, default=0, help="port (any that is free)")


def _optimize(command: argparse.ArgumentParser) -> None:
    _skill(command)
    add_flags(command, setting_flags())
    _fresh(command)
    command.add_argument("--in-place", action="store_true", help="write the final skill and its memory where they lie")


def _shards(plan: argparse.ArgumentParser, execute: argparse.ArgumentParser, merge: argparse.ArgumentParser) -> None:
    for command in (plan, execute):
        _skill(command)
        add_flags(command, setting_flags())
    plan.add_argument("--shards", type=int, required=True, metavar="N", help="the most shards")
    execute.add_argument("--shard", required=True, metavar="I/N", help="which one, as in 2/3")
    merge.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="folders with what execute wrote in or below"
    )
    merge.add_argument("--out", type=Path, metavar="DIR", help="run folder (runs/<skill>/<fingerprint>)")


def _evaluate(command: argparse.ArgumentParser) -> None:
    _skill(command)
    add_flags(command, [name for name in setting_flags() if name == "decide_by" or name not in loop_flags()])
    _fresh(command)
    command.add_argument("--no-skill", action="store_true", help="also run without the skill, side by side")


def _compare(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "what", nargs="+", type=Path, metavar="SKILL|FILE", help="a skill's folder, or configurations of one skill each"
    )
    _fresh(command)
    command.add_argument("--optimizers", metavar="A,B", help="with a skill: optimizers to compare (all)")
    _inputs(command)
    add_flags(command, [name for name in setting_flags() if name in {"seed", *CROSS} or name not in loop_flags()])


def _transfer(command: argparse.ArgumentParser) -> None:
    _skill(command)
    _fresh(command)
    command.add_argument("--models", metavar="A,B", help="models that work on the tasks (the configured one)")
    command.add_argument("--agents", metavar="A,B", help="agents that work on the tasks (the configured one)")
    command.add_argument("--initial", type=Path, metavar="SKILL", help="the skill as it was before, measured as well")
    command.add_argument("--all", action="store_true", help="measure all tasks (heldout ones, where there are some)")
    names = [name for name in setting_flags() if name not in [*loop_flags(), "model", "agent"]]
    add_flags(command, names)


def _grade(command: argparse.ArgumentParser) -> None:
    command.add_argument("suite", type=Path, metavar="SUITE", help="a suite in any known format")
    command.add_argument(
        "--outputs",
        type=Path,
        required=True,
        metavar="DIR",
        help="DIR/<task id>/<output file>; an agent's last message is the file answer.txt there",
    )
    add_flags(command, [*MODELS, *MACHINE])


def _agree(command: argparse.ArgumentParser) -> None:
    command.add_argument("suite", type=Path, metavar="SUITE", help="a suite in any known format, with right results")
    command.add_argument(
        "--official",
        required=True,
        metavar="COMMAND",
        help="the other grader: reads a JSON object a line, answers each with true, false or null on a line",
    )
    command.add_argument(
        "--ways", type=int, default=30, metavar="N", help="in how many ways one cell is changed, 30 at most (30)"
    )
    add_flags(command, [*MODELS, *MACHINE])


def _suite(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "suite", nargs="?", type=Path, metavar="SUITE", help="a suite in any known format (not with --triggers)"
    )
    command.add_argument(
        "--triggers", nargs="+", metavar="SKILL", help="which of these skills fire on whose queries; 'skills/*' too"
    )
    command.add_argument(
        "--check", action="store_true", help="prove the graders by reference answers and untouched inputs"
    )
    command.add_argument(
        "--split", dest="splits", action="store_true", help="show which tasks train, choose and report"
    )
    command.add_argument("--write", action="store_true", help="with --split: write the split down beside the suite")
    command.add_argument(
        "--skill", type=Path, metavar="SKILL", help="the skill: what --trials runs the tasks with, and --grow is for"
    )
    command.add_argument("--grow", type=int, metavar="N", help="propose tasks until N of them wait for a review")
    command.add_argument(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="with --grow: skill (the default), sessions, or a skill, run folder, recorded sessions or issues by path",
    )
    command.add_argument(
        "--trials", type=int, metavar="N", help="run each task N times: which always pass, fail, flicker"
    )
    add_flags(command, [name for name in setting_flags() if name == "seed" or name not in [*loop_flags(), "trials"]])


def _skill(command: argparse.ArgumentParser) -> None:
    command.add_argument("skill", type=Path, metavar="SKILL", help="a folder with SKILL.md")
    _inputs(command)


def _fresh(command: argparse.ArgumentParser) -> None:
    help_ = "begin anew: what an earlier start left in the run folder is set aside, and paid for again"
    command.add_argument(FRESH, action="store_true", help=help_)


def _inputs(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--tasks", type=Path, metavar="SUITE", help="a suite in any known format (from the configuration)"
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="configuration (the nearest .skillgrad.yml)")
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="run folder (runs/<skill>/<fingerprint>); resumes what is there"
    )


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command, with the command line that goes on with it, or repeats it, as `reproduce`."""
    words = [word for word in argv if len(word) < 4 or not FRESH.startswith(word)]  # once: it would begin anew again
    known = argparse.Namespace(reproduce=shlex.join(["skillgrad-ci", *words]))
    arguments, unknown = parser().parse_known_args(argv, known)
    if unknown:
        arguments.refuse(unknown)
    return arguments
