"""The native format. `tasks_file.py` reads `tasks.yaml`, `grader_rows.py` the graders in it, and `grown.py` the tasks
that were proposed for a suite and lie beside it.
"""
