"""Markdown as GitHub shows it, near enough to look at: its width, its tables, its folds; and a picture of it."""

import re
import subprocess
from pathlib import Path

from markdown_it import MarkdownIt

WIDTH = 830  # pixels of a pull request's body, in a window of 1280
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
STYLE = f"""
body {{ margin: 0; background: #fff; }}
main {{ width: {WIDTH}px; margin: 0 auto; padding: 16px; box-sizing: border-box; border: 1px solid #d1d9e0;
  font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; color: #1f2328;
  overflow-wrap: break-word; }}
h3 {{ font-size: 1.25em; margin: 24px 0 16px; }}
p, ul, table, pre, details {{ margin: 0 0 16px; }}
ul {{ padding-left: 2em; }}
table {{ display: block; width: max-content; max-width: 100%; overflow: auto; border-spacing: 0;
  border-collapse: collapse; }}
th, td {{ padding: 6px 13px; border: 1px solid #d1d9e0; text-align: left; }}
tr:nth-child(2n) {{ background: #f6f8fa; }}
code {{ padding: .2em .4em; font: 85% ui-monospace, "Liberation Mono", monospace; background: #818b981f;
  border-radius: 6px; white-space: break-spaces; }}
pre {{ padding: 16px; overflow: auto; background: #f6f8fa; border-radius: 6px; }}
pre code {{ padding: 0; background: none; white-space: pre; }}
a {{ color: #0969da; }}
hr {{ height: 4px; background: #d1d9e0; border: 0; margin: 24px 0; }}
summary {{ cursor: pointer; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #0d1117; }}
  main {{ color: #f0f6fc; border-color: #3d444d; }}
  th, td {{ border-color: #3d444d; }}
  tr:nth-child(2n), pre {{ background: #151b23; }}
  code {{ background: #656c7633; }}
  a {{ color: #4493f8; }}
  hr {{ background: #3d444d; }}
}}
"""
MEASURE = """
<script>
addEventListener("load", () => {
  const wide = [...document.querySelectorAll("table")].map(t => t.scrollWidth - t.clientWidth);
  document.body.dataset.overflow = Math.max(0, ...wide);
  document.body.dataset.height = document.querySelector("main").scrollHeight;
});
</script>
"""


def html(markdown: str, *, unfolded: bool = False) -> str:
    """A whole page. `unfolded` opens every fold, as a reader may."""
    body = MarkdownIt("commonmark", {"html": True}).enable(["table"]).render(markdown)
    body = re.sub(r"<li>\[ \]", '<li style="list-style: none"><input type="checkbox">', body)
    body = body.replace("<details>", "<details open>") if unfolded else body
    return f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{MEASURE}<body><main>{body}</main>"


def chromium(browser: str, *arguments: str, page: Path) -> str:
    """Load a page without a window; gives what the browser prints."""
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={page.parent}/b"]
    done = subprocess.run(
        [browser, *flags, *arguments, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def measured(browser: str, page: Path) -> dict[str, int]:
    """How many pixels the widest table hides to the right, and how tall the page is."""
    dom = chromium(browser, "--window-size=1280,900", "--dump-dom", page=page)
    return {name: int(value) for name, value in re.findall(r'data-(overflow|height)="(\d+)"', dom)}


def picture(browser: str, page: Path, target: Path, height: int, *, dark: bool = False) -> None:
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    chromium(browser, *scheme, f"--window-size=1000,{height}", f"--screenshot={target}", page=page)
