"""The journal of a run: `records.py` is a record as text, `file_journal.py` keeps them in the run folder, `merging.py`
makes one journal of those that several machines wrote.
"""
