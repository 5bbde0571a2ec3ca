"""The example suites of docs/formats.md and docs/rehearsal.md, written to disk as a reader of the page would."""

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"
_HEADING = re.compile(r"^#{2,3} ", re.M)
_FILE = re.compile(r"^`(?P<path>[^`\n]+)`:\n\n(?P<fence>`{3,})[^\n]*\n(?P<content>.*?)^(?P=fence)$", re.M | re.S)


def examples() -> dict[str, dict[str, str]]:
    """`{format: {path: content}}` for each suite that the page shows whole."""
    found: dict[str, dict[str, str]] = {}
    for part in (DOCS / "formats.md").read_text().split("<!-- suite: ")[1:]:
        name, rest = part.split(" -->", 1)
        section = _section(rest)
        found[name] = {match["path"]: match["content"] for match in _FILE.finditer(section)}
    return found


def rehearsal() -> tuple[str, dict[str, str]]:
    """The section about the rehearsal's script, and `{path: content}` of its example."""
    section = _section((DOCS / "rehearsal.md").read_text().split("<!-- rehearsal -->")[1])
    return section, {match["path"]: match["content"] for match in _FILE.finditer(section)}


def _section(text: str) -> str:
    """Up to the next heading that stands outside a fence."""
    kept: list[str] = []
    fenced = False
    for line in text.splitlines(keepends=True):
        fenced = fenced != line.startswith("```")
        if not fenced and _HEADING.match(line):
            break
        kept.append(line)
    return "".join(kept)


def write(name: str, folder: Path) -> Path:
    """The example of one format below `folder`; returns what a person would name as the suite."""
    for path, content in examples()[name].items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return folder / "triggers.json" if name == "triggers" else folder
