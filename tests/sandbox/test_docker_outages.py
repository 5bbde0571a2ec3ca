"""What is said where Docker fails: a small program of that name stands in for it, and fails as it does."""

import gc
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skillgrad_ci.errors import EnvironmentFailure, UserError
from skillgrad_ci.method.ports import Workspace
from skillgrad_ci.method.task import Environment
from skillgrad_ci.sandbox import choose, supervise
from skillgrad_ci.sandbox.agent_image import agent_image, prospect
from skillgrad_ci.sandbox.container import Container, docker, fetched
from skillgrad_ci.sandbox.docker_sandbox import DockerSandbox, copy_out
from skillgrad_ci.sandbox.supervise import Limits
from skillgrad_ci.sandbox.task_image import TaskImages

ROOT = Path(__file__).parents[2]
DAEMON = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"

# Its commands end well, a container's loop answers, and files that are copied in are taken.
WORKS = {
    "image": "echo sha256:0123456789abcdef",
    "run": 'echo $$ > "$0.loop"; while read -r line; do echo "$line"; done',
    "exec": 'case "$*" in *" tar -xof "*) cat > /dev/null;; *" tar -cf "*) tar -cf - -T /dev/null;; esac',
}
# As when a container's memory is out: its first process is gone, and Docker's program with it.
LOSE = """
loop=$(cat "$0.loop"); kill -9 "$loop"
until grep -q '^State:.Z' "/proc/$loop/status" 2>/dev/null || ! kill -0 "$loop"; do sleep 0.01; done
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin:/usr/sbin:/sbin")
    return tmp_path / "bin" / "docker"


def stand_in(program: Path, **does: str) -> None:
    """The `docker` program, by the name of its command; what a command is not told here it does well."""
    cases = "".join(f"{command})\n{what}\n;;\n" for command, what in {**WORKS, **does}.items())
    program.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}esac\n')
    program.chmod(0o755)


def fails(said: str, code: int = 1) -> str:
    return f"cat > /dev/null; echo {said!r} >&2; exit {code}"


@contextmanager
def raised(kind: type[Exception], said: str) -> Iterator[None]:
    with pytest.raises(kind, match=said) as caught:
        yield
    assert "\n" not in str(caught.value)


def run(folder: Path, command: str = "echo hi", seconds: float = 30) -> str:
    (folder / "task" / "work").mkdir(parents=True)
    with DockerSandbox(image="some").open(Workspace(folder / "task" / "work")) as session:
        return session.run(command, timeout=seconds).output


def test_without_a_failure_the_stand_in_is_as_good_as_docker(program: Path, tmp_path: Path) -> None:
    stand_in(program, exec=WORKS["exec"].replace("esac", "*) echo hi;; esac"))
    assert run(tmp_path) == "hi\n"


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ({"image": fails(DAEMON)}, r"docker image: Cannot connect to the Docker daemon .*; start Docker, or let"),
        (
            {"image": fails("Error: No such image: some"), "pull": fails("pull access denied for some")},
            r"the image some is not here and cannot be fetched: say another with image \(docker pull: pull access",
        ),
    ],
)
def test_an_image_that_cannot_be_had_is_refused_before_anything_is_spent(
    program: Path, does: dict[str, str], said: str
) -> None:
    stand_in(program, **does)
    with raised(UserError, f"sandbox: no way to run commands safely here .*{said}"):
        choose("docker", "some")


# For each command of Docker's, what it does, and what is said then.
OUTAGES = [
    (
        "run",
        "read line; echo 'docker: Error response from daemon: no space left on device.' >&2; exit 125",
        "docker: the container does not answer .Error response from daemon: no space left on device.*, then start",
    ),
    ("exec", fails("tar: ./table.csv: No space left on device", 2), "copying files failed .tar: ./table.csv: No space"),
    ("exec", f'case "$*" in *tar*) cat > /dev/null;; *) {LOSE};; esac', "the container has ended .*, then start"),
    (
        "exec",
        f'case "$*" in *tar*) cat > /dev/null;; *) {fails("OCI runtime exec failed")};; esac',
        "docker exec: OCI runtime exec failed; look",
    ),
]


@pytest.mark.parametrize(("command", "does", "said"), OUTAGES)
def test_what_docker_fails_at_is_an_outage_in_its_words(
    program: Path, tmp_path: Path, command: str, does: str, said: str
) -> None:
    stand_in(program, **{command: does})
    with raised(EnvironmentFailure, said):
        run(tmp_path)


def test_a_command_that_nothing_ends_is_an_outage(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon no longer looks at what its loop was told to kill."""
    monkeypatch.setattr(supervise, "GRACE", 0.2)
    stand_in(program, exec='case "$*" in *tar*) cat > /dev/null;; *) exec sleep 600;; esac')
    with raised(EnvironmentFailure, "a command could not be ended; look at"):
        run(tmp_path, seconds=0.1)


def test_a_daemon_that_is_busy_without_end_is_an_outage(program: Path) -> None:
    stand_in(program, image="exec sleep 600")
    with raised(EnvironmentFailure, r"docker image took longer than 0\.2 s; look whether"):
        docker(["image", "inspect", "some"], timeout=0.2)


def test_a_result_that_this_machine_cannot_write_is_an_outage_and_no_empty_result(
    program: Path, tmp_path: Path
) -> None:
    """Here it has no open file left."""
    stand_in(program)
    (tmp_path / "task" / "work").mkdir(parents=True)
    (tmp_path / "task" / "work" / "kept.txt").touch()
    container = Container(fetched("some"), Limits(), network=False)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(60)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (held[-1] + 1, before[1]))
        for _ in range(5):  # too few for a program and its pipes
            os.close(held.pop())
        with raised(EnvironmentFailure, r"work: the result cannot be written \(Too many open files\); look"):
            copy_out(container, tmp_path / "task" / "work", Limits())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for number in held:
            os.close(number)
        container.close()
    assert [path.name for path in (tmp_path / "task" / "work").iterdir()] == ["kept.txt"]


class TestImages:
    def test_a_task_whose_image_cannot_be_built_is_named_with_the_reason(self, program: Path, tmp_path: Path) -> None:
        (tmp_path / "environment").mkdir()
        stand_in(program, build=fails("E: Unable to locate package libfoo"))
        said = r"environment: its image cannot be built \(docker build: .*libfoo\); mend its Dockerfile"
        with raised(EnvironmentFailure, said):
            TaskImages(Limits()).image(Environment(build=tmp_path / "environment"))

    def test_an_agent_that_cannot_be_installed_says_why(self, program: Path) -> None:
        stand_in(program, image='test "$5" = base && echo sha256:01', build=fails("npm error code ECONNREFUSED"))
        with raised(UserError, r"agent: it cannot be installed on the image base by npm .*ECONNREFUSED.*; mend what"):
            agent_image("base", "npm install --global mine@9", lambda _: None)

    @pytest.mark.parametrize(
        ("here", "manifest", "have", "said"),
        [
            ("base skillgrad-agent:*", "exit 9", True, r"its image is here: skillgrad-agent:[0-9a-f]{16}"),
            ("base", "exit 9", True, "its image is made at the first run, on base, which is here"),
            ("", 'test "$3" = base', True, "its image is made at the first run, on base, which is fetched then"),
            (
                "",
                fails("no such manifest: docker.io/library/base:latest"),
                False,
                r"the image base is not here and cannot be fetched \(docker manifest: no such manifest: .*base.*",
            ),
        ],
    )
    def test_whether_an_agent_can_be_had_is_known_without_making_it(
        self, program: Path, here: str, manifest: str, have: bool, said: str
    ) -> None:
        pattern = here.replace(" ", "|") or "nothing"
        image = f'case "$5" in {pattern}) echo sha256:01;; *) exit 1;; esac'
        stand_in(program, image=image, manifest=manifest, build="exit 9", pull="exit 9")
        found, words = prospect("base", "npm install --global mine@9")
        assert (found, bool(re.fullmatch(said, words))) == (have, True), words

    def test_the_image_that_is_foretold_is_the_one_that_is_made(self, program: Path, tmp_path: Path) -> None:
        """A base that was fetched anew, or another version of the agent, is another image."""
        made = tmp_path / "made"
        build = f'echo "$5" > {made}; cat > /dev/null'
        image = f'case "$5" in base) echo sha256:01;; "$(cat {made} 2>&1)") echo sha256:02;; *) exit 1;; esac'
        stand_in(program, image=image, build=build)
        name = agent_image("base", "npm install --global mine@9", lambda _: None)
        assert name == made.read_text().strip()
        assert prospect("base", "npm install --global mine@9") == (True, f"its image is here: {name}")
        assert "first run" in prospect("base", "npm install --global mine@10")[1]
        stand_in(program, image=image.replace("sha256:01", "sha256:03"), build=build)
        assert "first run" in prospect("base", "npm install --global mine@9")[1]

    def test_a_task_needs_a_work_folder(self, program: Path) -> None:
        stand_in(program, image='case "$4" in *WorkingDir*) echo /;; *) echo sha256:01;; esac')
        with raised(UserError, "some: the image names no work folder; say WORKDIR in it, or workdir in task.toml"):
            TaskImages(Limits()).workdir(Environment(image="some"))

    def test_what_an_image_holds_is_bounded(self, program: Path, tmp_path: Path) -> None:
        for name in range(9):
            (tmp_path / "held" / str(name)).mkdir(parents=True)
        stand_in(program, create="echo c0ffee", cp=f"exec tar -cf - -C {tmp_path / 'held'} .")
        with raised(
            EnvironmentFailure,
            r"the image holds in /app is too much \(it made more than 8 files\); make the image's folder",
        ):
            TaskImages(Limits(files=8)).contents(Environment(image="some", workdir="/app"))


# A mount and a user name space of their own, in which the first process seems to be in a container, as by its mounts.
CONTAINED = """
set -e; root=$1/root; id=$1/containers/{id}
mkdir -p "$root" "$id"; touch "$id/hosts"; mount -t tmpfs tmpfs "$root"
for place in /*; do
  if [ -L "$place" ]; then cp -P "$place" "$root$place"
  elif [ -d "$place" ]; then mkdir "$root$place"; mount --rbind "$place" "$root$place"; fi
done
mount --bind "$id/hosts" "$root/etc/hosts"
{then}
exec chroot "$root" "$2" -c "$3"
""".replace("{id}", "0123456789abcdef" * 4)
PROGRAM = f"""
import os
os.chdir({str(ROOT)!r})
from tests.messages.recorder import watch_where_asked
watch_where_asked()
from skillgrad_ci.errors import EnvironmentFailure
from skillgrad_ci.sandbox.docker_sandbox import DockerSandbox
try:
    print(DockerSandbox().identity)
except EnvironmentFailure as failure:
    print(failure)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="containers need Linux")
@pytest.mark.parametrize(
    ("then", "does", "said"),
    [
        ("", {"cp": fails("No such container")}, "the daemon does not know the container that this program is in; set"),
        ('mount -o remount,ro "$root"', {}, "cannot be made to find this container (Read-only file system); set image"),
    ],
)  # fmt: skip
def test_where_our_own_container_cannot_be_found_an_image_is_asked_for(
    program: Path, tmp_path: Path, then: str, does: dict[str, str], said: str
) -> None:
    stand_in(program, **does)
    shell = ["sh", "-c", CONTAINED.replace("{then}", then), "sh", str(tmp_path), sys.executable, PROGRAM]
    apart = ["unshare", "--user", "--map-root-user", "--mount", *shell]
    done = subprocess.run(apart, cwd=ROOT, capture_output=True, text=True, timeout=120)
    if "unshare" in done.stderr:
        pytest.skip(f"no name spaces for this user: {done.stderr.strip()}")
    assert said in done.stdout, done.stderr
