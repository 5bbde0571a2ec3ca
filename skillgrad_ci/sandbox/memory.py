"""What the processes of a cell hold of the machine's memory together.

The library counts what a process asks for without a file, when it asks. It sees neither the pages that are copied as a
fork writes to them, nor a shared mapping of `/dev/zero`, which is a file. So the processes are looked at from outside
while a command runs, as its folder is.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Pages of no file, in memory and swapped out: of `status`, and of `smaps_rollup`, where shared ones count in part.
_PAGES = re.compile(r"^(?:RssAnon|RssShmem|VmSwap|Pss_Anon|Pss_Shmem|SwapPss):\s*(\d+) kB", re.MULTILINE)


def held(first: int, enough: int) -> int:
    """Bytes that the processes below `first` hold, but for pages of files: each page once, however many share it.

    What is sure to be no more than `enough` is told roughly, for the exact look takes the kernel some milliseconds.
    """
    processes = list(_below(first))
    rough = sum(_pages(process, "status") for process in processes)
    if rough <= enough:
        return rough
    # One that keeps others from looking into it tells no more: then what it shares counts in full.
    return sum(_pages(process, "smaps_rollup") or _pages(process, "status") for process in processes)


def _below(process: int) -> Iterator[int]:
    waiting = [process]
    while waiting:
        for children in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with suppress(OSError):  # it has ended, here and below
                found = [int(child) for child in children.read_text().split()]
                yield from found
                waiting += found


def _pages(process: int, place: str) -> int:
    with suppress(OSError):
        return 1024 * sum(int(size) for size in _PAGES.findall(Path(f"/proc/{process}/{place}").read_text()))
    return 0
