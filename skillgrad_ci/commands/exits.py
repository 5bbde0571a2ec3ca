"""The exit codes that the commands promise."""

DONE = 0
ELSE = 1  # anything that the others do not say
USER = 2  # a person must fix something: one line says what
BUDGET = 3  # stopped at a cap, the best result kept
