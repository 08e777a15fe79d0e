"""Child processes that can be killed: forks of a process that has imported everything, as Airflow's tasks are.

The process that forks stays free of threads: it computes nothing, reads no Parquet, and leaves both to children.
"""

import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

# No step takes a tenth of that; a child that does is caught in a deadlock.
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Attributes
    ----------
    value
        What its work returned, as JSON carries it; None unless it succeeded.
    error
        The traceback of the exception it ended by.
    killed
        Whether it was killed before its result was received: nobody knows then how far it came.
    seconds
        How long it lived.
    """

    value: Any
    error: str
    killed: bool
    seconds: float


class Child:
    """One child at work.

    Parameters
    ----------
    work
        What it does; the result travels back as JSON.
    most_file_bytes
        The longest file it can write, as on a full disk; None for no bound.
    """

    def __init__(self, work: Callable[[], Any], most_file_bytes: int | None = None) -> None:
        reading, writing = os.pipe()
        self._started_s = time.monotonic()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(reading)
            _work(work, writing, most_file_bytes)
        os.close(writing)
        self._result = os.fdopen(reading, "rb")

    def finish(self, kill_after_s: float | None = None, signum: signal.Signals = signal.SIGKILL) -> Outcome:
        """Wait for the result; send the child a signal if it has not come `kill_after_s` after its start.

        What it does upon SIGTERM is its result; SIGKILL follows where there is none.
        """
        lived_s = time.monotonic() - self._started_s
        left_s = _PATIENCE_S if kill_after_s is None else max(0.0, kill_after_s - lived_s)
        reported = self._has_reported(left_s)
        if not reported and kill_after_s is not None and signum is not signal.SIGKILL:
            os.kill(self._pid, signum)
            reported = self._has_reported(_PATIENCE_S)
        if not reported:
            os.kill(self._pid, signal.SIGKILL)
        with self._result:
            content = self._result.read()
        _, status = os.waitpid(self._pid, 0)
        seconds = time.monotonic() - self._started_s
        if not reported and kill_after_s is None:
            return Outcome(None, f"no result within {_PATIENCE_S:.0f} s", killed=False, seconds=seconds)
        if os.WIFSIGNALED(status):
            return Outcome(None, "", killed=True, seconds=seconds)
        if not content:  # a reader's library may panic, past every except clause
            error = f"ended without a result, with exit code {os.waitstatus_to_exitcode(status)}"
            return Outcome(None, error, killed=False, seconds=seconds)
        value, error = msgspec.json.decode(content)
        return Outcome(value, error, killed=False, seconds=seconds)

    def _has_reported(self, within_s: float) -> bool:
        return bool(select.select([self._result], [], [], within_s)[0])


def ask(work: Callable[[], Any]) -> Any:
    """Return the result of some work done in a child that nobody kills.

    Raises
    ------
    RuntimeError
        It failed; the message is its traceback.
    """
    outcome = Child(work).finish()
    if outcome.error:
        raise RuntimeError(outcome.error)
    return outcome.value


def _work(work: Callable[[], Any], writing: int, most_file_bytes: int | None) -> NoReturn:
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        if most_file_bytes is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_file_bytes, resource.RLIM_INFINITY))
        try:
            answer = (work(), "")
        except Exception:  # noqa: BLE001 - whatever went wrong is the parent's to judge
            answer = (None, traceback.format_exc())
        os.write(writing, msgspec.json.encode(answer))
    finally:
        os._exit(0)  # never into the parent's code
