"""What is done about an event of GitHub. Start at `action.py`.

Then `decide.py` (from the event to a decision), `optimize_requests.py` (who asks, for which skills), `optimize_job.py`
(one skill: `preflight.py`, `committed.py`, `money.py`, the run, `ended_run.py`), `deliver_job.py` and `pull_request/`.
`evaluate_job.py` measures pull requests, `command_job.py` answers comments, `state.py` is what the bot remembers.
"""
