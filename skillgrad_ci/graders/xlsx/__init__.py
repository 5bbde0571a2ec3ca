"""Workbooks: the official rules, read in processes of their own, recalculated where that can matter.

Start at `grader.py`. `positions.py` says which cells count, `values.py` when two values are equal, `compare.py` what
differs. `reader.py` keeps the processes that read, `worker.py` is one, `contents.py` and `formulas.py` are what it
reads. `libreoffice.py` recalculates: `installation.py` finds LibreOffice, `server.py` is a running one, with
`calculator.py` in front and the folder of `profile.py`; `confinement.py`, `libreoffice_process.py` and `calls.py` hold
it within bounds.
"""

from skillgrad_ci.graders.xlsx.grader import XlsxGrader

__all__ = ["XlsxGrader"]
