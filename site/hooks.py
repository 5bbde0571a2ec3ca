"""The site's first page is README.md, and links that leave docs/ lead to the repository's files."""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
SOURCE = "https://github.com/OWNER/skillgrad-action/blob/main/"  # as README.md names the repository
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    text = _LINK.sub(_from_root, (ROOT / "README.md").read_text("utf-8"))
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    return _LINK.sub(_from_docs, markdown)


def _from_root(found: re.Match[str]) -> str:
    """A link of README.md: into docs/ it stays in the site."""
    target = found["target"]
    if re.match(r"[a-z]+:|#", target):
        return found[0]
    inside = target.removeprefix("docs/")
    return f"]({inside})" if inside != target and ".md" in inside else f"]({SOURCE}{target})"


def _from_docs(found: re.Match[str]) -> str:
    """A link of a page below docs/: one that leads out, or to a file that is no page, leads to the repository."""
    target = found["target"]
    if re.match(r"[a-z]+:|#", target) or (".md" in target and not target.startswith("../")):
        return found[0]
    return f"]({SOURCE}{target.removeprefix('../') if target.startswith('../') else f'docs/{target}'})"
