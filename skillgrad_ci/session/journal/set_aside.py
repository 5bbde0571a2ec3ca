"""To begin anew: what an earlier start left in a run folder is renamed, for it is paid for.

A journal is taken over by content: the same inputs give the same folder, whatever changed that no address names. A
server that was mended under its name is such a change.
"""

from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from skillgrad_ci.errors import UserError
from skillgrad_ci.session.journal.file_journal import LOCK, NAME


def set_aside(folder: Path) -> Path | None:
    """Where the folder of an earlier start is now; None where there was none.

    Raises UserError where a process runs in it, or where it cannot be renamed.
    """
    if not (folder / NAME).is_file():
        return None
    whole = folder.resolve()
    if Path.cwd().is_relative_to(whole):
        raise UserError(f"--fresh: {folder} holds the folder that you are in; choose another --out")
    asides = (whole.with_name(f"{whole.name}.before-{number}") for number in count(1))
    try:
        aside = next(path for path in asides if not path.exists())
        with FileLock(whole / LOCK, timeout=0):
            whole.rename(aside)
    except Timeout:
        raise UserError(f"{folder}: another process runs here; wait for it, or choose another --out") from None
    except OSError as error:
        raise UserError(f"--fresh: {folder} cannot be renamed ({error.strerror}); choose another --out") from None
    return aside
