"""What is done about an event of GitHub, and the pull request. Start at `action.py`."""
