"""Where commands chosen by a model run. `choose.py` takes the best way that `selftest.py` has proved.

`sandlock_sandbox.py` is the way of a Linux host: `nursery.py` starts a `cell.py` for each session, held by the filter
of `calls.py`. `docker_sandbox.py` is a container of its own: `container.py` drives it, `archive.py` carries folders in
and out, `task_image.py` and `agent_image.py` make its image, `build_output.py` says why that failed. `no_sandbox.py` is
for a person who said so. `environment.py` is what commands see of this machine; `work_folder.py`, `memory.py` and
`supervise.py` bound what they leave and take; `pipe.py` is a program that we talk to.
"""

from skillgrad_ci.sandbox.choose import choose
from skillgrad_ci.sandbox.supervise import Limits

__all__ = ["Limits", "choose"]
