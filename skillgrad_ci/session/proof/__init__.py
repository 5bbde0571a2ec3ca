"""A suite's graders, proved by its own reference answers: `check.py` proves one task, `proofs.py` all, meanwhile."""
