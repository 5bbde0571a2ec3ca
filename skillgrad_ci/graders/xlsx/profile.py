"""The folder that LibreOffice runs in: its profile, what asks it, and room for workbooks."""

import shutil
from pathlib import Path

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


CALCULATOR = Path(__file__).with_name("calculator.py")


def furnish(folder: Path) -> None:
    """Fill the empty `folder`: `profile/`, `books/`, `tmp/`, and the program for the Python that imports `uno`."""
    for name in ("books", "tmp", "profile/user"):
        (folder / name).mkdir(parents=True)
    (folder / "profile" / "user" / "registrymodifications.xcu").write_text(_registry(), "utf-8")
    shutil.copyfile(CALCULATOR, folder / CALCULATOR.name)


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
