"""A run opened: from inputs to executions, journal and run folder.

`inputs.py` reads what decides a run, `open_run.py` proves and opens it with the real `parts/` (of which `agents.py`
chooses the agent); `rollout.py` executes a task, grades it and keeps it in the `journal/` and the `trajectories/`.
`optimize_skill.py` and `evaluation.py` are what is done in an open run, `side_by_side/` does it several times,
`shards.py` on several machines. `split.py` (which tasks train), `estimate.py` and `proof/` (reference answers) help
them. `growth/` proposes tasks; `doctor.py`, `outputs/` and `json_documents/` (what is printed) need no run.
"""
