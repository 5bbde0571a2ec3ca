"""The arrows point one way: `__main__ → bot → commands → session → report → config → adapters → method → skill`."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "skillgrad_ci"
ADAPTERS = {"models", "executors", "sandbox", "graders", "suites"}
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"litellm", "openpyxl", "github", "jinja2", "rich", "sandlock", "docker"}


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    """Full names of the modules that a file imports."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = tree.body if top_only else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def own(path: Path) -> set[str]:
    """The rooms, or files at the top, that a file imports."""
    names = (name.split(".") for name in imports(path) if name.startswith("skillgrad_ci."))
    return {name[1] for name in names}


def room(path: Path) -> str:
    """Which part of the layout a file belongs to."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


TOP = {"document", "errors", "seccomp", "secrets", "__version__"}
METHOD = TOP | {"skill", "method"}
OUTER = ["config", "report", "session", "commands"]  # each may know those before it, and every adapter
ALLOWED = {
    "__init__": set(),
    "document": TOP,
    "errors": set(),
    "seccomp": set(),
    "secrets": TOP,
    "skill": TOP | {"skill"},
    "method": METHOD,
    **{name: METHOD | {name} for name in ADAPTERS},
    **{name: METHOD | ADAPTERS | set(OUTER[: at + 1]) for at, name in enumerate(OUTER)},
    "github": TOP | {"github"},
    "bot": METHOD | ADAPTERS | set(OUTER) | {"github", "bot"},
    "__main__": METHOD | ADAPTERS | set(OUTER) | {"bot"},
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_arrows_point_one_way(path: Path) -> None:
    wrong = own(path) - ALLOWED[room(path)]
    assert not wrong, f"{path.name} in {room(path)} may not import {sorted(wrong)}"


def needs(path: Path) -> set[str]:
    """The package's modules that a file imports, wherever in the file: a type's home is needed to read it too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES | PACKAGES:
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES
            found |= inside or ({node.module} & MODULES)
    return found


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module(path) for path in FILES}
PACKAGES = {name.rpartition(".")[0] for name in MODULES}


def test_no_circle_of_files() -> None:
    """Files whose needs are all met are taken away, again and again: what stays is a circle, or hangs on one."""
    left = {module(path): needs(path) - {module(path)} for path in FILES}
    while met := {name for name, wanted in left.items() if not wanted & set(left)}:
        left = {name: wanted for name, wanted in left.items() if name not in met}
    assert not left, f"a circle of imports among {sorted(left)}"


MOST_ENTRIES = 18


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=lambda path: path.name)
def test_a_room_can_be_taken_in_at_a_glance(folder: Path) -> None:
    entries = [item.name for item in folder.iterdir() if item.name not in ("__init__.py", "__pycache__")]
    assert len(entries) <= MOST_ENTRIES, f"{len(entries)} entries in {folder.name}: {sorted(entries)}"


def public(kind: type[ast.ClassDef | ast.FunctionDef]) -> dict[str, list[str]]:
    """Where each public class or function of a module is defined, by its name."""
    found: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, kind) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(path.relative_to(PACKAGE).as_posix())
    return found


# What every format of suites (`suites.SuiteReader`) and every dialect of the gateway has, by its room; and what
# programs that run without the package each bring along: where they are entered, how a seccomp program is installed.
PORTS = {
    "load": "suites",
    "suite_at": "suites",
    "reference_result": "suites",
    "untouched_result": "suites",
    "request": "models/gateway/translation",
    "written": "models/gateway/translation",
    "main": "",
    "filter_calls": "",
}


@pytest.mark.parametrize("kind", [ast.ClassDef, ast.FunctionDef])
def test_one_name_is_one_thing(kind: type[ast.ClassDef | ast.FunctionDef]) -> None:
    for name, places in public(kind).items():
        port = name in PORTS and all(place.startswith(PORTS[name]) for place in places)
        assert len(places) == 1 or port, f"{name} is defined in {' and in '.join(places)}"


def test_a_name_is_accepted_twice_only_while_it_stands_twice() -> None:
    found = public(ast.FunctionDef)
    assert not [name for name in PORTS if len(found.get(name, [])) < 2]


ROOMS = [path for path in FILES if path.name == "__init__.py"]


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.parent.relative_to(ROOT).as_posix())
def test_each_room_says_all_that_is_in_it(path: Path) -> None:
    named = set(re.findall(r"`(\w+\.py|\w+/)`", ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""))
    gone = [name for name in named if not (path.parent / name).exists()]
    assert not gone, f"{path} names {gone}, which is not in this folder"
    if path.parent == PACKAGE:  # its paragraph tells of rooms
        return
    files = {file.name for file in path.parent.glob("*.py")} - {path.name}
    rooms = {f"{file.parent.name}/" for file in ROOMS if file.parent.parent == path.parent}
    unsaid = sorted((files | rooms) - named)
    assert not unsaid, f"{path} does not say what {unsaid} is; name it, in backquotes, where a reader comes to it"


@pytest.mark.parametrize("path", [p for p in FILES if room(p) in ("method", "skill")], ids=lambda path: path.stem)
def test_the_method_knows_no_provider_no_environment_and_does_not_print(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not {name.split(".")[0] for name in imports(path)} & HEAVY
    assert "os.environ" not in text
    assert "getenv" not in text
    calls = {
        node.func.id
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "print" not in calls


def test_one_blind_except_at_the_outermost_edge() -> None:
    handlers = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert [place.split(":")[0] for place in handlers] == ["__main__.py"]


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from skillgrad_ci.__main__ import main; main(['--help'])"
    probe = f"import atexit, sys; atexit.register(lambda: print(sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr))"
    done = subprocess.run(
        [sys.executable, "-c", f"{probe}; {code}"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stderr.strip().splitlines()[-1] == "[]"
    assert "optimize" in done.stdout
