"""The platform, knowing no skill. `context.py` and `action_inputs.py` are what happened and what was asked; `client.py`
is GitHub's API, `app_token.py` its tokens for an App, `dry_run.py` the API that writes nothing. `git_data.py` makes
commits without a clone, `comments.py` the bot's comments, `body.py` texts within GitHub's bound, `workflow_log.py` the
runner's log.
"""
