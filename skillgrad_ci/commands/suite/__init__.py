"""The commands on a suite. Start at `suite.py`, which says what a suite holds; `grade.py` grades outputs that exist,
`growing.py` proposes tasks, `triggers.py` puts skills side by side, `agree.py`
compares graders. `workshop.py` holds the parts that several need,
`told.py` writes the answers as text.
"""
