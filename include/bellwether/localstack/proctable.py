"""What the operating system says about its processes: session, start, zombie.

Linux is read from `/proc`; elsewhere (macOS) from `ps`. Nothing here ends anything.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"


class ProcessInfo(NamedTuple):
    """One process.

    Attributes
    ----------
    session
        Id of its process session: the pid of the leader.
    started
        What tells it from a later process with the same pid. On Linux the kernel's clock ticks since boot,
        which, unlike a wall-clock start time, do not move when the machine's clock is set.
    is_zombie
        Whether it has ended and only waits for its parent to ask how.
    """

    session: int
    started: str
    is_zombie: bool


def boot_mark() -> str:
    """Return what identifies this boot of the machine: pids and start times are worth nothing beyond it."""
    if _BOOT_ID.exists():
        return _BOOT_ID.read_text(encoding="ascii").strip()
    return _output("sysctl", "-n", "kern.boottime").strip()


def process_table() -> dict[int, ProcessInfo]:
    """Return all processes by pid."""
    return dict(_from_proc() if _BOOT_ID.exists() else parse_ps(_output("ps", "-axo", "pid=,stat=,lstart=")))


def process(pid: int) -> ProcessInfo | None:
    """Return one process, or None where there is none with that pid."""
    if not _BOOT_ID.exists():
        return process_table().get(pid)
    with suppress(OSError):
        return parse_stat((_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace"))
    return None


def parse_stat(stat: str) -> ProcessInfo:
    """Return what one line of `/proc/PID/stat` says (proc(5): field 3 state, 6 session, 22 start time)."""
    # The second field is the command in parentheses and may itself hold blanks and parentheses.
    fields = stat.rpartition(")")[2].split()
    return ProcessInfo(session=int(fields[3]), started=fields[19], is_zombie=fields[0] in "ZX")


def parse_ps(output: str) -> Iterator[tuple[int, ProcessInfo]]:
    """Yield what `ps -axo pid=,stat=,lstart=` says; the session is asked for per pid, since `ps` prints an address."""
    for line in output.splitlines():
        pid, state, started = line.split(maxsplit=2)
        with suppress(OSError):
            yield int(pid), ProcessInfo(os.getsid(int(pid)), started.strip(), state.startswith("Z"))


def _from_proc() -> Iterator[tuple[int, ProcessInfo]]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit() and (info := process(int(folder.name))):
            yield int(folder.name), info


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - fixed commands
