"""What one command, and one task's folder, may take."""

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """Bounds of a sandbox. Sizes are in bytes; the time limit comes with each command.

    `output` is what an agent gets to see of a command's output, head and tail; a command that writes
    more than `flood` is stopped. `disk` bounds the work folder (and a quarter of it `/tmp`), `files` its
    entries; `free` is what must stay free on the file system that holds it, because an open file without
    a name is in no folder.
    """

    memory: int = 2 * GIB
    processes: int = 128
    output: int = 30_000
    flood: int = 256 * MIB
    disk: int = 1 * GIB
    files: int = 20_000
    depth: int = 64
    free: int = 256 * MIB
