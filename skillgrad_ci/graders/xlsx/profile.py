"""The folder that LibreOffice runs in: its profile, unoserver for another Python, and room for workbooks."""

import importlib.metadata
import shutil
from pathlib import Path
from typing import cast

# A formula with a stale cached number stays stale unless LibreOffice always recalculates. The rest keeps it
# from reaching out: links are never updated, macros never run, and the proxy is this machine's discard port.
SETTINGS = (
    ("Office.Calc/Formula/Load", "OOXMLRecalcMode", "0"),  # 0 always, 1 never, 2 ask
    ("Office.Calc/Content/Update", "Link", "2"),  # 0 always, 1 on request, 2 never
    ("Office.Common/Security/Scripting", "MacroSecurityLevel", "3"),
    ("Office.Common/Security/Scripting", "DisableMacrosExecution", "true"),
    ("Office.Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("Inet/Settings", "ooInetProxyType", "2"),  # 2: set by hand
    *(("Inet/Settings", f"ooInet{kind}ProxyName", "127.0.0.1") for kind in ("HTTP", "HTTPS", "FTP")),
    *(("Inet/Settings", f"ooInet{kind}ProxyPort", "9") for kind in ("HTTP", "HTTPS", "FTP")),
)


SERVER = Path(__file__).with_name("unoserver_hidden.py")


def furnish(folder: Path) -> None:
    """Fill the empty `folder`: `profile/`, `lib/` (unoserver and what starts it), `books/`, `tmp/`."""
    for name in ("books", "tmp", "lib", "profile/user"):
        (folder / name).mkdir(parents=True)
    (folder / "profile" / "user" / "registrymodifications.xcu").write_text(_registry(), "utf-8")
    for file in importlib.metadata.files("unoserver") or []:
        if file.parts[0].startswith("unoserver") and file.suffix != ".pyc":
            target = folder / "lib" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cast(Path, file.locate()), target)
    shutil.copyfile(SERVER, folder / "lib" / SERVER.name)


def _registry() -> str:
    items = "\n".join(
        f'<item oor:path="/org.openoffice.{path}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop>'
        "</item>"
        for path, name, value in SETTINGS
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n{items}\n</oor:items>\n'
    )
