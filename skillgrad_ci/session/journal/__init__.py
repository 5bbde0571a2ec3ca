"""The journal of a run: `records.py` is a record as text, `file_journal.py` keeps them in the run folder, `recalled.py`
reads an execution's evidence from it, `part.py` has several runs share one, and `merging.py` makes one journal of those
that several machines wrote. `earlier.py` is what one run leaves to the next, `set_aside.py` begins anew.
"""
