"""The site: README.md is its first page, links out of docs/ lead to the repository, and one page lists all messages."""

import re
from pathlib import Path
from typing import Any

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
SOURCE = "https://github.com/OWNER/skillgrad-action/blob/main/"  # as README.md names the repository
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    text = _LINK.sub(_from_root, (ROOT / "README.md").read_text("utf-8"))
    files.append(File.generated(config, "index.md", content=text))
    files.append(File.generated(config, "messages.md", content=_messages()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    return _LINK.sub(_from_docs, markdown)


MESSAGES = ROOT / "tests" / "messages" / "messages.yaml"
WHO = {
    "UserError": "Something that a person must mend (exit code 2)",
    "BudgetExceeded": "A cap (exit code 3)",
    "EnvironmentFailure": "The outside failed: what it was for is unmeasured, never failed (else exit code 1)",
    "ReplyError": "A model's reply cannot be used: it is asked once more, then its step is dropped",
    "Cancelled": "A stop that was asked for (exit code 1)",
    "SkillGradError": "What must not be (exit code 1)",
}


def _messages() -> str:
    """Every message that a test provokes, as it was said there, by who must act on it."""
    examples = yaml.safe_load(MESSAGES.read_text("utf-8"))
    lines = ["# All messages", "", "Each was provoked by a test of the program. `--debug` adds the traceback."]
    for error, title in WHO.items():
        said = sorted({" ".join(text.split()) for key, text in examples.items() if key.startswith(f"{error}:")})
        if said:
            lines += ["", f"## {title}", "", *(f"- ``{text} ``" for text in said)]
    return "\n".join(lines) + "\n"


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
