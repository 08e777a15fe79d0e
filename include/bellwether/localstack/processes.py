"""Child processes that can be found and ended later, from another shell too.

Every child leads a process session of its own; all that it starts (executor workers, task runners, DAG
parsers) stays in that session, so ending the session ends them all. A pid alone is no identity: it is
recorded together with the instant its process started and is never signalled when that differs.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from bellwether.errors import BellwetherError
from bellwether.localstack.proctable import ProcessInfo, boot_mark, process, process_table

_POLL_S = 0.05


class ProcessRecord(msgspec.Struct, frozen=True):
    """A child process as it is remembered.

    Attributes
    ----------
    name
        What it is, e.g. `scheduler`.
    pid
        Its process id, which is also the id of its process session.
    started
        What tells it from a later process with the same pid; see `ProcessInfo.started`.
    boot
        The boot of the machine it was started in; see `boot_mark`.
    log
        The file that holds its output.
    """

    name: str
    pid: int
    started: str
    boot: str
    log: str


def spawn(name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> ProcessRecord:
    """Start a child in a process session of its own, its output appended to `log`.

    Returns
    -------
    ProcessRecord
        What a state file must remember to end it later.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - the commands are fixed in this package
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=cwd, start_new_session=True
        )
    # Keeps Popen from watching it: `is_running` and `living` do, also in a shell that is not the parent.
    child.returncode = 0
    info = process(child.pid)  # there even if the child has ended: nobody has waited for it yet
    return ProcessRecord(name=name, pid=child.pid, started=info.started if info else "", boot=boot_mark(), log=str(log))


def is_running(record: ProcessRecord) -> bool:
    """Return whether the recorded process itself lives."""
    _reap(record.pid)
    info = process(record.pid)
    return info is not None and info.started == record.started and record.boot == boot_mark() and not info.is_zombie


def living(records: Iterable[ProcessRecord]) -> list[int]:
    """Return the pids of all processes that live in the sessions of the recorded leaders.

    A leader that is gone leaves its session behind, and the kernel gives its number to nobody while members live.
    A number whose present owner started at another time, or in another boot, is somebody else's and is left out.
    """
    records = list(records)
    for record in records:
        _reap(record.pid)
    return members(records, process_table(), boot_mark())


def members(records: Iterable[ProcessRecord], table: Mapping[int, ProcessInfo], boot: str) -> list[int]:
    """Return which processes of `table` belong to the recorded sessions; the rule behind `living`."""
    sessions = {
        record.pid
        for record in records
        if record.boot == boot and (record.pid not in table or table[record.pid].started == record.started)
    }
    return [pid for pid, info in table.items() if info.session in sessions and not info.is_zombie]


def end_sessions(records: Sequence[ProcessRecord], *, grace_s: float) -> None:
    """End every process of the recorded sessions: SIGTERM, then SIGKILL for what is left after the grace.

    Raises
    ------
    BellwetherError
        A process survived SIGKILL (it hangs in the kernel); the message names it.
    """
    for signum, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        _signal(records, signum)
        deadline = time.monotonic() + patience_s
        while left := living(records):
            if time.monotonic() > deadline:
                break
            if signum == signal.SIGKILL:
                _signal(records, signum)
            time.sleep(_POLL_S)
        else:
            return
    message = f"these processes do not end: {', '.join(map(str, left))}"
    raise BellwetherError(message)


def free_port(preferred: int = 0) -> int:
    """Return a free loopback port: `preferred` when nobody listens there, else any."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As servers do: a connection that is still timing out does not make a port taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    message = "no free port on 127.0.0.1"
    raise BellwetherError(message)


def tail(path: Path, lines: int = 25) -> str:
    """Return the last lines of a log, or what says that there are none."""
    try:
        content = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(content[-lines:]) or "(empty log)"


def _signal(records: Sequence[ProcessRecord], signum: signal.Signals) -> None:
    for pid in living(records):
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


def _reap(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
