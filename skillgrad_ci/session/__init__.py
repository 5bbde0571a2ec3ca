"""A run opened: from inputs to executions, journal and run folder.

`inputs.py` reads what decides a run, `open_run.py` proves and opens it with the real `parts/`, `rollout.py`
executes a task, grades it and keeps it in the `journal/`. `optimize_skill.py` and `evaluation.py` are what is done
in an open run, `side_by_side/` does it several times, `shards.py` on several machines; `growth/` proposes tasks;
`split.py`, `estimate.py` and `proof/` (reference answers) help them; `outputs/` and `json_documents/` (what is
printed) need no run.
"""
