"""The pictures of README.md: what a reviewer sees. `make pictures` makes them anew, from a rehearsal of the example.

The rehearsal is a dry run of the action, kept in .cache/pictures: the pull request's text is the one that would have
been opened, the page is the run's own report. Needs Chromium.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent
PLACE = ROOT / ".cache" / "pictures"
PICTURES = ROOT / "docs" / "pictures"
CHROMIUM = "/usr/bin/chromium"
STYLE = Path(__file__).with_suffix(".css")  # near to what GitHub shows


def rehearse() -> Path:
    """The run folder of a new dry run of the example: one that is there tells what an older program printed."""
    shutil.rmtree(PLACE, ignore_errors=True)
    shutil.copytree(ROOT / "examples" / "xlsx", PLACE)
    git = ["git", "-c", "user.name=example", "-c", "user.email=example@example.org", "-C", str(PLACE)]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *command], check=True)  # noqa: S603
    asked = {"GITHUB_EVENT_NAME": "schedule", "INPUT_DRY_RUN": "true", "INPUT_MODEL": "rehearsal"}
    environment = {**os.environ, **asked, "GITHUB_WORKSPACE": str(PLACE)}
    subprocess.run([sys.executable, "-m", "skillgrad_ci", "action"], cwd=PLACE, env=environment, check=True)
    return next(iter(PLACE.rglob("pull-request.md"))).parent


def as_github(text: str) -> str:
    """A pull request's text as a page: its title, then its body, with a diff's lines coloured."""
    title, _, body = text.partition("\n")
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    lines = []
    for line in html.split("\n"):
        mark = {"+": "add", "-": "del"}.get(line[:1])
        lines.append(f'<span class="{mark}">{line}</span>' if mark else line)
    page = "\n".join(lines)
    head = f'<!doctype html><meta charset="utf-8"><style>{STYLE.read_text("utf-8")}</style>'
    return f'{head}<h1>{title.lstrip("# ")}</h1><div class="body">{page}</div>'


def picture(browser: "Browser", page: Path, name: str, scheme: str, size: tuple[int, int]) -> None:
    context = browser.new_context(
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": size[0], "height": size[1]},
    )
    opened = context.new_page()
    opened.goto(page.as_uri())
    opened.screenshot(path=PICTURES / f"{name}-{scheme}.png")
    context.close()


def main() -> None:
    from playwright.sync_api import sync_playwright

    folder = rehearse()
    PICTURES.mkdir(exist_ok=True)
    request = PLACE / "pull-request.html"
    request.write_text(as_github((folder / "pull-request.md").read_text("utf-8")), "utf-8")
    report = next(iter(PLACE.rglob("report.html")))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            picture(browser, request, "pull-request", scheme, (900, 820))
            picture(browser, report, "report", scheme, (1100, 900))
        browser.close()


if __name__ == "__main__":
    main()
