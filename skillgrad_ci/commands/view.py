"""The command `view`: run folders as pages, served to this machine alone unless a person says otherwise.

On loopback a request must name loopback as its host, so that no page of another site can reach it by a name of its own
that points here. On any other address each request needs the token of the printed link.
"""

import argparse
import hmac
import json
import secrets
import webbrowser
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from skillgrad_ci.commands.cli import DONE
from skillgrad_ci.commands.terminal import say
from skillgrad_ci.errors import UserError
from skillgrad_ci.report.executions import FOLDER, events_of
from skillgrad_ci.report.page import render_page
from skillgrad_ci.report.shelf import FoundRun, find_comparisons, find_runs, render_comparison, render_list

LAST_PORT = 65535
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}


class Viewer(ThreadingHTTPServer):
    """Serves the run folders below `paths`. `token` is empty on loopback."""

    daemon_threads = True

    def __init__(self, host: str, port: int, paths: Sequence[Path]) -> None:
        self.paths = paths
        self.token = "" if host in LOOPBACK else secrets.token_urlsafe(16)
        super().__init__((host, port), Requests)

    @property
    def address(self) -> str:
        """The link to open."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/" + (f"{self.token}/" if self.token else "")


class Requests(BaseHTTPRequestHandler):
    server: Viewer

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        parts = [part for part in address.path.split("/") if part]
        if not self._allowed(parts):
            return self._answer(HTTPStatus.FORBIDDEN, "text/plain", "Open the link that `skillgrad-ci view` printed.")
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        try:
            kind, text = self._page(parts[1:] if self.server.token else parts, query)
        except (UserError, LookupError, ValueError, OSError) as error:
            return self._answer(HTTPStatus.NOT_FOUND, "text/plain", str(error) or "There is no such page.")
        return self._answer(HTTPStatus.OK, kind, text)

    def _allowed(self, parts: Sequence[str]) -> bool:
        if self.server.token:
            return bool(parts) and hmac.compare_digest(parts[0].encode(), self.server.token.encode())
        return urlsplit(f"//{self.headers.get('Host', '')}").hostname in LOOPBACK

    def _page(self, parts: Sequence[str], query: dict[str, str]) -> tuple[str, str]:
        entries = find_runs(self.server.paths)
        match list(parts):
            case []:
                return "text/html", render_list(entries, find_comparisons(self.server.paths))
            case ["comparison", number]:
                return "text/html", find_comparisons(self.server.paths)[int(number)].read_text("utf-8")
            case ["comparison", number, *folders, ("report.html" | "events") as what]:
                page = find_comparisons(self.server.paths)[int(number)]
                return _of_run(_entry(entries, page.parent.joinpath(*folders)), what, query)
            case ["compare"]:
                return "text/html", render_comparison(entries[int(query["a"])], entries[int(query["b"])])
            case ["run", number]:
                return _of_run(entries[int(number)], "report.html", query)
            case ["run", number, "events"]:
                return _of_run(entries[int(number)], "events", query)
        raise LookupError(self.path)

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": f"{kind}; charset=utf-8"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not news."""


def _entry(entries: Sequence[FoundRun], folder: Path) -> FoundRun:
    """The run of a folder. Raises LookupError for any other folder."""
    for entry in entries:
        if entry.folder.resolve() == folder.resolve():
            return entry
    raise LookupError(folder.name)


def _of_run(entry: FoundRun, what: str, query: Mapping[str, str]) -> tuple[str, str]:
    """A run's page, or the events of one of its executions. Raises UserError for a run that goes on."""
    if what == "events":
        return "application/json", json.dumps(events_of(_trajectory(entry, query["file"])))
    if entry.report is None:
        raise UserError("this run has not ended; wait for its end, or follow it in the list")
    return "text/html", render_page(entry.report, entry.folder, served=True)


def _trajectory(entry: FoundRun, name: str) -> Path:
    """A file of the run's trajectories. Raises LookupError for anything else."""
    root = (entry.folder / FOLDER).resolve()
    path = (entry.folder / name).resolve()
    if not path.is_relative_to(root) or path.suffix != ".jsonl":
        raise LookupError(name)
    return path


def view(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    find_runs(arguments.runs)
    if not 0 <= arguments.port <= LAST_PORT:
        raise UserError(f"--port {arguments.port}: there are 0 (any that is free) to {LAST_PORT}; choose one")
    try:
        server = Viewer(arguments.host, arguments.port, arguments.runs)
    except OSError as error:
        raise UserError(
            f"{arguments.host}:{arguments.port}: {error.strerror}; choose another --port or --host"
        ) from error
    with server:
        say(f"Open {server.address} (Ctrl-C ends it)")
        if arguments.open:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("")
    return DONE
