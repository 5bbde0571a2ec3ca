"""The documents: what they link to is there."""

import json
import re
from pathlib import Path

import pytest

from skillgrad_ci.session.json_documents import output_schema

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "skillgrad_ci"
MAPS = [ROOT / "docs/architecture.md", ROOT / "CONTRIBUTING.md"]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/README.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """A page's headings as GitHub links to them."""
    headings = re.findall(r"^#+ +(.+?) *$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{page.name} links to {link}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", MAPS, ids=lambda page: page.name)
def test_a_map_of_the_code_names_what_is_there(page: Path) -> None:
    """Files and folders in code spans exist; a name behind a file, as in `a.py` (`name`), is defined in it."""
    text = page.read_text("utf-8")
    paths = re.findall(r"`((?:[\w.-]+/)+|(?:[\w.-]+/)*\w+\.py)`", text)
    assert len(paths) > 10
    for path in paths:
        beside = [folder / path for folder in (ROOT, PACKAGE, *PACKAGE.rglob("*/"))]
        assert any(place.exists() for place in beside), f"{page.name} names {path}"
    for path, name in re.findall(r"`((?:\w+/)*\w+\.py)` \(`(\w+)`\)", text):
        file = ROOT / path if path.startswith("skillgrad_ci/") else PACKAGE / path
        defined = re.search(rf"^(def|class) {name}\b", file.read_text("utf-8"), re.MULTILINE)
        assert defined, f"{page.name}: {path} has no {name}"


def test_the_schema_of_what_commands_print_is_made_of_the_models() -> None:
    """After a change of a document, replace the file's content by what this test expects."""
    written = (ROOT / "docs/output.schema.json").read_text("utf-8")
    assert written == json.dumps(output_schema(), indent=2) + "\n", "write output_schema() to docs/output.schema.json"


def test_the_questions_quote_messages_that_the_program_has() -> None:
    quoted = re.findall(r"^## `(.+)`$", (ROOT / "docs/questions.md").read_text("utf-8"), re.MULTILINE)
    code = "\n".join(file.read_text("utf-8") for file in PACKAGE.rglob("*.py"))
    assert len(quoted) >= 8
    assert [words for words in quoted if words not in code] == []
