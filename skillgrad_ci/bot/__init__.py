"""What is done about an event of GitHub. Start at `action.py`.

Then `decide.py` (from the event to a decision) and `jobs/` (what is done about it): `jobs/optimize_requests.py` says
who asks, for which skills, `jobs/optimize_job.py` is one skill: `preflight.py`, `committed.py`, `money.py`, the run,
`ended_run.py`, then `pull_request/`. `state.py` is what the bot remembers.
"""
