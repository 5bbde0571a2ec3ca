"""Settings as flags: each field of the settings is one, its docstring is its help, its default stands behind.

Fields are read from the source, not from the classes: to import pydantic takes longer than `--help` may.
"""

import ast
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
SOURCES = (PACKAGE / "method/settings.py", PACKAGE / "config/settings.py")
NUMBERS: Mapping[str, type] = {"int": int, "Count": int, "float": float, "Positive": float, "Share": float}
METAVARS = {int: "N", float: "X"}
ROLES = {"executor": "model", "optimizer": "optimizer_model", "judge": "judge_model"}
YAML_ONLY = {"judge_trials", "command_timeout", "reevaluate_days", "trigger", "rehearsal"}  # few turn them, none often
CROSS = {"split", "folds"}  # of the settings outside the loop, those that are about optimizing alone

OPTIMIZER = "skillgrad, skillopt, evoskill, trace2skill, shrink or rewrite (skillgrad)"


@dataclass(frozen=True)
class SettingFlag:
    """A flag by its name without dashes in front; `place` is where its value is in a configuration."""

    name: str
    place: tuple[str, ...]
    kind: type
    metavar: str
    help: str


@cache
def setting_flags() -> Mapping[str, SettingFlag]:
    """Every setting that has a flag, by the flag's name. A switch or a list is said in the configuration alone."""
    classes = {node.name: node for path in SOURCES for node in ast.parse(path.read_text("utf-8")).body
               if isinstance(node, ast.ClassDef)}  # fmt: skip
    found = [*_of(classes["LoopSettings"]), *_of(classes["Settings"])]
    found.append(SettingFlag("optimizer", ("optimizer",), str, "NAME", OPTIMIZER))
    found += _of(classes["Models"], under="models")
    found += _of(classes["Budget"], under="budget", prefix="budget_")
    return {flag.name: flag for flag in found}


def loop_flags() -> list[str]:
    """The names of the flags that optimizing alone reads, but for the number of trials."""
    tree = ast.parse(SOURCES[0].read_text("utf-8"))
    targets = [node.target for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
    fields = {target.id for target in targets if isinstance(target, ast.Name)} - {"trials"} | CROSS
    return [name for name in setting_flags() if name in fields]


def add_flags(command: ArgumentParser, names: Collection[str]) -> None:
    for name in names:
        flag = setting_flags()[name]
        command.add_argument(f"--{name.replace('_', '-')}", type=flag.kind, metavar=flag.metavar, help=flag.help)


def given(arguments: Namespace) -> dict[str, Any]:
    """The flags that were given, as settings nested as in a configuration file."""
    settings: dict[str, Any] = {}
    for name, flag in setting_flags().items():
        value = getattr(arguments, name, None)
        if value is not None:
            into = settings
            for key in flag.place[:-1]:
                into = into.setdefault(key, {})
            into[flag.place[-1]] = value
    return settings


def _of(node: ast.ClassDef, under: str = "", prefix: str = "") -> Iterator[SettingFlag]:
    """The flags of a class's fields; each is an annotated assignment, with its docstring below."""
    for field, below in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        key, kind = field.target.id, ast.unparse(field.annotation)
        words = set(kind.replace("[", " ").replace("]", " ").replace(",", " ").split())
        if key in YAML_ONLY or words & {"bool", "tuple", "Mapping"} or "default_factory" in ast.unparse(field):
            continue
        number = next((NUMBERS[word] for word in NUMBERS if word in words), str)
        yield SettingFlag(
            name=ROLES[key] if under == "models" and key in ROLES else f"{prefix}{key}",
            place=(under, key) if under else (key,),
            kind=number,
            metavar="MODEL" if key in ROLES else METAVARS.get(number, key.upper()),
            help=_help(below, field.value),
        )


def _help(below: ast.stmt | None, default: ast.expr | None) -> str:
    said = ""
    if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
        said = " ".join(str(below.value.value).replace("`", "").replace("%", "%%").split()).removesuffix(".")
    value = ast.literal_eval(default) if default is not None else None
    said = said[:1].lower() + said[1:]
    return said if value is None else f"{said} ({value})"
