"""What is done about an event of GitHub.

Start at `action.py`: it reads the event, `decide.py` says which act it asks for, and an act follows:
`optimize_job.py`, `evaluate_job.py` or `command_job.py`. `optimize_requests.py` and `schedule.py` say which skills,
`preflight.py` whether the result could be delivered, `engine.py` runs them, `state.py` remembers, `pull_request/`
delivers. `bot.py` is what every act needs, `progress.py` what people see meanwhile.
"""
