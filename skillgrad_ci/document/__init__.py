"""What comes from outside as text. `document.py` reads files that people write, with `parsing.py`; `json_text.py` makes
safe what machines send, `inert_text.py` shows what others wrote without obeying it. Nothing is imported here: the last
one serves a Python without packages as well.
"""
