"""What the bot does about an event, a file each: `optimize_requests.py` (who asks for what) leads to `optimize_job.py`,
`shard_job.py` and `deliver_job.py`; `evaluate_job.py` measures a pull request, `command_job.py` answers a comment, and
`command_queue.py` finds those that wait.
"""
