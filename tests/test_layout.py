"""The arrows point one way: `__main__ → bot → commands → session → report → config → adapters → method → skill`."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "skillgrad_ci"
ADAPTERS = {"models", "executors", "sandbox", "graders", "suites"}
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"litellm", "openpyxl", "github", "jinja2", "rich", "sandlock", "unoserver", "docker"}


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


TOP = {"document", "errors", "json_text", "secrets", "__version__"}
METHOD = TOP | {"skill", "method"}
OUTER = ["config", "report", "session", "commands"]  # each may know those before it, and every adapter
ALLOWED = {
    "__init__": set(),
    "document": TOP,
    "errors": set(),
    "json_text": set(),
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
