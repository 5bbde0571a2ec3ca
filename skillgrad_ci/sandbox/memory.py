"""What the processes of a cell hold of the machine's memory together.

The library counts what a process asks for without a file, when it asks. It sees neither the pages that are copied as a
fork writes to them, nor a shared mapping of `/dev/zero`, which is a file. So the processes are looked at from outside
while a command runs, as its folder is.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from resource import getpagesize

_OWN = re.compile(r"^(?:Pss_Anon|Pss_Shmem|RssAnon|RssShmem):\s*(\d+) kB", re.MULTILINE)


def held(first: int, enough: int) -> int:
    """Bytes that the processes below `first` hold, but for pages of files: each page once, however many share it.

    What is sure to be no more than `enough` is told roughly, for the exact look takes the kernel some milliseconds.
    """
    processes = list(_below(first))
    rough = sum(_resident(process) for process in processes)
    return rough if rough <= enough else sum(_own(process) for process in processes)


def _below(process: int) -> Iterator[int]:
    waiting = [process]
    while waiting:
        for children in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with suppress(OSError):  # it has ended, here and below
                found = [int(child) for child in children.read_text().split()]
                yield from found
                waiting += found


def _resident(process: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * getpagesize()
    return 0


def _own(process: int) -> int:
    """One that keeps others from looking into it tells less: then what it shares counts in full."""
    for place in ("smaps_rollup", "status"):
        with suppress(OSError):
            return 1024 * sum(int(size) for size in _OWN.findall(Path(f"/proc/{process}/{place}").read_text()))
    return 0
