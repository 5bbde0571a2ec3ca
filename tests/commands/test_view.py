"""Run folders as pages: served to this machine alone, whole, and nothing else of it."""

import html
import json
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest

from skillgrad_ci.__main__ import main
from skillgrad_ci.commands.view import Viewer
from skillgrad_ci.report import executions
from tests.report.test_page import CUT, chromium, written
from tests.report.test_report import report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["chromium"]


@contextmanager
def serving(*paths: Path, host: str = "127.0.0.1") -> Iterator[Viewer]:
    with Viewer(host, 0, paths) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def get(server: Viewer, path: str, host: str | None = None) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_runs_are_listed_opened_and_compared(tmp_path: Path) -> None:
    written(tmp_path / "a")
    written(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "journal.jsonl").touch()
    with serving(tmp_path) as server:
        status, page = get(server, "/")
        assert (status, "3 runs" in page, "Going on, or stopped" in page) == (200, True, True)
        ended = datetime.fromtimestamp((tmp_path / "a/report.json").stat().st_mtime).astimezone()
        assert f"{ended:%Y-%m-%d %H:%M} · <code>" in page
        number = page.split('href="run/')[1].split("/")[0]
        status, page = get(server, f"/run/{number}/")
        assert (status, "connect-src &#39;self&#39;" in page) == (200, True)
        status, page = get(server, f"/compare?a={number}&b={number}")
        assert (status, "Two runs side by side" in page) == (200, True)


def test_a_run_that_was_stopped_says_so_in_the_list(tmp_path: Path) -> None:
    written(tmp_path / "a")
    file, why = tmp_path / "a/report.json", "The run stopped early (cancelled): somebody wanted it."
    report = json.loads(file.read_text())
    file.write_text(json.dumps(report | {"remarks": ["Another.", why]}))
    with serving(tmp_path) as server:
        _, page = get(server, "/")
    assert f"{report['headline']} {why}</p>" in html.unescape(page)
    assert "Another." not in page


def test_a_run_that_goes_on_has_no_page_and_no_comparison(tmp_path: Path) -> None:
    (tmp_path / "going").mkdir()
    (tmp_path / "going" / "journal.jsonl").touch()
    with serving(tmp_path) as server:
        assert get(server, "/run/0/") == (404, "this run has not ended; wait for its end, or follow it in the list")
        assert get(server, "/compare?a=0&b=0") == (404, "both runs must have ended to be compared; wait for them")


def test_an_address_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    with serving(tmp_path) as server:
        port = str(server.server_address[1])
        assert main(["view", str(tmp_path), "--port", port]) == 2
    said = f"127.0.0.1:{port}: Address already in use; choose another --port or --host"
    assert said in capsys.readouterr().err


def test_a_comparison_is_opened_and_leads_to_its_runs(tmp_path: Path) -> None:
    written(tmp_path / "compare-1" / "skillgrad")
    (tmp_path / "compare-1" / "comparison.html").write_text("<h1>Two settings</h1>")
    with serving(tmp_path) as server:
        assert 'href="comparison/0/"' in get(server, "/")[1]
        assert get(server, "/comparison/0/") == (200, "<h1>Two settings</h1>")
        status, page = get(server, "/comparison/0/skillgrad/report.html")
        assert (status, "Accuracy over the run" in page) == (200, True)
        file = next(tmp_path.rglob("trajectories/base/*.jsonl")).relative_to(tmp_path / "compare-1" / "skillgrad")
        assert get(server, f"/comparison/0/skillgrad/events?file={file}")[0] == 200
        for elsewhere in ("/comparison/0/../../report.html", "/comparison/1/", "/comparison/0/none/report.html"):
            assert get(server, elsewhere)[0] == 404


def test_folders_that_get_no_report_are_no_runs_that_have_not_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path / "a")
    for name in ("evaluate-0123456789ab", "grow-0123456789ab", "fffff"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "journal.jsonl").touch()
    with serving(tmp_path) as server:
        page = get(server, "/")[1]
    assert ("2 runs" in page, page.count("Going on, or stopped")) == (True, 1)
    assert "a measurement" in page
    assert "proposed tasks" in page
    assert main(["report", str(tmp_path / "evaluate-0123456789ab")]) == 2
    assert "it holds a measurement" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "fffff")]) == 2
    assert "this run has not ended; start it again to go on" in capsys.readouterr().err


@pytest.mark.parametrize(
    "file", ["../report.json", "trajectories/../report.json", "/etc/passwd", "trajectories/none.jsonl"]
)
def test_nothing_but_trajectories_is_served(tmp_path: Path, file: str) -> None:
    written(tmp_path)
    with serving(tmp_path) as server:
        assert get(server, f"/run/0/events?file={file}")[0] == 404


def test_a_page_of_another_site_cannot_reach_it_by_a_name_of_its_own(tmp_path: Path) -> None:
    written(tmp_path)
    with serving(tmp_path) as server:
        assert get(server, "/", host="localhost")[0] == 200
        assert get(server, "/", host="evil.example")[0] == 403


def test_beyond_loopback_the_link_is_the_key(tmp_path: Path) -> None:
    written(tmp_path)
    with serving(tmp_path, host="0.0.0.0") as server:
        assert get(server, "/")[0] == 403
        assert get(server, "/guess/")[0] == 403
        assert get(server, urlsplit(server.address).path)[0] == 200
        assert len(server.token) > 16


@pytest.mark.browser
def test_the_list_and_a_comparison_fit_a_phone(chromium: "Browser", tmp_path: Path) -> None:
    for name in "ab":
        written(tmp_path / f"a-folder-{'x' * 60}" / name)
    with serving(tmp_path) as server:
        page = chromium.new_page(viewport={"width": 390, "height": 900})
        for path in ("", "compare?a=0&b=1"):
            page.goto(f"{server.address}{path}")
            assert page.evaluate(CUT) == []
        page.close()


LEFT_OUT = "This page does not carry it"


@pytest.mark.browser
def test_what_a_page_leaves_out_is_named_by_its_file_and_loaded_by_view(
    chromium: "Browser", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = written(tmp_path)
    task = result.suite.tasks[0].id
    monkeypatch.setattr(executions, "PAGE_BOUND", 0)
    assert main(["report", str(tmp_path)]) == 0
    file = f"trajectories/base/{task}.0.jsonl"
    assert (tmp_path / file).is_file()
    context = chromium.new_context()
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    dialog = page.get_by_role("dialog")

    page.goto((tmp_path / "report.html").as_uri())
    page.get_by_role("button", name=f"{task}, before: ").click()
    told = f"{LEFT_OUT}: it is in {file} beside the page, and `skillgrad-ci view` shows it."
    assert dialog.get_by_text(told).is_visible()
    assert dialog.locator("summary", has_text="shell").count() == 0

    with serving(tmp_path) as server:
        page.goto(f"{server.address}run/0/")
        page.get_by_role("button", name=f"{task}, before: ").click()
        dialog.locator("summary", has_text="shell").first.wait_for()
        assert dialog.get_by_text(LEFT_OUT).count() == 0
        assert said == []
        (tmp_path / file).unlink()
        page.keyboard.press("Escape")
        page.get_by_role("button", name=f"{task}, before: ").click()
        dialog.get_by_text(f"Could not load {file}.").wait_for()
    context.close()


@pytest.mark.browser
def test_instructions_that_a_page_leaves_out_are_in_the_files_that_it_names(
    chromium: "Browser", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = written(tmp_path).suite.tasks[0].id
    monkeypatch.setattr(executions, "WORDS_BOUND", 0)
    with serving(tmp_path) as server:
        page = chromium.new_page()
        page.goto(f"{server.address}run/0/")
        page.get_by_role("button", name=task, exact=True).click()
        told = f"{LEFT_OUT}: it is in the files of its executions."
        assert page.get_by_role("dialog").get_by_text(told).is_visible()
        page.close()


def test_a_report_is_made_again_in_other_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = written(tmp_path)
    kept = {name: (tmp_path / name).read_text() for name in ("report.html", "report.json", "report.md")}
    (tmp_path / "report.html").unlink()
    assert main(["report", str(tmp_path)]) == 0
    assert (tmp_path / "report.html").read_text() == kept["report.html"]
    capsys.readouterr()
    for form, name in (("json", "report.json"), ("md", "report.md")):
        assert main(["report", str(tmp_path), "--format", form]) == 0
        assert capsys.readouterr().out == kept[name]
    assert main(["report", str(tmp_path), "--format", "junit"]) == 0
    suite = ElementTree.fromstring(capsys.readouterr().out)
    assert len(suite) == len(result.suite.tasks) == int(suite.attrib["tests"])
    assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure")) > 0
    assert main(["report", str(tmp_path), "--format", "sarif"]) == 0
    [scan] = json.loads(capsys.readouterr().out)["runs"]
    rules = [rule["id"] for rule in scan["tool"]["driver"]["rules"]]
    assert all(rules[found["ruleIndex"]] == found["ruleId"] for found in scan["results"])
    told = Counter(found["ruleId"] for found in scan["results"])
    assert told["task-broken"] + told["task-fails"] == len(suite.findall("testcase/failure"))
    assert told["line-to-review"] == len(report(result).flags)
    assert main(["report", str(tmp_path), "--format", "atif"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    files = [json.loads(file.read_text()) for file in sorted(tmp_path.glob("trajectories/*/*.atif.json"))]
    assert documents == files != []
    shutil.rmtree(tmp_path / "trajectories")
    assert main(["report", str(tmp_path), "--format", "atif"]) == 2
    assert f"{tmp_path / 'trajectories'}: no execution in ATIF is here; name a run folder" in capsys.readouterr().err


def test_a_folder_without_a_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "name a run folder" in capsys.readouterr().err
    written(tmp_path / "s" / "run")
    assert main(["report", str(tmp_path)]) == 2
    assert f"such as {tmp_path / 's' / 'run'}" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "s")
    assert main(["view", str(tmp_path)]) == 2
    assert "no run folder is here" in capsys.readouterr().err
    (tmp_path / "report.json").write_text('{"skill": 1}')
    assert main(["report", str(tmp_path)]) == 2
    assert "another version" in capsys.readouterr().err
