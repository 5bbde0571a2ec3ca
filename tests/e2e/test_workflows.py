"""Every workflow, read by actionlint: keys, expressions, permissions, `needs`, contexts, the inputs of known actions.

What only GitHub can tell is not told: whether a token may do what a job asks for, and what an action does.
"""

from pathlib import Path

import pytest

from tests.e2e.test_act import from_go, sh

ROOT = Path(__file__).parent.parent.parent
LINT_VERSION = "v1.7.12"
WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("examples/*/.github/workflows/*.yml")])
pytestmark = pytest.mark.docker


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(workflow: Path) -> None:
    program = from_go("github.com/rhysd/actionlint/cmd/actionlint", LINT_VERSION)
    assert sh(program, "-no-color", "-shellcheck=", "-pyflakes=", workflow) == ""
