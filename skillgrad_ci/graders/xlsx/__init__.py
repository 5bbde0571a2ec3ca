"""Workbooks: the official rules, read in processes of their own, recalculated where that can matter. Start at
`grader.py`; `reader.py` and `worker.py` read cells, `compare.py` compares them, `libreoffice.py` and `server.py`
recalculate.
"""

from skillgrad_ci.graders.xlsx.grader import XlsxGrader

__all__ = ["XlsxGrader"]
