"""What people configure. `settings.py` is one run's settings, `config.py` reads `.skillgrad.yml` and puts flags over
it.
"""
