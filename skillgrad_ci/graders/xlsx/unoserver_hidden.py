"""unoserver with documents opened hidden: a window for each, never seen, takes a third of the time.

Run by the Python that has LibreOffice's `uno`, with unoserver's own arguments.
"""

import sys
from typing import Any

import uno  # type: ignore[import-not-found, unused-ignore]
from unoserver import converter, server  # type: ignore[import-untyped, import-not-found, unused-ignore]


class _Hidden:
    """LibreOffice's desktop; what it loads has no window, updates no link and runs no macro."""

    def __init__(self, desktop: Any) -> None:
        self._desktop = desktop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desktop, name)

    def loadComponentFromURL(self, url: str, target: str, flags: int, properties: tuple[Any, ...]) -> Any:  # noqa: N802
        value = uno.getClass("com.sun.star.beans.PropertyValue")
        hidden = value(Name="Hidden", Value=True)
        no_update = value(Name="UpdateDocMode", Value=0)  # com.sun.star.document.UpdateDocMode.NO_UPDATE
        no_macro = value(Name="MacroExecutionMode", Value=0)  # MacroExecMode.NEVER_EXECUTE
        return self._desktop.loadComponentFromURL(url, target, flags, (*properties, hidden, no_update, no_macro))


class _Converter(converter.UnoConverter):  # type: ignore[misc, unused-ignore]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.desktop: Any = _Hidden(self.desktop)


if __name__ == "__main__":
    converter.UnoConverter = _Converter  # type: ignore[misc, unused-ignore]
    sys.exit(server.main())
