"""Where commands chosen by a model run. `choose.py` takes the best way that `selftest.py` has proved:
`sandlock_sandbox.py` on a Linux host, `docker_sandbox.py` for a container of their own, `no_sandbox.py` where a
person said so. `work_folder.py` and `supervise.py` bound what they leave and take.
"""

from skillgrad_ci.sandbox.choose import choose
from skillgrad_ci.sandbox.supervise import Limits

__all__ = ["Limits", "choose"]
