"""How a task is executed: agents that use a skill. Start at `tool_loop.py`, the built-in agent: `skill_tools.py` shows
it the skills, `turns.py` keeps its turns for a run that is started again. `chat.py` is one call without tools.

`acp.py` and `acp_client.py` speak to foreign agents, which `agents.py` and `agents/*.yaml` describe; `relay.py` and
`relay_inside.py` are their only way out of the sandbox, `replies.py` keeps what their calls were answered.
"""
