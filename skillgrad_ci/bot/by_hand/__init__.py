"""Commands of a person that tell what the bot would do: `offer.py` writes the pull request that a run would open,
`doctor.py` looks at the repository on GitHub by `repository.py`. The rest of each is a command that knows no GitHub.
"""
