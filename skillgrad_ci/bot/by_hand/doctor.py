"""The command `doctor`: what this machine lacks, and, where a token is at hand, what the repository on GitHub does."""

import argparse
import os
from collections.abc import Iterator

from skillgrad_ci.bot.by_hand.repository import OnGitHub
from skillgrad_ci.commands.start.doctor import doctor_command
from skillgrad_ci.commands.start.label import API, TOKENS, github_repository, token_of
from skillgrad_ci.config.config import Configuration
from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.github.client import Client, Patience, Refusal
from skillgrad_ci.session.doctor import Check

QUICK = Patience(attempts=2, backoff=0.5, secondary=1.0, longest=5.0, timeout=10)  # a person waits
HOW = f"export {TOKENS[0]}=$(gh auth token)"


def doctor(arguments: argparse.Namespace) -> int:
    return doctor_command(arguments, on_github)


def on_github(configuration: Configuration) -> Iterator[Check]:
    """What the bot would meet there. Runs by hand need nothing of it."""
    name, token = github_repository(configuration.root, os.environ), token_of(os.environ)
    if not name:
        yield Check("GitHub", None, "the remote origin is not there: runs by hand work, the bot has no repository")
        return
    if not token:
        yield Check(f"GitHub {name}", None, f"not looked at, for {TOKENS[0]} is not set; the bot needs it", HOW)
        return
    client = Client(name, token, os.environ.get("GITHUB_API_URL") or API, patience=QUICK)
    try:
        yield from OnGitHub(client, configuration).checks()
    except UserError:
        yield Check(f"GitHub {name}", False, "it does not take this token (expired, or of another server)", HOW)
    except (EnvironmentFailure, Refusal) as failure:
        yield Check(f"GitHub {name}", None, f"not looked at: {failure}")
