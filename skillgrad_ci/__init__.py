"""SkillGrad CI: optimize agent skills the way gradient descent optimizes a parameter.

The rooms, each knowing only those after it: `bot` (what is done about GitHub's events) over `github` (the platform),
`commands` (the command line), `session` (a run opened), `report`, `config`; the adapters `models`, `executors`,
`sandbox`, `graders`, `suites`; then `method` (the loop) and `skill` (the parameter). Beside them, for all:
`errors.py`, `secrets.py`, `seccomp.py` (what a process may ask of the kernel) and `document/` (what comes from outside
as text: files that people write, any JSON, and what others wrote, shown and not obeyed).
"""

__version__ = "0.1.0"
