"""A task that must not outlive its supervisor, tried with processes."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

INCLUDE = Path(__file__).parents[2] / "include"
_TASK = """
import signal
from bellwether.lifeline import die_with_parent
signal.alarm(20)
die_with_parent()
print("up", flush=True)
signal.pause()
"""
# As a worker that is killed: without a word to the task.
_SUPERVISOR = f"""
import os, signal, subprocess, sys
task = subprocess.Popen([sys.executable, "-c", {_TASK!r}], stdout=subprocess.PIPE, text=True)
assert task.stdout.readline() == "up\\n"
print(task.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a process that its parent died")
def test_a_task_whose_supervisor_is_killed_is_told_to_stop() -> None:
    supervisor = subprocess.run(
        [sys.executable, "-c", _SUPERVISOR],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(INCLUDE)},
        timeout=30,
        check=False,
    )
    pid = int(supervisor.stdout)
    assert _is_gone(pid)


def _is_gone(pid: int) -> bool:
    """Wait until a process has ended, which is nobody's child any more."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    readable, _, _ = select.select([end], [], [], 5.0)
    os.close(end)
    return bool(readable)
