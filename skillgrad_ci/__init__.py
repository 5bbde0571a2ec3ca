"""SkillGrad CI: optimize agent skills the way gradient descent optimizes a parameter.

The rooms, each knowing only those after it: `bot` (what is done about GitHub's events) over `github` (the platform),
`commands` (the command line), `session` (a run opened), `report`, `config`; the adapters `models`, `executors`,
`sandbox`, `graders`, `suites`; then `method` (the loop) and `skill` (the parameter). Beside them, for all:
`errors.py`, `secrets.py`, `document.py` (files that people write) and `json_text.py`.
"""

__version__ = "0.1.0"
