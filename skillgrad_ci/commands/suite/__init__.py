"""The commands on a suite. Start at `suite.py`, which says what a suite holds; `grade.py` grades outputs that exist,
`workshop.py` holds the parts that both need, and `told.py` writes the answers as text.
"""
