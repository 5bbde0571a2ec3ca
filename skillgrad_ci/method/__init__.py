"""SkillGrad itself; it knows no provider, no GitHub and no environment, and does not print.

Read `optimize.py` first: the loop. `run.py` is what happened, `world/` what the loop asks for and when, `ports/` what
others must offer, `settings.py` what a person may turn, `events.py` what is told meanwhile. Then the steps:
`evidence.py` (loss), `gradient.py` (diagnoses), `optimizers/` (momentum and update), `patch.py` and `leaks/` (which
edits are refused), `acceptance/` (line search). `memory/` is the pattern memory, `budget/` the one cap,
`prompting.py` and `trajectory.py` what agents are shown, `task.py` and `grader_options.py` what a suite holds.
"""
