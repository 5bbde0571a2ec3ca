"""How a task is executed: agents that use a skill. Start at `tool_loop.py`."""
