"""The platform, knowing no skill: what happened (`context`, `action_inputs`), GitHub's API (`client`, `dry_run`),
commits without a clone (`git_data`), comments, inert text, and the runner's log.
"""
