"""What a process does that must not outlive the one that started it.

The supervisor of an Airflow task is the worker's process that Airflow hears of the task from. If it is killed, the task
runs on as an orphan, and after some minutes another try beside it; a recorder would go on until the evening.
"""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have this process sent SIGTERM when the one that started it ends; on Linux alone, elsewhere nothing does that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
