"""What is done about an event of GitHub. Start at `action.py`; `gate.py` asks before it whether the event is ours.

`decide.py` makes a decision of the event, with `slash_commands.py` for comments and `schedule.py` for what is due;
`jobs/` does what was decided. For one skill that is `preflight.py` (can a result be delivered?), `committed.py` (the
skill as the repository holds it), `money.py` (caps over several runs), `engine.py` (the run), `ended_run.py` (what it
came to) and `pull_request/`; `evaluation/` answers people's own pull requests. All use `bot.py`: what an act needs and
how it ends. `progress.py` tells those who wait, `state.py` is what the bot remembers. `by_hand/` answers people who run
a command themselves.
"""
