"""What every sandbox does for the plain commands of an agent, whichever way it is made."""

import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from skillgrad_ci.errors import Cancelled, EnvironmentFailure, UserError
from skillgrad_ci.method.ports import Session, Workspace
from skillgrad_ci.sandbox import Limits, choose
from skillgrad_ci.sandbox.choose import NEEDED, StoppableSandbox
from skillgrad_ci.sandbox.container import fetched
from skillgrad_ci.sandbox.no_sandbox import NoSandbox
from skillgrad_ci.sandbox.selftest import weakness
from skillgrad_ci.sandbox.supervise import MIB
from tests.support.docker_image import TAG, docker_image

pytestmark = pytest.mark.filterwarnings("ignore:Policy field 'gid'")  # it does take effect

ROOT = Path(__file__).parents[2]
SMALL = Limits(memory=512 * MIB, disk=64 * MIB, flood=32 * MIB)
WAYS = [
    pytest.param("sandlock", marks=pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")),
    pytest.param("docker", marks=pytest.mark.docker),
    "none",
]


def made(way: str) -> StoppableSandbox:
    return choose(way, docker_image() if way == "docker" else None, SMALL)


@pytest.fixture(params=WAYS, scope="module")
def sandbox(request: pytest.FixtureRequest) -> StoppableSandbox:
    return made(request.param)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "work" / "data").mkdir(parents=True)
    (tmp_path / "work" / "data" / "in.txt").write_text("one\ntwo\n")
    (tmp_path / "skill" / "x").mkdir(parents=True)
    (tmp_path / "skill" / "x" / "SKILL.md").write_text("guidance\n")
    return Workspace(tmp_path / "work", {"skill": tmp_path / "skill"})


@pytest.fixture
def session(sandbox: StoppableSandbox, workspace: Workspace) -> Iterator[Session]:
    with sandbox.open(workspace) as opened:
        yield opened


def running(mark: str) -> int:
    """How many processes of this machine carry `mark` on their command line."""
    count = 0
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            count += mark.encode() in command.read_bytes()
    return count


def gone(mark: str) -> bool:
    deadline = time.monotonic() + 15
    while running(mark) and time.monotonic() < deadline:
        time.sleep(0.2)
    return running(mark) == 0


@pytest.mark.parametrize(
    ("command", "output", "code"),
    [
        ("cat ../skill/x/SKILL.md", "guidance\n", 0),
        ("cat data/in.txt | tr a-z A-Z | tail -1", "TWO\n", 0),
        ("cat <<EOF\na\nEOF\npython3 - <<'P'\nprint(1 + 1)\nP", "a\n2\n", 0),
        ("diff <(echo a) <(echo a) && echo same", "same\n", 0),
        ("echo out; echo err >&2; echo out", "out\nerr\nout\n", 0),
        ("cat", "", 0),
        ("false", "", 1),
        ("exit 42", "", 42),
        ("kill -9 $$", None, 137),
        ("no-such-program", None, 127),
        ("echo Grüße 你好", "Grüße 你好\n", 0),
        (
            "printf é | wc -m; python3 -c 'import sys; print(len(sys.argv[1]), sys.stdout.encoding)' é",
            "1\n1 utf-8\n",
            0,
        ),
        ("printf '\\033[31mred\\033[0m\\xff'", "red�", 0),
        ("[ -w . ] && [ -w $TMPDIR ] && [ $HOME = $PWD ] && echo ok > $TMPDIR/x && cat $TMPDIR/x", "ok\n", 0),
        ("x='it'\"'\"'s \\$HOME'; echo \"$x\"", "it's \\$HOME\n", 0),
        ("sleep 60 & echo hi", "hi\n", 0),
        ("exec >&- 2>&-; sleep 0.5; exit 3", "", 3),
        ("python3 -c 'import multiprocessing as m; print(m.Pool(2).map(abs, [-1]))'", "[1]\n", 0),
        ("echo x > /tmp/a && cat /tmp/a && rm /tmp/a", "x\n", 0),
        ("test -e /dev/tty && tty; ls -la > /dev/null; echo done", None, 0),
    ],
)
def test_plain_commands_just_work(session: Session, command: str, output: str | None, code: int) -> None:
    result = session.run(command, timeout=30)
    assert result.exit_code == code, result
    assert not result.timed_out
    assert output is None or result.output == output


def test_the_result_is_what_the_commands_left(sandbox: StoppableSandbox, workspace: Workspace) -> None:
    with sandbox.open(workspace) as session:
        session.run(
            "mkdir -p new/deep && echo made > new/deep/out.txt && rm data/in.txt && echo run > a.sh", timeout=30
        )
        session.run("chmod +x a.sh; cat new/deep/out.txt >> second.txt; ln -s second.txt link", timeout=30)
        (workspace.work / "not-by-a-command").mkdir(exist_ok=True)
    files = {p.relative_to(workspace.work).as_posix() for p in workspace.work.rglob("*") if p.is_file()}
    assert files == {"new/deep/out.txt", "second.txt", "a.sh"}
    assert (workspace.work / "second.txt").read_text() == "made\n"
    assert os.access(workspace.work / "a.sh", os.X_OK)
    assert [p.name for p in workspace.work.parent.iterdir() if p.name.startswith(".")] == []
    assert session.removed == ["'link': a symbolic link"]  # type: ignore[attr-defined]


def test_no_command_can_have_another_run_where_nothing_is_private(session: Session) -> None:
    assert session.run("test ! -e $TMPDIR/.door", timeout=30).exit_code == 0


def test_a_command_ends_at_its_time_with_all_it_started(session: Session, tmp_path: Path) -> None:
    started = time.monotonic()
    result = session.run(f"echo first; (setsid sleep 97 &) ; sleep 98; : {tmp_path.name}", timeout=1)
    assert (result.exit_code, result.timed_out) == (None, True)
    assert result.output == "first\n\n[stopped after 1 s, its time limit]"
    assert time.monotonic() - started < 90
    assert session.run("echo next", timeout=10).output == "next\n"


def test_a_lot_of_output_is_cut_in_the_middle_and_a_flood_is_stopped(session: Session) -> None:
    result = session.run("echo start; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end", timeout=30)
    assert result.exit_code == 0
    assert len(result.output) < SMALL.output + 100
    assert result.output.startswith("start\nxxx")
    assert result.output.endswith("xxx\nend\n")
    assert "[970,011 bytes of output cut here]" in result.output
    flood = session.run("yes", timeout=60)
    assert (flood.exit_code, flood.timed_out) == (None, False)
    assert flood.output.endswith("[stopped: it wrote more than 32 MiB of output]")


@pytest.mark.parametrize("command", ["x" * 200_000, "echo a\0b"])
def test_a_command_that_is_none_is_said_and_not_raised(session: Session, command: str) -> None:
    result = session.run(command, timeout=10)
    assert result.exit_code is None
    assert result.output.startswith("[not run: ")


def test_tasks_at_the_same_time_do_not_meet(sandbox: StoppableSandbox, tmp_path: Path) -> None:
    def task(number: int) -> list[str]:
        work = tmp_path / str(number) / "work"
        work.mkdir(parents=True)
        with sandbox.open(Workspace(work)) as session:
            outputs = [session.run(f"echo {number} >> log; cat log | wc -l; ls", timeout=60).output for _ in range(5)]
        assert (work / "log").read_text() == f"{number}\n" * 5
        return outputs

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(task, range(8))) == [[f"{n}\nlog\n" for n in range(1, 6)]] * 8


@pytest.mark.parametrize("way", WAYS)
def test_cancelling_ends_what_runs_and_starts_nothing_more(way: str, workspace: Workspace, tmp_path: Path) -> None:
    sandbox = made(way)
    mark = f"cancel-{tmp_path.name}-{os.getpid()}"
    started = time.monotonic()

    def stop() -> None:
        while not running(mark) and time.monotonic() - started < 30:
            time.sleep(0.1)
        time.sleep(0.5)
        sandbox.kill_all()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(Cancelled), sandbox.open(workspace) as session:
        session.run(f"(setsid sleep 99 &); while :; do sleep 1; done; : {mark}", timeout=90)
    stopper.join()
    assert time.monotonic() - started < 45
    assert gone(mark)
    with pytest.raises(Cancelled), sandbox.open(workspace):
        pass


@pytest.mark.parametrize("way", WAYS[:2])
def test_nothing_survives_the_program(way: str, workspace: Workspace) -> None:
    """Killed with SIGKILL: no clean-up of ours runs."""
    mark = f"orphan-{os.getpid()}-{time.monotonic_ns()}"
    image = docker_image() if way == "docker" else None
    program = f"""
from pathlib import Path
from skillgrad_ci.method.ports import Workspace
from skillgrad_ci.sandbox import choose
with choose({way!r}, {image!r}).open(Workspace(Path({str(workspace.work)!r}))) as session:
    session.run("setsid bash -c 'while :; do sleep 1; done; : {mark}' & while :; do sleep 1; done", timeout=90)
"""
    process = subprocess.Popen([sys.executable, "-"], cwd=ROOT, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(program.encode())
    process.stdin.close()
    deadline = time.monotonic() + 60
    while not running(mark) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert running(mark)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert gone(mark)


def test_a_read_only_folder_lies_beside_the_work_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="beside the work folder"):  # noqa: SIM117
        with choose("sandlock", None, SMALL).open(Workspace(tmp_path, {"skill": Path("/etc")})):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")
@pytest.mark.parametrize("network", [False, True])
def test_no_memory_is_had_that_counts_for_no_process(network: bool, workspace: Workspace) -> None:
    """Files without a name, secret ones too: what they hold stays when nothing maps it."""
    had = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.memfd_create.argtypes = [ctypes.c_char_p, ctypes.c_uint]
for made in (libc.syscall(447, 0), libc.memfd_create(b"x", 0)):
    print(made if made >= 0 else errno.errorcode[ctypes.get_errno()])
"""
    with made("sandlock").open(workspace, network=network) as session:
        (workspace.work / "had.py").write_text(had)
        said = session.run("python3 had.py", timeout=30).output.split()
    assert len(said) == 2
    assert set(said) <= {"EPERM", "ENOSYS"}


@pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")
def test_with_the_network_this_machines_own_services_stay_out_of_reach(workspace: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own, made("sandlock").open(workspace, network=True) as session:
        port = own.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "0.0.0.0", "169.254.169.254"):
            result = session.run(f"timeout 3 bash -c 'echo > /dev/tcp/{host}/{port}'", timeout=10)
            assert result.exit_code not in (0, None), host
        # A datagram to an address that is nobody's: without a network, there is not even a socket for it.
        send = "python3 -c \"import socket; socket.socket(2, 2).sendto(b'x', ('192.0.2.1', 9))\""
        assert session.run(send, timeout=10).exit_code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")
def test_with_the_network_no_clouds_identity_service_is_reached(workspace: Workspace) -> None:
    """Connecting a datagram socket sends nothing: it is refused by the sandbox, or works without anybody there."""
    services = (
        *("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
        *("::ffff:169.254.169.254", "::ffff:100.100.100.200"),
    )
    probe = f"""python3 - <<'E'
import errno, socket
for host in (*{services!r}, "192.0.2.1"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM) if host in {services!r} else (socket.SOCK_DGRAM,):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as made:
            made.settimeout(3)
            try: made.connect((host, 80)); print(host, kind, "connected")
            except OSError as error:
                if error.errno != errno.ECONNREFUSED: print(host, kind, error)
E"""
    with made("sandlock").open(workspace, network=True) as session:
        assert session.run(probe, timeout=60).output == "192.0.2.1 2 connected\n"


@pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")
@pytest.mark.parametrize("network", [False, True])
def test_programs_that_speak_over_unix_sockets_work_and_no_tcp_port_is_bound(
    workspace: Workspace, network: bool
) -> None:
    """No filter sees which socket a `listen` means, so it stays for these: LibreOffice is one of them."""
    probe = """
import multiprocessing, socket
if __name__ == "__main__":
    multiprocessing.set_start_method("forkserver")
    with multiprocessing.Pool(2) as pool, multiprocessing.Manager() as manager:
        print(pool.map(abs, [-1]), manager.dict())
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for port in (0, 8080):
            try: socket.socket(family).bind((host, port)); print(host, port, "bound")
            except OSError: pass
"""
    (workspace.work / "probe.py").write_text(probe)
    with made("sandlock").open(workspace, network=network) as session:
        assert session.run("python3 probe.py", timeout=60).output == "[1] {}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")
@pytest.mark.parametrize("network", [False, True])
def test_there_are_no_sockets_but_unix_ones_and_with_the_network_plain_ones(
    workspace: Workspace, network: bool
) -> None:
    probe = """python3 - <<'E'
import socket
for family in range(1, 46):
    for kind, protocol in ((1, 0), (2, 0), (1, 262), (1, 132), (3, 255)):
        try: socket.socket(family, kind, protocol); print(family, kind, protocol)
        except (OSError, ValueError): pass
E"""
    with made("sandlock").open(workspace, network=network) as session:
        opened = session.run(probe, timeout=30).output.splitlines()
    plain = {f"{int(family)} {kind} 0" for family in (socket.AF_INET, socket.AF_INET6) for kind in (1, 2)}
    unix = {line for line in opened if line.startswith("1 ")}
    assert unix
    if not network:
        assert set(opened) == unix
        return
    netlink = {line for line in opened if line.startswith("16 ")}  # the library's own
    assert "2 1 0" in set(opened) - unix - netlink <= plain


def test_a_full_disk_is_an_outage(workspace: Workspace) -> None:
    full = choose("sandlock")
    full.limits = Limits(free=1 << 60)  # type: ignore[attr-defined]
    with pytest.raises(EnvironmentFailure, match="free on the disk"), full.open(workspace):
        pass


class TestChoose:
    def test_a_path_without_coreutils_or_a_shell_is_told_before_anything_runs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        for way in ("auto", "sandlock", "docker", "none"):
            with pytest.raises(UserError) as refused:
                choose(way)
            remedy = f"PATH ({tmp_path}) leads to no chmod and no rm; add /usr/bin and /bin to it"
            assert str(refused.value) == f"sandbox: {remedy}"
        for name in NEEDED:
            (tmp_path / name).symlink_to("/bin/true")
        with pytest.raises(UserError, match="leads to no bash; add /usr/bin"):
            choose("none")

    def test_auto_takes_one_that_proved_itself(self) -> None:
        assert choose("auto").identity.split()[0] in {"sandlock", "docker"}

    def test_none_says_so(self) -> None:
        assert choose("none").identity == "none (not sandboxed)"

    def test_the_identity_of_sandlock_names_its_version(self) -> None:
        assert choose("sandlock").identity.startswith("sandlock 0.")

    def test_on_an_older_kernel_the_identity_says_what_is_missing(
        self, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
    ) -> None:
        monkeypatch.setattr("sandlock.landlock_abi_version", lambda: 5)
        older = choose("sandlock")
        assert older.identity.endswith(" degraded: no SIGNAL_SCOPE, ABSTRACT_UNIX_SOCKET_SCOPE")

    @pytest.mark.docker
    def test_the_identity_of_docker_names_the_image(self) -> None:
        image = docker_image()
        wanted = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{.Id}}", image], capture_output=True, text=True, check=True
        ).stdout
        assert choose("docker", image).identity == f"docker {wanted.removeprefix('sha256:')[:12]}"

    @pytest.mark.parametrize(
        ("kind", "image", "said"),
        [
            ("bubblewrap", None, "'bubblewrap' is none of auto, sandlock, docker, none"),
            ("sandlock", "debian", "has no image"),
            ("none", "debian", "has no image"),
        ],
    )
    def test_what_cannot_be_is_one_line(self, kind: str, image: str | None, said: str) -> None:
        with pytest.raises(UserError, match=said) as caught:
            choose(kind, image)
        assert "\n" not in str(caught.value)

    def test_where_nothing_works_it_refuses_and_says_what_to_do(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in NEEDED:
            (tmp_path / name).symlink_to("/bin/true")
        monkeypatch.setenv("PATH", str(tmp_path))  # no docker program, and no bash for sandlock
        with pytest.raises(UserError, match="start Docker; or say sandbox: none") as caught:
            choose("docker")
        assert "\n" not in str(caught.value)

    @pytest.mark.skipif(sys.platform != "linux", reason="sandlock needs Linux")
    @pytest.mark.parametrize(
        ("kind", "told"), [("sandlock", ""), pytest.param("auto", "docker", marks=pytest.mark.docker)]
    )
    def test_where_name_spaces_are_refused_sandlock_is_not_offered(self, kind: str, told: str) -> None:
        """As some distributions refuse them to ordinary users; here a seccomp program does."""
        if told:
            docker_image()
        program = f"""
import errno
from tests.messages.recorder import watch_where_asked
watch_where_asked()
from skillgrad_ci import seccomp
from skillgrad_ci.errors import UserError
from skillgrad_ci.sandbox import cell, choose, docker_sandbox
unshare = {{"x86_64": 272, "aarch64": 97}}[seccomp.machine()]
cell.filter_calls(seccomp.program(seccomp.answer([unshare], errno.EPERM)))
docker_sandbox.own_image = lambda: {TAG!r}  # as if this program were in a container of that image
try:
    print(choose({kind!r}, tell=lambda text: print("told", text)).identity)
except UserError as error:
    print("refused", error)
"""
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
        wanted = "sandlock: it has no name spaces of its own here (unshare: Operation not permitted)"
        assert wanted in done.stdout, done.stderr
        if told:
            assert done.stdout.startswith("told sandbox: docker is used, for sandlock")
            assert done.stdout.splitlines()[-1].startswith("docker ")
        else:
            assert done.stdout.startswith("refused sandbox: no way to run commands safely here")

    @pytest.mark.parametrize(
        ("module", "name", "value", "said"),
        [
            (sys, "platform", "darwin", "sandlock: it needs Linux"),
            (platform, "machine", lambda: "riscv64", "the system calls of riscv64 are not known here"),
        ],
    )
    def test_on_another_kind_of_machine_sandlock_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: object, said: str
    ) -> None:
        with monkeypatch.context() as other, pytest.raises(UserError, match=f"{said}.*; or say sandbox: none"):  # noqa: PT012
            other.setattr(module, name, value)
            choose("sandlock")

    def test_the_self_test_refuses_a_leaky_sandbox(self) -> None:
        assert weakness(NoSandbox()) != ""

    def test_a_sandbox_that_cannot_start_is_an_outage(self, workspace: Workspace) -> None:
        broken = choose("sandlock", None, SMALL)
        broken.limits = Limits(memory=1, processes=1)  # type: ignore[attr-defined]
        try:
            with broken.open(workspace) as session:
                result = session.run("echo x", timeout=5)
        except EnvironmentFailure:
            return
        assert result.exit_code != 0


@pytest.mark.docker
def test_an_image_that_cannot_be_had_is_named_with_what_to_do() -> None:
    docker_image()
    with pytest.raises(
        EnvironmentFailure, match=r"the image 127\.0\.0\.1:9/none:1 is not here and cannot be fetched: say"
    ):
        fetched("127.0.0.1:9/none:1")


@pytest.mark.docker
def test_where_docker_does_not_answer_no_other_image_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(EnvironmentFailure, match="start Docker, or let this user reach it") as stopped:
        fetched(TAG)
    assert "say another" not in str(stopped.value)


def test_where_docker_is_not_installed_no_other_image_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFailure, match="docker is not installed; install Docker"):
        fetched(TAG)
