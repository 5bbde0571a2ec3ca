"""Commands of a person that tell what the bot would do: `offer.py` writes the pull request that a run would open,
`doctor.py` looks at the repository on GitHub. The rest of each command is in `commands/`, which knows no GitHub.
"""
