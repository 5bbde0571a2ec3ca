"""What is told of a command that fails while an image is built."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.sandbox.agent_image import agent_image
from skillgrad_ci.sandbox.build_output import LENGTH, why
from skillgrad_ci.sandbox.container import docker
from tests.support.docker_image import docker_image

Builder = Callable[[list[str]], str]
FAILED = "The command '/bin/sh -c npm install --global mine@9' returned a non-zero code: 1"
SOLVE = 'ERROR: failed to solve: process "/bin/sh -c npm install --global mine@9" did not complete successfully'
COMPLAINT = ["npm error code ETARGET", "npm error notarget No matching version found for mine@9."]
AFTER = ["npm notice New major version of npm available!", "npm error A complete log of this run can be found in: /x"]
TOLD = "code ETARGET; notarget No matching version found for mine@9."


def classic(lines: list[str]) -> str:
    head = ["DEPRECATED: The legacy builder is deprecated.", "Step 3/3 : RUN npm", " ---> Running in 2bee8dab8fd3"]
    return "\n".join([*head, *(f"\x1b[91m{line}" for line in lines), f"\x1b[0m{FAILED}"])


def buildkit(lines: list[str]) -> str:
    numbered = [f"#6 {number}.512 {line}" for number, line in enumerate(lines)]
    told_again = ["------", " > [3/3] RUN npm:", *(f"0.512 {line}" for line in lines), "------", SOLVE]
    return "\n".join(["#6 [3/3] RUN npm", *numbered, "#6 ERROR: process did not complete", *told_again])


@pytest.mark.parametrize("builder", [classic, buildkit])
class TestWhy:
    def test_the_installers_own_last_lines_are_told_without_its_news(self, builder: Builder) -> None:
        assert why(builder([*COMPLAINT, *AFTER])) == TOLD

    def test_where_it_said_nothing_dockers_last_line_is_told(self, builder: Builder) -> None:
        assert why(builder([])) in (FAILED, SOLVE)

    @given(st.lists(st.text(max_size=300), max_size=30))
    def test_whatever_is_printed_is_one_short_line(self, builder: Builder, lines: list[str]) -> None:
        told = why(builder(lines))
        assert told
        assert len(told) <= LENGTH
        assert len(told.splitlines()) == 1


@pytest.mark.docker
def test_an_agent_that_cannot_be_installed_says_why_in_the_installers_words() -> None:
    line = "echo fetched; echo 'npm error code ECONNREFUSED' >&2; echo 'npm notice news' >&2; exit 7"
    with pytest.raises(UserError) as refused:
        agent_image(docker_image(), line, lambda _: None, network="none")
    told = str(refused.value).partition("(docker build: ")[2]
    assert "code ECONNREFUSED" in told
    assert "npm" not in told


@pytest.mark.docker
def test_what_docker_itself_refuses_is_told_in_its_words() -> None:
    with pytest.raises(EnvironmentFailure, match="nonsense"):
        docker(["build", "-"], text="NONSENSE\n", why=lambda output: why(output).lower())
