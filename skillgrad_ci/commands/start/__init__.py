"""What somebody does first. Start at `init.py`, which writes a configuration; `first_suite.py` and `label.py` make what
a repository may lack, `doctor.py` tells what is missing, `demo.py` plays the example.
"""
