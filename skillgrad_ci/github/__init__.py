"""The platform, knowing no skill: what happened (`context.py`, `action_inputs.py`), GitHub's API (`client.py`,
`dry_run.py`), commits without a clone (`git_data.py`), comments, bodies within GitHub's bound (`body.py`), and the
runner's log.
"""
